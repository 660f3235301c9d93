//! Ways in that must stay shut: long passwords, forged addresses, credentials where they do not belong.

use std::time::Instant;

use reqwest::StatusCode;
use secrecy::SecretString;
use trunkline_core::access::Role;
use trunkline_core::audit::By;
use trunkline_stores::postgres::row::NewUser;
use trunkline_web::identity::password::Passwords;

use crate::app::{SOON, app, client, fresh};
use crate::identity::{PASSWORD, cookie, enter, person};

#[tokio::test]
async fn s101_a_huge_password_is_refused_before_hashing_and_a_long_passphrase_of_any_script_is_taken() {
    let line = app().line().await;
    let email = person(&line, Role::Viewer).await;
    let begun = Instant::now();
    for length in [600, 200_000] {
        let refused = enter(&email, &"x".repeat(length), &[]).await;
        assert!(refused.status().is_client_error() && cookie(&refused).is_none(), "{length}");
    }
    assert_eq!(
        enter(&email, &"x".repeat(1 << 20), &[]).await.status(),
        StatusCode::PAYLOAD_TOO_LARGE
    );
    assert!(begun.elapsed() < SOON);
    let passphrase = "четыре лошади пасутся в тишине, 静かな草原で, ñandú y ñu pastan al sol, 🐎🐎🐎!";
    assert!(passphrase.chars().count() >= 64);
    let email = format!("{}@people.invalid", fresh("p"));
    let hash = Passwords::new(1)
        .unwrap()
        .hash(&SecretString::from(passphrase.to_owned()))
        .await
        .unwrap();
    let new = NewUser {
        email: email.clone(),
        name: "Ana".to_owned(),
        role: Some(Role::Viewer),
        grants: Vec::new(),
        password_hash: hash,
    };
    line.config.create_user(line.tenant, &By::system(), &new).await.unwrap();
    assert!(cookie(&enter(&email, passphrase, &[]).await).is_some());
}

#[tokio::test]
async fn s044_a_forged_address_dodges_no_limit() {
    let line = app().line().await;
    let email = person(&line, Role::Viewer).await;
    for n in 0..10 {
        let forged = format!("192.0.2.{n}");
        enter(&email, "not the password", &[("x-forwarded-for", &forged)]).await;
    }
    let right = enter(&email, PASSWORD, &[("x-forwarded-for", "192.0.2.99")]).await;
    assert!(
        cookie(&right).is_none(),
        "the account waits for this address, whatever it says it is"
    );
}

#[tokio::test]
async fn s122_a_credential_in_an_address_opens_nothing() {
    let line = app().line().await;
    let key = line.api_key(&["live:read"]).await;
    for name in ["api_key", "access_token", "token", "key"] {
        let answer = client().get(app().url(&format!("/v1/board?{name}={key}"))).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{name}");
        assert!(!answer.text().await.unwrap().contains(&key));
    }
}

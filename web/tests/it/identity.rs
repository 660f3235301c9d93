//! Signing in with a browser, and what others must not get by it.

use std::time::Instant;
use trunkline_core::audit::By;

use reqwest::{Response, StatusCode};
use secrecy::SecretString;
use trunkline_core::access::Role;
use trunkline_stores::postgres::row::NewUser;
use trunkline_web::identity::password::Passwords;

use crate::app::{App, Line, SOON, app, browser, fresh};

pub const PASSWORD: &str = "a sentence nobody guesses";

pub async fn person(line: &Line, role: Role) -> String {
    let email = format!("{}@people.invalid", fresh("p"));
    let password_hash = Passwords::new(1)
        .unwrap()
        .hash(&SecretString::from(PASSWORD.to_owned()))
        .await
        .unwrap();
    line.config
        .create_user(
            line.tenant,
            &By::system(),
            &NewUser {
                email: email.clone(),
                name: "Ana".to_owned(),
                role: Some(role),
                grants: Vec::new(),
                password_hash,
            },
        )
        .await
        .unwrap();
    email
}

pub async fn enter(email: &str, password: &str, headers: &[(&str, &str)]) -> Response {
    enter_at(app(), email, password, headers).await
}

/// The same at another product.
pub async fn enter_at(app: &App, email: &str, password: &str, headers: &[(&str, &str)]) -> Response {
    let form = format!(
        "email={}&password={}&next=/wall",
        email.replace('@', "%40"),
        password.replace(' ', "+")
    );
    let mut request = browser()
        .post(app.url("/signin"))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap()
}

/// The session cookie as a browser sends it back.
pub fn cookie(answer: &Response) -> Option<String> {
    let set = answer.headers().get("set-cookie")?.to_str().unwrap();
    Some(set.split(';').next().unwrap().to_owned())
}

async fn board(cookie: &str) -> StatusCode {
    browser()
        .get(app().url("/v1/board"))
        .header("cookie", cookie)
        .send()
        .await
        .unwrap()
        .status()
}

#[tokio::test]
async fn s121_the_right_password_opens_a_session_and_signing_out_ends_it() {
    let line = app().line().await;
    let email = person(&line, Role::Supervisor).await;
    // Letters of an address have no case.
    let answer = enter(&email.to_uppercase(), PASSWORD, &[]).await;
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    let set = answer.headers()["set-cookie"].to_str().unwrap();
    for flag in ["HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(set.contains(flag), "{flag}");
    }
    let session = cookie(&answer).unwrap();
    assert_eq!(board(&session).await, StatusCode::OK);
    let page = browser()
        .get(app().url("/wall"))
        .header("cookie", &session)
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let token = page
        .split("name=\"form_token\" value=\"")
        .nth(1)
        .and_then(|rest| rest.split('"').next())
        .expect("pages carry the form's token")
        .to_owned();
    let leave = |token: String| {
        let request = browser()
            .post(app().url("/signout"))
            .header("cookie", &session)
            .header("content-type", "application/x-www-form-urlencoded");
        request.body(format!("form_token={token}")).send()
    };
    assert_eq!(
        leave("0".repeat(64)).await.unwrap().status(),
        StatusCode::FORBIDDEN,
        "a form we did not give out"
    );
    assert_eq!(board(&session).await, StatusCode::OK);
    assert_eq!(leave(token).await.unwrap().status(), StatusCode::SEE_OTHER);
    assert_eq!(board(&session).await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn s113_a_session_from_before_signing_in_is_worth_nothing() {
    let line = app().line().await;
    let email = person(&line, Role::Viewer).await;
    let planted = format!("trunkline_session={}", "A".repeat(43));
    assert_eq!(board(&planted).await, StatusCode::UNAUTHORIZED);
    let session = cookie(&enter(&email, PASSWORD, &[("cookie", &planted)]).await).unwrap();
    assert_ne!(session, planted);
    assert_eq!(board(&planted).await, StatusCode::UNAUTHORIZED);
    assert_eq!(board(&session).await, StatusCode::OK);
}

#[tokio::test]
async fn s099_an_unknown_address_looks_like_a_wrong_password() {
    let line = app().line().await;
    let email = person(&line, Role::Viewer).await;
    let wrong = enter(&email, "not the password", &[]).await;
    let unknown = enter(&format!("{}@people.invalid", fresh("nobody")), "not the password", &[]).await;
    assert_eq!(wrong.status(), unknown.status());
    assert!(cookie(&wrong).is_none() && cookie(&unknown).is_none());
    let strip = |text: String| {
        text.lines()
            .filter(|line| !line.contains("people.invalid"))
            .collect::<Vec<_>>()
            .join("\n")
    };
    assert_eq!(strip(wrong.text().await.unwrap()), strip(unknown.text().await.unwrap()));
}

#[tokio::test]
async fn s100_many_wrong_tries_make_the_account_wait_even_for_the_right_password() {
    let line = app().line().await;
    let email = person(&line, Role::Viewer).await;
    for _ in 0..10 {
        assert!(cookie(&enter(&email, "not the password", &[]).await).is_none());
    }
    assert!(cookie(&enter(&email, PASSWORD, &[]).await).is_none());
    let other = person(&line, Role::Viewer).await;
    assert!(cookie(&enter(&other, PASSWORD, &[]).await).is_some(), "nobody else has to wait");
}

#[tokio::test]
async fn s016_a_change_that_another_site_asks_for_is_refused() {
    let line = app().line().await;
    let email = person(&line, Role::Viewer).await;
    for headers in [
        [("sec-fetch-site", "cross-site")].as_slice(),
        &[("sec-fetch-site", "same-site")],
        &[("origin", "https://evil.invalid")],
        &[("origin", "null")],
    ] {
        let answer = enter(&email, PASSWORD, headers).await;
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{headers:?}");
        assert!(cookie(&answer).is_none());
    }
    let origin = format!("http://{}", app().site);
    assert!(cookie(&enter(&email, PASSWORD, &[("origin", &origin), ("sec-fetch-site", "same-origin")]).await).is_some());
}

#[tokio::test]
async fn s005_a_role_opens_only_its_own_doors() {
    let line = app().line().await;
    for (role, calls, operate) in [
        (Role::Viewer, 403, 403),
        (Role::Analyst, 200, 403),
        (Role::Supervisor, 200, 403),
        (Role::Admin, 200, 200),
    ] {
        let email = person(&line, role).await;
        let session = cookie(&enter(&email, PASSWORD, &[]).await).unwrap();
        for (path, expected) in [("/v1/board", 200), ("/v1/calls", calls), ("/v1/set-aside", operate)] {
            let status = browser()
                .get(app().url(path))
                .header("cookie", &session)
                .send()
                .await
                .unwrap()
                .status();
            assert_eq!(status.as_u16(), expected, "{role:?} {path}");
        }
    }
}

#[tokio::test]
async fn s011_a_stream_ends_when_its_session_does() {
    let line = app().line().await;
    let email = person(&line, Role::Viewer).await;
    let session = cookie(&enter(&email, PASSWORD, &[]).await).unwrap();
    let mut stream = browser()
        .get(app().url("/v1/stream?topics=board"))
        .header("cookie", &session)
        .send()
        .await
        .unwrap();
    assert!(stream.chunk().await.unwrap().is_some());
    let user = line.config.user_by_email(&email).await.unwrap().unwrap();
    line.config.end_sessions_of(line.tenant, &By::system(), user.id).await.unwrap();
    let begun = Instant::now();
    while let Ok(Some(_)) = stream.chunk().await {
        assert!(begun.elapsed() < SOON, "still open");
    }
}

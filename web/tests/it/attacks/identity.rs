//! Attacks on who somebody is: leaked pairs, guessing by the clock, stolen tables, tokens that could be guessed.

use std::collections::BTreeSet;
use std::time::Instant;

use reqwest::{Client, Method, Response, StatusCode};
use serde_json::json;
use tokio_postgres::NoTls;
use trunkline_core::access::Role;
use trunkline_stores::postgres::{DatabaseRole, EmbeddedOptions, EmbeddedPostgres};

use crate::app::{app, browser_at, fresh};
use crate::mailbox::{code, mail};
use crate::people::Somebody;

/// Pairs that are tried from one address; the default limit of an address is 100.
const LEAKED: usize = 130;
/// Pairs of tries whose times are compared in one round, and rounds at most.
const PAIRS: usize = 40;
const ROUNDS: usize = 8;

async fn enter(browser: &Client, email: &str, password: &str) -> Response {
    let body: String = form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("email", email), ("password", password), ("next", "/wall")])
        .finish();
    let request = browser
        .post(app().url("/signin"))
        .header("content-type", "application/x-www-form-urlencoded");
    request.body(body).send().await.unwrap()
}

#[tokio::test]
async fn s098_leaked_pairs_are_answered_alike_until_the_address_has_to_wait() {
    let line = app().line().await;
    let ana = Somebody::with(&line, Role::Viewer).await;
    let browser = browser_at([8, 9, 8]);
    let (mut wrong, mut waits) = (BTreeSet::new(), 0);
    for n in 0..LEAKED {
        // The accounts differ, so that none of them is locked; some exist.
        let email = if n == 7 {
            ana.email.clone()
        } else {
            format!("leaked-{n}@people.invalid")
        };
        let answer = enter(&browser, &email, "leaked password").await;
        assert!(
            answer
                .headers()
                .get("set-cookie")
                .is_none_or(|set| !set.to_str().unwrap().contains("session=")),
            "{n}"
        );
        match answer.status() {
            // The page with its form again; 401 would send a browser to that page.
            StatusCode::UNPROCESSABLE_ENTITY => {
                let page = answer.text().await.unwrap();
                wrong.insert(page.replace(&email, ""));
                assert_eq!(waits, 0, "{n}: none is looked at after the limit");
            }
            StatusCode::TOO_MANY_REQUESTS => {
                let wait: u64 = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
                assert!((1..=900).contains(&wait));
                waits += 1;
            }
            other => panic!("{n}: {other}"),
        }
    }
    assert_eq!(wrong.len(), 1, "known and unknown are refused with the same page");
    assert!(waits >= LEAKED - 101, "{waits}");
    // The owner of an account, elsewhere, is not kept out.
    assert_eq!(
        enter(&browser_at([8, 9, 9]), &ana.email, crate::identity::PASSWORD).await.status(),
        StatusCode::SEE_OTHER
    );
}

/// How much longer a try at a known account took than one at an unknown account right beside it: the median over pairs, in seconds.
async fn lead_of_known(email: &str, round: usize) -> (f64, f64) {
    let (mut leads, mut times) = (Vec::new(), Vec::new());
    for n in 0..PAIRS {
        let browser = browser_at([77, round as u8 + 1, n as u8 + 1]);
        let nobody = format!("nobody-{round}-{n}@people.invalid");
        // Every other first, so that whatever else the machine does falls on both.
        let known_first = n % 2 == 0;
        let mut took = [0.0; 2];
        for is_known in [known_first, !known_first] {
            let begun = Instant::now();
            let answer = enter(&browser, if is_known { email } else { &nobody }, "not the password").await;
            took[usize::from(is_known)] = begun.elapsed().as_secs_f64();
            assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY);
        }
        leads.push(took[1] - took[0]);
        times.extend(took);
    }
    (median(&mut leads), median(&mut times))
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The catalogue says 5 ms over 2,000 tries on a machine of its own. Here other tests run beside it, so a round may mislead; but what gives accounts
/// away (no hash for an unknown one, a statement more for a known one) does so in every round, and to the same side.
#[tokio::test]
async fn s099_the_clock_does_not_tell_known_accounts_from_unknown_ones() {
    let line = app().line().await;
    let mut rounds = Vec::new();
    for round in 0..ROUNDS {
        // One account for each, as wrong tries at one of them are limited.
        let ana = Somebody::with(&line, Role::Viewer).await;
        let (lead, usual) = lead_of_known(&ana.email, round).await;
        rounds.push((lead, usual));
        if lead.abs() < (usual / 8.0).max(0.005) {
            println!("known minus unknown, and a try, in seconds: {rounds:?}");
            return;
        }
    }
    panic!("known accounts are told by the clock: {rounds:?}");
}

#[tokio::test]
async fn s063_s065_a_stolen_table_holds_no_token_and_none_can_be_guessed() {
    let line = app().line().await;
    let owner = Somebody::with(&line, Role::Owner).await;
    let make = async |path: &str, draft: serde_json::Value| {
        let (status, _, made) = owner.ask(Method::POST, path, None, Some(draft)).await;
        assert_eq!(status, StatusCode::CREATED, "{path}: {made}");
        made
    };
    let key = make("/v1/api-keys", json!({ "name": "x", "scopes": ["live:read"] })).await["key"]
        .as_str()
        .unwrap()
        .to_owned();
    let screen = make("/v1/tv-links", json!({ "name": "x" })).await["url"]
        .as_str()
        .unwrap()
        .rsplit('/')
        .next()
        .unwrap()
        .to_owned();
    let email = format!("{}@people.invalid", fresh("new"));
    make("/v1/invitations", json!({ "email": email, "name": "Eva", "role": "viewer" })).await;
    let invitation = code(&mail(&email, 1).await.link());
    let viewer = Somebody::with(&line, Role::Viewer).await;
    enter_forgot(&viewer.email).await;
    let reset = code(&mail(&viewer.email, 1).await.link());
    let session = owner.cookie.split('=').nth(1).unwrap().to_owned();
    let tokens = [key, screen, invitation, reset, session];
    for token in &tokens {
        // Hex has four bits a character, base64 six: 128 bits are at least 22 characters. Only a key's prefix says what it is for.
        let random = if token.starts_with("sk_") {
            token.rsplit('_').next().unwrap()
        } else {
            token.as_str()
        };
        assert!(random.len() >= 22, "{token}");
    }
    let server = EmbeddedPostgres::start_or_attach(&EmbeddedOptions::new(&app().data)).await.unwrap();
    let url = server.url(DatabaseRole::Root, None);
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
    tokio::spawn(connection);
    let sql = "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')";
    let mut tables = 0;
    for row in client.query(sql, &[]).await.unwrap() {
        let table: String = row.get(0);
        for token in &tokens {
            let sql = format!("SELECT count(*) FROM {table} AS t WHERE position($1 IN t::text) > 0");
            let found: i64 = client.query_one(&sql, &[token]).await.unwrap().get(0);
            assert_eq!(found, 0, "{table}");
        }
        tables += 1;
    }
    assert!(tables > 20, "{tables}");
    // The search finds what lies there in plain text.
    let sql = "SELECT count(*) FROM users AS t WHERE position($1 IN t::text) > 0";
    assert_eq!(client.query_one(sql, &[&owner.email]).await.unwrap().get::<_, i64>(0), 1);
    let mut seen = BTreeSet::new();
    for _ in 0..200 {
        assert!(seen.insert(line.api_key(&["live:read"]).await));
    }
}

async fn enter_forgot(email: &str) {
    let answer = browser_at([8, 9, 7])
        .post(app().url("/forgot"))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(format!("email={}", email.replace('@', "%40")))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
}

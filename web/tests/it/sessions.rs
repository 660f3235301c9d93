//! Another cookie follows a change of what somebody may do, and the one from before dies (S-113); what has ended stays ended (S-149).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::StreamExt as _;
use futures::future::join_all;
use reqwest::{Method, Response, StatusCode};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use trunkline_core::access::Role;
use trunkline_core::audit::By;
use trunkline_core::instant::Millis;
use trunkline_stores::postgres::config::sessions::Secret;
use trunkline_stores::postgres::row::PersonState;

use crate::app::{Line, app, browser, now};
use crate::identity::{PASSWORD, cookie};
use crate::people::Somebody;
use crate::second_factor::enrolled;

async fn get(path: &str, cookie: &str) -> Response {
    loop {
        match browser().get(app().url(path)).header("cookie", cookie).send().await {
            Ok(answer) if answer.status() != StatusCode::REQUEST_TIMEOUT => return answer,
            Ok(_) => {}
            // On a slow machine the request of one of many connections comes too late: the server has given it up, nothing was asked.
            Err(error) => assert!(error.is_request(), "{error}"),
        }
    }
}

/// What Postgres keeps of a cookie.
fn hash(cookie: &str) -> [u8; 32] {
    let secret = URL_SAFE_NO_PAD.decode(cookie.split('=').nth(1).unwrap()).unwrap();
    Sha256::digest(secret).into()
}

fn state(role: Role) -> PersonState {
    PersonState {
        role: Some(role),
        grants: Vec::new(),
        disabled: false,
    }
}

async fn becomes(line: &Line, somebody: &Somebody, before: Role, after: Role) {
    let (before, after) = (state(before), state(after));
    let by = By::operator();
    let changed = line.config.change_person(line.tenant, &by, somebody.id, &before, &after);
    changed.await.unwrap();
}

async fn form_token(cookie: &str) -> String {
    let page = get("/account", cookie).await.text().await.unwrap();
    let token = page.split("name=\"form_token\" value=\"").nth(1).expect("the page has forms");
    token.split('"').next().unwrap().to_owned()
}

async fn rename(cookie: &str, form_token: &str) -> StatusCode {
    let body: String = form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("form_token", form_token), ("name", "Eva")])
        .finish();
    let request = browser().post(app().url("/account/name")).header("cookie", cookie);
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    request.body(body).send().await.unwrap().status()
}

#[tokio::test]
async fn s113_another_cookie_follows_a_change_of_roles_and_the_one_before_dies() {
    let line = app().line().await;
    let ana = Somebody::with(&line, Role::Viewer).await;
    let old = ana.cookie.clone();
    let form = form_token(&old).await;
    assert_eq!(cookie(&get("/v1/me", &old).await), None, "nothing has changed");
    becomes(&line, &ana, Role::Viewer, Role::Supervisor).await;

    // Many requests of a page at once: one is first, and all are told the same.
    let answers = join_all((0..8).map(|_| get("/v1/calls", &old))).await;
    let mut told: Vec<String> = Vec::new();
    for answer in &answers {
        assert_eq!(answer.status(), StatusCode::OK, "with the new role");
        let set = answer.headers()["set-cookie"].to_str().unwrap();
        for flag in ["HttpOnly", "SameSite=Lax", "Path=/"] {
            assert!(set.contains(flag), "{set}");
        }
        told.push(cookie(answer).unwrap());
    }
    told.dedup();
    assert_eq!(told.len(), 1, "{told:?}");
    let new = told.remove(0);
    assert_ne!(new, old);
    let answer = get("/v1/me", &new).await;
    assert_eq!((answer.status(), cookie(&answer)), (StatusCode::OK, None), "the new one goes on");

    // Under way: a form that was open, sent with the cookie from before. With the new one, only forms made for it are taken.
    assert_ne!(rename(&old, &form).await, StatusCode::FORBIDDEN);
    assert_eq!(rename(&new, &form).await, StatusCode::FORBIDDEN);
    assert_ne!(rename(&new, &form_token(&new).await).await, StatusCode::FORBIDDEN);

    // It is one session still.
    let listed = line.config.sessions_of(line.tenant, ana.id, now(), &hash(&new)).await.unwrap();
    assert_eq!((listed.len(), listed[0].current), (1, true), "{listed:?}");
    // Both, as the product's own database knows them now and when the time of grace is over.
    let later = now().plus(601_000);
    let known = async |cookie: &str, at: Millis| line.config.session_access(&hash(cookie), at).await.unwrap();
    assert!(matches!(known(&old, now()).await.unwrap().secret, Secret::Followed(_)));
    assert_eq!(known(&new, later).await.unwrap().secret, Secret::Holds);
    assert!(known(&old, later).await.is_none(), "dead");
}

#[tokio::test]
async fn s113_another_cookie_follows_a_second_factor_and_a_password() {
    let line = app().line().await;
    // The page after the code was asked with the cookie from before, and told another one.
    let somebody = enrolled(&line, Role::Admin).await;
    let new = cookie(&get("/v1/me", &somebody.session).await).expect("the next cookie");
    assert_ne!(new, somebody.session);

    let ana = Somebody::with(&line, Role::Viewer).await;
    let change = json!({ "current_password": PASSWORD, "new_password": "another long password 7" });
    let (status, _, answer) = ana.ask(Method::POST, "/v1/me/password", None, Some(change)).await;
    assert_eq!(status, StatusCode::NO_CONTENT, "{answer}");
    let new = cookie(&get("/v1/me", &ana.cookie).await).expect("the next cookie");
    assert_eq!(get("/v1/me", &new).await.status(), StatusCode::OK);

    // A sign-in gives a new one whatever was sent along: s113 in identity.
    assert_ne!(new, ana.cookie);
}

#[tokio::test]
async fn s113_a_stream_ends_with_the_old_rights_and_opens_again_with_the_next_cookie() {
    let line = app().line().await;
    let ana = Somebody::with(&line, Role::Viewer).await;
    let mut stream = get("/v1/stream?topics=board", &ana.cookie).await.bytes_stream();
    stream.next().await.unwrap().unwrap();
    becomes(&line, &ana, Role::Viewer, Role::Analyst).await;
    let ended = async { while let Some(Ok(_)) = stream.next().await {} };
    tokio::time::timeout(crate::app::PATIENCE, ended).await.expect("it ends");
    // As a browser does by itself.
    let again = get("/v1/stream?topics=board", &ana.cookie).await;
    assert_eq!(again.status(), StatusCode::OK);
    let new = cookie(&again).expect("the next cookie, told by the stream's own answer");
    let mut stream = again.bytes_stream();
    stream.next().await.unwrap().unwrap();
    assert_eq!(get("/v1/stream?topics=board", &new).await.status(), StatusCode::OK);
    // A stream that was opened with it goes on: nothing more changes.
    stream.next().await.unwrap().unwrap();
}

#[tokio::test]
async fn s149_a_session_that_was_found_ended_is_not_revived_by_a_clock_that_is_set_back() {
    let line = app().line().await;
    let ana = Somebody::with(&line, Role::Viewer).await;
    let known = async |at: Millis| line.config.session_access(&hash(&ana.cookie), at).await.unwrap();
    let at = now();
    assert!(known(at).await.is_some());
    // The clock runs ahead by more than any session lasts, somebody comes with the cookie, and the clock is set back.
    assert!(known(at.plus(400 * 86_400_000)).await.is_none());
    assert!(known(at).await.is_none(), "it stays ended");
    assert_eq!(get("/v1/me", &ana.cookie).await.status(), StatusCode::UNAUTHORIZED);
}

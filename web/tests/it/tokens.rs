//! Tokens of the API: what is taken, what is not, and what ends them.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::StreamExt as _;
use futures::future::join_all;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use reqwest::StatusCode;
use serde_json::{Value, json};
use sha2::Sha256;
use trunkline_connectors::jose;
use trunkline_core::access::{Permission, Role};
use trunkline_core::audit::By;
use trunkline_core::id::UserId;
use trunkline_stores::postgres::config::second_factor::Whom;
use trunkline_stores::postgres::row::{PersonState, Span};
use trunkline_web::identity::key;
use trunkline_web::settings::Environment;

use crate::app::{App, Line, PATIENCE, SOON, app, client, now, program};
use crate::identity::{PASSWORD, cookie, enter, person};
use crate::mailbox::{mail, mails};
use crate::second_factor::{code, enrolled};

async fn ask(app: &App, path: &str, body: Value) -> (StatusCode, Value) {
    loop {
        match client().post(app.url(path)).json(&body).send().await {
            Ok(answer) => {
                let status = answer.status();
                return (status, answer.json().await.unwrap_or_default());
            }
            // On a slow machine the request of one of many connections comes too late: the server has given it up, nothing was asked.
            Err(error) => assert!(error.is_request(), "{error}"),
        }
    }
}

fn with_password(email: &str) -> Value {
    json!({ "grant_type": "password", "email": email, "password": PASSWORD })
}

/// Tokens of somebody new with this role.
pub async fn signed_in(line: &Line, role: Role) -> (String, Value) {
    let email = person(line, role).await;
    let (status, tokens) = ask(line.app, "/v1/tokens", with_password(&email)).await;
    assert_eq!(status, StatusCode::CREATED, "{tokens}");
    (email, tokens)
}

fn text<'a>(tokens: &'a Value, name: &str) -> &'a str {
    tokens[name].as_str().unwrap_or_else(|| panic!("no {name} in {tokens}"))
}

async fn refresh(line: &Line, token: &str) -> (StatusCode, Value) {
    ask(line.app, "/v1/tokens/refresh", json!({ "refresh_token": token })).await
}

async fn me(line: &Line, token: &str) -> (StatusCode, Value) {
    line.get(token, "/v1/me").await
}

async fn user(line: &Line, email: &str) -> UserId {
    line.config.user_by_email(email).await.unwrap().unwrap().id
}

fn claims(token: &str) -> Value {
    let part = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

fn header(token: &str) -> Value {
    let part = token.split('.').next().unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

/// A token as whoever has the key of the product can make it.
async fn forged(line: &Line, header: &Value, claims: &Value) -> String {
    let keys = line.config.token_keys(now()).await.unwrap();
    let key = EncodingKey::from_ed_der(&keys.last().unwrap().pkcs8());
    let written = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let message = format!("{}.{}", written(header), written(claims));
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::EdDSA).unwrap();
    format!("{message}.{signature}")
}

fn with(value: &Value, name: &str, other: Value) -> Value {
    let mut changed = value.clone();
    changed[name] = other;
    changed
}

fn without(value: &Value, name: &str) -> Value {
    let mut changed = value.clone();
    changed.as_object_mut().unwrap().remove(name).expect("it was there");
    changed
}

#[tokio::test]
async fn a_token_opens_what_its_person_may_see_and_verifies_with_the_published_keys() {
    jose::install();
    let line = app().line().await;
    let (email, tokens) = signed_in(&line, Role::Analyst).await;
    let token = text(&tokens, "access_token");
    assert_eq!((&tokens["token_type"], &tokens["object"]), (&json!("Bearer"), &json!("tokens")));
    let (status, found) = me(&line, token).await;
    assert_eq!(
        (status, &found["email"], &found["role"]),
        (StatusCode::OK, &json!(email), &json!("analyst"))
    );
    assert_eq!(line.get(token, "/v1/calls").await.0, StatusCode::OK);
    assert_eq!(line.get(token, "/v1/people").await.0, StatusCode::FORBIDDEN);

    // As an integrator verifies it: with what is published, and the library of their choice.
    let answer = client().get(app().url("/.well-known/jwks.json")).send().await.unwrap();
    assert_eq!(answer.headers()["cache-control"], "public, max-age=300");
    let published = answer.text().await.unwrap();
    assert!(!published.contains("\"d\""), "no private part");
    let set: JwkSet = serde_json::from_str(&published).unwrap();
    let head = jsonwebtoken::decode_header(token).unwrap();
    assert_eq!((head.typ.as_deref(), head.alg), (Some("at+jwt"), Algorithm::EdDSA));
    let key = DecodingKey::from_jwk(set.find(&head.kid.unwrap()).unwrap()).unwrap();
    let said = claims(token);
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.set_audience(&[said["aud"].as_str().unwrap()]);
    validation.set_issuer(&[said["iss"].as_str().unwrap()]);
    let read = decode::<Value>(token, &key, &validation).unwrap().claims;
    assert_eq!(read["sub"], user(&line, &email).await.to_string());
    assert_eq!(read["exp"].as_i64().unwrap() - read["iat"].as_i64().unwrap(), 600);
    // Pages with forms are for browsers.
    let page = client().post(app().url("/account/sessions/end-others")).bearer_auth(token);
    let page = page.header("content-type", "application/x-www-form-urlencoded").body("form_token=");
    assert_eq!(page.send().await.unwrap().status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn s104_to_s108_only_what_we_signed_for_ourselves_and_for_now_is_taken() {
    jose::install();
    let line = app().line().await;
    let (_, tokens) = signed_in(&line, Role::Owner).await;
    let token = text(&tokens, "access_token");
    let (head, said) = (header(token), claims(token));
    assert_eq!(
        me(&line, &forged(&line, &head, &said).await).await.0,
        StatusCode::OK,
        "the forge works"
    );
    let at = now().0 / 1_000;
    let mut refused: Vec<(String, String)> = Vec::new();
    let mut add = |what: &str, token: String| refused.push((what.to_owned(), token));

    // S-104: no algorithm, and HMAC of every length with the public key as its secret.
    let written = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
    for none in ["none", "None", "NONE"] {
        let message = format!("{}.{}", written(&with(&head, "alg", json!(none))), written(&said));
        add(none, format!("{message}."));
        add(none, format!("{message}.{}", token.split('.').nth(2).unwrap()));
    }
    let published: Value = client()
        .get(app().url("/.well-known/jwks.json"))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    for key in published["keys"].as_array().unwrap() {
        let x = key["x"].as_str().unwrap();
        for secret in [URL_SAFE_NO_PAD.decode(x).unwrap(), x.as_bytes().to_vec()] {
            for algorithm in ["HS256", "HS384", "HS512"] {
                let message = format!("{}.{}", written(&with(&head, "alg", json!(algorithm))), written(&said));
                let mut mac = Hmac::<Sha256>::new_from_slice(&secret).unwrap();
                mac.update(message.as_bytes());
                add(
                    algorithm,
                    format!("{message}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())),
                );
            }
        }
    }
    for algorithm in ["RS256", "ES256", "PS256"] {
        let message = format!("{}.{}", written(&with(&head, "alg", json!(algorithm))), written(&said));
        add(algorithm, format!("{message}.{}", token.split('.').nth(2).unwrap()));
    }
    // S-105: keys that are named in strange ways, and headers that lead elsewhere.
    for kid in [
        "../../etc/passwd",
        "' OR 1=1 --",
        "https://evil.example/jwks.json",
        "",
        "00000000-0000-0000-0000-000000000000",
    ] {
        add(&format!("kid {kid}"), forged(&line, &with(&head, "kid", json!(kid)), &said).await);
    }
    add("no kid", forged(&line, &without(&head, "kid"), &said).await);
    let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" });
    for (name, value) in [
        ("jku", json!("https://evil.example/jwks.json")),
        ("x5u", json!("https://evil.example/chain.pem")),
        ("x5c", json!(["MIIB"])),
        ("jwk", jwk),
        ("crit", json!(["exp"])),
    ] {
        add(name, forged(&line, &with(&head, name, value), &said).await);
    }
    // S-106: what has to be there.
    for name in ["iss", "aud", "exp", "nbf", "sub", "jti", "iat", "org", "rights"] {
        add(&format!("no {name}"), forged(&line, &head, &without(&said, name)).await);
    }
    // S-107: times.
    for (what, name, value) in [
        ("expired", "exp", json!(at - 30)),
        ("expiry in words", "exp", json!("2100-01-01")),
        ("expiry as text", "exp", json!((at + 600).to_string())),
        ("expiry beyond numbers", "exp", json!(1e300)),
        ("not yet", "nbf", json!(at + 60)),
    ] {
        add(what, forged(&line, &head, &with(&said, name, value)).await);
    }
    // S-108: of another kind, of another installation.
    for typ in ["JWT", "rt+jwt", ""] {
        add(&format!("type {typ}"), forged(&line, &with(&head, "typ", json!(typ)), &said).await);
    }
    add("no type", forged(&line, &without(&head, "typ"), &said).await);
    let audience = said["aud"].as_str().unwrap();
    for aud in [
        json!("https://other.example/v1#live"),
        json!(audience.replace("#live", "#test")),
        json!([]),
        json!(7),
    ] {
        add("audience", forged(&line, &head, &with(&said, "aud", aud)).await);
    }
    add(
        "issuer",
        forged(&line, &head, &with(&said, "iss", json!("https://other.example"))).await,
    );
    // Of somebody else, of a session that there is not, of an organisation that it is not in, with other rights.
    let (other, _) = signed_in(&line, Role::Viewer).await;
    let other_line = app().line().await;
    for (name, value) in [
        ("sub", json!(user(&line, &other).await.to_string())),
        ("sid", json!(uuid::Uuid::new_v4())),
        ("org", json!(other_line.tenant.to_string())),
        ("rights", json!(1)),
    ] {
        add(name, forged(&line, &head, &with(&said, name, value)).await);
    }
    add("a person without a session", forged(&line, &head, &without(&said, "sid")).await);
    // Signed by somebody else, changed on the way, cut short.
    let stranger = EncodingKey::from_ed_der(
        &hex::decode("302e020100300506032b657004220420d4ee72dbf913584ad5b6d8f1f769f8ad3afe7c28cbf1d4fbe097a88f44755842").unwrap(),
    );
    let own = Header {
        typ: Some("at+jwt".to_owned()),
        kid: head["kid"].as_str().map(str::to_owned),
        ..Header::new(Algorithm::EdDSA)
    };
    if let Ok(signed) = encode(&own, &said, &stranger) {
        add("a stranger's", signed);
    }
    let parts: Vec<&str> = token.split('.').collect();
    add(
        "changed",
        format!("{}.{}.{}", parts[0], written(&with(&said, "exp", json!(at + 9_999))), parts[2]),
    );
    add("no signature", format!("{}.{}.", parts[0], parts[1]));
    add("cut", token[..token.len() - 8].to_owned());
    add("dots", "..".to_owned());
    add("a refresh token", text(&tokens, "refresh_token").to_owned());
    for (what, token) in &refused {
        let (status, problem) = me(&line, token).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{what}: {problem}");
        assert_eq!(problem["code"], "unauthenticated", "{what}");
    }
    assert!(refused.len() > 50, "{}", refused.len());
    assert_eq!(
        refresh(&line, token).await.0,
        StatusCode::UNAUTHORIZED,
        "an access token refreshes nothing"
    );
    assert_eq!(me(&line, token).await.0, StatusCode::OK, "and the right one is still taken");
    // S-122: in an address it is no credential.
    let answer = client()
        .get(app().url(&format!("/v1/me?access_token={token}")))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn s110_a_refresh_token_that_comes_again_ends_its_session() {
    let line = app().line().await;
    let (email, first) = signed_in(&line, Role::Viewer).await;
    let (status, second) = refresh(&line, text(&first, "refresh_token")).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(second["session_id"], first["session_id"]);
    let (status, third) = refresh(&line, text(&second, "refresh_token")).await;
    assert_eq!(status, StatusCode::OK);
    for tokens in [&first, &second, &third] {
        assert_eq!(me(&line, text(tokens, "access_token")).await.0, StatusCode::OK);
    }
    let (status, problem) = refresh(&line, text(&first, "refresh_token")).await;
    assert_eq!((status, &problem["code"]), (StatusCode::UNAUTHORIZED, &json!("unauthenticated")));
    for tokens in [&first, &second, &third] {
        assert_eq!(me(&line, text(tokens, "access_token")).await.0, StatusCode::UNAUTHORIZED);
        assert_eq!(refresh(&line, text(tokens, "refresh_token")).await.0, StatusCode::UNAUTHORIZED);
    }
    let auditor = line.api_key(&["audit:read"]).await;
    let (_, found) = line.get(&auditor, "/v1/audit?action=session.reuse").await;
    assert_eq!(found["data"].as_array().unwrap().len(), 1, "{found}");
    assert!(app().metrics().await.contains("trunkline_refresh_reuse_total"));
    // Whose it is learns of it, once, with what to do; the mail lets nobody in.
    let told = mail(&email, 1).await;
    assert_eq!(told.headers["subject"], "Access to your Trunkline account may have been copied");
    assert!(
        told.text.contains("was used a second time") && told.text.contains("change your password"),
        "{told:?}"
    );
    assert!(told.link().ends_with("/account"), "{told:?}");
    assert_eq!(mails(&email).len(), 1);
}

#[tokio::test]
async fn s111_an_answer_that_was_lost_is_given_again() {
    let line = app().line().await;
    let (_, first) = signed_in(&line, Role::Viewer).await;
    let old = text(&first, "refresh_token");
    let (lost, found) = (refresh(&line, old).await, refresh(&line, old).await);
    assert_eq!((lost.0, found.0), (StatusCode::OK, StatusCode::OK));
    assert_eq!(lost.1["refresh_token"], found.1["refresh_token"]);
    assert_eq!(refresh(&line, text(&found.1, "refresh_token")).await.0, StatusCode::OK);
}

#[tokio::test]
async fn s112_fifty_at_once_get_one_successor_and_a_second_line_ends_both() {
    let line = app().line().await;
    let (_, first) = signed_in(&line, Role::Viewer).await;
    let old = text(&first, "refresh_token");
    let all = join_all((0..50).map(|_| refresh(&line, old))).await;
    let mut given: Vec<&str> = Vec::new();
    let mut refused = 0;
    for (status, tokens) in &all {
        match *status {
            StatusCode::OK => given.push(text(tokens, "refresh_token")),
            // On a slow machine some come when the moment of grace is over, and that ends the session.
            StatusCode::UNAUTHORIZED => refused += 1,
            other => panic!("{other}: {tokens}"),
        }
    }
    given.sort_unstable();
    given.dedup();
    assert_eq!(given.len(), 1, "exactly one successor");
    if refused == 0 {
        assert_eq!(refresh(&line, given[0]).await.0, StatusCode::OK);
        assert_eq!(refresh(&line, old).await.0, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(me(&line, text(&first, "access_token")).await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn s017_another_site_refreshes_nothing() {
    let line = app().line().await;
    let (_, first) = signed_in(&line, Role::Viewer).await;
    let old = text(&first, "refresh_token");
    for (name, value) in [("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")] {
        let request = client().post(app().url("/v1/tokens/refresh")).header(name, value);
        let answer = request.json(&json!({ "refresh_token": old })).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{name}");
    }
    let (status, second) = refresh(&line, old).await;
    assert_eq!(status, StatusCode::OK, "{second}");
    assert_eq!(
        refresh(&line, text(&second, "refresh_token")).await.0,
        StatusCode::OK,
        "nothing was rotated"
    );
}

#[tokio::test]
async fn s109_what_is_taken_away_ends_the_tokens_with_it() {
    let line = app().line().await;
    let state = |role: Role, disabled: bool| PersonState {
        role: Some(role),
        grants: Vec::new(),
        disabled,
    };
    // Signed out by the program itself.
    let (_, tokens) = signed_in(&line, Role::Viewer).await;
    let body = json!({ "refresh_token": text(&tokens, "refresh_token") });
    assert_eq!(ask(line.app, "/v1/tokens/revoke", body.clone()).await.0, StatusCode::NO_CONTENT);
    assert_eq!(
        ask(line.app, "/v1/tokens/revoke", body).await.0,
        StatusCode::NO_CONTENT,
        "again says nothing"
    );
    assert_eq!(me(&line, text(&tokens, "access_token")).await.0, StatusCode::UNAUTHORIZED);

    // Among the devices of the person, and ended there.
    let (email, tokens) = signed_in(&line, Role::Viewer).await;
    let browser = cookie(&enter(&email, PASSWORD, &[]).await).unwrap();
    let page = client()
        .get(app().url("/account"))
        .header("cookie", &browser)
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(page.contains("Program ("), "{page}");
    let token = page
        .split("name=\"form_token\" value=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let end = format!("/account/sessions/{}/end", text(&tokens, "session_id"));
    let answer = client()
        .post(app().url(&end))
        .header("cookie", &browser)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(format!("form_token={token}"))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::OK, "after the way back");
    assert_eq!(me(&line, text(&tokens, "access_token")).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(refresh(&line, text(&tokens, "refresh_token")).await.0, StatusCode::UNAUTHORIZED);

    // Another password.
    let (email, tokens) = signed_in(&line, Role::Viewer).await;
    let id = user(&line, &email).await;
    let other = line.config.user_by_email(&email).await.unwrap().unwrap().password_hash;
    line.config
        .set_password(line.tenant, &By::operator(), id, &other, None)
        .await
        .unwrap();
    assert_eq!(me(&line, text(&tokens, "access_token")).await.0, StatusCode::UNAUTHORIZED);

    // Another role: the token is refused, the next one has the new rights.
    let (email, tokens) = signed_in(&line, Role::Supervisor).await;
    let id = user(&line, &email).await;
    let (before, after) = (state(Role::Supervisor, false), state(Role::Viewer, false));
    line.config
        .change_person(line.tenant, &By::operator(), id, &before, &after)
        .await
        .unwrap();
    assert_eq!(me(&line, text(&tokens, "access_token")).await.0, StatusCode::UNAUTHORIZED);
    let (status, next) = refresh(&line, text(&tokens, "refresh_token")).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(me(&line, text(&next, "access_token")).await.1["role"], "viewer");
    assert_eq!(line.get(text(&next, "access_token"), "/v1/calls").await.0, StatusCode::FORBIDDEN);

    // Disabled.
    let disabled = state(Role::Viewer, true);
    line.config
        .change_person(line.tenant, &By::operator(), id, &after, &disabled)
        .await
        .unwrap();
    assert_eq!(me(&line, text(&next, "access_token")).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(refresh(&line, text(&next, "refresh_token")).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(ask(line.app, "/v1/tokens", with_password(&email)).await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn s011_a_stream_opened_with_a_token_ends_when_the_person_is_disabled() {
    let line = app().line().await;
    let (email, tokens) = signed_in(&line, Role::Supervisor).await;
    let request = client().get(app().url("/v1/stream?topics=board"));
    let answer = request.bearer_auth(text(&tokens, "access_token")).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let mut body = answer.bytes_stream();
    body.next().await.unwrap().unwrap();
    let had = PersonState {
        role: Some(Role::Supervisor),
        grants: Vec::new(),
        disabled: false,
    };
    let out = PersonState {
        disabled: true,
        ..had.clone()
    };
    let id = user(&line, &email).await;
    line.config
        .change_person(line.tenant, &By::operator(), id, &had, &out)
        .await
        .unwrap();
    let begun = Instant::now();
    while let Some(Ok(_)) = body.next().await {
        assert!(begun.elapsed() < SOON, "still open");
    }
}

#[tokio::test]
async fn s116_a_password_alone_gives_no_token_where_there_is_a_second_factor() {
    let line = app().line().await;
    let somebody = enrolled(&line, Role::Admin).await;
    let (status, problem) = ask(line.app, "/v1/tokens", with_password(&somebody.email)).await;
    assert_eq!((status, &problem["code"]), (StatusCode::UNAUTHORIZED, &json!("mfa_required")));
    let coded = |code: &str| with(&with_password(&somebody.email), "code", json!(code));
    let (status, problem) = ask(line.app, "/v1/tokens", coded("000000")).await;
    assert_eq!((status, &problem["code"]), (StatusCode::UNAUTHORIZED, &json!("mfa_required")));
    // The step of enrolling is spent, so the next one.
    let right = code(&somebody.secret, 1);
    assert_eq!(ask(line.app, "/v1/tokens", coded(&right)).await.0, StatusCode::CREATED);
    assert_eq!(
        ask(line.app, "/v1/tokens", coded(&right)).await.0,
        StatusCode::UNAUTHORIZED,
        "S-114: once"
    );
    assert_eq!(ask(line.app, "/v1/tokens", coded(&somebody.codes[0])).await.0, StatusCode::CREATED);
    assert_eq!(
        ask(line.app, "/v1/tokens", coded(&somebody.codes[0])).await.0,
        StatusCode::UNAUTHORIZED,
        "S-118"
    );

    // Who has to have one first gets nothing, and what was given before the rule opens nothing.
    let (email, tokens) = signed_in(&line, Role::Owner).await;
    line.config
        .require_second_factor(line.tenant, &By::system(), Whom::Admins)
        .await
        .unwrap();
    for (status, problem) in [
        ask(line.app, "/v1/tokens", with_password(&email)).await,
        me(&line, text(&tokens, "access_token")).await,
        refresh(&line, text(&tokens, "refresh_token")).await,
    ] {
        assert_eq!(
            (status, &problem["code"]),
            (StatusCode::FORBIDDEN, &json!("mfa_enrolment_required"))
        );
    }
}

#[tokio::test]
async fn an_api_key_gives_tokens_that_end_with_it() {
    let line = app().line().await;
    let key = line.api_key(&["live:read"]).await;
    let (status, tokens) = ask(line.app, "/v1/tokens", json!({ "grant_type": "api_key", "api_key": key })).await;
    assert_eq!((status, &tokens["refresh_token"]), (StatusCode::CREATED, &Value::Null));
    let token = text(&tokens, "access_token");
    let (status, found) = me(&line, token).await;
    assert_eq!((status, &found["object"]), (StatusCode::OK, &json!("api_key")));
    assert_eq!(line.get(token, "/v1/board").await.0, StatusCode::OK);
    assert_eq!(line.get(token, "/v1/calls").await.0, StatusCode::FORBIDDEN);
    let listed = line.config.api_keys(line.tenant, Span::first(1)).await.unwrap().remove(0);
    line.config.revoke_api_key(line.tenant, &By::operator(), listed.id).await.unwrap();
    assert_eq!(me(&line, token).await.0, StatusCode::UNAUTHORIZED);
    let (status, _) = ask(line.app, "/v1/tokens", json!({ "grant_type": "api_key", "api_key": key })).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn keys_for_trying_and_for_real_use_are_apart() {
    let line = app().line().await;
    let wanted = key::Wanted {
        environment: Environment::Test,
        ..key::Wanted::everywhere("trying", Permission::ALL.into_iter().collect())
    };
    let (_, text) = key::create(&line.config, line.tenant, &By::system(), wanted).await.unwrap();
    assert!(text.starts_with("sk_test_"));
    assert_eq!(me(&line, &text).await.0, StatusCode::UNAUTHORIZED);
    let exchanged = ask(line.app, "/v1/tokens", json!({ "grant_type": "api_key", "api_key": text })).await;
    assert_eq!(exchanged.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn what_is_asked_for_wrongly_is_told() {
    let line = app().line().await;
    for body in [
        json!({}),
        json!({ "grant_type": "magic" }),
        json!({ "grant_type": "password", "email": "a@b.example" }),
        json!({ "grant_type": "api_key", "api_key": "k", "role": "owner" }),
    ] {
        let (status, problem) = ask(line.app, "/v1/tokens", body.clone()).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{body}: {problem}");
    }
    let request = client().post(app().url("/v1/tokens/refresh")).body("{");
    let answer = request.header("content-type", "application/json").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
}

/// In a product of its own: its keys are replaced, which would end the tokens of other tests.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s062_keys_that_sign_are_replaced_under_a_running_product() {
    let directory = tempfile::tempdir().unwrap();
    let own: &'static App = Box::leak(Box::new(App::start(directory.path(), false, &[])));
    let line = own.line().await;
    let (_, tokens) = signed_in(&line, Role::Viewer).await;
    let kid = |tokens: &Value| header(text(tokens, "access_token"))["kid"].as_str().unwrap().to_owned();
    let rotate = |more: &[&str]| {
        let done = program(directory.path())
            .args(["tokens", "rotate", "--json"])
            .args(more)
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        serde_json::from_slice::<Value>(&done.stdout).unwrap()
    };
    let first = kid(&tokens);
    let next = rotate(&[]);
    assert_eq!(next["accepted"], 2);
    // Published at once, so that it is known everywhere when it begins to sign.
    let begun = Instant::now();
    loop {
        let answer = client().get(own.url("/.well-known/jwks.json")).send().await.unwrap();
        let published: Value = answer.json().await.unwrap();
        if published["keys"].as_array().unwrap().len() == 2 {
            assert_eq!(published["keys"][0]["kid"], next["key"]);
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "{published}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(me(&line, text(&tokens, "access_token")).await.0, StatusCode::OK);
    let (_, tokens) = refresh(&line, text(&tokens, "refresh_token")).await;
    assert_eq!(kid(&tokens), first, "the one before signs until the next one is known");

    // A key that may be in other hands: what it signed is refused within seconds, and sessions go on with the next key.
    let last = rotate(&["--at-once"]);
    assert_eq!(last["accepted"], 1);
    let begun = Instant::now();
    while me(&line, text(&tokens, "access_token")).await.0 != StatusCode::UNAUTHORIZED {
        assert!(begun.elapsed() < SOON, "still taken");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let (status, tokens) = refresh(&line, text(&tokens, "refresh_token")).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(kid(&tokens), last["key"].as_str().unwrap());
    assert_eq!(me(&line, text(&tokens, "access_token")).await.0, StatusCode::OK);
}

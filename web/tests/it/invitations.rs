//! Joining by invitation and setting a forgotten password: through a real mail server, once, and for the right address only.

use std::time::{Duration, Instant};

use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use trunkline_core::access::Role;

use crate::app::{App, app, browser, client, fresh};
use crate::identity::{PASSWORD, cookie, enter};
use crate::mailbox::{self, code, mail, mails};
use crate::people::Somebody;

pub async fn submit(app: &App, path: &str, fields: &[(&str, &str)]) -> Response {
    let browser = browser();
    let body: String = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let request = browser
        .post(app.url(path))
        .header("content-type", "application/x-www-form-urlencoded");
    request.body(body).send().await.unwrap()
}

async fn invite(by: &Somebody, draft: Value) -> (StatusCode, Value) {
    let (status, _, answer) = by.ask(Method::POST, "/v1/invitations", None, Some(draft)).await;
    (status, answer)
}

#[tokio::test]
async fn s096_an_invitation_lets_its_address_in_once() {
    let line = app().line().await;
    let admin = Somebody::with(&line, Role::Admin).await;
    let email = format!("{}@people.invalid", fresh("new"));
    let draft = json!({ "email": email.to_uppercase(), "name": "Eva", "role": "supervisor", "language": "de" });
    let (status, made) = invite(&admin, draft.clone()).await;
    assert_eq!(
        (status, &made["status"], &made["link"]),
        (StatusCode::CREATED, &json!("open"), &json!(null)),
        "{made}"
    );
    assert_eq!(invite(&admin, draft).await.0, StatusCode::CONFLICT, "nobody is invited twice");
    let came = mail(&email, 1).await;
    assert!(came.text.starts_with("Guten Tag Eva"), "{came:?}");
    assert_eq!(came.headers["auto-submitted"], "auto-generated");
    let first = came.link();
    assert!(first.contains("/invitation#code="), "behind #, which no server gets: {first}");
    // Sent again: the first link is worth nothing, and neither is the right one for another address.
    let again = format!("/v1/invitations/{}/resend", made["id"].as_str().unwrap());
    assert_eq!(admin.ask(Method::POST, &again, None, None).await.0, StatusCode::OK);
    let (old, new) = (code(&first), code(&mail(&email, 2).await.link()));
    assert_ne!(old, new);
    let other = format!("{}@people.invalid", fresh("other"));
    let fill = async |code: &str, email: &str, password: &str| {
        submit(
            app(),
            "/invitation",
            &[("code", code), ("email", email), ("name", "Eva Maria"), ("password", password)],
        )
        .await
    };
    for (code, email) in [
        (old.as_str(), email.as_str()),
        (new.as_str(), other.as_str()),
        ("nonsense", email.as_str()),
        ("", ""),
    ] {
        assert_eq!(fill(code, email, PASSWORD).await.status(), StatusCode::NOT_FOUND, "{code} {email}");
    }
    assert_eq!(fill(&new, &email, "Password123!").await.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let answer = fill(&new, &email, PASSWORD).await;
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    let session = cookie(&answer).unwrap();
    let me = client().get(app().url("/v1/me")).header("cookie", &session).send().await.unwrap();
    let me: Value = me.json().await.unwrap();
    assert_eq!(
        (&me["name"], &me["role"], &me["email"]),
        (&json!("Eva Maria"), &json!("supervisor"), &json!(email))
    );
    assert_eq!(fill(&new, &email, PASSWORD).await.status(), StatusCode::NOT_FOUND, "once");
    let shown = format!("/v1/invitations/{}", made["id"].as_str().unwrap());
    assert_eq!(admin.ask(Method::GET, &shown, None, None).await.2["status"], "accepted");
    assert_eq!(admin.ask(Method::POST, &again, None, None).await.0, StatusCode::CONFLICT);
    let (status, _) = invite(&admin, json!({ "email": email, "name": "Eva", "role": "viewer" })).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "here already");
    assert_eq!(
        line.config.verify_deeds(line.tenant).await.unwrap().map(|entries| entries > 3),
        Ok(true)
    );
}

#[tokio::test]
async fn an_invitation_gives_no_more_than_its_maker_has_and_can_be_taken_back() {
    let line = app().line().await;
    let admin = Somebody::with(&line, Role::Admin).await;
    let email = format!("{}@people.invalid", fresh("new"));
    for (draft, expected) in [
        (json!({ "email": email, "name": "A", "role": "owner" }), StatusCode::FORBIDDEN),
        (json!({ "email": email, "name": "A" }), StatusCode::UNPROCESSABLE_ENTITY),
        (
            json!({ "email": "nobody", "name": "A", "role": "viewer" }),
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        (
            json!({ "email": email, "name": "A", "role": "viewer", "tenant": "x" }),
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
    ] {
        let (status, answer) = invite(&admin, draft.clone()).await;
        assert_eq!(status, expected, "{draft}: {answer}");
    }
    let (_, made) = invite(&admin, json!({ "email": email, "name": "A", "role": "viewer" })).await;
    let code = code(&mail(&email, 1).await.link());
    let own = format!("/v1/invitations/{}", made["id"].as_str().unwrap());
    assert_eq!(admin.ask(Method::DELETE, &own, None, None).await.0, StatusCode::NO_CONTENT);
    let answer = submit(
        app(),
        "/invitation",
        &[("code", &code), ("email", &email), ("name", "A"), ("password", PASSWORD)],
    )
    .await;
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    assert!(mails(&email)[0].text.starts_with("Hello A,"));
    // An address that its server does not know: the job ends, and the operator sees why.
    let unknown = format!("{}{}@people.invalid", mailbox::UNKNOWN, fresh("x"));
    assert_eq!(
        invite(&admin, json!({ "email": unknown, "name": "A", "role": "viewer" })).await.0,
        StatusCode::CREATED
    );
    let begun = Instant::now();
    loop {
        let jobs = line.config.jobs(line.tenant, None, 10).await.unwrap();
        if let Some(dead) = jobs.iter().find(|job| job.state == "dead") {
            assert!(dead.error.contains("refuses it") && dead.kind == "mail", "{dead:?}");
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{jobs:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test]
async fn s099_s119_a_forgotten_password_is_set_by_mail_once_and_nobody_learns_who_is_here() {
    let line = app().line().await;
    let ana = Somebody::with(&line, Role::Viewer).await;
    let known = submit(app(), "/forgot", &[("email", &ana.email)]).await;
    let unknown = submit(app(), "/forgot", &[("email", "nobody@people.invalid")]).await;
    assert_eq!((known.status(), unknown.status()), (StatusCode::OK, StatusCode::OK));
    assert_eq!(known.text().await.unwrap(), unknown.text().await.unwrap());
    let link = mail(&ana.email, 1).await.link();
    let token = code(&link);
    assert!(link.contains("/reset#code="));
    // A second mail within a minute would fill the mailbox of somebody who did not ask.
    submit(app(), "/forgot", &[("email", &ana.email)]).await;
    let reset = async |code: &str, password: &str| submit(app(), "/reset", &[("code", code), ("password", password)]).await.status();
    assert_eq!(reset("nonsense", "gravel lamp otter").await, StatusCode::NOT_FOUND);
    assert_eq!(reset(&token, "Password123!").await, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(reset(&token, "gravel lamp otter").await, StatusCode::OK);
    assert_eq!(reset(&token, "another lamp otter").await, StatusCode::NOT_FOUND, "once");
    let me = client()
        .get(app().url("/v1/me"))
        .header("cookie", &ana.cookie)
        .send()
        .await
        .unwrap();
    assert_eq!(me.status(), StatusCode::UNAUTHORIZED, "all sessions have ended");
    assert_eq!(cookie(&enter(&ana.email, PASSWORD, &[]).await), None);
    assert!(cookie(&enter(&ana.email, "gravel lamp otter", &[]).await).is_some());
    assert_eq!(mails(&ana.email).len(), 1);
}

#[tokio::test]
async fn without_a_mail_server_the_link_is_handed_over_once() {
    let data = tempfile::Builder::new().prefix("trunkline-nomail-").tempdir().unwrap().keep();
    let plain: &'static App = Box::leak(Box::new(App::start(&data, true, &[])));
    let line = plain.line().await;
    let key = line.api_key(&["people:write", "live:read"]).await;
    let email = format!("{}@people.invalid", fresh("new"));
    let draft = json!({ "email": email, "name": "Eva", "role": "viewer" });
    let answer = client()
        .post(plain.url("/v1/invitations"))
        .bearer_auth(&key)
        .json(&draft)
        .send()
        .await
        .unwrap();
    let made: Value = answer.json().await.unwrap();
    let link = made["link"].as_str().unwrap_or_else(|| panic!("{made}"));
    let own = format!("/v1/invitations/{}", made["id"].as_str().unwrap());
    assert_eq!(line.get(&key, &own).await.1["link"], json!(null));
    let form = [
        ("code", code(link)),
        ("email", email.clone()),
        ("name", "Eva".to_owned()),
        ("password", PASSWORD.to_owned()),
    ];
    let fields: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let answer = submit(plain, "/invitation", &fields).await;
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    assert!(cookie(&answer).is_some(), "signed in");
    let forgot = submit(plain, "/forgot", &[("email", &email)]).await;
    assert!(forgot.text().await.unwrap().contains("trunkline user reset-password"));
    assert!(line.config.jobs(line.tenant, None, 10).await.unwrap().is_empty());
}

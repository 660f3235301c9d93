//! Administration by API: people, keys, oneself; what is refused, and that nothing is done twice.

use reqwest::{Method, StatusCode};
use secrecy::SecretString;
use serde_json::{Value, json};
use trunkline_core::access::Role;
use trunkline_core::audit::By;
use trunkline_core::id::UserId;
use trunkline_stores::postgres::row::{NewBusiness, NewUser};
use trunkline_web::identity::password::Passwords;

use crate::app::{Line, app, client, fresh};
use crate::identity::{PASSWORD, cookie, enter, enter_at};

/// Somebody signed in.
pub struct Somebody {
    /// Who.
    pub id: UserId,
    /// Their address.
    pub email: String,
    /// Their session.
    pub cookie: String,
}

impl Somebody {
    /// A new person of the organisation with this role everywhere, signed in.
    pub async fn with(line: &Line, role: Role) -> Somebody {
        let email = format!("{}@people.invalid", fresh("p"));
        let password_hash = Passwords::new(1)
            .unwrap()
            .hash(&SecretString::from(PASSWORD.to_owned()))
            .await
            .unwrap();
        let new = NewUser {
            email: email.clone(),
            name: "Ana".to_owned(),
            role: Some(role),
            grants: Vec::new(),
            password_hash,
        };
        let id = line.config.create_user(line.tenant, &By::system(), &new).await.unwrap();
        let cookie = cookie(&enter_at(line.app, &email, PASSWORD, &[]).await).unwrap();
        Somebody { id, email, cookie }
    }

    /// Asks; gives status, ETag and body.
    pub async fn ask(&self, method: Method, path: &str, tag: Option<&str>, body: Option<Value>) -> (StatusCode, String, Value) {
        let mut request = client().request(method, app().url(path)).header("cookie", &self.cookie);
        if let Some(tag) = tag {
            request = request.header("if-match", tag);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        let tag = answer.headers().get("etag").map(|tag| tag.to_str().unwrap().to_owned());
        let status = answer.status();
        let text = answer.text().await.unwrap();
        (status, tag.unwrap_or_default(), serde_json::from_str(&text).unwrap_or_default())
    }

    async fn get(&self, path: &str) -> (StatusCode, String, Value) {
        self.ask(Method::GET, path, None, None).await
    }
}

fn first_code(problem: &Value) -> &str {
    problem["errors"][0]["code"].as_str().unwrap_or_default()
}

#[tokio::test]
async fn s109_roles_are_given_and_taken_and_nobody_overwrites_a_change_unseen() {
    let line = app().line().await;
    let (admin, ana) = (Somebody::with(&line, Role::Admin).await, Somebody::with(&line, Role::Viewer).await);
    let shop = line
        .config
        .create_business(line.tenant, &By::system(), &NewBusiness::plain("Shop", "UTC"))
        .await
        .unwrap();
    let path = format!("/v1/people/{}", ana.id);
    let (status, tag, before) = admin.get(&path).await;
    assert_eq!(
        (status, &before["role"], &before["sessions"]),
        (StatusCode::OK, &json!("viewer"), &json!(1))
    );
    let grants = json!([{ "business_id": shop.to_string(), "role": "supervisor", "agents": ["agent_b", "agent_a"] }]);
    let change = json!({ "role": null, "grants": grants });
    let (status, _, problem) = admin.ask(Method::PATCH, &path, None, Some(change.clone())).await;
    assert_eq!(
        (status, &problem["code"]),
        (StatusCode::PRECONDITION_REQUIRED, &json!("precondition_required"))
    );
    let (status, newer, after) = admin.ask(Method::PATCH, &path, Some(&tag), Some(change.clone())).await;
    assert_eq!(status, StatusCode::OK, "{after}");
    assert_eq!(
        (&after["role"], &after["grants"][0]["agents"]),
        (&json!(null), &json!(["agent_a", "agent_b"]))
    );
    assert_eq!(admin.get(&path).await.1, newer, "the answer names the state that it shows");
    let (status, _, _) = admin.ask(Method::PATCH, &path, Some(&tag), Some(change)).await;
    assert_eq!(status, StatusCode::PRECONDITION_FAILED, "of a state that is gone");
    assert_eq!(ana.get("/v1/people").await.0, StatusCode::FORBIDDEN);

    let disable = json!({ "disabled": true });
    let (status, newer, _) = admin.ask(Method::PATCH, &path, Some(&newer), Some(disable)).await;
    assert_eq!((status, ana.get("/v1/me").await.0), (StatusCode::OK, StatusCode::UNAUTHORIZED));
    assert_eq!(cookie(&enter(&ana.email, PASSWORD, &[]).await), None);
    let (status, newer, _) = admin
        .ask(Method::PATCH, &path, Some(&newer), Some(json!({ "disabled": false })))
        .await;
    assert_eq!(
        (status, ana.get("/v1/me").await.0),
        (StatusCode::OK, StatusCode::UNAUTHORIZED),
        "not revived"
    );
    let again = cookie(&enter(&ana.email, PASSWORD, &[]).await).unwrap();
    let back = Somebody { cookie: again, ..ana };
    let (status, _, ended) = admin.ask(Method::POST, &format!("{path}/end-sessions"), None, None).await;
    assert_eq!((status, &ended["ended"]), (StatusCode::OK, &json!(1)));
    assert_eq!(back.get("/v1/me").await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(admin.ask(Method::DELETE, &path, Some(&newer), None).await.0, StatusCode::NO_CONTENT);
    assert_eq!(admin.get(&path).await.0, StatusCode::NOT_FOUND);
    assert_eq!(
        line.config.verify_deeds(line.tenant).await.unwrap().map(|entries| entries > 5),
        Ok(true)
    );
}

#[tokio::test]
async fn nobody_gives_more_than_they_have_and_the_last_owner_stays() {
    let line = app().line().await;
    let (owner, admin) = (Somebody::with(&line, Role::Owner).await, Somebody::with(&line, Role::Admin).await);
    let change = async |who: &Somebody, whom: &Somebody, change: Value| {
        let path = format!("/v1/people/{}", whom.id);
        let (_, tag, _) = who.get(&path).await;
        who.ask(Method::PATCH, &path, Some(&tag), Some(change)).await
    };
    for (who, whom, asked, expected) in [
        // One's own role, somebody mightier, and a right that one lacks.
        (&admin, &admin, json!({ "role": "owner" }), StatusCode::FORBIDDEN),
        (&admin, &owner, json!({ "role": "viewer" }), StatusCode::FORBIDDEN),
        (&admin, &owner, json!({ "disabled": true }), StatusCode::FORBIDDEN),
        (&owner, &owner, json!({ "role": "admin" }), StatusCode::CONFLICT),
        (&owner, &owner, json!({ "disabled": true }), StatusCode::CONFLICT),
        (&admin, &admin, json!({ "disabled": true }), StatusCode::CONFLICT),
        (&admin, &admin, json!({ "role": "emperor" }), StatusCode::UNPROCESSABLE_ENTITY),
    ] {
        let (status, _, problem) = change(who, whom, asked.clone()).await;
        assert_eq!(status, expected, "{asked}: {problem}");
    }
    for who in [&owner, &admin] {
        let path = format!("/v1/people/{}", owner.id);
        let (_, tag, _) = who.get(&path).await;
        let (status, _, _) = who.ask(Method::DELETE, &path, Some(&tag), None).await;
        assert!(matches!(status, StatusCode::FORBIDDEN | StatusCode::CONFLICT), "{status}");
    }
    assert_eq!(change(&owner, &admin, json!({ "role": "owner" })).await.0, StatusCode::OK);
    assert_eq!(change(&owner, &owner, json!({ "role": "admin" })).await.0, StatusCode::OK);
    assert_eq!(change(&admin, &admin, json!({ "role": "viewer" })).await.0, StatusCode::CONFLICT);
    // A program has no rank of its own: it manages those who may do no more than it.
    let program = line.api_key(&["people:write", "live:read"]).await;
    let path = format!("/v1/people/{}", owner.id);
    let answer = client().get(app().url(&path)).bearer_auth(&program).send().await.unwrap();
    let tag = answer.headers()["etag"].clone();
    let patched = client().patch(app().url(&path)).bearer_auth(&program).header("if-match", tag);
    let answer = patched.json(&json!({ "role": "viewer" })).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn s002_s003_s004_another_organisation_is_neither_shown_nor_touched() {
    let (line, other) = (app().line().await, app().line().await);
    let (admin, stranger) = (Somebody::with(&line, Role::Admin).await, Somebody::with(&other, Role::Owner).await);
    let theirs = other
        .config
        .create_business(other.tenant, &By::system(), &NewBusiness::plain("Theirs", "UTC"))
        .await
        .unwrap();
    let query = format!("/v1/people?tenant_id={}", other.tenant);
    let (status, _, problem) = admin.get(&query).await;
    assert_eq!(
        (status, first_code(&problem)),
        (StatusCode::UNPROCESSABLE_ENTITY, "unknown_parameter")
    );
    let path = format!("/v1/people/{}", stranger.id);
    for method in [Method::GET, Method::PATCH, Method::DELETE] {
        let (status, _, _) = admin.ask(method.clone(), &path, Some("*"), Some(json!({ "role": "viewer" }))).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{method}");
    }
    let post = admin.ask(Method::POST, &format!("{path}/end-sessions"), None, None).await;
    assert_eq!((post.0, stranger.get("/v1/me").await.0), (StatusCode::NOT_FOUND, StatusCode::OK));
    let own = format!("/v1/people/{}", admin.id);
    let grants = json!({ "grants": [{ "business_id": theirs.to_string(), "role": "viewer" }] });
    let (status, _, problem) = admin.ask(Method::PATCH, &own, Some("*"), Some(grants)).await;
    assert_eq!(
        (status, first_code(&problem)),
        (StatusCode::UNPROCESSABLE_ENTITY, "unknown_business")
    );
    let key = json!({ "name": "x", "scopes": ["live:read"], "businesses": [theirs.to_string()] });
    let (status, _, problem) = admin.ask(Method::POST, "/v1/api-keys", None, Some(key)).await;
    assert_eq!(
        (status, first_code(&problem)),
        (StatusCode::UNPROCESSABLE_ENTITY, "unknown_business")
    );
}

#[tokio::test]
async fn s007_s008_one_changes_ones_name_and_nothing_else_and_answers_hold_what_is_described() {
    let line = app().line().await;
    let ana = Somebody::with(&line, Role::Admin).await;
    let (_, tag, before) = ana.get("/v1/me").await;
    for field in ["role", "tenant_id", "organisation_id", "mfa_enabled", "plan", "permissions"] {
        let (status, _, _) = ana
            .ask(Method::PATCH, "/v1/me", Some(&tag), Some(json!({ "name": "Ana", field: "owner" })))
            .await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{field}");
    }
    assert_eq!(ana.get("/v1/me").await.2, before);
    let (status, _, after) = ana
        .ask(Method::PATCH, "/v1/me", Some(&tag), Some(json!({ "name": " Ana María " })))
        .await;
    assert_eq!((status, &after["name"]), (StatusCode::OK, &json!("Ana María")));
    assert_eq!(ana.get("/v1/me").await.2, after);
    line.api_key(&["live:read"]).await;

    let description = trunkline_web::api::documents::description();
    let declared = |form: &str| {
        let properties = &description["components"]["schemas"][form]["properties"];
        properties.as_object().unwrap_or_else(|| panic!("{form} is described")).clone()
    };
    for (path, form, list) in [
        ("/v1/me".to_owned(), "Me", false),
        (format!("/v1/people/{}", ana.id), "PersonForm", false),
        ("/v1/people".to_owned(), "PersonForm", true),
        ("/v1/api-keys".to_owned(), "ApiKeyForm", true),
        ("/v1/permissions".to_owned(), "PermissionForm", true),
    ] {
        let (status, _, body) = ana.get(&path).await;
        assert_eq!(status, StatusCode::OK, "{path}");
        let shown = if list { &body["data"][0] } else { &body };
        for field in shown.as_object().unwrap().keys() {
            assert!(declared(form).contains_key(field), "{path} shows {field}");
        }
        assert!(!body.to_string().contains("argon2"), "{path}");
    }
}

#[tokio::test]
async fn s013_a_list_is_walked_by_cursors_of_its_own() {
    let line = app().line().await;
    let admin = Somebody::with(&line, Role::Admin).await;
    for _ in 0..4 {
        line.api_key(&["live:read"]).await;
    }
    let ids = |page: &Value| {
        let data = page["data"].as_array().unwrap();
        data.iter().map(|key| key["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let (_, _, all) = admin.get("/v1/api-keys").await;
    assert_eq!(
        (ids(&all).len(), &all["has_more"], &all["previous_cursor"]),
        (4, &json!(false), &json!(null))
    );
    let (_, _, first) = admin.get("/v1/api-keys?limit=3").await;
    let cursor = first["next_cursor"].as_str().unwrap();
    let (_, _, second) = admin.get(&format!("/v1/api-keys?limit=3&after={cursor}")).await;
    assert_eq!([ids(&first), ids(&second)].concat(), ids(&all));
    let back = second["previous_cursor"].as_str().unwrap();
    let (_, _, again) = admin.get(&format!("/v1/api-keys?limit=2&before={back}")).await;
    assert_eq!((ids(&again), &again["has_more"]), (ids(&all)[1..3].to_vec(), &json!(true)));
    assert!(again["previous_cursor"].is_string());
    let edited = format!("{}{}", if cursor.starts_with('A') { "B" } else { "A" }, &cursor[1..]);
    for bad in [edited.as_str(), "x"] {
        let (status, _, problem) = admin.get(&format!("/v1/api-keys?after={bad}")).await;
        assert_eq!((status, &problem["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("bad_cursor")));
    }
    assert_eq!(
        admin.get(&format!("/v1/people?after={cursor}")).await.0,
        StatusCode::UNPROCESSABLE_ENTITY,
        "of another list"
    );
}

#[tokio::test]
async fn s068_s095_s124_a_key_is_shown_once_holds_what_its_maker_has_and_is_made_once() {
    let line = app().line().await;
    let admin = Somebody::with(&line, Role::Admin).await;
    let draft = json!({ "name": "Export", "scopes": ["calls:read", "live:read"], "expires_at": "2999-01-01T00:00:00Z" });
    let post = async |key: &str, body: &Value| {
        let request = client().post(app().url("/v1/api-keys")).header("cookie", &admin.cookie);
        let answer = request.header("idempotency-key", key).json(body).send().await.unwrap();
        let replayed = answer.headers().contains_key("idempotency-replayed");
        let location = answer.headers().get("location").cloned();
        (answer.status(), replayed, location, answer.json::<Value>().await.unwrap())
    };
    let (status, replayed, location, made) = post("order-1", &draft).await;
    assert_eq!((status, replayed), (StatusCode::CREATED, false), "{made}");
    let text = made["key"].as_str().unwrap().to_owned();
    assert!(text.starts_with(made["prefix"].as_str().unwrap()) && text.ends_with(made["last_four"].as_str().unwrap()));
    let (status, replayed, again, same) = post("order-1", &draft).await;
    assert_eq!(
        (status, replayed, again, &same),
        (StatusCode::CREATED, true, location.clone(), &made),
        "the same answer"
    );
    let (status, _, _, problem) = post("order-1", &json!({ "name": "Other", "scopes": ["live:read"] })).await;
    assert_eq!((status, first_code(&problem)), (StatusCode::UNPROCESSABLE_ENTITY, "used_otherwise"));
    // What was refused is not remembered.
    assert_eq!(
        post("order-2", &json!({ "name": "", "scopes": [] })).await.0,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    let (status, _, _, twin) = post("order-2", &draft).await;
    assert_eq!(status, StatusCode::CREATED);
    assert_ne!(twin["id"], made["id"]);
    assert_eq!(post(&"x".repeat(256), &draft).await.0, StatusCode::UNPROCESSABLE_ENTITY);

    let (_, _, list) = admin.get("/v1/api-keys").await;
    let own = location.unwrap().to_str().unwrap().to_owned();
    let (status, _, shown) = admin.get(&own).await;
    assert_eq!((status, list["data"].as_array().unwrap().len()), (StatusCode::OK, 2));
    assert!(!list.to_string().contains(&text) && !shown.to_string().contains(&text));
    assert_eq!(line.get(&text, "/v1/calls").await.0, StatusCode::OK);
    assert!(admin.get(&own).await.2["last_used_at"].is_string());

    let too_much = json!({ "name": "x", "scopes": ["organisation:write"] });
    assert_eq!(post("order-3", &too_much).await.0, StatusCode::FORBIDDEN, "an admin lacks that");
    for (bad, code) in [
        (json!({ "name": "x", "scopes": ["calls:write"] }), "unknown_scope"),
        (
            json!({ "name": "x", "scopes": ["live:read"], "expires_at": "2020-01-01T00:00:00Z" }),
            "past",
        ),
        (json!({ "name": " ", "scopes": ["live:read"] }), "empty"),
    ] {
        let (status, _, _, problem) = post(&fresh("order"), &bad).await;
        assert_eq!((status, first_code(&problem)), (StatusCode::UNPROCESSABLE_ENTITY, code), "{bad}");
    }
    // A program that may make keys makes none that may do more than it; one that may not, makes none.
    let maker = line.api_key(&["keys:write", "live:read"]).await;
    let by = async |key: &str, scopes: Value| {
        let request = client().post(app().url("/v1/api-keys")).bearer_auth(key);
        let answer = request.json(&json!({ "name": "x", "scopes": scopes })).send().await.unwrap();
        answer.status()
    };
    assert_eq!(by(&maker, json!(["people:write"])).await, StatusCode::FORBIDDEN);
    assert_eq!(by(&maker, json!(["live:read"])).await, StatusCode::CREATED);
    assert_eq!(by(&text, json!(["live:read"])).await, StatusCode::FORBIDDEN);

    assert_eq!(admin.ask(Method::DELETE, &own, None, None).await.0, StatusCode::NO_CONTENT);
    assert_eq!(line.get(&text, "/v1/calls").await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(
        admin.ask(Method::DELETE, &own, None, None).await.0,
        StatusCode::NO_CONTENT,
        "again is no error"
    );
}

#[tokio::test]
async fn s109_a_password_is_changed_by_whoever_knows_it_and_other_sessions_end() {
    let line = app().line().await;
    let ana = Somebody::with(&line, Role::Viewer).await;
    let elsewhere = Somebody {
        cookie: cookie(&enter(&ana.email, PASSWORD, &[]).await).unwrap(),
        ..Somebody {
            id: ana.id,
            email: ana.email.clone(),
            cookie: String::new(),
        }
    };
    let change = async |current: &str, new: &str| {
        let body = json!({ "current_password": current, "new_password": new });
        ana.ask(Method::POST, "/v1/me/password", None, Some(body)).await
    };
    for (current, new, code) in [
        (PASSWORD, "short", "length"),
        (PASSWORD, "Password123!", "common_password"),
        (PASSWORD, &format!("{} likes it", ana.email), "personal_password"),
    ] {
        let (status, _, problem) = change(current, new).await;
        assert_eq!((status, first_code(&problem)), (StatusCode::UNPROCESSABLE_ENTITY, code), "{new}");
    }
    assert_eq!(change("not the password", "gravel lamp otter").await.0, StatusCode::FORBIDDEN);
    assert_eq!(elsewhere.get("/v1/me").await.0, StatusCode::OK);
    assert_eq!(change(PASSWORD, "gravel lamp otter").await.0, StatusCode::NO_CONTENT);
    assert_eq!(
        (ana.get("/v1/me").await.0, elsewhere.get("/v1/me").await.0),
        (StatusCode::OK, StatusCode::UNAUTHORIZED)
    );
    assert_eq!(cookie(&enter(&ana.email, PASSWORD, &[]).await), None);
    assert!(cookie(&enter(&ana.email, "gravel lamp otter", &[]).await).is_some());
    let key = line.api_key(&["people:write"]).await;
    let body = json!({ "current_password": "a", "new_password": "b" });
    let answer = client()
        .post(app().url("/v1/me/password"))
        .bearer_auth(&key)
        .json(&body)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn an_owner_says_who_has_to_have_a_second_factor() {
    let line = app().line().await;
    let owner = Somebody::with(&line, Role::Owner).await;
    let admin = Somebody::with(&line, Role::Admin).await;
    let viewer = Somebody::with(&line, Role::Viewer).await;
    let (status, tag, before) = owner.ask(Method::GET, "/v1/organisation", None, None).await;
    assert_eq!((status, &before["second_factor"]), (StatusCode::OK, &json!("nobody")), "{before}");
    for (change, expected) in [
        (json!({ "second_factor": "some" }), StatusCode::UNPROCESSABLE_ENTITY),
        (json!({ "name": "x" }), StatusCode::UNPROCESSABLE_ENTITY),
    ] {
        assert_eq!(
            owner.ask(Method::PATCH, "/v1/organisation", Some(&tag), Some(change)).await.0,
            expected
        );
    }
    let everybody = json!({ "second_factor": "everybody" });
    assert_eq!(
        owner.ask(Method::PATCH, "/v1/organisation", None, Some(everybody.clone())).await.0,
        StatusCode::PRECONDITION_REQUIRED
    );
    assert_eq!(
        admin
            .ask(Method::PATCH, "/v1/organisation", Some("*"), Some(everybody.clone()))
            .await
            .0,
        StatusCode::FORBIDDEN
    );
    assert_eq!(viewer.ask(Method::GET, "/v1/board", None, None).await.0, StatusCode::OK);
    let (status, _, after) = owner
        .ask(Method::PATCH, "/v1/organisation", Some(&tag), Some(everybody.clone()))
        .await;
    assert_eq!((status, &after["second_factor"]), (StatusCode::OK, &json!("everybody")), "{after}");
    let (status, _, refused) = viewer.ask(Method::GET, "/v1/board", None, None).await;
    assert_eq!(
        (status, &refused["code"]),
        (StatusCode::FORBIDDEN, &json!("mfa_enrolment_required")),
        "with the next step"
    );
}

#[tokio::test]
async fn oneself_is_renamed_and_gets_another_password_on_screen() {
    let line = app().line().await;
    let ana = Somebody::with(&line, Role::Viewer).await;
    let page = async |path: &str| {
        client()
            .get(app().url(path))
            .header("cookie", &ana.cookie)
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap()
    };
    let token = page("/account")
        .await
        .split("name=\"form_token\" value=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap()
        .to_owned();
    let post = async |path: &str, body: &str| {
        let request = client()
            .post(app().url(path))
            .header("cookie", &ana.cookie)
            .header("content-type", "application/x-www-form-urlencoded");
        let answer = request.body(format!("form_token={token}&{body}")).send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    };
    let (status, shown) = post("/account/name", "name=Anna+Schmidt").await;
    assert!(status == StatusCode::OK && shown.contains("Anna Schmidt"), "{status}");
    let (status, shown) = post("/account/name", "name=+").await;
    assert!(
        status == StatusCode::UNPROCESSABLE_ENTITY && shown.contains("name-wrong"),
        "{status}"
    );
    let (status, shown) = post(
        "/account/password",
        "current_password=not+mine+at+all&new_password=another+sentence+nobody+guesses",
    )
    .await;
    assert!(
        status == StatusCode::UNPROCESSABLE_ENTITY && shown.contains("current_password-wrong"),
        "{status}"
    );
    let old = PASSWORD.replace(' ', "+");
    let (status, shown) = post("/account/password", &format!("current_password={old}&new_password=password1234")).await;
    assert!(
        status == StatusCode::UNPROCESSABLE_ENTITY && shown.contains("new_password-wrong"),
        "{status}"
    );
    let elsewhere = cookie(&enter(&ana.email, PASSWORD, &[]).await).unwrap();
    let (status, _) = post(
        "/account/password",
        &format!("current_password={old}&new_password=another+sentence+nobody+guesses"),
    )
    .await;
    assert_eq!(status, StatusCode::OK);
    let other = client().get(app().url("/v1/me")).header("cookie", elsewhere).send().await.unwrap();
    assert_eq!(other.status(), StatusCode::UNAUTHORIZED, "the other session has ended");
    assert!(page("/account").await.contains("Anna Schmidt"), "this one goes on");
    assert!(cookie(&enter(&ana.email, "another sentence nobody guesses", &[]).await).is_some());
}

#[tokio::test]
async fn a_business_is_known_as_soon_as_it_is_made() {
    let line = app().line().await;
    let owner = Somebody::with(&line, Role::Owner).await;
    for n in 0..5 {
        let new = json!({ "name": fresh("Made now"), "time_zone": "UTC" });
        let (_, _, made) = owner.ask(Method::POST, "/v1/businesses", None, Some(new)).await;
        let id = made["id"].as_str().unwrap();
        let board = owner.ask(Method::GET, &format!("/v1/board?business={id}"), None, None).await;
        assert_eq!(board.0, StatusCode::OK, "{n}: {}", board.2);
        let link = owner
            .ask(Method::POST, "/v1/tv-links", None, Some(json!({ "name": "x", "business_id": id })))
            .await;
        assert_eq!(link.0, StatusCode::CREATED, "{n}: {}", link.2);
    }
}

#[tokio::test]
async fn a_webhook_endpoint_is_changed_and_removed_as_it_was_read() {
    let line = app().line().await;
    let owner = Somebody::with(&line, Role::Owner).await;
    let new = json!({ "url": "https://hooks.example/calls", "events": ["call.ended"] });
    let (_, _, made) = owner.ask(Method::POST, "/v1/webhook-endpoints", None, Some(new)).await;
    let path = format!("/v1/webhook-endpoints/{}", made["id"].as_str().unwrap());
    let (_, tag, _) = owner.ask(Method::GET, &path, None, None).await;
    let off = json!({ "enabled": false });
    assert_eq!(
        owner.ask(Method::PATCH, &path, None, Some(off.clone())).await.0,
        StatusCode::PRECONDITION_REQUIRED
    );
    assert_eq!(
        owner.ask(Method::DELETE, &path, None, None).await.0,
        StatusCode::PRECONDITION_REQUIRED
    );
    let (status, after, _) = owner.ask(Method::PATCH, &path, Some(&tag), Some(off.clone())).await;
    assert_eq!(status, StatusCode::OK);
    assert_ne!(after, tag);
    assert_eq!(
        owner.ask(Method::PATCH, &path, Some(&tag), Some(off)).await.0,
        StatusCode::PRECONDITION_FAILED
    );
    assert_eq!(
        owner.ask(Method::DELETE, &path, Some(&tag), None).await.0,
        StatusCode::PRECONDITION_FAILED
    );
    assert_eq!(owner.ask(Method::DELETE, &path, Some(&after), None).await.0, StatusCode::NO_CONTENT);
}

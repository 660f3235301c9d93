//! Businesses and workspaces through the API: made, changed on a known state only, tried at Retell, and never somebody else's.

use reqwest::{Method, StatusCode};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::app::{Line, app, client, event, fresh};

const CONFIGURE: [&str; 5] = ["live:read", "calls:read", "businesses:write", "workspaces:write", "webhooks:write"];

struct Answered {
    status: StatusCode,
    tag: Option<String>,
    body: Value,
    text: String,
}

async fn ask(line: &Line, key: &str, method: Method, path: &str, tag: Option<&str>, body: Value) -> Answered {
    let mut request = client().request(method.clone(), line.app.url(path)).bearer_auth(key);
    if let Some(tag) = tag {
        request = request.header("if-match", tag);
    }
    if method != Method::GET {
        request = request.json(&body);
    }
    let answer = request.send().await.unwrap();
    let status = answer.status();
    let tag = answer.headers().get("etag").map(|tag| tag.to_str().unwrap().to_owned());
    let text = answer.text().await.unwrap();
    let body = serde_json::from_str(&text).unwrap_or(Value::Null);
    Answered { status, tag, body, text }
}

async fn get(line: &Line, key: &str, path: &str) -> Answered {
    ask(line, key, Method::GET, path, None, Value::Null).await
}

/// Refused fields with their words, in order.
fn codes(answered: &Answered) -> Vec<String> {
    let errors = answered.body["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
    let word = |error: &Value| format!("{} {}", error["pointer"].as_str().unwrap(), error["code"].as_str().unwrap());
    let mut words: Vec<String> = errors.iter().map(word).collect();
    words.sort();
    words
}

#[tokio::test]
async fn a_business_is_made_changed_on_a_known_state_and_seen_on_its_board_at_once() {
    let line = app().line().await;
    let key = line.api_key(&CONFIGURE).await;
    let draft = json!({"name": " Shop ", "time_zone": "Europe/Madrid", "concurrency_limit": 20, "day_start_minute": 240,
                       "targets": {"service_level_ai": {"target": 0.9, "watch": 0.8}}});
    let made = ask(&line, &key, Method::POST, "/v1/businesses", None, draft).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    assert_eq!(made.body["name"], "Shop");
    let path = format!("/v1/businesses/{}", made.body["id"].as_str().unwrap());
    let read = get(&line, &key, &path).await;
    assert_eq!(read.body, made.body);
    let tag = read.tag.unwrap();

    let change = json!({"name": "Kiosk", "concurrency_limit": null});
    assert_eq!(
        ask(&line, &key, Method::PATCH, &path, None, change.clone()).await.status,
        StatusCode::PRECONDITION_REQUIRED
    );
    let changed = ask(&line, &key, Method::PATCH, &path, Some(&tag), change.clone()).await;
    assert_eq!(
        (changed.status, &changed.body["concurrency_limit"]),
        (StatusCode::OK, &Value::Null),
        "{}",
        changed.text
    );
    assert_eq!(changed.body["day_start_minute"], 240, "what is not named stays");
    let late = ask(&line, &key, Method::PATCH, &path, Some(&tag), change).await;
    assert_eq!(
        (late.status, &late.body["code"]),
        (StatusCode::PRECONDITION_FAILED, &json!("precondition_failed"))
    );
    let board = format!("/v1/board?business={}", made.body["id"].as_str().unwrap());
    let aimed = |board: &Value| {
        let tiles = board["tiles"].as_array().map(Vec::as_slice).unwrap_or_default();
        tiles
            .iter()
            .any(|tile| tile["metric"] == "service_level_ai" && tile["target"]["target"] == 0.9)
    };
    line.until(&key, &board, aimed).await;

    let wrong = json!({"name": "", "time_zone": "Mars/Olympus", "day_start_minute": 1440, "concurrency_limit": 0,
                       "targets": {"service_level_ai": {"target": 0.8, "watch": 0.9}}});
    let refused = ask(&line, &key, Method::POST, "/v1/businesses", None, wrong).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(
        codes(&refused),
        [
            "/concurrency_limit out_of_range",
            "/day_start_minute out_of_range",
            "/name empty",
            "/targets bad_target",
            "/time_zone unknown_zone"
        ],
        "all of it at once"
    );
    for body in [
        json!({"name": "A", "time_zone": "UTC", "tenant": "x"}),
        json!({"name": "A", "time_zone": "UTC", "targets": {"no_such": null}}),
    ] {
        let refused = ask(&line, &key, Method::POST, "/v1/businesses", None, body).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", refused.text);
    }
    assert!(
        line.config.verify_deeds(line.tenant).await.unwrap().unwrap() > 2,
        "each change is on record"
    );
}

#[tokio::test]
async fn a_workspace_is_linked_with_a_key_that_retell_is_asked_about() {
    let line = app().line().await;
    let key = line.api_key(&CONFIGURE).await;
    let link = async |api_key: Value| {
        let draft = json!({"name": "Main", "time_zone": "UTC", "api_key": api_key});
        ask(&line, &key, Method::POST, "/v1/workspaces", None, draft).await
    };
    let before = get(&line, &key, "/v1/workspaces").await.body["data"].as_array().unwrap().len();
    for (api_key, code) in [
        (json!("wrong_key_of_somebody"), "key_refused"),
        (json!("key_without_access_at_all"), "key_without_access"),
        (json!("short"), "bad_key"),
        (json!("two words are no key"), "bad_key"),
        (Value::Null, "no_key"),
    ] {
        let refused = link(api_key.clone()).await;
        assert_eq!(
            (refused.status, codes(&refused)),
            (StatusCode::UNPROCESSABLE_ENTITY, vec![format!("/api_key {code}")]),
            "{api_key}"
        );
    }
    assert_eq!(
        get(&line, &key, "/v1/workspaces").await.body["data"].as_array().unwrap().len(),
        before,
        "a refused key links nothing"
    );

    let secret = format!("key_{}", hex::encode(rand::random::<[u8; 14]>()));
    let made = link(json!(secret)).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    assert_eq!(
        made.body["key_check"],
        json!({"outcome": "accepted", "workspace_name": "Simulated workspace", "detail": null})
    );
    let path = format!("/v1/workspaces/{}", made.body["id"].as_str().unwrap());
    let read = get(&line, &key, &path).await;
    // S-068: never again, but to recognise it by.
    for text in [&made.text, &read.text, &get(&line, &key, "/v1/workspaces").await.text] {
        assert!(!text.contains(&secret), "{text}");
    }
    assert_eq!(read.body["api_key"]["last_four"], json!(secret[secret.len() - 4..]));
    assert_eq!(
        read.body["signing_keys"].as_array().unwrap().len(),
        1,
        "the API key signs unless another does"
    );

    // Two keys during a rotation, never none and never three.
    let keys = format!("{path}/signing-keys");
    let add = async |text: &str| ask(&line, &key, Method::POST, &keys, None, json!({"key": text})).await;
    let old = read.body["signing_keys"][0]["id"].as_str().unwrap().to_owned();
    let only = ask(&line, &key, Method::DELETE, &format!("{keys}/{old}"), None, Value::Null).await;
    assert_eq!(codes(&only), ["/key last_key"]);
    assert_eq!(add("key_of_the_next_year").await.body["signing_keys"].as_array().unwrap().len(), 2);
    assert_eq!(codes(&add("key_of_the_next_year").await), ["/key same_key", "/key too_many_keys"]);
    let rotated = ask(&line, &key, Method::DELETE, &format!("{keys}/{old}"), None, Value::Null).await;
    assert_eq!(rotated.body["signing_keys"][0]["last_four"], "year");

    let tag = get(&line, &key, &path).await.tag.unwrap();
    let change =
        json!({"name": "Renamed", "enabled": false, "allowed_sources": ["203.0.113.9/24"], "events_per_second": 50, "api_key": null});
    let changed = ask(&line, &key, Method::PATCH, &path, Some(&tag), change).await;
    assert_eq!(changed.status, StatusCode::OK, "{}", changed.text);
    assert_eq!(
        (&changed.body["allowed_sources"], &changed.body["api_key"]),
        (&json!(["203.0.113.0/24"]), &Value::Null)
    );
    assert_eq!(
        ask(&line, &key, Method::PATCH, &path, Some(&tag), json!({})).await.status,
        StatusCode::PRECONDITION_FAILED
    );
    let tag = get(&line, &key, &path).await.tag.unwrap();
    let refused = ask(
        &line,
        &key,
        Method::PATCH,
        &path,
        Some(&tag),
        json!({"api_key": "wrong_key_of_somebody"}),
    )
    .await;
    assert_eq!(codes(&refused), ["/api_key key_refused"]);
}

#[tokio::test]
async fn agents_are_heard_listed_and_mapped() {
    let line = app().line().await;
    let key = line.api_key(&CONFIGURE).await;
    let path = format!("/v1/workspaces/{}", line.workspace);
    assert_eq!(
        get(&line, &key, &format!("{path}/activity")).await.body["first_event_at"],
        Value::Null
    );
    let call = fresh("call");
    line.keep(&event("call_started", &call)).await;
    line.keep(&event("call_ended", &call)).await;
    line.until(&key, &format!("{path}/activity"), |activity| activity["first_event_at"].is_string())
        .await;
    let agents = format!("{path}/agents");
    let heard = line.until(&key, &agents, |list| !list["data"].as_array().unwrap().is_empty()).await;
    assert_eq!(
        (&heard["data"][0]["id"], &heard["data"][0]["name"], &heard["data"][0]["business_id"]),
        (&json!("agent_1"), &json!("Reception"), &Value::Null)
    );

    let shop = ask(
        &line,
        &key,
        Method::POST,
        "/v1/businesses",
        None,
        json!({"name": "Shop", "time_zone": "UTC"}),
    )
    .await;
    let shop = shop.body["id"].as_str().unwrap().to_owned();
    let one = format!("{agents}/agent_1");
    // The directory hears of a new business a moment later.
    let begun = std::time::Instant::now();
    let mapped = loop {
        let mapped = ask(&line, &key, Method::PUT, &one, None, json!({"business_id": shop})).await;
        if mapped.status == StatusCode::OK || begun.elapsed() > crate::app::PATIENCE {
            break mapped;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    assert_eq!(
        (mapped.status, &mapped.body["business_id"]),
        (StatusCode::OK, &json!(shop)),
        "{}",
        mapped.text
    );
    line.until(&key, "/v1/calls", |calls| calls["data"][0]["business_id"] == shop.as_str())
        .await;
    // S-004: what belongs to somebody else is no business.
    let stranger = app().line().await;
    let theirs = stranger.config.businesses(stranger.tenant, None).await.unwrap()[0].id.to_string();
    for id in [theirs.as_str(), "biz_nonsense"] {
        let refused = ask(&line, &key, Method::PUT, &one, None, json!({"business_id": id})).await;
        assert_eq!(
            (refused.status, codes(&refused)),
            (StatusCode::UNPROCESSABLE_ENTITY, vec!["/business_id unknown_reference".to_owned()])
        );
        let hook = json!({"url": "https://example.com/", "events": ["call.ended"], "business_id": id});
        let refused = ask(&line, &key, Method::POST, "/v1/webhook-endpoints", None, hook).await;
        assert_eq!(codes(&refused), ["/business_id unknown_reference"]);
    }
    assert_eq!(
        ask(
            &line,
            &key,
            Method::PUT,
            &format!("{agents}/agent_nobody"),
            None,
            json!({"business_id": shop})
        )
        .await
        .status,
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        ask(&line, &key, Method::DELETE, &one, None, Value::Null).await.status,
        StatusCode::NO_CONTENT
    );
    // With an API key Retell's list is there too.
    line.change_workspace(|workspace| workspace.api_key = Some("key_of_the_stand_in".into()))
        .await;
    let listed = line.until(&key, &agents, |list| list["data"].as_array().unwrap().len() > 5).await;
    assert_eq!(listed["retell_answered"], true);
}

#[tokio::test]
async fn nobody_elses_configuration_exists_and_scopes_are_asked_for() {
    let (line, stranger) = (app().line().await, app().line().await);
    let (key, other) = (line.api_key(&CONFIGURE).await, stranger.api_key(&CONFIGURE).await);
    let business = line.config.businesses(line.tenant, None).await.unwrap()[0].id;
    let workspace = format!("/v1/workspaces/{}", line.workspace);
    let routes = [
        (Method::GET, format!("/v1/businesses/{business}")),
        (Method::PATCH, format!("/v1/businesses/{business}")),
        (Method::GET, workspace.clone()),
        (Method::PATCH, workspace.clone()),
        (Method::POST, format!("{workspace}/signing-keys")),
        (Method::DELETE, format!("{workspace}/signing-keys/wk_0")),
        (Method::GET, format!("{workspace}/activity")),
        (Method::GET, format!("{workspace}/agents")),
        (Method::PUT, format!("{workspace}/agents/agent_1")),
        (Method::DELETE, format!("{workspace}/agents/agent_1")),
    ];
    let name = line.config.workspaces(line.tenant, None).await.unwrap()[0].name.clone();
    for (method, path) in &routes {
        let body = json!({"name": "Mine", "key": "key_of_mine_0000", "business_id": business.to_string()});
        let found = ask(&stranger, &other, method.clone(), path, Some("*"), body).await;
        assert_eq!(found.status, StatusCode::NOT_FOUND, "{method} {path}: {}", found.text);
        assert!(!found.text.contains(&name), "{method} {path}");
        let nobody = client().request(method.clone(), line.app.url(path)).send().await.unwrap();
        assert_eq!(nobody.status(), StatusCode::UNAUTHORIZED, "{method} {path}");
    }
    let reader = line.api_key(&["live:read"]).await;
    for (method, path) in routes
        .iter()
        .filter(|(method, path)| *method != Method::GET || path.contains("workspaces"))
    {
        let refused = ask(
            &line,
            &reader,
            method.clone(),
            path,
            Some("*"),
            json!({"name": "Mine", "key": "key_of_mine_0000"}),
        )
        .await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{method} {path}: {}", refused.text);
    }
    assert_eq!(
        get(&line, &key, &format!("/v1/businesses/{business}")).await.status,
        StatusCode::OK,
        "unchanged"
    );
    assert_eq!(line.config.workspaces(line.tenant, None).await.unwrap()[0].name, name);
}

#[tokio::test]
async fn a_webhooks_secret_is_rotated_and_shown_once() {
    let line = app().line().await;
    let key = line.api_key(&CONFIGURE).await;
    let new = json!({"url": "https://example.com/hook", "events": ["call.ended"]});
    let made = ask(&line, &key, Method::POST, "/v1/webhook-endpoints", None, new).await;
    let path = format!("/v1/webhook-endpoints/{}", made.body["id"].as_str().unwrap());
    let rotated = ask(&line, &key, Method::POST, &format!("{path}/secret"), None, Value::Null).await;
    assert_eq!(rotated.status, StatusCode::OK, "{}", rotated.text);
    let (old, fresh) = (made.body["secret"].as_str().unwrap(), rotated.body["secret"].as_str().unwrap());
    assert!(fresh.starts_with("whsec_") && fresh != old);
    let read = get(&line, &key, &path).await;
    assert!(!read.text.contains("whsec_"), "{}", read.text);
    let id = made.body["id"].as_str().unwrap().parse().unwrap();
    let target = line
        .config
        .webhook_target(line.tenant, id, crate::app::now())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (target.secret.expose_secret(), target.previous.unwrap().expose_secret()),
        (fresh, old),
        "both sign for a day"
    );
}

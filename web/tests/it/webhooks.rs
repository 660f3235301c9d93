//! Outbound webhooks and usage, through the product: signed, once per thing, tried again after a failure, never to an inner address.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::{Method, StatusCode};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use trunkline_connectors::webhook::Secret;
use trunkline_core::audit::By;
use trunkline_stores::postgres::row::NewUser;

use crate::app::{App, Line, app, client, event, fresh};

const CONFIGURE: [&str; 3] = ["webhooks:write", "calls:read", "usage:read"];

/// One request as a receiver sees it.
#[derive(Debug, Clone)]
struct Received {
    head: String,
    body: String,
}

impl Received {
    fn header(&self, name: &str) -> &str {
        let found = self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        found.unwrap_or_else(|| panic!("no {name} in {}", self.head))
    }
}

/// A receiver on a real socket that answers these statuses in turn, then the last of them for ever.
struct Receiver {
    port: u16,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Receiver {
    async fn start(statuses: &'static [u16]) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let received: Arc<Mutex<Vec<Received>>> = Arc::default();
        let seen = received.clone();
        tokio::spawn(async move {
            loop {
                let (mut socket, _) = listener.accept().await.unwrap();
                let mut bytes = Vec::new();
                let request = loop {
                    let text = String::from_utf8_lossy(&bytes).into_owned();
                    if let Some((head, body)) = text.split_once("\r\n\r\n") {
                        let head = head.to_lowercase();
                        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
                        if body.len() == length.parse::<usize>().unwrap() {
                            break Received {
                                head,
                                body: body.to_owned(),
                            };
                        }
                    }
                    if socket.read_buf(&mut bytes).await.unwrap() == 0 {
                        panic!("a request was cut off: {text}");
                    }
                };
                let status = {
                    let mut seen = seen.lock().unwrap();
                    seen.push(request);
                    statuses[(seen.len() - 1).min(statuses.len() - 1)]
                };
                let answer =
                    format!("HTTP/1.1 {status} X\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                socket.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        Receiver { port, received }
    }

    fn seen(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    async fn until(&self, number: usize) -> Vec<Received> {
        for _ in 0..300 {
            let seen = self.seen();
            if seen.len() >= number {
                return seen;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{number} deliveries did not come: {:?}", self.seen());
    }
}

async fn ask(line: &Line, key: &str, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
    let request = client()
        .request(method, line.app.url(path))
        .bearer_auth(key)
        .header("if-match", "*");
    let answer = request.json(&body).send().await.unwrap();
    let status = answer.status();
    (status, answer.json().await.unwrap_or(Value::Null))
}

/// Of a suspended organisation nothing goes out; what waited goes out when it is resumed.
#[tokio::test]
async fn a_suspended_organisation_sends_nothing_until_it_is_resumed() {
    let data = tempfile::tempdir().unwrap().keep();
    let inside = App::start(&data, true, &[("TRUNKLINE_WEBHOOKS__ALLOW_PRIVATE_NETWORKS", "true")]);
    let own: &'static App = Box::leak(Box::new(inside));
    let (line, other) = (own.line().await, own.line().await);
    let receiver = Receiver::start(&[204]).await;
    for line in [&line, &other] {
        let key = line.api_key(&CONFIGURE).await;
        let url = format!("http://127.0.0.1:{}/{}", receiver.port, line.tenant);
        let new = json!({"url": url, "events": ["call.ended"]});
        assert_eq!(
            ask(line, &key, Method::POST, "/v1/webhook-endpoints", new).await.0,
            StatusCode::CREATED
        );
    }
    let petra = NewUser {
        email: format!("{}@platform.invalid", fresh("petra")),
        name: "Petra".to_owned(),
        role: None,
        grants: Vec::new(),
        password_hash: SecretString::from("$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaA"),
    };
    line.config.create_platform_admin(&By::operator(), &petra).await.unwrap();
    let platform = line.config.platform().await.unwrap().unwrap();
    let suspend = async |why: Option<&str>| {
        let before = line.config.platform_organisations(Some(line.tenant)).await.unwrap().remove(0).state;
        let mut after = before.clone();
        after.suspended_at = why.map(|_| crate::app::now());
        after.suspended_why = why.unwrap_or_default().to_owned();
        let by = By::operator();
        let changed = line.config.change_organisation(platform, &by, line.tenant, &before, &after);
        changed.await.unwrap();
    };
    suspend(Some("has not paid")).await;
    line.keep(&event("call_ended", &fresh("held"))).await;
    // Its job is there before the other organisation's, which goes out.
    let begun = std::time::Instant::now();
    while line.config.jobs(line.tenant, None, 10).await.unwrap().is_empty() {
        assert!(begun.elapsed() < crate::app::PATIENCE, "no job");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    other.keep(&event("call_ended", &fresh("sent"))).await;
    let seen = receiver.until(1).await;
    assert!(seen[0].head.contains(&other.tenant.to_string()), "{seen:?}");
    let held = line.config.jobs(line.tenant, None, 10).await.unwrap();
    assert!(held.len() == 1 && held[0].state == "queued", "{held:?}");
    suspend(None).await;
    let seen = receiver.until(2).await;
    assert!(seen[1].head.contains(&line.tenant.to_string()), "{seen:?}");
}

fn call_analyzed(id: &str) -> Value {
    let mut body = event("call_ended", id);
    body["event"] = json!("call_analyzed");
    body["call"]["call_analysis"] = json!({"call_summary": "words of a person", "call_successful": true, "user_sentiment": "Positive"});
    body
}

#[tokio::test]
async fn a_receiver_is_told_each_thing_once_signed_and_again_after_it_failed() {
    let data = tempfile::tempdir().unwrap().keep();
    let inside = App::start(&data, true, &[("TRUNKLINE_WEBHOOKS__ALLOW_PRIVATE_NETWORKS", "true")]);
    let line = Box::leak(Box::new(inside)).line().await;
    let key = line.api_key(&CONFIGURE).await;
    let receiver = Receiver::start(&[500, 204]).await;
    let new = json!({"url": format!("http://127.0.0.1:{}/hooks", receiver.port), "events": ["call.ended", "call.analyzed"]});
    let (status, made) = ask(&line, &key, Method::POST, "/v1/webhook-endpoints", new).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let secret = SecretString::from(made["secret"].as_str().unwrap());
    let id = made["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/webhook-endpoints/{id}");
    assert_eq!(line.get(&key, &path).await.1.get("secret"), None, "a secret is shown once");

    let call = fresh("call");
    for body in [
        event("call_started", &call),
        event("call_ended", &call),
        event("call_ended", &call),
        call_analyzed(&call),
        call_analyzed(&call),
    ] {
        line.keep(&body).await;
    }
    // Two things to tell, the first try of one of them failed.
    let seen = receiver.until(3).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(receiver.seen().len(), 3, "nothing is told twice: {:?}", receiver.seen());
    let mut ids: Vec<&str> = seen.iter().map(|delivery| delivery.header("webhook-id")).collect();
    assert_eq!(ids[2], ids[0], "the failed one came again under its id");
    assert!(
        seen[2].header("webhook-timestamp") > seen[0].header("webhook-timestamp"),
        "signed anew"
    );
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 2);
    let mut topics = Vec::new();
    for delivery in &seen[1..] {
        let (id, timestamp) = (delivery.header("webhook-id"), delivery.header("webhook-timestamp"));
        let signed = Secret::parse(&secret).unwrap().sign(id, timestamp.parse().unwrap(), &delivery.body);
        assert_eq!(delivery.header("webhook-signature"), signed.to_lowercase());
        let body: Value = serde_json::from_str(&delivery.body).unwrap();
        assert_eq!((&body["data"]["id"], &body["version"]), (&json!(call), &json!(1)));
        assert!(
            !delivery.body.contains("words of a person") && !delivery.body.contains("+1202"),
            "no words and no numbers leave"
        );
        topics.push(body["type"].as_str().unwrap().to_owned());
    }
    topics.sort_unstable();
    assert_eq!(topics, ["call.analyzed", "call.ended"]);

    // The ledger has the call once, and the jobs are listed as done.
    let opened = jiff::Timestamp::from_millisecond(crate::app::now().0 - 60_000).unwrap();
    let month = opened.to_zoned(jiff::tz::TimeZone::UTC).strftime("%Y-%m").to_string();
    let used = line.get(&key, &format!("/v1/usage?month={month}")).await.1;
    assert_eq!(used["total"]["calls"], 1, "{used}");
    assert_eq!(
        (&used["total"]["connected"], &used["total"]["talk_ms"]),
        (&json!(1), &json!(42_000))
    );
    let done = line.config.jobs(line.tenant, None, 10).await.unwrap();
    assert!(done.len() == 2 && done.iter().all(|job| job.state == "done"), "{done:?}");

    // Switched off, nothing is queued; switched on and moved to a receiver that is gone, it is given up at once.
    let off = ask(&line, &key, Method::PATCH, &path, json!({"enabled": false})).await.1;
    assert_eq!((&off["enabled"], &off["disabled_reason"]), (&json!(false), &json!("switched off")));
    let gone = Receiver::start(&[410]).await;
    let moved = json!({"enabled": true, "url": format!("http://127.0.0.1:{}/", gone.port), "events": ["call.ended"]});
    assert_eq!(ask(&line, &key, Method::PATCH, &path, moved).await.0, StatusCode::OK);
    line.keep(&event("call_ended", &fresh("call"))).await;
    gone.until(1).await;
    line.until(&key, &path, |endpoint| endpoint["enabled"] == false).await;
    let (status, _) = ask(&line, &key, Method::DELETE, &path, Value::Null).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert_eq!(line.get(&key, &path).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn s022_an_endpoint_inside_is_refused_and_so_is_nonsense() {
    let line = app().line().await;
    let key = line.api_key(&CONFIGURE).await;
    for (body, code) in [
        (json!({"url": "https://127.0.0.1/", "events": ["call.ended"]}), "blocked_address"),
        (
            json!({"url": "https://[::ffff:10.0.0.1]/", "events": ["call.ended"]}),
            "blocked_address",
        ),
        (json!({"url": "http://example.com/", "events": ["call.ended"]}), "blocked_address"),
        (json!({"url": "https://example.com/", "events": ["call.paused"]}), "unknown_value"),
        (json!({"url": "https://example.com/", "events": []}), "empty"),
    ] {
        let (status, problem) = ask(&line, &key, Method::POST, "/v1/webhook-endpoints", body.clone()).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
        assert_eq!(problem["errors"][0]["code"], code, "{body}: {problem}");
    }
    let extra = json!({"url": "https://example.com/", "events": ["call.ended"], "sectret": 1});
    assert_eq!(
        ask(&line, &key, Method::POST, "/v1/webhook-endpoints", extra).await.0,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    let reader = line.api_key(&["live:read"]).await;
    for path in ["/v1/webhook-endpoints", "/v1/usage"] {
        assert_eq!(line.get(&reader, path).await.0, StatusCode::FORBIDDEN, "{path}");
    }
    assert_eq!(line.get(&key, "/v1/usage?month=2026-13").await.0, StatusCode::UNPROCESSABLE_ENTITY);
    // Another organisation's endpoint does not exist.
    let good = json!({"url": "https://example.com/", "events": ["call.ended"]});
    let (_, made) = ask(&line, &key, Method::POST, "/v1/webhook-endpoints", good).await;
    let stranger = app().line().await;
    let other = stranger.api_key(&CONFIGURE).await;
    let path = format!("/v1/webhook-endpoints/{}", made["id"].as_str().unwrap());
    for method in [Method::GET, Method::PATCH, Method::DELETE] {
        let (status, _) = ask(&stranger, &other, method.clone(), &path, json!({"enabled": true})).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{method}");
    }
    assert_eq!(line.get(&key, &path).await.0, StatusCode::OK);
}

//! Starting again: after a request to stop, and after being killed under load.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use secrecy::SecretString;
use serde_json::Value;
use tokio::sync::Notify;
use trunkline_core::audit::By;
use trunkline_core::signature::{SigningKey, sign};
use trunkline_stores::postgres::row::NewWorkspace;

use crate::app::{App, PATIENCE, SOON, client, event, fresh, key_of, now};

/// A product of the test's own, in a directory that outlives its processes.
async fn own(data: &std::path::Path) -> (App, String, SigningKey, String) {
    let app = App::start(data, true, &[]);
    let config = app.config().await;
    let tenant = config.ensure_organisation("Own").await.unwrap();
    let (token, key) = (hex::encode(rand::random::<[u8; 20]>()), fresh("key"));
    let new = NewWorkspace {
        name: "Own".to_owned(),
        token: token.clone(),
        signing_keys: vec![SecretString::from(key.clone())],
        api_key: None,
        zone: "UTC".to_owned(),
    };
    config.create_workspace(tenant, &By::operator(), &new).await.unwrap();
    let api_key = key_of(&config, tenant, &["live:read", "calls:read"]).await;
    (app, token, SigningKey::new(&key), api_key)
}

async fn send(app: &App, token: &str, key: &SigningKey, body: &Value) -> Option<StatusCode> {
    let body = body.to_string();
    let signature = sign(body.as_bytes(), key, now());
    let request = client()
        .post(format!("http://{}/v1/retell/{token}", app.intake))
        .header("x-retell-signature", signature);
    request.body(body).send().await.ok().map(|answer| answer.status())
}

fn signal(pid: u32, name: &str) {
    assert!(Command::new("kill").args([name, &pid.to_string()]).status().unwrap().success());
}

fn gone(pid: u32) -> bool {
    !std::path::Path::new(&format!("/proc/{pid}")).exists()
}

async fn until_gone(pid: u32, within: Duration) {
    let begun = Instant::now();
    while !gone(pid) {
        assert!(begun.elapsed() < within, "still there after {:?}", begun.elapsed());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn until_known(app: &App, token: &str) {
    let begun = Instant::now();
    while client()
        .get(format!("http://{}/v1/retell/{token}", app.intake))
        .send()
        .await
        .unwrap()
        .status()
        != 405
    {
        assert!(begun.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn calls_in_progress(app: &App, api_key: &str, wanted: usize) -> BTreeSet<String> {
    let begun = Instant::now();
    loop {
        let answer = client()
            .get(app.url("/v1/live/calls?limit=1000"))
            .bearer_auth(api_key)
            .send()
            .await
            .unwrap();
        let live: Value = answer.json().await.unwrap();
        let ids: BTreeSet<String> = live["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|call| call["id"].as_str().unwrap().to_owned())
            .collect();
        if ids.len() >= wanted || begun.elapsed() > PATIENCE {
            return ids;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn rx16_a_request_to_stop_is_obeyed_in_order_and_nothing_acknowledged_is_lost() {
    let folder = tempfile::Builder::new().prefix("trunkline-web-").tempdir().unwrap();
    let (app, token, key, api_key) = own(folder.path()).await;
    until_known(&app, &token).await;
    let mut sent = BTreeSet::new();
    for _ in 0..20 {
        let id = fresh("call");
        assert_eq!(
            send(&app, &token, &key, &event("call_started", &id)).await,
            Some(StatusCode::NO_CONTENT)
        );
        sent.insert(id);
    }
    // An open stream must not hold the stop until its deadline (T5).
    let mut stream = client()
        .get(app.url("/v1/stream?topics=board"))
        .bearer_auth(&api_key)
        .send()
        .await
        .unwrap();
    assert!(stream.chunk().await.unwrap().is_some());
    signal(app.pid, "-TERM");
    let begun = Instant::now();
    while let Ok(Some(_)) = stream.chunk().await {}
    until_gone(app.pid, SOON).await;
    assert!(begun.elapsed() < SOON);
    let again = App::start(folder.path(), true, &[]);
    assert_eq!(calls_in_progress(&again, &api_key, sent.len()).await, sent);
    signal(again.pid, "-TERM");
    until_gone(again.pid, Duration::from_secs(20)).await;
}

#[tokio::test]
async fn rx02_killed_under_load_it_comes_back_with_everything_it_acknowledged() {
    let folder = tempfile::Builder::new().prefix("trunkline-web-").tempdir().unwrap();
    let (app, token, key, api_key) = own(folder.path()).await;
    until_known(&app, &token).await;
    let mut acknowledged = BTreeSet::new();
    let pid = app.pid;
    let enough = Arc::new(Notify::new());
    let heard = enough.clone();
    let kill = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        // On a busy machine the first answers take longer than that.
        heard.notified().await;
        signal(pid, "-KILL");
    });
    while !kill.is_finished() {
        let ids: Vec<String> = (0..16).map(|_| fresh("call")).collect();
        let answers = futures::future::join_all(ids.iter().map(|id| {
            let event = event("call_started", id);
            let (app, token, key) = (&app, &token, &key);
            async move { send(app, token, key, &event).await }
        }))
        .await;
        acknowledged.extend(
            ids.into_iter()
                .zip(answers)
                .filter(|(_, status)| *status == Some(StatusCode::NO_CONTENT))
                .map(|(id, _)| id),
        );
        if acknowledged.len() > 20 {
            enough.notify_one();
        }
    }
    until_gone(pid, SOON).await;
    assert!(acknowledged.len() > 20, "{}", acknowledged.len());
    let again = App::start(folder.path(), true, &[]);
    let limit = acknowledged.len().min(1_000);
    let found = calls_in_progress(&again, &api_key, limit).await;
    let missing: Vec<&String> = acknowledged.difference(&found).collect();
    assert!(
        missing.is_empty() || found.len() == 1_000,
        "{} of {} missing",
        missing.len(),
        acknowledged.len()
    );
    signal(again.pid, "-TERM");
    until_gone(again.pid, Duration::from_secs(20)).await;
}

//! The record of who did what: who may read it, what gets into it, and that it can be taken away and proven.

use std::process::Stdio;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use reqwest::StatusCode;
use secrecy::ExposeSecret as _;
use serde_json::Value;
use trunkline_core::access::Role;
use trunkline_core::audit::{By, Deed};
use trunkline_stores::postgres::{EmbeddedOptions, EmbeddedPostgres};

use crate::app::{Line, PATIENCE, app, client, event, fresh, program};
use crate::identity::{PASSWORD, cookie, enter, person};

async fn page(session: &str, path: &str) -> (StatusCode, String) {
    let answer = client().get(app().url(path)).header("cookie", session).send().await.unwrap();
    (answer.status(), answer.text().await.unwrap())
}

async fn actions(line: &Line, key: &str, query: &str) -> Vec<String> {
    let (status, found) = line.get(key, &format!("/v1/audit?limit=100&{query}")).await;
    assert_eq!(status, StatusCode::OK, "{found:#}");
    let entries = found["data"].as_array().unwrap().iter();
    entries.map(|entry| entry["action"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_view_of_a_call_is_noted_once_for_each_opening_and_each_reader() {
    let line = app().line().await;
    let auditor = line.api_key(&["audit:read"]).await;
    let reader = line.api_key(&["calls:read", "live:read"]).await;
    let (id, unseen) = (fresh("call"), fresh("call"));
    line.keep(&event("call_started", &id)).await;
    line.keep(&event("call_started", &unseen)).await;
    line.until(&reader, "/v1/board", |board| board["now"]["in_progress"] == 2).await;
    line.until(&reader, &format!("/v1/calls/{id}/events"), |events| {
        events["data"].as_array().is_some_and(|events| !events.is_empty())
    })
    .await;
    for path in ["", "/turns", ""] {
        line.get(&reader, &format!("/v1/calls/{id}{path}")).await;
    }
    line.get(&reader, &format!("/v1/live/calls/{id}")).await;
    assert_eq!(line.get(&reader, "/v1/calls/no-such-call").await.0, StatusCode::NOT_FOUND);

    let email = person(&line, Role::Supervisor).await;
    let session = cookie(&enter(&email, PASSWORD, &[]).await).unwrap();
    assert_eq!(page(&session, &format!("/calls/call/{id}")).await.0, StatusCode::OK);
    let stream = client()
        .get(app().url(&format!("/v1/stream?topics=call:{id}")))
        .header("cookie", &session);
    let mut stream = stream.send().await.unwrap().bytes_stream();
    stream.next().await.unwrap().unwrap();
    assert_eq!(page(&session, &format!("/calls/call/{id}/raw")).await.0, StatusCode::OK);

    let mut found = actions(&line, &auditor, &format!("target_id={id}")).await;
    found.sort();
    assert_eq!(found, ["call.view", "call.view", "call.view_raw", "call.view_raw"]);
    assert_eq!(actions(&line, &auditor, &format!("target_id={unseen}")).await, Vec::<String>::new());
    assert_eq!(actions(&line, &auditor, "target_id=no-such-call").await, Vec::<String>::new());
    let (_, found) = line.get(&auditor, &format!("/v1/audit?action=call&q=ANA&target_id={id}")).await;
    let entry = &found["data"][0];
    assert_eq!(
        (&entry["actor"]["type"], &entry["actor"]["name"]),
        (&"person".into(), &"Ana".into())
    );
    assert_eq!(entry["source"], "127.0.0.1");
    assert!(entry["request_id"].as_str().is_some_and(|id| !id.is_empty()), "{entry:#}");
    assert!(!found.to_string().contains("table for two"), "nothing of what was said");
}

#[tokio::test]
async fn signing_in_failing_and_leaving_are_noted() {
    let line = app().line().await;
    let auditor = line.api_key(&["audit:read"]).await;
    let email = person(&line, Role::Viewer).await;
    for _ in 0..10 {
        enter(&email, "not the password", &[]).await;
    }
    let begun = Instant::now();
    while actions(&line, &auditor, "action=session").await.len() < 11 {
        assert!(begun.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // Turned away without a look at the password: one entry says so, not one for each.
    enter(&email, PASSWORD, &[]).await;
    let found = actions(&line, &auditor, "action=session").await;
    assert_eq!(found.iter().filter(|action| *action == "session.refuse").count(), 10);
    assert_eq!(found.iter().filter(|action| *action == "session.lock").count(), 1);
    let other = person(&line, Role::Viewer).await;
    let session = cookie(&enter(&other, PASSWORD, &[]).await).unwrap();
    let wall = page(&session, "/wall").await.1;
    let token = wall
        .split("name=\"form_token\" value=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let leave = client().post(app().url("/signout")).header("cookie", &session);
    leave
        .header("content-type", "application/x-www-form-urlencoded")
        .body(format!("form_token={token}"))
        .send()
        .await
        .unwrap();
    let found = actions(&line, &auditor, "action=session&q=Ana").await;
    assert_eq!(found, ["session.end", "session.begin"]);
}

#[tokio::test]
async fn s142_only_those_who_may_audit_read_it_and_only_their_own() {
    let line = app().line().await;
    let other = app().line().await;
    let secret = fresh("deed");
    let deed = Deed::plain("test.note", "test", &secret);
    other.config.note_deed(other.tenant, &By::system(), &deed).await.unwrap();
    for scopes in [&["calls:read", "people:write", "operate:read"][..], &["live:read"]] {
        let key = line.api_key(scopes).await;
        assert_eq!(line.get(&key, "/v1/audit").await.0, StatusCode::FORBIDDEN);
    }
    for role in [Role::Supervisor, Role::Analyst, Role::Viewer] {
        let email = person(&line, role).await;
        let session = cookie(&enter(&email, PASSWORD, &[]).await).unwrap();
        for path in ["/settings/audit", "/settings/audit.csv", "/settings/audit.json"] {
            assert_eq!(page(&session, path).await.0, StatusCode::FORBIDDEN, "{role:?} {path}");
        }
    }
    let admin = person(&line, Role::Admin).await;
    let session = cookie(&enter(&admin, PASSWORD, &[]).await).unwrap();
    for path in ["/settings/audit", "/settings/audit.csv", "/settings/audit.json"] {
        let (status, text) = page(&session, path).await;
        assert_eq!(status, StatusCode::OK);
        assert!(!text.contains(&secret) && text.contains("session.begin"), "{path}");
    }
    let auditor = line.api_key(&["audit:read"]).await;
    let theirs = line.get(&other.api_key(&["audit:read"]).await, "/v1/audit?limit=1").await.1;
    let cursor = theirs["next_cursor"].as_str().unwrap();
    let stolen = line.get(&auditor, &format!("/v1/audit?after={cursor}")).await;
    assert_eq!(stolen.0, StatusCode::UNPROCESSABLE_ENTITY);
    for wrong in ["actor=biz_1", "from=yesterday", "limit=1000000000", "colour=red"] {
        assert_eq!(
            line.get(&auditor, &format!("/v1/audit?{wrong}")).await.0,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{wrong}"
        );
    }
}

#[tokio::test]
async fn its_pages_join_without_a_gap_and_its_file_has_no_formula() {
    let line = app().line().await;
    let auditor = line.api_key(&["audit:read"]).await;
    for n in 0..23 {
        let deed = Deed::plain("test.note", "test", format!("=cmd{n}")).after(&serde_json::json!({ "n": n }));
        line.config.note_deed(line.tenant, &By::system(), &deed).await.unwrap();
    }
    let (mut numbers, mut address) = (Vec::new(), "/v1/audit?action=test&limit=10".to_owned());
    let mut last = Value::Null;
    loop {
        let page = line.get(&auditor, &address).await.1;
        numbers.extend(
            page["data"]
                .as_array()
                .unwrap()
                .iter()
                .map(|entry| entry["after"]["n"].as_i64().unwrap()),
        );
        let Some(next) = page["next_cursor"].as_str() else { break };
        address = format!("/v1/audit?action=test&limit=10&after={next}");
        last = page["next_cursor"].clone();
    }
    assert_eq!(numbers, (0..23).rev().collect::<Vec<i64>>());
    assert_ne!(last, Value::Null);
    let back = line.get(&auditor, &address).await.1["previous_cursor"].as_str().unwrap().to_owned();
    let back = line.get(&auditor, &format!("/v1/audit?action=test&limit=10&before={back}")).await.1;
    assert_eq!(back["data"][0]["after"]["n"], 12);

    let admin = person(&line, Role::Admin).await;
    let session = cookie(&enter(&admin, PASSWORD, &[]).await).unwrap();
    let (_, file) = page(&session, "/settings/audit.csv?action=test").await;
    assert_eq!(file.trim_end().lines().count(), 24);
    assert!(file.contains("\"'=cmd7\"") && !file.contains("\"=cmd7\""), "{file}");
    let (_, file) = page(&session, "/settings/audit.json?q=%3DCMD7").await;
    let entries: Value = serde_json::from_str(&file).unwrap();
    assert_eq!(entries[0]["target_id"], "=cmd7");
    assert_eq!(actions(&line, &auditor, "action=audit").await, ["audit.export", "audit.export"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s134_the_operator_is_told_of_a_changed_entry() {
    let line = app().line().await;
    for n in 0..3 {
        let deed = Deed::plain("test.note", "test", n);
        line.config.note_deed(line.tenant, &By::system(), &deed).await.unwrap();
    }
    let verify = || {
        let output = program(&app().data)
            .args(["--json", "audit", "verify"])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let chains: Value = serde_json::from_slice(&output.stdout).unwrap();
        let ours = chains
            .as_array()
            .unwrap()
            .iter()
            .find(|chain| chain["organisation"] == line.tenant.to_string());
        (output.status.code(), ours.unwrap().clone())
    };
    let (code, ours) = verify();
    assert_eq!((code, &ours["entries"]), (Some(0), &Value::from(5)));
    let server = EmbeddedPostgres::start_or_attach(&EmbeddedOptions::new(&app().data)).await.unwrap();
    let url = server.options().owner_url.unwrap();
    let (owner, connection) = tokio_postgres::connect(url.expose_secret(), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let tamper = format!(
        "ALTER TABLE audit_entries DISABLE TRIGGER append_only; ALTER TABLE audit_entries NO FORCE ROW LEVEL SECURITY;
         UPDATE audit_entries SET object_id = '7' WHERE tenant = '{}' AND number = 4;
         ALTER TABLE audit_entries ENABLE TRIGGER append_only; ALTER TABLE audit_entries FORCE ROW LEVEL SECURITY;",
        line.tenant.0
    );
    owner.batch_execute(&tamper).await.unwrap();
    let (code, ours) = verify();
    assert_eq!(code, Some(3));
    assert!(
        ours["broken"].as_str().unwrap().starts_with("entry 4 is not what was written"),
        "{ours}"
    );
    // As it was, for the tests that verify after this one.
    let repair = tamper.replace("object_id = '7'", "object_id = '1'");
    owner.batch_execute(&repair).await.unwrap();
    assert_eq!(verify().0, Some(0));
}

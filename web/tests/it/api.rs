//! `/v1`: who may ask what, pages of lists, what a program gets to see of a call.

use reqwest::StatusCode;
use serde_json::{Value, json};
use trunkline_core::audit::By;
use trunkline_stores::postgres::row::Span;

use crate::app::{app, client, event, fresh};

const READ: [&str; 4] = ["live:read", "calls:read", "numbers:read", "operate:read"];

#[tokio::test]
async fn an_event_is_on_the_board_and_its_call_in_the_call_log() {
    let line = app().line().await;
    let key = line.api_key(&READ).await;
    let (open, over) = (fresh("call"), fresh("call"));
    line.keep(&event("call_started", &open)).await;
    line.keep(&event("call_started", &over)).await;
    line.keep(&event("call_ended", &over)).await;
    // The end may be applied one batch after the starts.
    line.until(&key, "/v1/board", |board| {
        board["offered"]["total"] == 2 && board["now"]["in_progress"] == 1
    })
    .await;
    let log = line
        .until(&key, "/v1/calls?state=ended", |page| {
            page["data"].as_array().is_some_and(|data| data.len() == 1)
        })
        .await;
    let call = &log["data"][0];
    assert_eq!(
        (&call["id"], &call["reason"], &call["duration_ms"]),
        (&json!(over), &json!("user_hangup"), &json!(42_000))
    );
    assert_eq!(call["from_number"], "+12025550101");
    let turns = line.get(&key, &format!("/v1/calls/{over}/turns")).await.1;
    assert_eq!(turns["data"][1]["content"], "I would like a table for two.");
    let events = line
        .until(&key, &format!("/v1/calls/{over}/events"), |page| {
            page["data"].as_array().is_some_and(|data| data.len() == 2)
        })
        .await;
    assert_eq!(events["data"][0]["event"], "call_started");
    let completeness = line.get(&key, "/v1/completeness").await.1;
    assert_eq!(completeness["rebuilding"], false);
    assert!(completeness["complete_to"].is_i64());
}

#[tokio::test]
async fn a_list_is_walked_page_by_page_there_and_back() {
    let line = app().line().await;
    let key = line.api_key(&READ).await;
    let mut sent = Vec::new();
    for n in 0..7 {
        let id = fresh("call");
        let mut ended = event("call_ended", &id);
        let started = ended["call"]["start_timestamp"].as_i64().unwrap() + n * 1_000;
        ended["call"]["start_timestamp"] = started.into();
        line.keep(&ended).await;
        sent.push(id);
    }
    sent.reverse();
    line.until(&key, "/v1/calls", |page| {
        page["data"].as_array().is_some_and(|data| data.len() == 7)
    })
    .await;
    let ids = |page: &Value| -> Vec<String> {
        page["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|call| call["id"].as_str().unwrap().to_owned())
            .collect()
    };
    let mut walked = Vec::new();
    let mut page = line.get(&key, "/v1/calls?limit=3").await.1;
    let first = ids(&page);
    loop {
        walked.extend(ids(&page));
        let Some(next) = page["next_cursor"].as_str() else { break };
        assert_eq!(page["has_more"], true);
        page = line.get(&key, &format!("/v1/calls?limit=3&after={next}")).await.1;
    }
    assert_eq!(walked, sent);
    let second = line
        .get(
            &key,
            &format!(
                "/v1/calls?limit=3&after={}",
                line.get(&key, "/v1/calls?limit=3").await.1["next_cursor"].as_str().unwrap()
            ),
        )
        .await
        .1;
    let back = line
        .get(
            &key,
            &format!("/v1/calls?limit=3&before={}", second["previous_cursor"].as_str().unwrap()),
        )
        .await
        .1;
    assert_eq!(ids(&back), first);
}

#[tokio::test]
async fn s013_an_edited_or_borrowed_cursor_is_refused() {
    let (line, other) = (app().line().await, app().line().await);
    let (key, other_key) = (line.api_key(&READ).await, other.api_key(&READ).await);
    for _ in 0..2 {
        line.keep(&event("call_ended", &fresh("call"))).await;
    }
    let page = line.until(&key, "/v1/calls?limit=1", |page| page["next_cursor"].is_string()).await;
    let cursor = page["next_cursor"].as_str().unwrap();
    let edited = format!("{}{}", if cursor.starts_with('A') { 'B' } else { 'A' }, &cursor[1..]);
    let attempts = [
        (&line, &key, format!("/v1/calls?after={edited}")),
        (&other, &other_key, format!("/v1/calls?after={cursor}")),
        (&line, &key, format!("/v1/set-aside?after={cursor}")),
    ];
    for (line, key, path) in attempts {
        let (status, problem) = line.get(key, &path).await;
        assert_eq!(
            (status, &problem["code"]),
            (StatusCode::UNPROCESSABLE_ENTITY, &json!("bad_cursor")),
            "{path}"
        );
    }
    assert_eq!(line.get(&key, &format!("/v1/calls?after={cursor}")).await.0, StatusCode::OK);
}

#[tokio::test]
async fn s086_what_is_asked_wrongly_is_refused_with_the_parameters_name() {
    let line = app().line().await;
    let key = line.api_key(&READ).await;
    for (path, pointer) in [
        ("/v1/calls?limit=0", "limit"),
        ("/v1/calls?limit=101", "limit"),
        ("/v1/calls?limit=many", "limit"),
        ("/v1/calls?limit=1000000000", "limit"),
        ("/v1/calls?direction=sideways", "direction"),
        ("/v1/calls?opened_at[gte]=yesterday", "opened_at[gte]"),
        ("/v1/calls?tenant_id=org_x", "tenant_id"),
        ("/v1/calls?kind=call&kind=chat", "kind"),
        ("/v1/board?window_minutes=1", "window_minutes"),
        ("/v1/live/calls?limit=1001", "limit"),
        ("/v1/calls?limit=", "limit"),
        ("/v1/board?figures=", "figures"),
        ("/v1/stream?topics=weather", "topics"),
        ("/v1/stream", "topics"),
    ] {
        let (status, problem) = line.get(&key, path).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{path}: {problem:#}");
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{path}");
    }
    assert_eq!(line.get(&key, "/v1/calls?business=agt_1").await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn s001_s010_s014_nothing_of_another_organisation_can_be_seen() {
    let (ours, theirs) = (app().line().await, app().line().await);
    let (key, their_key) = (ours.api_key(&READ).await, theirs.api_key(&READ).await);
    let id = fresh("call");
    theirs.keep(&event("call_ended", &id)).await;
    theirs
        .until(&their_key, "/v1/calls", |page| {
            page["data"].as_array().is_some_and(|data| data.len() == 1)
        })
        .await;
    let business = theirs.config.businesses(theirs.tenant, None).await.unwrap()[0].id;
    for path in [
        format!("/v1/calls/{id}"),
        format!("/v1/calls/{id}/turns"),
        format!("/v1/calls/{id}/events"),
        format!("/v1/live/calls/{id}"),
        format!("/v1/board?business={business}"),
        format!("/v1/live/calls?business={business}"),
        format!("/v1/calls?business={business}"),
        format!("/v1/stream?topics=board&business={business}"),
        "/v1/calls/%2e%2e%2fsecret".to_owned(),
        "/v1/calls/a%00b".to_owned(),
    ] {
        let (status, problem) = ours.get(&key, &path).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}: {problem:#}");
    }
    assert_eq!(ours.get(&key, "/v1/calls").await.1["data"], json!([]));
    assert_eq!(ours.get(&key, "/v1/board").await.1["offered"]["total"], 0);
}

#[tokio::test]
async fn a_scope_is_needed_and_a_revoked_key_is_worth_nothing() {
    let line = app().line().await;
    let live = line.api_key(&["live:read"]).await;
    assert_eq!(line.get(&live, "/v1/board").await.0, StatusCode::OK);
    for path in [
        "/v1/calls",
        "/v1/calls/x",
        "/v1/live/calls/x",
        "/v1/set-aside",
        "/v1/stream?topics=call:x",
    ] {
        assert_eq!(line.get(&live, path).await.0, StatusCode::FORBIDDEN, "{path}");
    }
    line.keep(&event("call_started", &fresh("call"))).await;
    let calls = line.until(&live, "/v1/live/calls", |live| live["total"] == 1).await;
    assert_eq!(
        calls["data"][0]["from_number"],
        Value::Null,
        "numbers need the permission to read calls"
    );
    let id = line.config.api_keys(line.tenant, Span::first(1)).await.unwrap()[0].id;
    line.config.revoke_api_key(line.tenant, &By::system(), id).await.unwrap();
    assert_eq!(line.get(&live, "/v1/board").await.0, StatusCode::UNAUTHORIZED);
    for wrong in [
        "",
        "sk_live_",
        "nonsense",
        "sk_live_0000000000000000000000000000000000000000000000000000000000",
    ] {
        assert_eq!(line.get(wrong, "/v1/board").await.0, StatusCode::UNAUTHORIZED, "{wrong}");
    }
}

#[tokio::test]
async fn who_has_an_answer_is_not_sent_it_again() {
    let line = app().line().await;
    let key = line.api_key(&["calls:read", "live:read"]).await;
    line.keep(&event("call_started", &fresh("call"))).await;
    line.until(&key, "/v1/calls", |page| {
        page["data"].as_array().is_some_and(|calls| calls.len() == 1)
    })
    .await;
    let ask = async |path: &str, known: &str| {
        let request = client().get(line.app.url(path)).bearer_auth(&key);
        let request = if known.is_empty() {
            request
        } else {
            request.header("if-none-match", known)
        };
        let answer = request.send().await.unwrap();
        let tag = answer
            .headers()
            .get("etag")
            .map(|tag| tag.to_str().unwrap().to_owned())
            .unwrap_or_default();
        (answer.status().as_u16(), tag, answer.text().await.unwrap())
    };
    for path in ["/v1/metrics", "/v1/businesses", "/v1/calls", "/openapi.json"] {
        let (status, tag, body) = ask(path, "").await;
        assert!(status == 200 && tag.starts_with('"') && !body.is_empty(), "{path}");
        assert_eq!(
            ask(path, &format!("\"old\", W/{tag}")).await,
            (304, tag.clone(), String::new()),
            "{path}"
        );
        assert_eq!(ask(path, "\"old\"").await, (200, tag, body), "{path}");
    }
    let (_, before, _) = ask("/v1/calls", "").await;
    line.keep(&event("call_started", &fresh("call"))).await;
    line.until(&key, "/v1/calls", |page| {
        page["data"].as_array().is_some_and(|calls| calls.len() == 2)
    })
    .await;
    assert_eq!(ask("/v1/calls", &before).await.0, 200, "there is more now");
}

#[tokio::test]
async fn s021_s037_every_answer_is_protected_and_named() {
    for path in ["/v1/board", "/openapi.json", "/nowhere"] {
        let answer = client()
            .get(app().url(path))
            .header("x-request-id", "my-own-7")
            .send()
            .await
            .unwrap();
        let header = |name: &str| {
            answer
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok())
                .unwrap_or_default()
                .to_owned()
        };
        assert_eq!(header("x-request-id"), "my-own-7", "{path}");
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert!(header("content-security-policy").contains("frame-ancestors 'none'"));
        assert_eq!(header("cache-control"), "no-store");
    }
    let odd = client()
        .get(app().url("/v1/board"))
        .header("x-request-id", "a b<c>")
        .send()
        .await
        .unwrap();
    assert_ne!(odd.headers()["x-request-id"], "a b<c>");
}

#[tokio::test]
async fn the_admin_port_tells_health_and_counts() {
    let line = app().line().await;
    line.keep(&event("call_started", &fresh("call"))).await;
    for path in ["livez", "readyz", "startupz", "version"] {
        let answer = client().get(format!("http://{}/{path}", app().admin)).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
    }
    let metrics = app().metrics().await;
    for name in [
        "trunkline_webhook_events_total{event=\"call_started\",result=\"kept\"}",
        "trunkline_webhook_ack_duration_seconds_bucket",
        "trunkline_build_info",
        "trunkline_last_event_timestamp_seconds",
        "trunkline_calls_active",
    ] {
        assert!(metrics.contains(name), "{name}");
    }
    assert!(!metrics.contains("+1202"), "no numbers of callers");
    assert_eq!(
        client().get(app().url("/metrics")).send().await.unwrap().status(),
        StatusCode::NOT_FOUND,
        "not on the public port"
    );
}

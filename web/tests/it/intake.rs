//! Retell's door, rule by rule: every name begins with the rule of RULES.md part A that the test holds.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use trunkline_core::signature::{SigningKey, sign};

use crate::app::{Line, app, client, event, fresh, now};

/// Speaks HTTP by hand: sends `text`, and reads until the other side closes or a while has passed.
async fn raw(text: &[u8], wait: Duration) -> String {
    let mut socket = TcpStream::connect(app().intake).await.unwrap();
    // The other side may refuse and close before all is sent.
    let _ = socket.write_all(text).await;
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(wait, socket.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}

fn status(answer: &str) -> u16 {
    answer
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .unwrap_or_else(|| panic!("no status in {answer:?}"))
}

fn head(line: &Line, more: &str) -> String {
    format!("POST {} HTTP/1.1\r\nHost: intake\r\n{more}\r\n", line.path())
}

async fn with_headers(line: &Line, body: &[u8], headers: &[(&str, &str)]) -> StatusCode {
    let mut request = client().post(line.address()).body(body.to_vec());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap().status()
}

#[tokio::test]
async fn a1_a_signed_body_is_kept_whatever_it_holds() {
    let line = app().line().await;
    let bodies: [&[u8]; 9] = [
        b"",
        b"no json",
        b"[]",
        b"{}",
        b"null",
        b"\xff\xfe",
        b"{\"event\":",
        b"{\"event\":7}",
        b"{\"event\":\"call_ended\"}",
    ];
    for body in bodies {
        assert_eq!(line.send(body).await.status(), StatusCode::NO_CONTENT, "{body:?}");
    }
    let key = line.api_key(&["operate:read"]).await;
    let listed = line
        .until(&key, "/v1/set-aside?limit=100", |page| {
            page["data"].as_array().is_some_and(|data| data.len() == bodies.len())
        })
        .await;
    let mut reasons: Vec<&str> = listed["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|record| record["reason"].as_str().unwrap())
        .collect();
    reasons.sort_unstable();
    let expected = [
        "no_event_name",
        "no_event_name",
        "no_id",
        "not_an_object",
        "not_an_object",
        "not_json",
        "not_json",
        "not_json",
        "not_utf8",
    ];
    assert_eq!(reasons, expected);
}

#[tokio::test]
async fn a2_an_unknown_or_disabled_address_is_not_found_before_the_body_is_read() {
    let line = app().line().await;
    let wait = Duration::from_secs(3);
    let unknown = format!(
        "POST /v1/retell/{} HTTP/1.1\r\nHost: intake\r\nContent-Length: 20000000\r\n\r\n",
        fresh("nobody")
    );
    assert_eq!(status(&raw(unknown.as_bytes(), wait).await), 404);
    let unknown = format!("DELETE /v1/retell/{} HTTP/1.1\r\nHost: intake\r\n\r\n", fresh("nobody"));
    assert_eq!(
        status(&raw(unknown.as_bytes(), wait).await),
        404,
        "the address comes before the method"
    );
    line.change_workspace(|workspace| workspace.enabled = false).await;
    line.until_intake_answers(StatusCode::NOT_FOUND).await;
    assert_eq!(
        line.send(event("call_ended", "call_x").to_string()).await.status(),
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn a2_other_methods_than_post_are_refused() {
    let line = app().line().await;
    for method in ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE", "BREW"] {
        let answer = raw(
            format!(
                "{method} {} HTTP/1.1\r\nHost: intake\r\nContent-Length: 20000000\r\n\r\n",
                line.path()
            )
            .as_bytes(),
            Duration::from_secs(3),
        )
        .await;
        assert_eq!(status(&answer), 405, "{method}");
        assert!(answer.to_lowercase().contains("allow: post"), "{method}: {answer}");
    }
}

#[tokio::test]
async fn a2_too_large_a_body_is_refused_by_its_word_and_by_its_bytes() {
    let line = app().line().await;
    let over = 10 * 1024 * 1024 + 1;
    let announced = head(&line, &format!("Content-Length: {over}\r\nContent-Encoding: gzip\r\n"));
    let begun = Instant::now();
    assert_eq!(
        status(&raw(announced.as_bytes(), crate::app::PATIENCE).await),
        413,
        "size comes before coding"
    );
    assert!(begun.elapsed() < Duration::from_secs(9), "answered before the body came");
    let mut chunked = head(&line, "Transfer-Encoding: chunked\r\n").into_bytes();
    let chunk = vec![b' '; 1024 * 1024];
    for _ in 0..11 {
        chunked.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        chunked.extend_from_slice(&chunk);
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    assert_eq!(status(&raw(&chunked, Duration::from_secs(10)).await), 413);
}

#[tokio::test]
async fn a2_rx05_a_body_of_almost_ten_mebibytes_is_kept() {
    let line = app().line().await;
    for size in [255 * 1024, 257 * 1024, 2_200_000, 10 * 1024 * 1024] {
        let mut large = event("call_ended", &fresh("call"));
        large["call"]["metadata"]["padding"] = "".into();
        let padding = size - large.to_string().len();
        large["call"]["metadata"]["padding"] = "x".repeat(padding).into();
        let body = large.to_string();
        assert_eq!(body.len(), size);
        assert_eq!(line.send(body).await.status(), StatusCode::NO_CONTENT, "{size}");
    }
}

#[tokio::test]
async fn s089_a2_a_content_coding_is_refused() {
    let line = app().line().await;
    let body = event("call_started", &fresh("call")).to_string().into_bytes();
    let signature = sign(&body, &line.key, now());
    for (coding, expected) in [
        ("gzip", 415),
        ("br", 415),
        ("identity, identity", 415),
        ("gzip, identity", 415),
        ("identity", 204),
        ("IDENTITY", 204),
    ] {
        let headers = [("content-encoding", coding), ("x-retell-signature", &signature)];
        assert_eq!(with_headers(&line, &body, &headers).await.as_u16(), expected, "{coding}");
    }
    let two = [
        ("content-encoding", "identity"),
        ("content-encoding", "identity"),
        ("x-retell-signature", &*signature),
    ];
    assert_eq!(with_headers(&line, &body, &two).await.as_u16(), 415);
    assert_eq!(
        with_headers(&line, &body, &[("content-encoding", "gzip")]).await.as_u16(),
        415,
        "coding comes before the signature"
    );
}

#[tokio::test]
async fn a2_the_media_type_is_not_looked_at() {
    let line = app().line().await;
    let body = event("call_started", &fresh("call")).to_string().into_bytes();
    let signature = sign(&body, &line.key, now());
    for kind in ["text/plain; charset=utf-7", "application/json", "nonsense", "multipart/form-data"] {
        assert_eq!(
            with_headers(&line, &body, &[("content-type", kind), ("x-retell-signature", &signature)])
                .await
                .as_u16(),
            204,
            "{kind}"
        );
    }
}

#[tokio::test]
async fn s047_a2_broken_framing_is_a_bad_request_and_nothing_else_is() {
    let line = app().line().await;
    let wait = Duration::from_secs(3);
    for broken in [
        head(&line, "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n") + "0\r\n\r\n",
        head(&line, "Content-Length: 2\r\nContent-Length: 3\r\n") + "{}",
        head(&line, "Content-Length: minus\r\n"),
        "POST\r\n\r\n".to_owned(),
    ] {
        assert_eq!(status(&raw(broken.as_bytes(), wait).await), 400, "{broken:?}");
    }
}

#[tokio::test]
async fn s125_s126_a3_only_the_workspaces_own_signature_of_this_body_and_time_is_believed() {
    let line = app().line().await;
    let body = event("call_started", &fresh("call")).to_string().into_bytes();
    let good = sign(&body, &line.key, now());
    let (v, d) = good.split_once(",d=").unwrap();
    let upper = format!("{v},d={}", d.to_uppercase());
    let cases = [
        (Some(good.clone()), 204),
        (Some(upper), 204),
        (None, 401),
        (Some(String::new()), 401),
        (Some(format!("{good} ,x=1")), 401),
        (Some(format!("d={d},{v}")), 401),
        (Some(sign(&body, &SigningKey::new("another key"), now())), 401),
        (Some(sign(b"another body", &line.key, now())), 401),
        (Some(sign(&body, &line.key, now().plus(-301_000))), 401),
        (Some(sign(&body, &line.key, now().plus(330_000))), 401),
        (Some(sign(&body, &line.key, now().plus(-295_000))), 204),
    ];
    for (signature, expected) in cases {
        let headers: Vec<(&str, &str)> = signature.iter().map(|value| ("x-retell-signature", value.as_str())).collect();
        assert_eq!(with_headers(&line, &body, &headers).await.as_u16(), expected, "{signature:?}");
    }
    let twice = [("x-retell-signature", good.as_str()), ("x-retell-signature", good.as_str())];
    assert_eq!(with_headers(&line, &body, &twice).await.as_u16(), 401, "two headers, equal or not");
}

#[tokio::test]
async fn a3_rx09_two_keys_are_valid_during_a_rotation() {
    let line = app().line().await;
    let next = fresh("key");
    let body = event("call_started", &fresh("call")).to_string().into_bytes();
    let signed = sign(&body, &SigningKey::new(&next), now());
    assert_eq!(with_headers(&line, &body, &[("x-retell-signature", &signed)]).await.as_u16(), 401);
    line.change_workspace(|workspace| workspace.signing_keys.push(SecretString::from(next)))
        .await;
    let begun = Instant::now();
    while with_headers(&line, &body, &[("x-retell-signature", &signed)]).await.as_u16() != 204 {
        assert!(begun.elapsed() < crate::app::PATIENCE);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(line.send(body).await.status(), StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn s092_a4_rx11_a_slow_head_is_cut_off_after_five_seconds() {
    let line = app().line().await;
    let begun = Instant::now();
    let answer = raw(
        format!("POST {} HTTP/1.1\r\nHost: in", line.path()).as_bytes(),
        Duration::from_secs(12),
    )
    .await;
    let took = begun.elapsed();
    assert!(answer.is_empty() || status(&answer) == 408, "{answer}");
    assert!((4..11).contains(&took.as_secs()), "{took:?}");
}

#[tokio::test]
async fn s092_a4_a_slow_body_is_cut_off_after_ten_seconds() {
    let line = app().line().await;
    let begun = Instant::now();
    let answer = raw((head(&line, "Content-Length: 100\r\n") + "{").as_bytes(), Duration::from_secs(20)).await;
    let took = begun.elapsed();
    assert_eq!(status(&answer), 408);
    assert!((9..19).contains(&took.as_secs()), "{took:?}");
}

#[tokio::test]
async fn a5_a_rate_is_held_only_where_one_is_set() {
    let line = app().line().await;
    for _ in 0..20 {
        line.keep(&event("call_started", &fresh("call"))).await;
    }
    line.change_workspace(|workspace| workspace.rate_per_second = Some(1)).await;
    let begun = Instant::now();
    loop {
        let answer = line.send(event("call_started", &fresh("call")).to_string()).await;
        if answer.status() == StatusCode::TOO_MANY_REQUESTS {
            assert_eq!(answer.headers()["retry-after"], "1");
            return;
        }
        assert!(begun.elapsed() < crate::app::PATIENCE, "the rate was never held");
    }
}

#[tokio::test]
async fn s131_a_source_list_lets_only_listed_networks_in_and_forwarded_headers_do_not_help() {
    let line = app().line().await;
    line.change_workspace(|workspace| workspace.allowed_sources = vec!["192.0.2.0/24".to_owned()])
        .await;
    line.until_intake_answers(StatusCode::FORBIDDEN).await;
    let body = event("call_started", &fresh("call")).to_string().into_bytes();
    let signature = sign(&body, &line.key, now());
    let headers = [("x-retell-signature", signature.as_str()), ("x-forwarded-for", "192.0.2.7")];
    assert_eq!(with_headers(&line, &body, &headers).await.as_u16(), 403);
    line.change_workspace(|workspace| workspace.allowed_sources = vec!["127.0.0.0/8".to_owned()])
        .await;
    line.until_intake_answers(StatusCode::METHOD_NOT_ALLOWED).await;
    line.keep(&event("call_started", &fresh("call"))).await;
}

#[tokio::test]
async fn a6_a_mark_and_white_space_around_are_tolerated_and_depth_is_set_aside() {
    let line = app().line().await;
    let id = fresh("call");
    let body = format!("\u{feff} \r\n{}\n\t", event("call_started", &id));
    assert_eq!(line.send(body).await.status(), StatusCode::NO_CONTENT);
    let deep = format!(
        "{{\"event\":\"call_started\",\"call\":{{\"call_id\":\"deep\"}},\"x\":{}{}}}",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    assert_eq!(line.send(deep).await.status(), StatusCode::NO_CONTENT);
    let key = line.api_key(&["live:read", "calls:read", "operate:read"]).await;
    line.until(&key, &format!("/v1/live/calls/{id}"), |call| call["id"] == id.as_str())
        .await;
    let listed = line
        .until(&key, "/v1/set-aside", |page| !page["data"].as_array().is_none_or(Vec::is_empty))
        .await;
    assert_eq!(listed["data"][0]["reason"], "too_deep");
}

#[tokio::test]
async fn a8_a_bad_field_is_not_a_bad_event() {
    let line = app().line().await;
    let id = fresh("call");
    let mut odd = event("call_ended", &id);
    odd["call"]["duration_ms"] = json!(-5);
    odd["call"]["agent_version"] = json!({ "no": "number" });
    line.keep(&odd).await;
    let key = line.api_key(&["live:read", "calls:read"]).await;
    let call = line.until(&key, &format!("/v1/calls/{id}"), |call| call["state"] == "ended").await;
    assert_eq!(call["duration_ms"], 42_000, "from the end and the start instead");
    assert_eq!(call["agent"]["version"], Value::Null);
    assert!(
        call["unreadable"]
            .as_object()
            .is_some_and(|fields| fields.keys().any(|name| name.contains("agent_version"))),
        "{call:#}"
    );
}

#[tokio::test]
async fn a9_other_shapes_are_not_guessed() {
    let line = app().line().await;
    let id = fresh("call");
    for body in [
        json!({ "event": "call_ended", "call_id": id, "call_status": "ended" }),
        json!({ "event": "call_ended", "data": { "call_id": id } }),
        json!({ "event": "alert_triggered" }),
    ] {
        line.keep(&body).await;
    }
    let key = line.api_key(&["calls:read", "operate:read"]).await;
    line.until(&key, "/v1/set-aside", |page| {
        page["data"].as_array().is_some_and(|data| data.len() == 3)
    })
    .await;
    assert_eq!(line.get(&key, &format!("/v1/calls/{id}")).await.0, StatusCode::NOT_FOUND);
    // Whoever operates can see each as it came; of one that is not there the answer is that it is not.
    let page = line.page(&key, "/operator").await.1;
    let (_, link) = page
        .split_once("href=\"/operator/raw?")
        .expect("a link to a record that was set aside");
    let link = format!(
        "/operator/raw?{}",
        link.split_once('"').unwrap().0.replace("&amp;", "&").replace("&#38;", "&")
    );
    let (status, shown) = line.page(&key, &link).await;
    let is_one_of_them = shown.contains("alert_triggered") || shown.contains(&id);
    assert!(status == StatusCode::OK && is_one_of_them, "{status} {shown}");
    let elsewhere = link.replace("offset=", "offset=9999999");
    assert_eq!(line.page(&key, &elsewhere).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a10_an_unknown_event_is_kept_and_creates_no_call() {
    let line = app().line().await;
    let (alone, known) = (fresh("call"), fresh("call"));
    line.keep(&json!({ "event": "call_hummed", "call": { "call_id": alone } })).await;
    line.keep(&event("call_started", &known)).await;
    line.keep(&json!({ "event": "call_hummed", "call": { "call_id": known } })).await;
    let key = line.api_key(&["live:read", "calls:read"]).await;
    let events = line
        .until(&key, &format!("/v1/calls/{known}/events"), |page| {
            page["data"].as_array().is_some_and(|data| data.len() == 2)
        })
        .await;
    assert_eq!(events["data"][1]["event"], "call_hummed");
    let live = line.get(&key, "/v1/live/calls").await.1;
    assert_eq!(live["total"], 1, "{live:#}");
    assert_eq!(line.get(&key, &format!("/v1/live/calls/{alone}")).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a11_an_inbound_hook_gets_its_own_answer_and_creates_no_call() {
    let line = app().line().await;
    let id = fresh("call");
    let bodies = [
        (
            json!({ "event": "call_inbound", "call_inbound": { "from_number": "+12025550101", "call_id": id } }),
            json!({ "call_inbound": {} }),
        ),
        (json!({ "event": "call_inbound" }), json!({ "call_inbound": {} })),
        (json!({ "event": "chat_inbound", "chat_inbound": 7 }), json!({ "chat_inbound": {} })),
    ];
    for (body, expected) in bodies {
        let answer = line.send(body.to_string()).await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()["content-type"], "application/json");
        assert_eq!(answer.json::<Value>().await.unwrap(), expected);
    }
    let unsigned = client()
        .post(line.address())
        .body(r#"{"event":"call_inbound"}"#)
        .send()
        .await
        .unwrap();
    assert_eq!(unsigned.status(), StatusCode::UNAUTHORIZED);
    line.keep(&event("call_started", &fresh("call"))).await;
    let key = line.api_key(&["live:read", "calls:read"]).await;
    line.until(&key, "/v1/live/calls", |live| live["total"] == 1).await;
    assert_eq!(line.get(&key, &format!("/v1/calls/{id}")).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn s130_a13_the_token_alone_says_whose_event_it_is() {
    let (ours, theirs) = (app().line().await, app().line().await);
    let id = fresh("call");
    let mut body = event("call_started", &id);
    body["tenant_id"] = theirs.tenant.to_string().into();
    body["call"]["metadata"] = json!({ "tenant": theirs.tenant.to_string() });
    ours.keep(&body).await;
    let (our_key, their_key) = (
        ours.api_key(&["live:read", "calls:read"]).await,
        theirs.api_key(&["live:read", "calls:read"]).await,
    );
    let call = ours
        .until(&our_key, &format!("/v1/live/calls/{id}"), |call| call["id"] == id.as_str())
        .await;
    assert_eq!(call["workspace_id"], ours.workspace.to_string());
    assert_ne!(call["business_id"], Value::Null, "an unmapped agent's calls belong to Unassigned");
    for path in [
        format!("/v1/live/calls/{id}"),
        format!("/v1/calls/{id}"),
        format!("/v1/calls/{id}/turns"),
        format!("/v1/calls/{id}/events"),
    ] {
        assert_eq!(theirs.get(&their_key, &path).await.0, StatusCode::NOT_FOUND, "{path}");
    }
    assert_eq!(theirs.get(&their_key, "/v1/live/calls").await.1["total"], 0);
    // The key of another workspace proves nothing here.
    let text = body.to_string().into_bytes();
    let foreign = sign(&text, &theirs.key, now());
    assert_eq!(with_headers(&ours, &text, &[("x-retell-signature", &foreign)]).await.as_u16(), 401);
}

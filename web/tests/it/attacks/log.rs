//! Attacks on the log: values that would break its lines, and refusals that it would not tell of.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use trunkline_core::access::Role;
use trunkline_core::limit::API_BODY_BYTES;

use crate::app::{App, PATIENCE, client, event, fresh};
use crate::identity::{PASSWORD, cookie, enter_at, person};

/// Requests that one key may make at once here.
const BURST: usize = 40;

/// A product of its own: what it wrote is read line by line.
struct Heard {
    app: &'static App,
    lines: Arc<Mutex<Vec<String>>>,
}

static HEARD: LazyLock<Heard> = LazyLock::new(|| {
    let data = tempfile::Builder::new().prefix("trunkline-heard-").tempdir().unwrap().keep();
    let lines: Arc<Mutex<Vec<String>>> = Arc::default();
    let kept = lines.clone();
    let burst = BURST.to_string();
    let settings = [
        ("TRUNKLINE_LIMITS__KEY_PER_SECOND", "1"),
        ("TRUNKLINE_LIMITS__KEY_BURST", burst.as_str()),
    ];
    let app = App::start_heard(&data, true, &settings, move |line| kept.lock().unwrap().push(line));
    Heard {
        app: Box::leak(Box::new(app)),
        lines,
    }
});

impl Heard {
    /// All lines until one that a request of ours causes now: the log is written in order.
    async fn all(&self) -> Vec<String> {
        let mark = fresh("mark");
        let request = client().get(self.app.url("/v1/me")).header("x-request-id", &mark);
        request.send().await.unwrap();
        let begun = Instant::now();
        loop {
            let lines = self.lines.lock().unwrap().clone();
            if lines.iter().any(|line| line.contains(&mark)) {
                return lines;
            }
            assert!(begun.elapsed() < PATIENCE, "the log does not tell of {mark}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Sends bytes as they are; the answer is not looked at.
async fn raw(address: std::net::SocketAddr, bytes: &[u8]) {
    let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
    let _ = socket.write_all(bytes).await;
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, socket.read_to_end(&mut answer)).await;
}

#[tokio::test]
async fn s074_values_that_would_break_a_line_of_the_log_are_escaped_in_one() {
    let line = HEARD.app.line().await;
    let key = line.api_key(&["webhooks:write", "businesses:write", "live:read"]).await;
    // A line's end, a terminal's orders (7 and 8 bit), and the end of the JSON that a line is.
    const ODD: [&str; 6] = [
        "\r\n{\"level\":\"INFO\",\"message\":\"forged line\"}",
        "\n\n2026-01-01 INFO forged line",
        "\u{1b}[2K\u{1b}[31mforged line",
        "\u{9b}31mforged line\u{85}\u{2028}x",
        "\"} {\"message\":\"forged line\"}",
        "\u{0}\u{7f}\\u000aforged line",
    ];
    for odd in ODD {
        let encoded: String = odd.bytes().map(|byte| format!("%{byte:02x}")).collect();
        for path in [
            format!("/v1/calls?q={encoded}"),
            format!("/v1/businesses/{encoded}"),
            format!("/{encoded}"),
        ] {
            client().get(HEARD.app.url(&path)).bearer_auth(&key).send().await.unwrap();
        }
        for (path, body) in [
            ("/v1/businesses", json!({ "name": odd, "time_zone": odd })),
            ("/v1/webhook-endpoints", json!({ "url": odd, "events": [odd] })),
            ("/v1/tokens", json!({ "grant_type": "password", "email": odd, "password": odd })),
            ("/v1/tokens/refresh", json!({ "refresh_token": odd })),
        ] {
            client()
                .post(HEARD.app.url(path))
                .bearer_auth(&key)
                .json(&body)
                .send()
                .await
                .unwrap();
        }
        let form: String = form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("email", odd), ("password", odd), ("next", odd)])
            .finish();
        let request = client().post(HEARD.app.url("/signin"));
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        request.body(form).send().await.unwrap();
        // Events whose names, ids and texts are such, and one that is nothing at all.
        let mut call = event("call_ended", &fresh("call"));
        call["call"]["agent_name"] = json!(odd);
        call["call"]["disconnection_reason"] = json!(odd);
        line.keep(&call).await;
        line.keep(&event(odd, &format!("call{odd}"))).await;
        line.send(format!("{{\"event\":{}", json!(odd))).await;
        // Headers that no client would send.
        let crude: String = odd.replace(['\r', '\n', '\0'], " ");
        for name in [
            "x-request-id",
            "user-agent",
            "host",
            "x-forwarded-for",
            "authorization",
            "idempotency-key",
        ] {
            let host = if name == "host" { "" } else { "host: localhost\r\n" };
            let head = format!("GET /v1/me HTTP/1.1\r\n{host}{name}: {crude}\r\nconnection: close\r\n\r\n");
            raw(HEARD.app.site, head.as_bytes()).await;
        }
    }
    raw(HEARD.app.site, b"GE\x1b[31mT /forged\x9bline HTTP/1.1\r\n\r\n").await;

    let lines = HEARD.all().await;
    assert!(lines.len() > 100, "{}", lines.len());
    for line in &lines {
        let read: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line:?}"));
        assert!(read["timestamp"].is_string() && read["level"].is_string(), "{line:?}");
        assert_ne!(read["message"], "forged line", "{line:?}");
        let odd = |character: char| character.is_control() || matches!(character, '\u{2028}' | '\u{2029}');
        assert!(!line.contains(odd), "{line:?}");
    }
}

#[tokio::test]
async fn s137_each_refusal_is_one_line_that_says_who_was_refused_what() {
    let (ours, theirs) = (HEARD.app.line().await, HEARD.app.line().await);
    let key = ours.api_key(&["live:read", "businesses:write"]).await;
    let hasty = ours.api_key(&["live:read"]).await;
    let other = theirs
        .config
        .workspaces(theirs.tenant, Some(theirs.workspace))
        .await
        .unwrap()
        .remove(0)
        .unassigned;
    let viewer = person(&ours, Role::Viewer).await;
    let viewer = cookie(&enter_at(HEARD.app, &viewer, PASSWORD, &[]).await).unwrap();
    let large = "x".repeat(API_BODY_BYTES + 1);
    // Method, path, key or cookie, body, what it is answered.
    type Case<'a> = (Method, String, Option<(&'static str, String)>, Option<String>, StatusCode);
    let bearer = |key: &str| Some(("authorization", format!("Bearer {key}")));
    let cases: Vec<Case<'_>> = vec![
        (Method::GET, "/v1/board".into(), None, None, StatusCode::UNAUTHORIZED),
        (
            Method::GET,
            "/v1/board".into(),
            bearer("sk_live_nonsense"),
            None,
            StatusCode::UNAUTHORIZED,
        ),
        (
            Method::GET,
            "/v1/board".into(),
            Some(("cookie", "trunkline_session=AAAA".into())),
            None,
            StatusCode::UNAUTHORIZED,
        ),
        (Method::GET, "/v1/audit".into(), bearer(&key), None, StatusCode::FORBIDDEN),
        (
            Method::GET,
            "/v1/people".into(),
            Some(("cookie", viewer.clone())),
            None,
            StatusCode::FORBIDDEN,
        ),
        (
            Method::GET,
            "/v1/platform/overview".into(),
            Some(("cookie", viewer)),
            None,
            StatusCode::FORBIDDEN,
        ),
        (
            Method::GET,
            format!("/v1/businesses/{other}"),
            bearer(&key),
            None,
            StatusCode::NOT_FOUND,
        ),
        (
            Method::GET,
            "/v1/calls/call/not-ours".into(),
            bearer(&key),
            None,
            StatusCode::NOT_FOUND,
        ),
        (
            Method::POST,
            "/v1/businesses".into(),
            bearer(&key),
            Some(large),
            StatusCode::PAYLOAD_TOO_LARGE,
        ),
        (
            Method::POST,
            "/v1/businesses".into(),
            bearer(&key),
            Some("[]".into()),
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        (
            Method::POST,
            "/v1/businesses".into(),
            bearer(&key),
            Some("{".into()),
            StatusCode::BAD_REQUEST,
        ),
        (
            Method::GET,
            "/v1/board?window_minutes=x".into(),
            bearer(&key),
            None,
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
    ];
    let mut asked: BTreeMap<String, StatusCode> = BTreeMap::new();
    for (method, path, credential, body, expected) in cases {
        let id = fresh("refused");
        let mut request = client().request(method.clone(), HEARD.app.url(&path)).header("x-request-id", &id);
        if let Some((name, value)) = credential {
            request = request.header(name, value);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body);
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), expected, "{method} {path}");
        asked.insert(id, expected);
    }
    // All at once: one by one, a slow machine would take as long as the limit needs to let the next one in.
    let hasted = (0..BURST * 3).map(|_| async {
        let id = fresh("hasty");
        let request = client().get(HEARD.app.url("/v1/board")).bearer_auth(&hasty);
        let answer = request.header("x-request-id", &id).send().await;
        (id, answer.map(|answer| answer.status()))
    });
    for (id, status) in futures::future::join_all(hasted).await {
        if let Ok(StatusCode::TOO_MANY_REQUESTS) = status {
            asked.insert(id, StatusCode::TOO_MANY_REQUESTS);
        }
    }
    assert!(
        asked.values().any(|status| *status == StatusCode::TOO_MANY_REQUESTS),
        "no limit was met"
    );

    let lines: Vec<Value> = HEARD.all().await.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    for (id, status) in asked {
        let told: Vec<&Value> = lines
            .iter()
            .filter(|line| line["request_id"] == id && line["decision"] == "refused")
            .collect();
        assert_eq!(told.len(), 1, "{id} {status}: {told:#?}");
        assert_eq!(told[0]["status"], status.as_u16(), "{}", told[0]);
        for part in ["actor", "source", "code", "method", "route"] {
            assert!(
                told[0][part].as_str().is_some_and(|text| !text.is_empty()),
                "{id} {status} {part}: {}",
                told[0]
            );
        }
    }
    let counted = ours.app.metrics().await;
    for status in ["401", "403", "404", "413", "422", "429"] {
        assert!(
            counted.contains(&format!("trunkline_http_refused_total{{status=\"{status}\"}}")),
            "{status}"
        );
    }
}

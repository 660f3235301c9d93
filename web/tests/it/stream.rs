//! The live stream: a snapshot, then states; ends when it must.

use std::time::{Duration, Instant};
use trunkline_core::audit::By;
use trunkline_stores::postgres::row::Span;

use futures::StreamExt;
use reqwest::{Response, StatusCode};
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;

use crate::app::{Line, PATIENCE, SOON, STREAMS_EACH_MAX, app, client, event, fresh};

/// An open stream, read message by message.
struct Listener {
    bytes: std::pin::Pin<Box<dyn futures::Stream<Item = reqwest::Result<bytes::Bytes>>>>,
    text: String,
}

/// One message.
#[derive(Debug)]
struct Message {
    event: String,
    id: Option<String>,
    data: Value,
}

impl Listener {
    async fn open(line: &Line, key: &str, topics: &str, last: Option<&str>) -> Listener {
        let mut request = client().get(line.app.url(&format!("/v1/stream?topics={topics}"))).bearer_auth(key);
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let answer: Response = request.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        Listener {
            bytes: Box::pin(answer.bytes_stream()),
            text: String::new(),
        }
    }

    /// The next message; `None` when the stream has ended.
    async fn next(&mut self) -> Option<Message> {
        loop {
            if let Some(end) = self.text.find("\n\n") {
                let block: String = self.text.drain(..end + 2).collect();
                let field = |name: &str| {
                    block
                        .lines()
                        .find_map(|line| line.strip_prefix(name))
                        .map(|value| value.trim().to_owned())
                };
                if let (Some(event), Some(data)) = (field("event:"), field("data:")) {
                    return Some(Message {
                        event,
                        id: field("id:"),
                        data: serde_json::from_str(&data).unwrap(),
                    });
                }
                continue;
            }
            let piece = tokio::time::timeout(PATIENCE, self.bytes.next()).await.expect("a sign of life");
            self.text
                .push_str(std::str::from_utf8(&piece?.ok()?).expect("messages end at whole characters"));
        }
    }

    async fn until(&mut self, event: &str, wanted: impl Fn(&Value) -> bool) -> Message {
        let begun = Instant::now();
        loop {
            let message = self.next().await.expect("the stream goes on");
            if message.event == event && wanted(&message.data) {
                return message;
            }
            assert!(begun.elapsed() < PATIENCE, "{event}: {message:?}");
        }
    }
}

fn has(data: &Value, id: &str) -> bool {
    data["rows"].as_array().is_some_and(|rows| rows.iter().any(|row| row["id"] == id))
}

fn lost(data: &Value, id: &str) -> bool {
    data["removed"]
        .as_array()
        .is_some_and(|keys| keys.iter().any(|key| key["id"] == id))
}

#[tokio::test]
async fn a_board_and_a_list_begin_whole_and_follow() {
    let line = app().line().await;
    let key = line.api_key(&["live:read"]).await;
    let (before, after) = (fresh("call"), fresh("call"));
    line.keep(&event("call_started", &before)).await;
    line.until(&key, "/v1/live/calls", |live| live["total"] == 1).await;
    let mut stream = Listener::open(&line, &key, "board,calls", None).await;
    let first = stream.until("calls", |_| true).await;
    assert_eq!(first.data["full"], true);
    assert!(has(&first.data, &before));
    line.keep(&event("call_started", &after)).await;
    let sent = Instant::now();
    stream.until("calls", |data| has(data, &after)).await;
    assert!(sent.elapsed() < SOON, "{:?}", sent.elapsed());
    stream.until("board", |data| data["board"]["now"]["in_progress"] == 2).await;
    line.keep(&event("call_ended", &after)).await;
    stream.until("calls", |data| lost(data, &after)).await;
}

#[tokio::test]
async fn a_call_is_followed_turn_by_turn() {
    let line = app().line().await;
    let key = line.api_key(&["live:read", "calls:read"]).await;
    let id = fresh("call");
    let mut stream = Listener::open(&line, &key, &format!("call:{id}"), None).await;
    assert_eq!(stream.until("call", |_| true).await.data["gone"], true, "not begun yet");
    line.keep(&event("call_started", &id)).await;
    let mut growing = event("call_started", &id);
    growing["event"] = "transcript_updated".into();
    growing["call"]["transcript_object"] = serde_json::json!([{ "role": "agent", "content": "Hello." }]);
    line.keep(&growing).await;
    let one = stream
        .until("call", |data| data["turns"].as_array().is_some_and(|turns| turns.len() == 1))
        .await;
    assert_eq!((&one.data["from"], &one.data["turns"][0]["content"]), (&0.into(), &"Hello.".into()));
    growing["call"]["transcript_object"]
        .as_array_mut()
        .unwrap()
        .push(serde_json::json!({ "role": "user", "content": "Hi." }));
    line.keep(&growing).await;
    let two = stream
        .until("call", |data| {
            data["turns"]
                .as_array()
                .is_some_and(|turns| turns.iter().any(|turn| turn["content"] == "Hi."))
        })
        .await;
    assert_eq!(two.data["from"], 1, "what is known is not sent again");
}

#[tokio::test]
async fn lv02_a_reconnect_gets_what_it_missed_and_an_unknown_state_everything() {
    let line = app().line().await;
    let key = line.api_key(&["live:read"]).await;
    let (one, two) = (fresh("call"), fresh("call"));
    line.keep(&event("call_started", &one)).await;
    let mut stream = Listener::open(&line, &key, "calls", None).await;
    let seen = stream
        .until("calls", |data| has(data, &one))
        .await
        .id
        .expect("messages of the list carry their state");
    drop(stream);
    line.keep(&event("call_started", &two)).await;
    line.until(&key, "/v1/live/calls", |live| live["total"] == 2).await;
    let mut again = Listener::open(&line, &key, "calls", Some(&seen)).await;
    let missed = again.until("calls", |_| true).await;
    assert_eq!(missed.data["full"], false);
    assert!(has(&missed.data, &two) && !has(&missed.data, &one), "{:#}", missed.data);
    for unknown in ["00000000-1", "nonsense", ""] {
        let mut anew = Listener::open(&line, &key, "calls", Some(unknown)).await;
        let whole = anew.until("calls", |_| true).await;
        assert_eq!(whole.data["full"], true, "{unknown}");
        assert!(has(&whole.data, &one), "{unknown}: {:#}", whole.data);
        // The whole may be one tick old; what came since follows by itself.
        if !has(&whole.data, &two) {
            anew.until("calls", |data| has(data, &two)).await;
        }
    }
}

#[tokio::test]
async fn lv04_a_quiet_stream_shows_signs_of_life() {
    let line = app().line().await;
    let key = line.api_key(&["live:read"]).await;
    let mut stream = Listener::open(&line, &key, "calls", None).await;
    stream.until("calls", |_| true).await;
    let begun = Instant::now();
    let beat = stream.until("beat", |_| true).await;
    assert!(begun.elapsed() < SOON);
    assert!(beat.data["as_of"].is_i64() && beat.data["completeness"].is_object());
}

#[tokio::test]
async fn s011_lv06_a_stream_ends_when_its_credential_does() {
    let line = app().line().await;
    let key = line.api_key(&["live:read"]).await;
    let mut stream = Listener::open(&line, &key, "calls", None).await;
    stream.until("calls", |_| true).await;
    let id = line.config.api_keys(line.tenant, Span::first(1)).await.unwrap()[0].id;
    line.config.revoke_api_key(line.tenant, &By::system(), id).await.unwrap();
    let begun = Instant::now();
    while stream.next().await.is_some() {
        assert!(begun.elapsed() < SOON, "still open");
    }
}

/// A stalled reader's socket is given up by the kernel: nobody asks a writer again whose peer takes nothing.
#[tokio::test]
async fn lv01_a_reader_that_takes_nothing_loses_its_connection() {
    let line = app().line().await;
    let key = line.api_key(&["live:read"]).await;
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    // Small enough that the first board fills it.
    socket.set_recv_buffer_size(2_048).unwrap();
    let address = line
        .app
        .url("")
        .trim_start_matches("http://")
        .trim_end_matches('/')
        .parse()
        .unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    let request = format!("GET /v1/stream?topics=board HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    // The kernel gives up without a word to the other side, so its own table is asked whether the server still has this connection.
    let (server, ours): (std::net::SocketAddr, _) = (address, stream.local_addr().unwrap());
    let place = format!(":{:04X} 0100007F:{:04X} 01 ", server.port(), ours.port());
    let is_held = || std::fs::read_to_string("/proc/net/tcp").unwrap().contains(&place);
    assert!(is_held());
    let begun = Instant::now();
    while is_held() {
        assert!(begun.elapsed() < 2 * PATIENCE, "still held");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(begun.elapsed() > Duration::from_secs(10), "a dip of the network is no reason");
}

#[tokio::test]
async fn s093_one_credential_has_so_many_streams_and_another_is_not_held_up() {
    let line = app().line().await;
    let (hasty, calm) = (line.api_key(&["live:read"]).await, line.api_key(&["live:read"]).await);
    let mut open = Vec::new();
    for _ in 0..STREAMS_EACH_MAX {
        open.push(Listener::open(&line, &hasty, "board", None).await);
    }
    let one_more = || client().get(line.app.url("/v1/stream?topics=board")).bearer_auth(&hasty).send();
    let refused = one_more().await.unwrap();
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.headers()["retry-after"], "5");
    let problem: Value = refused.json().await.unwrap();
    assert!(problem["detail"].as_str().unwrap().contains("live streams open"), "{problem}");
    let _ = Listener::open(&line, &calm, "board", None).await;
    // One is closed, and soon another one may be opened.
    drop(open.pop());
    let begun = Instant::now();
    while one_more().await.unwrap().status() != StatusCode::OK {
        assert!(begun.elapsed() < PATIENCE, "its place is not given back");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

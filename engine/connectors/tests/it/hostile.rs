//! Retell's answers as an attacker who sits there would write them: nothing of them fills memory, runs for ever, or reaches our log.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use secrecy::SecretString;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use trunkline_connectors::retell::{ANSWER_BYTES, Client, ListCalls, RetellError, listed};

/// What is sent at once, as often as it takes.
const PIECE: usize = 64 * 1024;

/// Sends `head`, and then `piece` until the other side has enough; counts the bytes.
async fn pour(mut socket: TcpStream, head: &str, piece: &[u8], sent: &AtomicUsize) {
    let mut asked = vec![0; 64 * 1024];
    let _ = socket.read(&mut asked).await;
    let _ = socket.write_all(head.as_bytes()).await;
    // Far more than is read, and no more than a test should send.
    while !piece.is_empty() && sent.load(Ordering::Relaxed) < 8 * ANSWER_BYTES {
        if socket.write_all(piece).await.is_err() {
            return;
        }
        sent.fetch_add(piece.len(), Ordering::Relaxed);
    }
}

/// Answers everything with the same; a client, and how many bytes of the body were taken.
async fn hostile(head: String, piece: Vec<u8>) -> (Client, Arc<AtomicUsize>) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
    let address = listener.local_addr().expect("it is bound");
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = sent.clone();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let (head, piece, sent) = (head.clone(), piece.clone(), counted.clone());
            tokio::spawn(async move { pour(socket, &head, &piece, &sent).await });
        }
    });
    let client = Client::probing(&format!("http://{address}"), SecretString::from("key_123")).expect("a client");
    (client, sent)
}

fn with_length(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

fn said(error: &RetellError) -> String {
    let text = error.to_string();
    assert!(text.len() < 400, "a sentence, not a body: {text}");
    assert!(!text.chars().any(char::is_control), "one line: {text:?}");
    text
}

#[tokio::test]
async fn s082_an_answer_without_an_end_is_given_up_and_not_kept() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n{\"call_id\":\"".to_owned();
    let (client, sent) = hostile(head, vec![b'x'; PIECE]).await;
    let error = client.get_call("call_1").await.expect_err("there is no end");
    assert!(said(&error).contains("more than"), "{error}");
    // What the kernel holds for both sides comes on top.
    assert!(sent.load(Ordering::Relaxed) < ANSWER_BYTES + 16 * 1024 * 1024);
}

#[tokio::test]
async fn s082_an_answer_that_grows_when_unpacked_is_given_up() {
    use std::io::Write as _;
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..2 * ANSWER_BYTES / PIECE {
        packer.write_all(&vec![b' '; PIECE]).expect("into memory");
    }
    let packed = packer.finish().expect("into memory");
    assert!(packed.len() < PIECE * 2, "small on the wire: {}", packed.len());
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        packed.len()
    );
    let (client, _) = hostile(head, packed).await;
    let error = client.get_call("call_1").await.expect_err("it is too large");
    assert!(said(&error).contains("more than"), "{error}");
}

#[tokio::test]
async fn s082_what_has_another_shape_is_no_answer() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for body in [
        "",
        "<html>hello</html>",
        "{\"items\":{}}",
        "{\"items\":[],\"has_more\":\"yes\"}",
        "{\"items\":\"\\u001b[31m secret word\"}",
        "[[],true,null]x",
        deep.as_str(),
        "\u{0}",
    ] {
        let (client, _) = hostile(with_length("200 OK", body), Vec::new()).await;
        let error = client
            .list_calls(&ListCalls::running())
            .await
            .expect_err(&body[..body.len().min(40)]);
        assert!(matches!(error, RetellError::Unreachable(_)), "{error:?}");
        assert!(!said(&error).contains("secret word"), "{error}");
    }
}

#[tokio::test]
async fn s082_a_list_that_leads_back_to_itself_ends() {
    let (client, _) = hostile(
        with_length("200 OK", "{\"items\":[],\"has_more\":true,\"pagination_key\":\"k\"}"),
        Vec::new(),
    )
    .await;
    let first = client.list_calls(&ListCalls::running()).await.expect("a page");
    assert_eq!(first.next().as_deref(), Some("k"));
    let error = client
        .list_calls(&ListCalls::running().at(first.next()))
        .await
        .expect_err("a circle");
    assert!(said(&error).contains("leads back to itself"), "{error}");
    assert!(client.list_agents(Some("k")).await.is_err());
}

#[tokio::test]
async fn s082_a_refusal_is_one_short_line_and_no_address_is_followed() {
    let long = format!("{{\"message\":\"\\u001b[31mfatal\\r\\n{}\"}}", "x".repeat(10_000));
    let (client, _) = hostile(with_length("418 I am a teapot", &long), Vec::new()).await;
    let error = client.get_call("call_1").await.expect_err("refused");
    assert!(said(&error).contains("fatal"), "{error}");
    // An answer that sends elsewhere would take the key along.
    let moved = "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let (client, _) = hostile(moved.to_owned(), Vec::new()).await;
    let error = client.get_call("call_1").await.expect_err("not followed");
    assert!(matches!(error, RetellError::Refused { status: 302, .. }), "{error:?}");
}

#[tokio::test]
async fn s082_an_answer_that_stops_in_the_middle_is_given_up() {
    // One of the probing client's: others wait longer, and as surely not for ever.
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{".to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.expect("the client connects");
        let _ = socket.write_all(head.as_bytes()).await;
        std::future::pending::<()>().await;
    });
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::probing(&format!("http://{address}"), SecretString::from("key_123")).expect("a client");
    let answer = tokio::time::timeout(Duration::from_secs(60), client.get_call("call_1")).await;
    assert!(answer.expect("it is given up").is_err());
}

#[test]
fn s082_a_call_whose_id_no_event_could_have_is_not_listed() {
    for id in [
        serde_json::json!("x".repeat(257)),
        serde_json::json!("a\nb"),
        serde_json::json!(""),
        serde_json::json!({"id": 1}),
        serde_json::json!(7),
    ] {
        assert!(
            listed(&serde_json::json!({ "call_id": id, "call_status": "ended" })).is_none(),
            "{id}"
        );
    }
    let odd = serde_json::json!({
        "call_id": "call_1", "agent_id": [], "call_status": 3, "start_timestamp": "yesterday", "end_timestamp": 1e300,
        "call_analysis": "none", "call_cost": { "combined_cost": {} },
    });
    let listed = listed(&odd).expect("it has an id");
    assert_eq!(
        (listed.agent_id.as_ref(), listed.started_at, listed.combined_cents),
        ("", None, None)
    );
}

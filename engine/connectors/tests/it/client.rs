//! Retell's REST client against a socket that checks what it sends, and the stand-in's own answers.

use std::sync::Arc;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use secrecy::SecretString;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use trunkline_connectors::retell::{Client, ListCalls, Pace, RetellError, listed};
use trunkline_connectors::simulator::sender::Recent;
use trunkline_connectors::simulator::{Mix, Plan, StandIn, World};
use trunkline_core::instant::Millis;

use crate::schemas::validator;

/// Answers each connection with the next of `answers` and returns what was asked.
async fn server(answers: Vec<&'static str>) -> (String, tokio::task::JoinHandle<Vec<String>>) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
    let address = listener.local_addr().expect("it is bound");
    let asked = tokio::spawn(async move {
        let mut asked = Vec::new();
        for answer in answers {
            let (mut socket, _) = listener.accept().await.expect("the client connects");
            let mut seen = vec![0; 64 * 1024];
            let read = socket.read(&mut seen).await.expect("the client writes");
            asked.push(String::from_utf8_lossy(&seen[..read]).into_owned());
            socket.write_all(answer.as_bytes()).await.expect("the client reads");
        }
        asked
    });
    (format!("http://{address}"), asked)
}

fn client(base: &str) -> Client {
    Client::new(base, SecretString::from("key_123"), Pace::per_second(1_000)).expect("a client")
}

const BUSY: &str = "HTTP/1.1 429 Too Many Requests\r\nretry-after: 0\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
const CALL: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 18\r\nconnection: close\r\n\r\n{\"call_id\":\"a_b1\"}";
const NO_KEY: &str = "HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

#[tokio::test]
async fn a_busy_answer_is_repeated_and_ids_are_escaped() {
    let (base, asked) = server(vec![BUSY, CALL]).await;
    let client = client(&base);
    let call = client.get_call("a/b1").await.expect("the second attempt is answered");
    assert_eq!(call["call_id"], "a_b1");
    let asked = asked.await.expect("the server ends");
    assert_eq!(asked.len(), 2);
    assert!(asked[1].starts_with("GET /v2/get-call/a%2Fb1 HTTP/1.1"), "{}", asked[1]);
    assert!(asked[1].to_lowercase().contains("authorization: bearer key_123"));
}

#[tokio::test]
async fn a_wrong_key_is_said_and_not_repeated() {
    let (base, asked) = server(vec![NO_KEY]).await;
    let client = client(&base);
    let error = client.get_call("call_1").await.expect_err("the key is refused");
    assert!(matches!(error, RetellError::Key(401)));
    assert!(!error.to_string().contains("key_123"));
    assert_eq!(asked.await.expect("the server ends").len(), 1);
}

#[tokio::test]
async fn an_account_that_stays_busy_is_told_with_what_retell_asks_to_wait() {
    const BUSY_LONG: &str = "HTTP/1.1 429 Too Many Requests\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let (base, asked) = server(vec![BUSY, BUSY, BUSY_LONG]).await;
    let error = client(&base).list_calls(&ListCalls::running()).await.expect_err("it is busy");
    assert!(
        matches!(&error, RetellError::Limited { retry_after: Some(wait) } if wait.as_secs() == 1),
        "{error:?}"
    );
    assert_eq!(asked.await.expect("the server ends").len(), 3, "one attempt and two repeats");
}

/// 120 conversations, one a second from `START` on; gives how many of them are calls.
const START: i64 = 1_793_541_600_000;

fn past() -> (StandIn, usize) {
    let world = Arc::new(World::new());
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let mut recent = Recent::default();
    let mut voice = 0;
    for place in 0..120 {
        let plan = Arc::new(Plan::draw(&world, &Mix::default(), START + place * 1_000, &mut random));
        voice += usize::from(!plan.is_chat());
        recent.add(&plan);
    }
    (StandIn::new(world, Arc::new(tokio::sync::Mutex::new(recent))), voice)
}

#[tokio::test]
async fn list_calls_asks_what_the_schema_allows_and_pages_hold_every_call_once() {
    let (stand_in, voice) = past();
    let later = Millis(START + 3_600_000);
    let answers = validator("call_list_response.schema.json");
    let mut ids = std::collections::BTreeSet::new();
    let mut never_connected = 0;
    let mut page = None;
    loop {
        let list = ListCalls::ended_between(Millis(START), later).paged(25).at(page);
        let request = serde_json::to_value(list).expect("plain values");
        let answer = stand_in.list_calls(&request, later).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        if let Some(error) = answers.iter_errors(&answer.body).next() {
            panic!("at {}: {error}", error.instance_path());
        }
        for item in answer.body["items"].as_array().expect("items are a list") {
            assert!(item.get("transcript").is_none(), "items come without transcripts");
            let call = listed(item).expect("it has an id");
            assert!(call.over && call.ended_at.is_some());
            never_connected += usize::from(call.started_at.is_none());
            assert!(ids.insert(call.call_id), "no call twice");
        }
        page = answer.body["pagination_key"].as_str().map(str::to_owned);
        if page.is_none() {
            break;
        }
    }
    assert_eq!(ids.len(), voice);
    assert!(never_connected > 0, "calls that never connected are found by their end");
    let running = serde_json::to_value(ListCalls::running()).expect("plain values");
    let middle = stand_in.list_calls(&running, Millis(START + 60_000)).await;
    let items = middle.body["items"].as_array().expect("items are a list");
    assert!(!items.is_empty() && items.iter().all(|item| item["call_status"] == "ongoing"));
    let wrong = stand_in.list_calls(&serde_json::json!({"limit": "ten"}), later).await;
    assert_eq!(wrong.status, 400, "what the schema does not allow is refused");
    assert_eq!(stand_in.get_call("call_unknown", later).await.status, 404);
}

#[test]
fn agents_are_told_as_the_schemas_say() {
    let (stand_in, _) = past();
    let (lists, agents) = (validator("agent_list_response.schema.json"), validator("agent.schema.json"));
    let (mut page, mut seen) = (None, 0);
    loop {
        let answer = stand_in.list_agents(Some(5), page.as_deref());
        if let Some(error) = lists.iter_errors(&answer.body).next() {
            panic!("at {}: {error}", error.instance_path());
        }
        for item in answer.body["items"].as_array().expect("items are a list") {
            let agent = stand_in.get_agent(item["agent_id"].as_str().expect("an id"), None);
            if item["channel"] == "chat" {
                assert_eq!(agent.status, 404);
            } else if let Some(error) = agents.iter_errors(&agent.body).next() {
                panic!("at {}: {error}", error.instance_path());
            }
            seen += 1;
        }
        page = answer.body["pagination_key"].as_str().map(str::to_owned);
        if page.is_none() {
            break;
        }
    }
    assert_eq!(seen, World::new().agents().count() + 1);
}

#[tokio::test]
async fn a_person_who_waits_is_answered_after_one_attempt() {
    let (base, asked) = server(vec![BUSY]).await;
    let client = Client::probing(&base, SecretString::from("key_123")).expect("a client");
    let error = client.key_info().await.expect_err("it is busy");
    assert!(matches!(error, RetellError::Limited { .. }), "{error}");
    let asked = asked.await.expect("the server ends");
    assert!(asked[0].starts_with("GET /get-api-key-info HTTP/1.1"), "{}", asked[0]);
    let nowhere = Client::probing("http://127.0.0.1:9", SecretString::from("key_123")).expect("a client");
    assert!(matches!(nowhere.key_info().await, Err(RetellError::Unreachable(_))));
}

//! Retell's door when the log is slow or away, and what exactly it hands over: with a log that the test holds in its hand.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use actix_web::{App, HttpServer, web};
use async_trait::async_trait;
use bytes::Bytes;
use secrecy::SecretString;
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use trunkline_core::id::{TenantId, WorkspaceId};
use trunkline_core::instant::Millis;
use trunkline_core::record::{Record, Source};
use trunkline_core::signature::{SigningKey, sign};
use trunkline_stores::log::{AppendError, EventLog, LogError, LogRecord, Position, Subscription};
use trunkline_stores::postgres::directory::{Directory, WorkspaceEntry};
use trunkline_stores::spool::{Keeper, SpoolOptions};
use trunkline_web::intake::Intake;
use trunkline_web::intake::caps::Caps;
use trunkline_web::intake::meters::Meters;
use trunkline_web::intake::senders::Senders;
use trunkline_web::routes;
use uuid::Uuid;

use crate::app::{client, event, now};

const KEY: &str = "key_of_the_test";
/// Retell waits so long for an answer. Rule A4 leaves half of it; the other half is for the machine that tests.
const RETELL_WAITS: Duration = Duration::from_secs(10);

/// A log that takes records when it is let, and keeps them in sight.
struct HeldLog {
    gate: Semaphore,
    away: AtomicBool,
    taken: Mutex<Vec<(String, Record)>>,
}

#[async_trait]
impl EventLog for HeldLog {
    fn partitions(&self) -> u32 {
        1
    }

    fn identity(&self) -> &str {
        "held"
    }

    async fn append(&self, key: &str, bytes: Bytes) -> Result<Position, AppendError> {
        if self.away.load(Ordering::SeqCst) {
            return Err(AppendError::Unavailable("the test took it away".to_owned()));
        }
        self.gate.acquire().await.expect("the gate is never closed").forget();
        let record = Record::decode(&bytes).expect("the door stores readable records");
        let mut taken = self.taken.lock().unwrap();
        taken.push((key.to_owned(), record));
        Ok(Position {
            partition: 0,
            offset: taken.len() as i64 - 1,
        })
    }

    async fn subscribe(&self, _: &str) -> Result<Box<dyn Subscription>, LogError> {
        Err(LogError::Unavailable("nobody reads here".to_owned()))
    }

    async fn span(&self, _: u32) -> Result<(i64, i64), LogError> {
        Ok((0, self.taken.lock().unwrap().len() as i64))
    }

    async fn offset_at(&self, _: u32, _: Millis) -> Result<i64, LogError> {
        Ok(0)
    }

    async fn read(&self, _: u32, _: i64, _: usize) -> Result<Vec<LogRecord>, LogError> {
        Ok(Vec::new())
    }

    async fn committed(&self, _: &str) -> Result<Vec<(u32, i64)>, LogError> {
        Ok(Vec::new())
    }

    async fn healthy(&self) -> Result<(), LogError> {
        Ok(())
    }

    async fn close(&self) {}
}

struct Door {
    log: Arc<HeldLog>,
    caps: Arc<Caps>,
    address: String,
    socket: std::net::SocketAddr,
    tenant: TenantId,
    keeper: Arc<Keeper>,
    _spool: tempfile::TempDir,
}

impl Door {
    /// A door in front of a log that takes `room` records; more wait. It has no spool.
    async fn open(room: usize, requests_max: usize, bytes_max: usize) -> Door {
        Door::with_spool(0, room, requests_max, bytes_max).await
    }

    /// The same with a spool of so many bytes.
    async fn with_spool(spool_bytes: u64, room: usize, requests_max: usize, bytes_max: usize) -> Door {
        let log = Arc::new(HeldLog {
            gate: Semaphore::new(room),
            away: AtomicBool::new(false),
            taken: Mutex::default(),
        });
        let tenant = TenantId(Uuid::from_u128(7));
        let entry = WorkspaceEntry {
            tenant,
            workspace: WorkspaceId(Uuid::from_u128(8)),
            name: "Test".to_owned(),
            enabled: true,
            signing_keys: vec![SecretString::from(KEY.to_owned())],
            allowed_sources: Vec::new(),
            rate_per_second: None,
            api_key: None,
        };
        let mut directory = Directory::default();
        directory.by_token.insert("t".to_owned(), Arc::new(entry));
        let caps = Arc::new(Caps::new(requests_max, bytes_max));
        let spool = tempfile::tempdir().unwrap();
        let options = SpoolOptions {
            directory: spool.path().to_owned(),
            bytes_max: spool_bytes,
        };
        let keeper = Keeper::open(log.clone(), &options, &tokio::runtime::Handle::current()).unwrap();
        let keeper = Arc::new(keeper);
        let intake = web::Data::new(Intake {
            keeper: keeper.clone(),
            senders: Arc::new(Senders::new(&directory, 0)),
            caps: caps.clone(),
            meters: Meters::default(),
            trusted_proxies: Vec::new(),
        });
        let server = HttpServer::new(move || App::new().app_data(intake.clone()).configure(routes::intake))
            .workers(1)
            .disable_signals()
            .bind("127.0.0.1:0")
            .unwrap();
        let socket = server.addrs()[0];
        tokio::spawn(server.run());
        Door {
            log,
            caps,
            address: format!("http://{socket}/v1/retell/t"),
            socket,
            tenant,
            keeper,
            _spool: spool,
        }
    }

    async fn send(&self, body: Vec<u8>) -> reqwest::Response {
        let signature = sign(&body, &SigningKey::new(KEY), now());
        client()
            .post(&self.address)
            .header("x-retell-signature", signature)
            .body(body)
            .send()
            .await
            .unwrap()
    }

    async fn kept(&self, body: &str) -> (String, Record) {
        assert!(self.send(body.as_bytes().to_vec()).await.status().is_success());
        self.log.taken.lock().unwrap().last().cloned().unwrap()
    }

    async fn until_empty(&self) {
        let begun = Instant::now();
        while self.caps.in_flight() != (0, 0) {
            assert!(
                begun.elapsed() < Duration::from_secs(20),
                "permits were not given back: {:?}",
                self.caps.in_flight()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test]
async fn a4_rx01_an_answer_comes_within_five_seconds_of_the_last_byte_also_when_the_log_stalls() {
    let door = Door::open(0, 10, 1 << 20).await;
    let begun = Instant::now();
    let answer = door.send(event("call_ended", "call_1").to_string().into_bytes()).await;
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.headers()["retry-after"], "1");
    assert!(begun.elapsed() < RETELL_WAITS, "{:?}", begun.elapsed());
    door.until_empty().await;
}

#[tokio::test]
async fn a5_rx01_a_log_that_stalls_is_ridden_out_on_the_spool_byte_for_byte() {
    let door = Door::with_spool(1 << 20, 0, 10, 1 << 20).await;
    let begun = Instant::now();
    let bodies: Vec<String> = (0..5).map(|n| event("call_ended", &format!("call_{n}")).to_string()).collect();
    let arrived = now();
    for body in &bodies {
        assert_eq!(door.send(body.clone().into_bytes()).await.status(), 204);
    }
    assert!(
        begun.elapsed() < RETELL_WAITS,
        "only the first waits for the log: {:?}",
        begun.elapsed()
    );
    assert_eq!(door.keeper.spool().records, 5);
    tokio::time::sleep(Duration::from_millis(300)).await;
    door.log.gate.add_permits(100);
    while door.keeper.spool().records > 0 {
        assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", door.keeper.spool());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let taken = door.log.taken.lock().unwrap();
    for (n, body) in bodies.iter().enumerate() {
        let (_, record) = taken.iter().find(|(key, _)| *key == format!("call_{n}")).unwrap();
        assert_eq!(record.body, body.as_bytes());
        let waited = record.header.received_at.since(arrived);
        assert!((0..10_000).contains(&waited), "received at the door, not when it was handed over");
    }
}

#[tokio::test]
async fn a5_a_full_spool_is_a_503_with_retry_after() {
    let door = Door::with_spool(3_000, 0, 100, 1 << 20).await;
    door.log.away.store(true, Ordering::SeqCst);
    let mut kept = 0;
    let refused = loop {
        let answer = door
            .send(event("call_ended", &format!("call_{kept}")).to_string().into_bytes())
            .await;
        if answer.status() != 204 {
            break answer;
        }
        kept += 1;
        assert!(kept < 100, "the spool has no end");
    };
    assert!(kept > 0);
    assert_eq!(refused.status(), 503);
    assert_eq!(refused.headers()["retry-after"], "1");
}

#[tokio::test]
async fn a5_a_log_that_is_away_without_a_spool_is_a_503_at_once() {
    let door = Door::open(0, 10, 1 << 20).await;
    door.log.away.store(true, Ordering::SeqCst);
    let begun = Instant::now();
    let answer = door.send(event("call_ended", "call_1").to_string().into_bytes()).await;
    assert_eq!(answer.status(), 503);
    assert!(begun.elapsed() < RETELL_WAITS);
    assert!(door.log.taken.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a5_more_requests_than_the_cap_are_refused_at_once_and_room_comes_back() {
    let door = Door::open(0, 2, 1 << 20).await;
    let body = event("call_ended", "call_1").to_string().into_bytes();
    let held = [door.send(body.clone()), door.send(body.clone())];
    let check = async {
        while door.caps.in_flight().0 < 2 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let begun = Instant::now();
        let answer = door.send(body.clone()).await;
        assert_eq!(answer.status(), 503);
        assert_eq!(answer.headers()["retry-after"], "1");
        assert!(begun.elapsed() < RETELL_WAITS);
        door.log.gate.add_permits(100);
    };
    let (answers, ()) = tokio::join!(futures::future::join_all(held), check);
    assert!(answers.iter().all(|answer| answer.status() == 204));
    assert_eq!(door.send(body).await.status(), 204);
    door.until_empty().await;
}

#[tokio::test]
async fn a5_more_bytes_than_the_cap_are_refused() {
    let door = Door::open(100, 10, 1_000).await;
    assert_eq!(door.send(vec![b' '; 2_000]).await.status(), 503);
    assert_eq!(door.send(vec![b' '; 900]).await.status(), 204);
    door.until_empty().await;
}

#[tokio::test]
async fn s147_a5_rx04_senders_that_hang_up_leave_no_permit_behind_and_at_most_one_record() {
    let door = Door::open(0, 1_000, 1 << 24).await;
    for n in 0..100 {
        let body = event("call_ended", &format!("call_{n}")).to_string();
        let signature = sign(body.as_bytes(), &SigningKey::new(KEY), now());
        let head = format!(
            "POST /v1/retell/t HTTP/1.1\r\nHost: x\r\nX-Retell-Signature: {signature}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let mut socket = TcpStream::connect(door.socket).await.unwrap();
        // Half of them go before their body has come.
        let sent = if n % 2 == 0 { body.as_str() } else { &body[..10] };
        socket.write_all(format!("{head}{sent}").as_bytes()).await.unwrap();
    }
    door.log.gate.add_permits(1_000);
    door.until_empty().await;
    let taken = door.log.taken.lock().unwrap();
    let mut keys: Vec<&String> = taken.iter().map(|(key, _)| key).collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), taken.len(), "no event is stored twice");
    assert!(taken.len() <= 50, "events that never came whole are not stored");
}

#[tokio::test]
async fn s081_a7_the_log_gets_the_calls_own_id_as_key_and_else_the_bodys_hash() {
    let door = Door::open(100, 10, 1 << 20).await;
    let call = event("call_ended", "call_abc").to_string();
    let (key, record) = door.kept(&call).await;
    assert_eq!(key, "call_abc");
    assert_eq!(record.header.key, key);
    assert_eq!(record.header.event, "call_ended");
    assert_eq!(record.header.tenant, door.tenant);
    assert_eq!(record.header.source, Source::Webhook);
    assert_eq!(record.body, call.as_bytes(), "the raw body, byte for byte");
    assert!((now().0 - record.header.received_at.0).abs() < 5_000);
    assert_eq!(
        door.kept(r#"{"event":"chat_ended","chat":{"chat_id":"chat_abc"}}"#).await.0,
        "chat_abc"
    );
    for hashed in [
        r#"{"event":"alert_triggered","alert":{"id":"a"}}"#,
        "no json",
        r#"{"event":"call_ended","call":{"call_id":""}}"#,
    ] {
        assert_eq!(door.kept(hashed).await.0, hex::encode(Sha256::digest(hashed)), "{hashed}");
    }
}

#[tokio::test]
async fn a11_a_hook_is_recorded_under_its_hash_and_answered_even_when_the_log_is_away() {
    let door = Door::open(1, 10, 1 << 20).await;
    let hook = json!({ "event": "call_inbound", "call_inbound": { "call_id": "call_1" } }).to_string();
    let (key, record) = door.kept(&hook).await;
    assert_eq!(key, hex::encode(Sha256::digest(&hook)));
    assert_eq!(record.header.event, "call_inbound");
    door.log.away.store(true, Ordering::SeqCst);
    let answer = door.send(hook.into_bytes()).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.text().await.unwrap(), r#"{"call_inbound":{}}"#);
}

#[tokio::test]
async fn a12_a_credential_does_not_leave_the_door() {
    let door = Door::open(10, 10, 1 << 20).await;
    let body = r#"{"event":"call_started","call":{"call_id":"c","access_token":"secret","metadata":{"access_token":"kept"}}}"#;
    let (_, record) = door.kept(body).await;
    assert!(record.header.masked);
    assert_eq!(record.body, body.replacen("secret", "******", 1).as_bytes());
    let broken = r#"{"event":"call_started","call":{"access_token" : "secret"#;
    let (_, record) = door.kept(broken).await;
    assert!(record.header.masked);
    assert!(!String::from_utf8_lossy(&record.body).contains("secret"));
}

//! The facts group dies at every point of a write, on both logs, and goes on with other batches: each record is there once, and not
//! only after merging.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use secrecy::ExposeSecret as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use trunkline_core::instant::Millis;
use trunkline_stores::log::{AppendError, Delivery, EventLog, LogError, LogRecord, Mark, Marking, Position, Subscription};

use crate::facts_house::*;

/// Where the member stops for ever, to be dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Point {
    BeforeIntent,
    AfterIntent,
    AfterInsert,
    AfterCommit,
}

/// Stops a member at a point, after it has passed there a few times.
struct Trap {
    point: Point,
    passes: AtomicUsize,
    sprung: AtomicBool,
}

impl Trap {
    async fn pass(&self, point: Point) {
        if point != self.point {
            return;
        }
        let left = |left: usize| left.checked_sub(1);
        if self.passes.fetch_update(Ordering::SeqCst, Ordering::SeqCst, left).is_err() {
            self.sprung.store(true, Ordering::SeqCst);
            std::future::pending::<()>().await;
        }
    }
}

/// A log whose members can be trapped.
struct Trapped {
    inner: Arc<dyn EventLog>,
    trap: Arc<Trap>,
}

#[async_trait]
impl EventLog for Trapped {
    fn partitions(&self) -> u32 {
        self.inner.partitions()
    }

    fn identity(&self) -> &str {
        self.inner.identity()
    }

    async fn append(&self, key: &str, bytes: Bytes) -> Result<Position, AppendError> {
        self.inner.append(key, bytes).await
    }

    async fn subscribe(&self, group: &str) -> Result<Box<dyn Subscription>, LogError> {
        let inner = self.inner.subscribe(group).await?;
        let trap = self.trap.clone();
        Ok(Box::new(Member { inner, trap }))
    }

    async fn span(&self, partition: u32) -> Result<(i64, i64), LogError> {
        self.inner.span(partition).await
    }

    async fn offset_at(&self, partition: u32, at: Millis) -> Result<i64, LogError> {
        self.inner.offset_at(partition, at).await
    }

    async fn read(&self, partition: u32, from: i64, max: usize) -> Result<Vec<LogRecord>, LogError> {
        self.inner.read(partition, from, max).await
    }

    async fn committed(&self, group: &str) -> Result<Vec<(u32, i64)>, LogError> {
        self.inner.committed(group).await
    }

    async fn healthy(&self) -> Result<(), LogError> {
        self.inner.healthy().await
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}

struct Member {
    inner: Box<dyn Subscription>,
    trap: Arc<Trap>,
}

#[async_trait]
impl Subscription for Member {
    async fn next(&mut self) -> Result<Delivery, LogError> {
        self.inner.next().await
    }

    async fn start(&mut self, partition: u32, offset: i64) -> Result<(), LogError> {
        self.inner.start(partition, offset).await
    }

    fn pause(&mut self, partition: u32) {
        self.inner.pause(partition);
    }

    fn resume(&mut self, partition: u32) {
        self.inner.resume(partition);
    }

    fn mark(&mut self, marks: &[Mark]) -> Marking {
        let intends = marks.iter().any(|mark| mark.intent.is_some());
        let (marking, trap) = (self.inner.mark(marks), Arc::clone(&self.trap));
        Box::pin(async move {
            trap.pass(if intends { Point::BeforeIntent } else { Point::AfterInsert }).await;
            marking.await?;
            trap.pass(if intends { Point::AfterIntent } else { Point::AfterCommit }).await;
            Ok(())
        })
    }

    async fn close(self: Box<Self>) {
        self.inner.close().await;
    }
}

/// From here on a row that is there twice stays there twice.
async fn stop_merges(database: &str) {
    let (engine, statement) = (engine(), format!("SYSTEM STOP MERGES {database}.events"));
    let mut socket = TcpStream::connect(engine.url.trim_start_matches("http://").trim_end_matches('/'))
        .await
        .unwrap();
    let request = format!(
        "POST / HTTP/1.1\r\nHost: engine\r\nX-ClickHouse-User: {}\r\nX-ClickHouse-Key: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{statement}",
        engine.user,
        engine.password.expose_secret(),
        statement.len(),
    );
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

async fn dies_everywhere(database: &str, mut house: House) {
    stop_merges(database).await;
    for (seed, point) in (20..).zip([Point::BeforeIntent, Point::AfterIntent, Point::AfterInsert, Point::AfterCommit]) {
        let trap = Arc::new(Trap {
            point,
            passes: AtomicUsize::new(2),
            sprung: AtomicBool::new(false),
        });
        for (at, body) in conversations(seed, 12) {
            house.post(body, at).await;
        }
        house.options.batch_rows = 37;
        house.options.linger = std::time::Duration::from_millis(20);
        let inner = house.log.clone();
        let trapped = Arc::new(Trapped { inner, trap: trap.clone() });
        let facts = house.start_on(trapped, &house.analytics);
        until(&format!("the trap {point:?}"), &facts, |_| trap.sprung.load(Ordering::SeqCst)).await;
        // Dropped without stopping: it dies where it stands.
        drop(facts);
        // Whoever comes next would cut quite differently.
        house.options.batch_rows = 23;
        for (at, body) in conversations(seed + 100, 4) {
            house.post(body, at).await;
        }
        let facts = house.start();
        house.written(&facts).await;
        house.agrees().await;
        for at in house.analytics.density(&house.options.log_name).await.unwrap() {
            assert_eq!(at.rows, at.distinct, "{point:?}: partition {} has rows twice", at.log_partition);
        }
        facts.stop().await;
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_dies_anywhere_leaves_each_record_once_on_postgres() {
    dies_everywhere("facts_intents", House::new("facts_intents").await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_dies_anywhere_leaves_each_record_once_on_kafka() {
    dies_everywhere("facts_intents_kafka", House::on_kafka("facts_intents_kafka").await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn members_that_come_and_go_under_load_leave_every_record_and_call_right() {
    let mut house = House::on_kafka("facts_members").await;
    house.options.batch_rows = 29;
    house.options.linger = std::time::Duration::from_millis(20);
    let mut member = house.start();
    for round in 0..4 {
        for (at, body) in conversations(200 + round, 5) {
            house.post(body, at).await;
        }
        let next = house.start();
        for (at, body) in conversations(300 + round, 5) {
            house.post(body, at).await;
        }
        // One leaves in order, the next dies where it stands; what both were about to write is the successor's now.
        let leaving = std::mem::replace(&mut member, next);
        if round % 2 == 0 {
            leaving.stop().await;
        } else {
            drop(leaving);
        }
    }
    house.written(&member).await;
    house.agrees().await;
    member.stop().await;
    house.close().await;
}

//! What the tests of the live group share: a house with a log, a directory and a clock; events as Retell sends them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::watch;
use trunkline_actors::live::{Engine, EngineOptions, Live};
use trunkline_actors::{BoardScope, Clock, Hand};
use trunkline_core::access::Sight;
use trunkline_core::door;
use trunkline_core::id::{BusinessId, CallKey, Kind, TenantId, WorkspaceId};
use trunkline_core::instant::Millis;
use trunkline_core::metric::{Board, Metric};
use trunkline_core::record::Source;
use trunkline_stores::log::{EventLog, Position};
use trunkline_stores::postgres::Directory;
use trunkline_stores::postgres::directory::BusinessEntry;
use uuid::Uuid;

use crate::memory_log::{MemoryLog, Port};

/// 2026-11-22T12:00:00Z.
pub const NOON: Millis = Millis(1_795_348_800_000);
pub const MINUTE: i64 = 60_000;

pub const TENANT: TenantId = TenantId(Uuid::from_u128(1));
pub const WORKSPACE: WorkspaceId = WorkspaceId(Uuid::from_u128(10));
pub const UNASSIGNED: BusinessId = BusinessId(Uuid::from_u128(100));
pub const SALES: BusinessId = BusinessId(Uuid::from_u128(101));
pub const HELP: BusinessId = BusinessId(Uuid::from_u128(102));

/// A directory with agents `agent_sales` and `agent_help`.
pub fn directory() -> Directory {
    let mut directory = Directory::default();
    for (id, name) in [(UNASSIGNED, "Unassigned"), (SALES, "Sales"), (HELP, "Help")] {
        directory.businesses.insert(
            id,
            BusinessEntry {
                tenant: TENANT,
                name: name.into(),
                zone: "UTC".into(),
                day_start_minute: 0,
                concurrency_limit: None,
                targets: Value::Null,
            },
        );
    }
    directory.unassigned.insert(WORKSPACE, UNASSIGNED);
    directory.agents.insert((TENANT, "agent_sales".into()), SALES);
    directory.agents.insert((TENANT, "agent_help".into()), HELP);
    directory.version = 1;
    directory
}

pub struct House {
    pub log: Arc<MemoryLog>,
    pub directory: watch::Sender<Arc<Directory>>,
    pub hand: Hand,
    pub clock: Clock,
    pub engine: Option<Engine>,
    pub live: Live,
}

impl House {
    pub fn build(partitions: usize, options: EngineOptions) -> House {
        let log = MemoryLog::new(partitions);
        *log.now.lock().unwrap() = NOON;
        House::over(log, options)
    }

    pub fn over(log: Arc<MemoryLog>, options: EngineOptions) -> House {
        let (hand, clock) = Clock::set_by_hand(*log.now.lock().unwrap());
        let directory = watch::channel(Arc::new(directory())).0;
        let port: Arc<dyn EventLog> = Arc::new(Port(Arc::clone(&log)));
        let options = EngineOptions {
            clock: Some(clock.clone()),
            threads: 2,
            ..options
        };
        let engine = Engine::start(port, directory.subscribe(), options).expect("a thread");
        let live = engine.live();
        House {
            log,
            directory,
            hand,
            clock,
            engine: Some(engine),
            live,
        }
    }

    /// Moves both clocks.
    pub fn advance(&self, span_ms: i64) {
        self.hand.advance(span_ms);
        *self.log.now.lock().unwrap() = self.clock.now();
    }

    /// Appends what the door would append for this body.
    pub fn post(&self, body: &Value) -> Position {
        post_to(&self.log, body, self.clock.now(), Source::Webhook)
    }

    /// Waits until `holds`; time moves on by a millisecond with each look, so that pulses come.
    #[track_caller]
    pub fn until(&self, what: &str, holds: impl Fn(&Live) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !holds(&self.live) {
            assert!(
                Instant::now() < deadline,
                "not reached: {what}; {:?}",
                self.live.completeness(TENANT)
            );
            std::thread::sleep(Duration::from_millis(4));
            self.advance(1);
        }
    }

    /// Waits until everything in the log is published.
    #[track_caller]
    pub fn settled(&self) {
        let ends: Vec<(u32, i64)> = {
            let mut ends = std::collections::BTreeMap::new();
            for record in self.log.records() {
                ends.insert(record.position.partition, record.position.offset + 1);
            }
            ends.into_iter().collect()
        };
        let done = |live: &Live| {
            let states = live.partitions();
            let reached = |(p, end): &(u32, i64)| states.iter().any(|s| s.partition == *p && s.next >= *end && s.current);
            !states.is_empty() && ends.iter().all(reached) && !live.completeness(TENANT).rebuilding
        };
        self.until("everything published", done);
    }

    pub fn board(&self, business: Option<BusinessId>) -> Arc<Board> {
        // Beyond the age at which a board may come from the cache.
        self.advance(1_001);
        self.live.board(
            TENANT,
            &BoardScope {
                business,
                all_figures: true,
                ..BoardScope::whole(Sight::All)
            },
        )
    }

    pub async fn stop(mut self) -> Arc<MemoryLog> {
        let engine = self.engine.take().expect("it was not stopped before");
        engine.stop().await;
        self.log
    }
}

pub fn post_to(log: &MemoryLog, body: &Value, at: Millis, source: Source) -> Position {
    let (routed, body) = door::route(Bytes::from(body.to_string()));
    let key = routed.key.clone();
    let record = door::record(routed, body, at, TENANT, WORKSPACE, source);
    log.put(&key, record.encode())
}

pub fn key(id: &str) -> CallKey {
    CallKey {
        tenant: TENANT,
        kind: Kind::Call,
        id: id.into(),
    }
}

/// Every figure of the catalogue as whole numbers.
pub fn figures(board: &Board) -> Vec<(Metric, i64, i64)> {
    board.figures.iter().map(|figure| (figure.metric, figure.num, figure.den)).collect()
}

pub fn offered(house: &House, business: BusinessId) -> u64 {
    house.board(Some(business)).offered.total
}

pub fn started(id: &str, agent: &str, at: Millis) -> Value {
    json!({"event": "call_started", "call": {
        "call_id": id, "agent_id": agent, "call_type": "phone_call", "direction": "inbound", "from_number": "+12025550100",
        "to_number": "+12025550101", "call_status": "ongoing", "start_timestamp": at.0}})
}

pub fn talked(id: &str, agent: &str, at: Millis, turns: usize) -> Value {
    json!({"event": "transcript_updated", "call": {
        "call_id": id, "agent_id": agent, "call_type": "phone_call", "direction": "inbound", "call_status": "ongoing",
        "start_timestamp": at.0, "transcript_object": transcript(turns)}})
}

pub fn ended(id: &str, agent: &str, at: Millis, duration_ms: i64, turns: usize) -> Value {
    json!({"event": "call_ended", "call": {
        "call_id": id, "agent_id": agent, "call_type": "phone_call", "direction": "inbound", "call_status": "ended",
        "start_timestamp": at.0, "end_timestamp": at.0 + duration_ms, "duration_ms": duration_ms,
        "disconnection_reason": "user_hangup", "transcript_object": transcript(turns)}})
}

pub fn analyzed(id: &str, agent: &str, at: Millis, duration_ms: i64, turns: usize) -> Value {
    let mut body = ended(id, agent, at, duration_ms, turns);
    body["event"] = "call_analyzed".into();
    body["call"]["call_analysis"] =
        json!({"call_summary": "All well.", "call_successful": true, "user_sentiment": "Positive", "in_voicemail": false});
    body
}

fn transcript(turns: usize) -> Value {
    let turn = |i: usize| {
        let role = if i.is_multiple_of(2) { "agent" } else { "user" };
        let start = i as f64 * 2.0;
        json!({"role": role, "content": format!("turn {i}"), "words": [{"word": "turn", "start": start, "end": start + 1.0}]})
    };
    (0..turns).map(turn).collect()
}

//! A log of calls in progress that is made while it is read, so that the log itself takes no memory.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bytes::Bytes;
use trunkline_core::door;
use trunkline_core::instant::Millis;
use trunkline_core::record::Source;
use trunkline_stores::log::{AppendError, Delivery, EventLog, LogError, LogRecord, Mark, Marking, Position, Subscription};

use crate::directory::{TENANT, WORKSPACE};
use crate::sample;

/// Partitions, as many as the other benches have.
pub const PARTITIONS: usize = 12;

/// Calls of one partition that run at the same time while the log grows; each begins, speaks and stays silent.
pub const WINDOW: usize = 84;

/// A start and growing transcripts.
const STEPS: usize = 4;

/// Between two events of a call.
const STEP_MS: i64 = 4_000;

/// Records of one delivery.
const DELIVERY: i64 = 500;

/// The log.
#[derive(Clone)]
pub struct MadeLog {
    calls: usize,
    size: usize,
    first_at: Millis,
}

impl MadeLog {
    /// A log of `calls` calls whose transcripts grow to `size` bytes.
    pub fn of(calls: usize, size: usize) -> MadeLog {
        MadeLog {
            calls,
            size,
            first_at: sample::clock().plus(-60_000),
        }
    }

    fn calls_of(&self, partition: u32) -> usize {
        (self.calls + PARTITIONS - 1 - partition as usize) / PARTITIONS
    }

    fn end(&self, partition: u32) -> i64 {
        (self.calls_of(partition) * STEPS) as i64
    }

    fn record(&self, partition: u32, offset: i64) -> LogRecord {
        let (window, place) = (offset as usize / (WINDOW * STEPS), offset as usize % (WINDOW * STEPS));
        let width = WINDOW.min(self.calls_of(partition) - window * WINDOW);
        let (step, call) = (place / width, window * WINDOW + place % width);
        let n = call * PARTITIONS + partition as usize;
        let body = match step {
            0 => sample::started(n),
            step => sample::updated(n, step, self.size * step / (STEPS - 1)),
        };
        let at = self.first_at.plus(step as i64 * STEP_MS);
        let (routed, body) = door::route(body);
        let record = door::record(routed, body, at, TENANT, WORKSPACE, Source::Webhook);
        LogRecord {
            position: Position { partition, offset },
            appended_at: at,
            bytes: record.encode(),
        }
    }
}

#[async_trait]
impl EventLog for MadeLog {
    fn partitions(&self) -> u32 {
        PARTITIONS as u32
    }

    fn identity(&self) -> &str {
        "made"
    }

    async fn append(&self, _: &str, _: Bytes) -> Result<Position, AppendError> {
        Err(AppendError::Unavailable("this log is only read".to_owned()))
    }

    async fn subscribe(&self, _: &str) -> Result<Box<dyn Subscription>, LogError> {
        Ok(Box::new(Reading {
            log: self.clone(),
            assigned: 0,
            places: BTreeMap::new(),
            turn: 0,
        }))
    }

    async fn span(&self, partition: u32) -> Result<(i64, i64), LogError> {
        Ok((0, self.end(partition)))
    }

    async fn offset_at(&self, _: u32, _: Millis) -> Result<i64, LogError> {
        Ok(0)
    }

    async fn read(&self, partition: u32, from: i64, max: usize) -> Result<Vec<LogRecord>, LogError> {
        let to = self.end(partition).min(from.saturating_add(max as i64));
        Ok((from..to).map(|offset| self.record(partition, offset)).collect())
    }

    async fn committed(&self, _: &str) -> Result<Vec<(u32, i64)>, LogError> {
        Ok(Vec::new())
    }

    async fn healthy(&self) -> Result<(), LogError> {
        Ok(())
    }

    async fn close(&self) {}
}

struct Place {
    next: i64,
    paused: bool,
    told_end: bool,
}

struct Reading {
    log: MadeLog,
    assigned: u32,
    places: BTreeMap<u32, Place>,
    turn: u32,
}

impl Reading {
    fn delivery(&mut self) -> Option<Delivery> {
        if self.assigned < self.log.partitions() {
            self.assigned += 1;
            return Some(Delivery::Assigned {
                partition: self.assigned - 1,
                next: None,
                intent: None,
            });
        }
        for step in 1..=self.log.partitions() {
            let partition = (self.turn + step) % self.log.partitions();
            let end = self.log.end(partition);
            let Some(place) = self.places.get_mut(&partition).filter(|place| !place.paused && !place.told_end) else {
                continue;
            };
            self.turn = partition;
            if place.next == end {
                place.told_end = true;
                return Some(Delivery::CaughtUp { partition, next: end });
            }
            let from = place.next;
            place.next = end.min(from + DELIVERY);
            let records = (from..place.next).map(|offset| self.log.record(partition, offset)).collect();
            return Some(Delivery::Batch { partition, records });
        }
        None
    }
}

#[async_trait]
impl Subscription for Reading {
    async fn next(&mut self) -> Result<Delivery, LogError> {
        match self.delivery() {
            Some(delivery) => Ok(delivery),
            // Everything is told or paused; a notice of the reader ends this wait, and we are asked again.
            None => std::future::pending().await,
        }
    }

    async fn start(&mut self, partition: u32, offset: i64) -> Result<(), LogError> {
        self.places.insert(
            partition,
            Place {
                next: offset,
                paused: false,
                told_end: false,
            },
        );
        Ok(())
    }

    fn pause(&mut self, partition: u32) {
        self.set_paused(partition, true);
    }

    fn resume(&mut self, partition: u32) {
        self.set_paused(partition, false);
    }

    fn mark(&mut self, _: &[Mark]) -> Marking {
        Box::pin(std::future::ready(Ok(())))
    }

    async fn close(self: Box<Self>) {}
}

impl Reading {
    fn set_paused(&mut self, partition: u32, paused: bool) {
        if let Some(place) = self.places.get_mut(&partition) {
            place.paused = paused;
        }
    }
}

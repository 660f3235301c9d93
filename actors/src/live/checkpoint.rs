//! Takes checkpoints of one partition: stores what changed since the last one, a slice at a time, and closes it with a marker.
//!
//! Events go on meanwhile. A call is stored as it is when its slice is due, so it may hold more than the marker says; events that are applied
//! once more change nothing. What the marker says is in every call: it is written after the last slice, and counts for the offset at which
//! the list of changed calls was taken.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use trunkline_core::checkpoint::{Marker, call_key, meaning};
use trunkline_core::id::CallKey;
use trunkline_core::instant::Millis;
use trunkline_stores::log::compacted::{CompactedTopic, Put, PutError};

use super::completeness::Checkpointed;
use super::partition::Partition;
use super::shared::Shared;

/// Calls stored at once: below a millisecond of work between two micro-batches.
const SLICE: usize = 128;

/// Longest time for the last checkpoint at a stop; without it the next start reads a little more of the log.
const LAST_WAIT: Duration = Duration::from_secs(2);

/// How far the one checkpoint is that is being taken.
enum Phase {
    Resting,
    /// Removing what an unusable checkpoint has left, its marker first: nothing of it must be taken for a part of the next one.
    Clearing {
        left: Vec<Vec<u8>>,
    },
    /// Storing what had changed when it began.
    Storing {
        of: Taken,
        left: Vec<CallKey>,
        set_asides: bool,
    },
    /// The marker is on its way.
    Closing(Taken),
    /// Removing calls that left memory before the checkpoint began. Afterwards only: what a marker counts must be there.
    Removing {
        left: Vec<CallKey>,
    },
}

/// The moment a checkpoint is of.
struct Taken {
    next: i64,
    applied_to: Option<Millis>,
    /// Calls in memory then.
    calls: usize,
    gone: Vec<CallKey>,
    began: Instant,
    records: u64,
    bytes: u64,
}

/// What a reader found when it took its partition over.
pub(super) struct Found {
    pub(super) topic: Arc<dyn CompactedTopic>,
    pub(super) claim: i64,
    /// Everything below has its marker.
    pub(super) marked: i64,
    /// Keys of a checkpoint that cannot be used.
    pub(super) useless: Vec<Vec<u8>>,
}

/// Where the reader is.
#[derive(Clone, Copy)]
pub(super) struct Reached {
    pub(super) next: i64,
    pub(super) applied_to: Option<Millis>,
}

/// Takes the checkpoints of one partition, under one claim.
pub(super) struct Keeper {
    topic: Arc<dyn CompactedTopic>,
    shared: Arc<Shared>,
    partition: u32,
    epoch: u64,
    claim: i64,
    every_ms: i64,
    due_at: Millis,
    phase: Phase,
    /// Calls of the put that is on its way, to be stored again if it fails.
    on_the_way: Option<Vec<CallKey>>,
    reports: mpsc::UnboundedSender<Result<(), PutError>>,
    outcomes: mpsc::UnboundedReceiver<Result<(), PutError>>,
    marked: i64,
    is_stale: bool,
}

impl Keeper {
    /// Takes checkpoints from now on, after what `found` on taking over.
    pub(super) fn new(shared: &Arc<Shared>, partition: u32, epoch: u64, every_ms: i64, found: Found) -> Keeper {
        // Partitions take turns, so that not all of them write at the same moment.
        let turn = i64::from(partition % shared.log.partitions().max(1)) * every_ms / i64::from(shared.log.partitions().max(1));
        let (reports, outcomes) = mpsc::unbounded_channel();
        Keeper {
            topic: found.topic,
            shared: Arc::clone(shared),
            partition,
            epoch,
            claim: found.claim,
            every_ms,
            due_at: shared.clock.now().plus(turn),
            phase: if found.useless.is_empty() {
                Phase::Resting
            } else {
                Phase::Clearing { left: found.useless }
            },
            on_the_way: None,
            reports,
            outcomes,
            marked: found.marked,
            is_stale: false,
        }
    }

    /// Waits until something that was on its way has arrived, or not.
    pub(super) async fn arrived(&mut self) -> Result<(), PutError> {
        // We hold a sender ourselves, so this never ends.
        self.outcomes.recv().await.unwrap_or(Ok(()))
    }

    /// Goes one step on, if one is due: at most one slice of calls is looked at. Until the log was read to its end (`reached` is `None`) no
    /// checkpoint begins.
    pub(super) async fn step(&mut self, now: Millis, reached: Option<Reached>, state: &mut Partition) {
        let waits = matches!(self.phase, Phase::Clearing { .. }) && now < self.due_at;
        if self.on_the_way.is_some() || self.is_stale || waits {
            return;
        }
        let next = match reached {
            Some(reached) if matches!(self.phase, Phase::Resting) => {
                if now < self.due_at || !self.has_news(reached, state) {
                    return;
                }
                self.begin(reached, state);
                reached.next
            }
            Some(reached) => reached.next,
            None => 0,
        };
        self.go_on(now, next, state).await;
    }

    fn has_news(&self, reached: Reached, state: &Partition) -> bool {
        reached.next > self.marked || !state.unsaved.calls.is_empty() || !state.unsaved.gone.is_empty()
    }

    fn begin(&mut self, reached: Reached, state: &mut Partition) {
        let of = Taken {
            next: reached.next,
            applied_to: reached.applied_to,
            calls: state.calls.len(),
            gone: std::mem::take(&mut state.unsaved.gone),
            began: Instant::now(),
            records: 0,
            bytes: 0,
        };
        self.phase = Phase::Storing {
            of,
            left: std::mem::take(&mut state.unsaved.calls),
            set_asides: std::mem::take(&mut state.unsaved.set_asides),
        };
    }

    async fn go_on(&mut self, now: Millis, next: i64, state: &mut Partition) {
        match std::mem::replace(&mut self.phase, Phase::Resting) {
            Phase::Resting => {}
            Phase::Clearing { left } => {
                let slice = left.iter().rev().take(SLICE).cloned();
                let puts: Vec<Put> = slice.map(|key| Put { key, value: None }).collect();
                if !puts.is_empty() {
                    self.phase = Phase::Clearing { left };
                    self.send(puts, Vec::new());
                }
            }
            Phase::Storing {
                mut of,
                mut left,
                set_asides,
            } => {
                let slice = left.split_off(left.len().saturating_sub(SLICE));
                let mut puts = Vec::with_capacity(slice.len() + 1);
                if set_asides {
                    let (key, value) = self.shared.hub.set_asides.stored(self.partition, of.next).encode();
                    puts.push(Put { key, value: Some(value) });
                }
                state.capture(&slice, next, &mut puts).await;
                if puts.is_empty() && left.is_empty() {
                    return self.close(of, now, state);
                }
                of.records += puts.len() as u64;
                of.bytes += size(&puts);
                self.phase = Phase::Storing {
                    of,
                    left,
                    set_asides: false,
                };
                self.send(puts, slice);
            }
            // Only outcomes move it on.
            Phase::Closing(of) => self.phase = Phase::Closing(of),
            Phase::Removing { mut left } => {
                let slice = left.split_off(left.len().saturating_sub(SLICE));
                if slice.is_empty() {
                    return;
                }
                // A late event may have brought one back.
                let gone = slice.iter().filter(|key| !state.calls.contains(key));
                let puts = gone.map(|key| Put {
                    key: call_key(key),
                    value: None,
                });
                let puts = puts.collect();
                self.phase = Phase::Removing { left };
                self.send(puts, slice);
            }
        }
    }

    /// Sends the marker.
    fn close(&mut self, mut of: Taken, now: Millis, state: &Partition) {
        let marker = Marker {
            log: self.shared.log.identity().to_owned(),
            meaning: meaning(&self.shared.rules),
            next: of.next,
            epoch: self.claim,
            applied_to: of.applied_to,
            taken_at: now,
            // Calls that left memory meanwhile may never have been stored.
            calls: of.calls.saturating_sub(state.unsaved.gone.len()) as u64,
            gaps: self.shared.hub.progress.gaps(self.partition),
        };
        let (key, value) = marker.encode();
        let puts = vec![Put { key, value: Some(value) }];
        of.records += 1;
        of.bytes += size(&puts);
        self.phase = Phase::Closing(of);
        self.send(puts, Vec::new());
    }

    /// Sends what was captured, unless a newer reader of this process has the partition: part of it is captured from what screens show, and
    /// that is the newer one's by now.
    fn send(&mut self, puts: Vec<Put>, calls: Vec<CallKey>) {
        if !self.shared.hub.progress.holds(self.partition, self.epoch) {
            self.is_stale = true;
            return;
        }
        self.on_the_way = Some(calls);
        let (topic, reports) = (Arc::clone(&self.topic), self.reports.clone());
        let (partition, claim) = (self.partition, self.claim);
        actix_rt::spawn(async move {
            let outcome = topic.put(partition, claim, puts).await;
            // The reader has ended: nobody needs to know.
            let _ = reports.send(outcome);
        });
    }

    /// Hears what became of what was on its way.
    pub(super) fn hear(&mut self, outcome: Result<(), PutError>, now: Millis, state: &mut Partition) {
        let calls = self.on_the_way.take().unwrap_or_default();
        if let Err(error) = outcome {
            return self.give_up(error, calls, now, state);
        }
        self.phase = match std::mem::replace(&mut self.phase, Phase::Resting) {
            Phase::Closing(of) => {
                self.marked = of.next;
                self.due_at = now.plus(self.every_ms);
                self.report(&of, now);
                Phase::Removing { left: of.gone }
            }
            Phase::Clearing { mut left } => {
                left.truncate(left.len().saturating_sub(SLICE));
                Phase::Clearing { left }
            }
            phase => phase,
        };
    }

    fn report(&self, of: &Taken, now: Millis) {
        metrics::histogram!("trunkline_checkpoint_seconds").record(of.began.elapsed().as_secs_f64());
        metrics::counter!("trunkline_checkpoint_records_total").increment(of.records);
        metrics::counter!("trunkline_checkpoint_bytes_total").increment(of.bytes);
        let checkpointed = Checkpointed {
            at: now,
            next: of.next,
            calls: of.calls,
            records: of.records,
            bytes: of.bytes,
        };
        self.shared.hub.progress.checkpointed(self.partition, self.epoch, checkpointed);
    }

    /// Leaves this checkpoint without a marker; what it was to store waits for the next one.
    fn give_up(&mut self, error: PutError, on_the_way: Vec<CallKey>, now: Millis, state: &mut Partition) {
        let unsaved = &mut state.unsaved;
        let (calls, set_asides) = match std::mem::replace(&mut self.phase, Phase::Resting) {
            Phase::Storing { of, left, .. } => {
                unsaved.gone.extend(of.gone);
                (left, true)
            }
            Phase::Closing(of) => {
                unsaved.gone.extend(of.gone);
                (Vec::new(), false)
            }
            Phase::Removing { left } => {
                unsaved.gone.extend(left.into_iter().chain(on_the_way));
                return self.fail(error, now);
            }
            // What is left over would be taken for ours, so it has to go first; which of it has gone does not matter.
            Phase::Clearing { left } => {
                self.phase = Phase::Clearing { left };
                return self.fail(error, now);
            }
            Phase::Resting => return,
        };
        unsaved.set_asides |= set_asides;
        for key in on_the_way.iter().chain(&calls) {
            if let Some(entry) = state.calls.get_mut(key) {
                // Those that were not looked at are still noted as changed, though on no list.
                entry.unsaved = false;
                unsaved.note(entry);
            }
        }
        self.fail(error, now);
    }

    fn fail(&mut self, error: PutError, now: Millis) {
        self.due_at = now.plus(self.every_ms);
        self.is_stale |= matches!(error, PutError::Stale(_));
        metrics::counter!("trunkline_checkpoint_failures_total").increment(1);
        if self.is_stale {
            tracing::error!(
                log.partition = self.partition,
                "checkpoints end: the partition has another owner by now"
            );
        } else {
            tracing::warn!(log.partition = self.partition, %error, "take a checkpoint");
        }
    }

    /// Takes the last one, at a stop.
    pub(super) async fn finish(&mut self, reached: Reached, state: &mut Partition) {
        let last = async {
            loop {
                let now = self.shared.clock.now();
                // The one that is under way may be of an earlier moment: another one follows at once.
                self.due_at = now;
                self.step(now, Some(reached), state).await;
                if self.on_the_way.is_none() {
                    let rests = matches!(self.phase, Phase::Resting) && !self.has_news(reached, state);
                    if self.is_stale || rests {
                        return;
                    }
                    continue;
                }
                let outcome = self.arrived().await;
                let has_failed = outcome.is_err();
                self.hear(outcome, now, state);
                if has_failed {
                    return;
                }
            }
        };
        if tokio::time::timeout(LAST_WAIT, last).await.is_err() {
            tracing::warn!(log.partition = self.partition, "the last checkpoint did not end in time");
        }
    }
}

fn size(puts: &[Put]) -> u64 {
    let size = |put: &Put| put.key.len() + put.value.as_ref().map_or(0, Vec::len);
    puts.iter().map(size).sum::<usize>() as u64
}

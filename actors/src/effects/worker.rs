//! The loop of the group: gather, fold, write in one transaction; wait when Postgres is away.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use trunkline_core::record::Record;
use trunkline_stores::log::{Delivery, LogError, LogRecord, Subscription};
use trunkline_stores::postgres::effects::{Advance, Announcement, Claim, Standing, UsageCall, Written};

use super::fold::{folded, told, touched};
use super::moves::{Moves, Step};
use super::state::PartitionEffects;
use super::{EffectsError, Ground, Lost};
use crate::facts::batch::{Cut, Gathered};
use crate::system::{Health, now, sleep_until};

/// First wait after a failure; doubled up to [`WAIT_MAX`].
const WAIT_MIN: Duration = Duration::from_millis(250);
/// Longest wait: Postgres that is back is noticed within this time.
const WAIT_MAX: Duration = Duration::from_secs(10);
/// How often the end of the log is looked up for the lag.
const LOOK_AT_END: Duration = Duration::from_secs(5);
/// Longest time for the last writes when stopping; the rest is delivered again.
const LAST_WRITES: Duration = Duration::from_secs(5);

/// What is to be written for a batch.
#[derive(Default)]
struct Batch {
    calls: Vec<(Option<Standing>, UsageCall)>,
    announcements: Vec<Announcement>,
    records: u64,
    set_aside: u64,
}

/// One member of the group at work.
pub(super) struct Worker {
    ground: Ground,
    subscription: Box<dyn Subscription>,
    /// Epoch of each partition of ours.
    epochs: BTreeMap<u32, i64>,
    gathered: Gathered<LogRecord>,
    staged: Option<Cut<LogRecord>>,
    moves: Option<Moves>,
    last_write: Option<Instant>,
    retry_at: Option<Instant>,
    wait: Duration,
    paused: bool,
}

impl Worker {
    pub fn new(ground: Ground, subscription: Box<dyn Subscription>) -> Self {
        Self {
            ground,
            subscription,
            epochs: BTreeMap::new(),
            gathered: Gathered::default(),
            staged: None,
            moves: None,
            last_write: None,
            retry_at: None,
            wait: WAIT_MIN,
            paused: false,
        }
    }

    /// Works until `stop`; an error means that all begins anew from the last commit.
    pub async fn run(mut self, stop: &CancellationToken) -> Result<(), Lost> {
        let mut directory = self.ground.directory.clone();
        let mut look = tokio::time::interval(LOOK_AT_END);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let wake = self.wake();
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Ok(()) = directory.changed() => self.moves = Some(Moves::default()),
                _ = look.tick() => self.look_at_end().await,
                () = sleep_until(wake) => self.work().await?,
                delivery = self.subscription.next() => self.take(delivery?).await?,
            }
        }
        // What is gathered is written if that is quick; else it is delivered again.
        if let Ok(Err(error)) = tokio::time::timeout(LAST_WRITES, self.drain()).await {
            tracing::debug!(%error, "last effects are left for the next start");
        }
        self.subscription.close().await;
        Ok(())
    }

    /// When there is something to write; `None` while there is nothing.
    fn wake(&self) -> Option<Instant> {
        let options = &self.ground.options;
        let wanted = if self.staged.is_some() || self.gathered.is_full(options.batch_rows, options.batch_bytes) {
            Some(Instant::now())
        } else {
            let moving = self.moves.as_ref().filter(|_| !self.epochs.is_empty()).map(|_| Instant::now());
            self.gathered.due(options.linger, self.last_write).into_iter().chain(moving).min()
        };
        wanted.map(|at| self.retry_at.map_or(at, |retry| retry.max(at)))
    }

    async fn take(&mut self, delivery: Delivery) -> Result<(), Lost> {
        match delivery {
            Delivery::Assigned { partition, .. } => self.begin(partition).await?,
            Delivery::Batch { partition, records } => {
                self.gathered.take_in(partition, records, Instant::now());
                // While Postgres is away, no more than two batches wait in memory.
                if !self.paused && self.retry_at.is_some() && self.gathered.bytes() > 2 * self.ground.options.batch_bytes {
                    self.paused = true;
                    self.epochs.keys().for_each(|partition| self.subscription.pause(*partition));
                }
            }
            Delivery::CaughtUp { partition, next } => {
                self.gathered.caught_up(partition);
                self.ground.shared.change(|state| {
                    state.partitions.entry(partition).or_default().end = next;
                });
            }
            Delivery::Revoked { partition } => {
                self.epochs.remove(&partition);
                self.gathered.drop_partition(partition);
                // A batch with records of it would be refused; those of the others are delivered to the next member alike.
                let touches = |cut: &Cut<LogRecord>| cut.ranges.iter().any(|(of, ..)| *of == partition);
                if self.staged.as_ref().is_some_and(touches) {
                    return Err(Lost::Stale);
                }
                self.ground.shared.change(|state| {
                    state.partitions.remove(&partition);
                });
            }
        }
        Ok(())
    }

    /// Takes a partition over. Our own offset counts, not the one of the log's group: it is written with the effects.
    async fn begin(&mut self, partition: u32) -> Result<(), Lost> {
        let (begins, mut end) = self.ground.log.span(partition).await?;
        // A process that stood still since then knows an old end, and the offset may be behind that by right: claimed up to it, the offset would go
        // back to the beginning. So any end will do at first, and it is asked again before the log is believed to have lost its tail.
        let mut claimed = claim(&self.ground, partition, begins, i64::MAX).await?;
        if claimed.next > end {
            (_, end) = self.ground.log.span(partition).await?;
        }
        if claimed.next > end {
            claimed = claim(&self.ground, partition, begins, end).await?;
        }
        if let Some(lost) = claimed.lost {
            tracing::error!(
                log.partition = partition,
                log.wanted = lost,
                log.begins = begins,
                log.end = end,
                "the log does not hold what the effects group was to read next; usage of the missing records is not counted"
            );
            metrics::counter!("trunkline_log_gaps_total").increment(1);
        }
        self.subscription.start(partition, claimed.next).await?;
        self.epochs.insert(partition, claimed.epoch);
        self.moves = Some(Moves::default());
        self.ground.shared.change(|state| {
            let (epoch, next) = (claimed.epoch, claimed.next);
            state.partitions.insert(partition, PartitionEffects { epoch, next, end });
        });
        if self.paused {
            self.subscription.pause(partition);
        }
        Ok(())
    }

    /// One write, or one attempt.
    async fn work(&mut self) -> Result<(), Lost> {
        match self.write().await {
            Ok(Written::Done) => {
                self.succeeded();
                Ok(())
            }
            Ok(Written::Stale) => {
                self.ground.shared.change(|state| state.stale_writes += 1);
                metrics::counter!("trunkline_effects_stale_writes_total").increment(1);
                Err(Lost::Stale)
            }
            Err(error) => {
                self.failed(&error);
                match error {
                    // The offset does not move with it, so the fence would let it pass once more behind our next write, and the days
                    // would change twice. A new epoch keeps it out.
                    EffectsError::MoveUnknown(_) => Err(Lost::Unknown),
                    _ => Ok(()),
                }
            }
        }
    }

    /// Writes the batch on its way, else the next one, else moves some calls.
    async fn write(&mut self) -> Result<Written, EffectsError> {
        let options = self.ground.options.clone();
        if self.staged.is_none() {
            self.staged = self.gathered.cut(options.batch_rows, options.batch_bytes);
        }
        let Some(cut) = &self.staged else {
            return self.move_some().await;
        };
        let batch = fold(&self.ground, &cut.records).await?;
        let advance = |(partition, first, last): &(u32, i64, i64)| Advance {
            partition: *partition,
            epoch: self.epochs.get(partition).copied().unwrap_or(-1),
            from: *first,
            to: last + 1,
        };
        let advances: Vec<Advance> = cut.ranges.iter().map(advance).collect();
        let now = now(&self.ground.options.clock);
        let written = self.ground.store.write(&advances, &batch.calls, &batch.announcements, now).await?;
        if written == Written::Done {
            self.note(batch, &advances);
            // The log's own note of the group is for those who look from outside; ours has been written.
            for advance in advances {
                if let Err(error) = self.subscription.commit(advance.partition, advance.to).await {
                    tracing::debug!(%error, "the log did not note how far the effects group is");
                }
            }
            self.staged = None;
        }
        Ok(written)
    }

    async fn move_some(&mut self) -> Result<Written, EffectsError> {
        let state = self.ground.shared.state();
        let fence = |(partition, epoch): (&u32, &i64)| {
            let next = state.partitions.get(partition)?.next;
            Some(Advance {
                partition: *partition,
                epoch: *epoch,
                from: next,
                to: next,
            })
        };
        let fences: Vec<Advance> = self.epochs.iter().filter_map(fence).collect();
        let Some(moves) = &mut self.moves else {
            return Ok(Written::Done);
        };
        match moves.step(&self.ground, &fences).await? {
            Step::Moved(moved) => self.ground.shared.change(|state| state.calls_moved += moved),
            Step::Finished => self.moves = None,
            Step::Stale => return Ok(Written::Stale),
            Step::Unknown(error) => return Err(EffectsError::MoveUnknown(error)),
        }
        Ok(Written::Done)
    }

    /// Counts what was written.
    fn note(&self, batch: Batch, advances: &[Advance]) {
        let now = now(&self.ground.options.clock);
        let newest = self.staged.iter().flat_map(|cut| &cut.records).filter_map(|stored| {
            let received_at = Record::decode(&stored.bytes).ok()?.header.received_at;
            Some(now.since(received_at).max(0))
        });
        let lag_ms = newest.min().unwrap_or(0);
        metrics::histogram!("trunkline_event_lag_seconds", "stage" => "effects").record(lag_ms as f64 / 1_000.0);
        metrics::counter!("trunkline_effects_records_total").increment(batch.records);
        self.ground.shared.change(|state| {
            state.lag_ms = lag_ms;
            state.events += batch.records;
            state.set_aside += batch.set_aside;
            state.calls_written += batch.calls.len() as u64;
            state.written_at = Some(now);
            for advance in advances {
                if let Some(at) = state.partitions.get_mut(&advance.partition) {
                    at.next = advance.to;
                    at.end = at.end.max(advance.to);
                }
            }
        });
    }

    fn succeeded(&mut self) {
        self.last_write = Some(Instant::now());
        self.wait = WAIT_MIN;
        if self.retry_at.take().is_some() {
            tracing::info!("Postgres takes effects again");
            self.ground.role.tell(Health::Running, None);
            self.ground.shared.change(|state| state.waits_for = None);
        }
        if self.paused {
            self.paused = false;
            self.epochs.keys().for_each(|partition| self.subscription.resume(*partition));
        }
    }

    fn failed(&mut self, error: &EffectsError) {
        if self.retry_at.is_none() {
            tracing::warn!(%error, "effects wait for Postgres");
        }
        metrics::counter!("trunkline_effects_failures_total").increment(1);
        let note = error.to_string();
        self.ground.role.tell(Health::Running, Some(note.clone()));
        self.ground.shared.change(|state| {
            state.failures += 1;
            state.waits_for = Some(note);
        });
        self.retry_at = Some(Instant::now() + self.wait);
        self.wait = (self.wait * 2).min(WAIT_MAX);
    }

    async fn drain(&mut self) -> Result<(), EffectsError> {
        self.moves = None;
        while self.staged.is_some() || !self.gathered.is_empty() {
            if self.write().await? == Written::Stale {
                break;
            }
        }
        Ok(())
    }

    async fn look_at_end(&mut self) {
        for partition in self.epochs.keys().copied().collect::<Vec<_>>() {
            if let Ok((_, end)) = self.ground.log.span(partition).await {
                self.ground.shared.change(|state| {
                    state.partitions.entry(partition).or_default().end = end;
                });
            }
        }
    }
}

/// What the records of a batch make of their calls.
async fn fold(ground: &Ground, records: &[LogRecord]) -> Result<Batch, EffectsError> {
    let touched = touched(records);
    let mut batch = Batch {
        records: records.len() as u64,
        set_aside: touched.unreadable,
        calls: Vec::with_capacity(touched.calls.len()),
        announcements: Vec::new(),
    };
    let keys: Vec<_> = touched.calls.keys().cloned().collect();
    let mut known = ground.store.calls(&keys).await?;
    let directory = ground.directory.borrow().clone();
    for (key, of) in touched.calls {
        let before = known.remove(&key);
        if let Some(mut folded) = folded(&key, before.as_ref(), of, &directory)? {
            batch.announcements.extend(told(&mut folded, now(&ground.options.clock)));
            batch.set_aside += folded.poisoned;
            batch.calls.push((before.map(|call| call.standing), folded.call));
        }
    }
    Ok(batch)
}

async fn claim(ground: &Ground, partition: u32, begins: i64, end: i64) -> Result<Claim, Lost> {
    let claimed = ground.store.claim(partition, begins, end).await;
    claimed.map_err(|error| Lost::Log(LogError::Unavailable(error.to_string())))
}

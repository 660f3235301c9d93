//! The loop of the group: gather, say what is to be written, fold, write, commit; wait when ClickHouse is away.

use std::collections::{BTreeMap, VecDeque};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::yield_now;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use trunkline_stores::clickhouse::AnalyticsError;
use trunkline_stores::log::{LogError, Mark, Subscription};

use super::Ground;
use super::ahead::{Ahead, Taken};
use super::batch::{Cut, Gathered};
use super::fold::{fold, touched};
use super::intent::Intent;
use super::moves::Moves;
use super::reading::Read;
use super::remembered::Remembered;
use super::rows::Rows;
use super::staging::Staged;
use super::state::PartitionFacts;
use crate::system::{Health, now, sleep_until};

/// First wait after a failure; doubled up to [`WAIT_MAX`].
pub(super) const WAIT_MIN: Duration = Duration::from_millis(250);
/// Longest wait: ClickHouse that is back is noticed within this time. An attempt costs it a connection and a question.
const WAIT_MAX: Duration = Duration::from_secs(1);
/// How often the end of the log is looked up for the lag.
const LOOK_AT_END: Duration = Duration::from_secs(5);
/// Calls that are folded, or made rows of, in one go; after that others have their turn: some milliseconds.
pub(super) const CALLS_AT_ONCE: usize = 32;
/// Longest time for the last writes when stopping; the rest is delivered again.
const LAST_WRITES: Duration = Duration::from_secs(5);

/// One member of the group at work.
pub(super) struct Worker {
    pub(super) ground: Ground,
    pub(super) subscription: Box<dyn Subscription>,
    pub(super) log_name: Arc<str>,
    pub(super) assigned: Vec<u32>,
    /// What the group has done of these partitions, as far as it is noted.
    reached: BTreeMap<u32, i64>,
    /// The same, as it was being noted when the log was lost.
    trying: BTreeMap<u32, i64>,
    pub(super) ahead: Ahead,
    pub(super) gathered: Gathered<Read>,
    /// A batch whose boundaries are being noted.
    pub(super) noting: Option<Cut<Read>>,
    pub(super) staged: Option<Staged>,
    /// What earlier owners were about to write; before anything else is.
    pub(super) repeats: VecDeque<Intent>,
    /// The last of them that was written.
    pub(super) repeated: Option<Intent>,
    known: Remembered,
    moves: Option<Moves>,
    last_write: Option<Instant>,
    pub(super) retry_at: Option<Instant>,
    wait: Duration,
    paused: bool,
}

impl Worker {
    pub fn new(ground: Ground, subscription: Box<dyn Subscription>, known: Remembered) -> Self {
        Self {
            log_name: ground.options.log_name.as_str().into(),
            ground,
            subscription,
            assigned: Vec::new(),
            reached: BTreeMap::new(),
            trying: BTreeMap::new(),
            ahead: Ahead::default(),
            gathered: Gathered::default(),
            noting: None,
            staged: None,
            repeats: VecDeque::new(),
            repeated: None,
            known,
            moves: None,
            last_write: None,
            retry_at: None,
            wait: WAIT_MIN,
            paused: false,
        }
    }

    /// Works until `stop`; an error means that the log is lost and all begins anew.
    pub async fn run(&mut self, stop: &CancellationToken) -> Result<(), LogError> {
        let mut directory = self.ground.directory.clone();
        let mut look = tokio::time::interval(LOOK_AT_END);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let wake = self.wake();
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                Ok(()) = directory.changed() => self.moves = Some(Moves::default()),
                _ = look.tick() => self.look_at_end().await,
                // What was taken ahead comes before the next batch: some of it may be that a partition is not ours any more.
                () = sleep_until(wake), if self.ahead.is_empty() => self.work().await?,
                taken = self.ahead.next(&mut *self.subscription, &self.log_name) => self.take(taken).await?,
            }
        }
    }

    /// Leaves the group. What is gathered is written if that is quick; else it is delivered again.
    pub async fn end(mut self) {
        let _ = tokio::time::timeout(LAST_WRITES, self.drain()).await;
        self.subscription.close().await;
    }

    /// What is known of calls, for the next member, which may get the same partitions.
    pub fn remember(mut self) -> Remembered {
        for (partition, next) in self.reached {
            let trying = self.trying.get(&partition).copied();
            self.known.leave(partition, next, trying, self.ground.options.cache_bytes);
        }
        self.known
    }

    /// When there is something to write; `None` while there is nothing.
    fn wake(&self) -> Option<Instant> {
        let options = &self.ground.options;
        let is_under_way = self.staged.is_some() || self.noting.is_some() || !self.repeats.is_empty();
        let wanted = if is_under_way || self.gathered.is_full(options.batch_rows, options.batch_bytes) {
            Some(Instant::now())
        } else {
            let moving = self.moves.as_ref().filter(|_| !self.assigned.is_empty()).map(|_| Instant::now());
            self.gathered.due(options.linger, self.last_write).into_iter().chain(moving).min()
        };
        wanted.map(|at| self.retry_at.map_or(at, |retry| retry.max(at)))
    }

    async fn take(&mut self, taken: Taken) -> Result<(), LogError> {
        match taken {
            Taken::Assigned { partition, next, intent } => {
                let (begins, end) = self.ground.log.span(partition).await?;
                let next = next.unwrap_or(begins);
                let next = self.go_on(partition, next, intent.as_deref()).await?;
                self.assigned.push(partition);
                if let Some(staged) = &mut self.staged {
                    staged.change(partition, false, &mut self.known.cache);
                }
                self.reached.insert(partition, next);
                self.known.come(partition, next);
                self.moves = Some(Moves::default());
                self.ground.shared.change(|state| {
                    state.partitions.insert(partition, PartitionFacts { next, end });
                });
                if self.paused {
                    self.subscription.pause(partition);
                }
            }
            Taken::Records { partition, records, .. } => {
                self.gathered.take_in(partition, records, Instant::now());
                // While ClickHouse is away, no more than one batch waits in memory behind the one that is tried.
                if !self.paused && self.retry_at.is_some() && self.gathered.bytes() > self.ground.options.batch_bytes {
                    self.paused = true;
                    self.assigned.iter().for_each(|partition| self.subscription.pause(*partition));
                }
            }
            Taken::CaughtUp { partition, next } => {
                self.gathered.caught_up(partition);
                self.ground.shared.change(|state| {
                    state.partitions.entry(partition).or_default().end = next;
                });
            }
            Taken::Revoked { partition } => {
                let of_it = |cut: &Cut<Read>| cut.ranges.iter().any(|(of, ..)| *of == partition);
                if self.noting.as_ref().is_some_and(of_it) {
                    // The next owner goes on from what is noted, and so must we, whichever it is.
                    let reason = "a partition was taken away while the boundaries of its batch were being noted";
                    return Err(LogError::Unavailable(reason.to_owned()));
                }
                self.assigned.retain(|assigned| *assigned != partition);
                if let Some(staged) = &mut self.staged {
                    staged.change(partition, true, &mut self.known.cache);
                }
                let assigned = &self.assigned;
                self.repeats
                    .retain(|intent| assigned.iter().any(|partition| intent.of_partition(*partition).is_some()));
                self.gathered.drop_partition(partition);
                if let Some(next) = self.reached.remove(&partition) {
                    self.known.leave(partition, next, None, self.ground.options.cache_bytes);
                }
                self.ground.shared.change(|state| {
                    state.partitions.remove(&partition);
                });
            }
            Taken::Lost(error) => return Err(error),
        }
        Ok(())
    }

    /// One write, or one attempt.
    async fn work(&mut self) -> Result<(), LogError> {
        if !self.stage().await? {
            return Ok(());
        }
        match self.write().await {
            Ok(Some(ranges)) => {
                self.succeeded();
                self.commit(&ranges).await
            }
            Ok(None) => {
                self.succeeded();
                Ok(())
            }
            Err(error) => {
                self.failed(&error);
                Ok(())
            }
        }
    }

    /// Writes the batch on its way, else the next one, else moves some calls. Meanwhile the next records are taken and read.
    async fn write(&mut self) -> Result<Option<Vec<(u32, i64, i64)>>, AnalyticsError> {
        let Some(staged) = &mut self.staged else {
            self.move_some().await?;
            return Ok(None);
        };
        let options = &self.ground.options;
        {
            let mut writing = pin!(write(staged, &mut self.known, &self.assigned, &self.ground));
            loop {
                let has_room = self.retry_at.is_none() && self.ahead.has_room(options.batch_rows, options.batch_bytes);
                tokio::select! {
                    biased;
                    written = &mut writing => break written?,
                    () = self.ahead.step(&mut *self.subscription, &self.log_name), if has_room => {}
                }
            }
        }
        let Some(mut staged) = self.staged.take() else { return Ok(None) };
        // Only now: until it is written, a partition of the same batch that is assigned to us has to wait for it. And only if it is written as a
        // whole: one that was given up may come back.
        let whole = staged.intent.take().filter(|_| staged.given_up.is_empty());
        self.repeated = whole.or_else(|| self.repeated.take());
        Ok(Some(self.note(staged)))
    }

    async fn move_some(&mut self) -> Result<(), AnalyticsError> {
        let Some(moves) = &mut self.moves else { return Ok(()) };
        match moves.step(&self.ground, &mut self.known.cache, &self.assigned).await? {
            Some(moved) => self.ground.shared.change(|state| state.calls_moved += moved),
            None => self.moves = None,
        }
        Ok(())
    }

    /// Counts what was written.
    fn note(&mut self, staged: Staged) -> Vec<(u32, i64, i64)> {
        let now = now(&self.ground.options.clock);
        let mut newest = 0;
        for entry in &staged.entries {
            let lag_ms = (now.0 - entry.row.received_at).max(0);
            newest = lag_ms;
            metrics::histogram!("trunkline_event_lag_seconds", "stage" => "facts").record(lag_ms as f64 / 1_000.0);
        }
        let rows = staged.rows.unwrap_or_default();
        self.ground.shared.change(|state| {
            state.lag_ms = newest;
            state.events_written += rows.events.len() as u64;
            state.set_aside += rows.events.iter().filter(|row| !row.set_aside.is_empty()).count() as u64;
            state.calls_written += rows.calls.len() as u64;
            state.transcripts_written += rows.transcripts.len() as u64;
            state.written_at = Some(now);
            state.cached_calls = self.known.cache.calls();
            state.cached_bytes = self.known.cache.bytes();
        });
        staged.ranges
    }

    /// Whether a range ends behind what the group has done of a partition of ours. A batch that is repeated for one partition may be long past in
    /// another: moved back, that one would be cut anew, and its records stored under other tokens a second time.
    pub(super) fn is_ahead(&self, (partition, _, last): &(u32, i64, i64)) -> bool {
        self.reached.get(partition).is_some_and(|next| last + 1 > *next)
    }

    /// The rows are in: the log need not deliver these records again.
    async fn commit(&mut self, ranges: &[(u32, i64, i64)]) -> Result<(), LogError> {
        let ours = ranges.iter().filter(|range| self.is_ahead(range));
        let done = |(partition, _, last): &(u32, i64, i64)| Mark {
            partition: *partition,
            next: last + 1,
            intent: None,
        };
        let marks: Vec<Mark> = ours.map(done).collect();
        if marks.is_empty() {
            return Ok(());
        }
        self.trying = marks.iter().map(|mark| (mark.partition, mark.next)).collect();
        self.subscription.mark(&marks).await?;
        self.trying.clear();
        self.reached.extend(marks.iter().map(|mark| (mark.partition, mark.next)));
        self.ground.shared.change(|state| {
            for mark in &marks {
                let at = state.partitions.entry(mark.partition).or_default();
                at.next = at.next.max(mark.next);
                at.end = at.end.max(at.next);
            }
        });
        Ok(())
    }

    fn succeeded(&mut self) {
        self.last_write = Some(Instant::now());
        self.wait = WAIT_MIN;
        if self.retry_at.take().is_some() {
            tracing::info!("ClickHouse takes facts again");
            self.ground.role.tell(Health::Running, None);
            self.ground.shared.change(|state| state.waits_for = None);
        }
        if self.paused {
            self.paused = false;
            self.assigned.iter().for_each(|partition| self.subscription.resume(*partition));
        }
    }

    fn failed(&mut self, error: &AnalyticsError) {
        if self.retry_at.is_none() {
            tracing::warn!(%error, "facts wait for ClickHouse");
        }
        metrics::counter!("trunkline_facts_failures_total").increment(1);
        let note = error.to_string();
        self.ground.role.tell(Health::Running, Some(note.clone()));
        self.ground.shared.change(|state| {
            state.failures += 1;
            state.waits_for = Some(note);
        });
        self.retry_at = Some(Instant::now() + self.wait);
        self.wait = (self.wait * 2).min(WAIT_MAX);
    }

    async fn drain(&mut self) {
        while self.staged.is_some() || self.noting.is_some() || !self.repeats.is_empty() || !self.gathered.is_empty() {
            if !matches!(self.stage().await, Ok(true)) || self.staged.is_none() {
                return;
            }
            match self.write().await {
                Ok(Some(ranges)) => {
                    if self.commit(&ranges).await.is_err() {
                        return;
                    }
                }
                Ok(None) | Err(_) => return,
            }
        }
    }

    async fn look_at_end(&mut self) {
        for partition in self.assigned.clone() {
            if let Ok((_, end)) = self.ground.log.span(partition).await {
                self.ground.shared.change(|state| {
                    state.partitions.entry(partition).or_default().end = end;
                });
            }
        }
    }
}

/// Makes the rows of a batch, unless an earlier attempt has made them, and writes what of them is not written yet.
async fn write(staged: &mut Staged, known: &mut Remembered, assigned: &[u32], ground: &Ground) -> Result<(), AnalyticsError> {
    let rows = match &mut staged.rows {
        Some(rows) => rows,
        none => {
            let touched = touched(&staged.entries);
            let calls = fold(&*ground.tables, &mut known.cache, &mut staged.entries, &touched).await?;
            let events = staged.entries.iter().map(|entry| entry.row.clone()).collect();
            let mut rows = Rows::new(staged.token.clone(), events);
            let directory = ground.directory.borrow().clone();
            for (nth, (key, mut held)) in calls.into_iter().enumerate() {
                if nth % CALLS_AT_ONCE == 0 {
                    yield_now().await;
                }
                if !staged.given_up.contains(&held.partition) {
                    rows.add(&key, &mut held, &directory, &ground.options.rules);
                }
                if assigned.contains(&held.partition) {
                    known.cache.put(key, held);
                } else {
                    // Of a partition that is another member's now, what we know is old soon. And if it comes to us with this batch still to
                    // be noted, what was laid aside of this call lacks the batch.
                    known.forget(&key);
                }
            }
            known.cache.shrink(ground.options.cache_bytes);
            none.insert(rows)
        }
    };
    rows.write(&*ground.tables).await
}

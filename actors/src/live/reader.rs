//! Reads one partition: gathers micro-batches, has them applied, publishes, reports. One job after the other, in log order.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use trunkline_core::instant::Millis;
use trunkline_stores::log::LogRecord;
use trunkline_stores::log::compacted::PutError;
use trunkline_stores::postgres::Directory;

use super::checkpoint::{Keeper, Reached};
use super::completeness::{Gap, Step};
use super::faults::Point;
use super::gather::gather;
use super::limits::{
    BATCH_BYTES, BATCH_RECORDS, BATCH_WAIT_MS, CATCH_UP_RECORDS, CATCH_UP_WAIT_MS, FORGET_MS, PUBLISH_MS, SWEEP_MS, WAITING_BYTES,
};
use super::partition::{Partition, Ward};
use super::reaper::Silent;
use super::recall::Recall;
use super::shared::Shared;
use crate::system::Clock;

/// What the subscription hands over.
#[derive(Debug)]
pub(crate) enum Parcel {
    /// Records in offset order; not more than one micro-batch.
    Records(Vec<LogRecord>),
    /// The log holds nothing newer at this moment.
    CaughtUp,
}

impl Parcel {
    /// Cuts records of `bytes` bytes into parcels.
    pub(crate) fn cut(records: Vec<LogRecord>, bytes: usize, mut send: impl FnMut(Parcel)) {
        if records.len() <= BATCH_RECORDS && bytes <= BATCH_BYTES {
            return send(Parcel::Records(records));
        }
        let (mut batch, mut batch_bytes) = (Vec::new(), 0);
        for record in records {
            let bytes = record.bytes.len();
            if batch.len() == BATCH_RECORDS || !batch.is_empty() && batch_bytes + bytes > BATCH_BYTES {
                send(Parcel::Records(std::mem::take(&mut batch)));
                batch_bytes = 0;
            }
            batch_bytes += bytes;
            batch.push(record);
        }
        send(Parcel::Records(batch));
    }
}

/// What a reader reports back.
#[derive(Debug)]
pub(crate) enum Notice {
    /// It has what a checkpoint holds of the partition, and reads the log from `start` on.
    Begun { partition: u32, epoch: u64, start: i64 },
    /// So much has been applied and no longer waits.
    Applied {
        partition: u32,
        epoch: u64,
        records: usize,
        bytes: usize,
    },
    /// Everything below `next` is on the boards.
    Published { partition: u32, epoch: u64, next: i64 },
    /// The reader has ended.
    Ended { partition: u32, epoch: u64, died: bool },
}

/// What a reader is made from.
pub(crate) struct Recipe {
    pub(crate) partition: u32,
    /// Number of this assignment; what an older one says is void.
    pub(crate) epoch: u64,
    /// The reader before died over the checkpoint: it is left alone.
    pub(crate) distrusts: bool,
    pub(crate) shared: Arc<Shared>,
    pub(crate) directory: watch::Receiver<Arc<Directory>>,
    pub(crate) inbox: mpsc::UnboundedReceiver<Parcel>,
    pub(crate) notices: mpsc::UnboundedSender<Notice>,
    pub(crate) questions: mpsc::Sender<Silent>,
    /// Cancelled when the partition is given away: then whatever waits is void.
    pub(crate) revoked: CancellationToken,
}

/// The reader of one partition.
pub(crate) struct Reader {
    pub(super) recipe: Recipe,
    pub(super) state: Partition,
    deaths: mpsc::UnboundedReceiver<(Ward, u32)>,
    pub(super) clock: Clock,
    directory_open: bool,
    pub(super) expected: i64,
    pub(super) applied_to: Option<Millis>,
    times: Vec<(Millis, Millis)>,
    current: bool,
    rebuilt: bool,
    unpublished: bool,
    published_at: Option<Millis>,
    swept_at: Option<Millis>,
    forgot_at: Millis,
    pub(super) keeper: Option<Keeper>,
    recall: Recall,
    pub(super) began: Instant,
    pub(super) start: i64,
    /// Calls that came from a checkpoint.
    pub(super) restored: Option<usize>,
}

/// While the log is read back, boards are marked and need no hurry.
const REBUILD_PUBLISH_MS: i64 = 1_000;

impl Reader {
    /// Must be called on the thread where its actors shall live.
    pub(crate) fn new(mut recipe: Recipe) -> Reader {
        let (line, deaths) = mpsc::unbounded_channel();
        let directory = Arc::clone(&recipe.directory.borrow_and_update());
        let is_shown = recipe.shared.hub.begin_partition(recipe.partition, recipe.epoch);
        let mut state = Partition::new(recipe.partition, recipe.epoch, Arc::clone(&recipe.shared), directory, line);
        state.is_shown_as_before = is_shown;
        Reader {
            state,
            deaths,
            clock: recipe.shared.clock.clone(),
            directory_open: true,
            expected: 0,
            applied_to: None,
            times: Vec::new(),
            current: false,
            rebuilt: false,
            unpublished: false,
            published_at: None,
            swept_at: None,
            forgot_at: recipe.shared.clock.now(),
            keeper: None,
            recall: Recall::new(Arc::clone(&recipe.shared.log), recipe.partition),
            began: Instant::now(),
            start: 0,
            restored: None,
            recipe,
        }
    }

    /// Reads until the subscription closes the inbox or gives the partition away.
    pub(crate) async fn run(mut self) {
        let revoked = self.recipe.revoked.clone();
        let begun = tokio::select! {
            biased;
            () = revoked.cancelled() => false,
            begun = self.begin() => begun,
        };
        if begun {
            self.serve(&revoked).await;
        }
        if revoked.is_cancelled() {
            self.recipe.shared.hub.give_up_partition(self.recipe.partition, self.recipe.epoch);
        } else if begun {
            self.publish(self.clock.now()).await;
            let reached = self.reached();
            if let (Some(keeper), Some(reached)) = (&mut self.keeper, reached) {
                keeper.finish(reached, &mut self.state).await;
            }
        }
    }

    async fn serve(&mut self, revoked: &CancellationToken) {
        loop {
            // In this order: what comes seldom does not wait behind the log, and a run with the same events takes the same way.
            tokio::select! {
                biased;
                () = revoked.cancelled() => break,
                Some((ward, generation)) = self.deaths.recv() => {
                    self.state.hear(ward, generation).await;
                    self.unpublished = true;
                }
                changed = self.recipe.directory.changed(), if self.directory_open => match changed {
                    Ok(()) => {
                        let directory = Arc::clone(&self.recipe.directory.borrow_and_update());
                        self.state.rehome(directory).await;
                        self.unpublished = true;
                    }
                    Err(_) => self.directory_open = false,
                },
                outcome = arrived(&mut self.keeper) => {
                    let now = self.clock.now();
                    if let Some(keeper) = &mut self.keeper {
                        keeper.hear(outcome, now, &mut self.state);
                    }
                }
                Some(stretch) = self.recall.answer() => {
                    self.recall.take(stretch, &mut self.state).await;
                    self.unpublished = true;
                }
                _ = self.clock.beat() => {}
                parcel = self.recipe.inbox.recv() => match parcel {
                    Some(Parcel::Records(records)) => self.take(records).await,
                    Some(Parcel::CaughtUp) => self.caught_up(),
                    None => break,
                },
            }
            self.tick().await;
        }
    }

    /// Where a checkpoint of this moment would stand; `None` until the end of the log was reached once.
    fn reached(&self) -> Option<Reached> {
        self.rebuilt.then_some(Reached {
            next: self.expected,
            applied_to: self.applied_to,
        })
    }

    /// Applies one micro-batch: what came, and what comes within a few milliseconds.
    async fn take(&mut self, mut records: Vec<LogRecord>) {
        // While the log is read back boards are marked and need no hurry, and of a call's records in one batch most need not be read.
        let (most, wait_ms) = if self.rebuilt {
            (BATCH_RECORDS, BATCH_WAIT_MS)
        } else {
            (CATCH_UP_RECORDS, CATCH_UP_WAIT_MS)
        };
        let deadline = Instant::now() + Duration::from_millis(wait_ms);
        let mut caught_up = false;
        let bytes_of = |records: &[LogRecord]| records.iter().map(|record| record.bytes.len()).sum::<usize>();
        let mut bytes = bytes_of(&records);
        while records.len() < most && bytes < WAITING_BYTES / 2 && !caught_up {
            match timeout_at(deadline, self.recipe.inbox.recv()).await {
                Ok(Some(Parcel::Records(more))) => {
                    bytes += bytes_of(&more);
                    records.extend(more);
                }
                Ok(Some(Parcel::CaughtUp)) => caught_up = true,
                Ok(None) | Err(_) => break,
            }
        }
        if self.recipe.revoked.is_cancelled() {
            return;
        }
        let count = records.len();
        records.retain(|record| self.in_order(record));
        if let Some(faults) = &self.recipe.shared.faults {
            faults.reach(Point::Read(self.recipe.partition));
        }
        self.current = false;
        if let Some(last) = records.last() {
            self.applied_to = Some(last.appended_at);
            let gathered = gather(records);
            self.times.extend_from_slice(&gathered.times);
            let others = gathered.others;
            let set_aside = gathered.set_aside.len() as u64;
            let endings = self.state.apply(gathered).await;
            for (ending, events) in [
                ("applied", endings.applied),
                ("repeat", endings.repeats),
                ("same", endings.same),
                ("other", others),
                ("set_aside", set_aside),
            ] {
                metrics::counter!("trunkline_events_settled_total", "ending" => ending).increment(events);
            }
            self.unpublished = true;
        }
        let (partition, epoch) = (self.recipe.partition, self.recipe.epoch);
        let _ = self.recipe.notices.send(Notice::Applied {
            partition,
            epoch,
            records: count,
            bytes,
        });
        if caught_up {
            self.caught_up();
        }
    }

    /// Sees to it that each offset is applied once; a hole is an alarm.
    fn in_order(&mut self, record: &LogRecord) -> bool {
        let offset = record.position.offset;
        if offset < self.expected {
            return false;
        }
        if offset > self.expected {
            let gap = Gap {
                partition: self.recipe.partition,
                first: self.expected,
                last: offset - 1,
            };
            tracing::error!(
                log.partition = gap.partition,
                gap.first,
                gap.last,
                "offsets are missing from the log"
            );
            metrics::counter!("trunkline_log_gaps_total").increment(1);
            self.recipe.shared.hub.progress.gap(gap);
        }
        self.expected = offset + 1;
        true
    }

    fn caught_up(&mut self) {
        self.current = true;
        self.unpublished = true;
    }

    /// Between two jobs: publish and sweep when it is time.
    async fn tick(&mut self) {
        let now = self.clock.now();
        let since = self.published_at.map_or(i64::MAX, |at| now.since(at));
        let due = match (self.rebuilt, self.recipe.inbox.is_empty()) {
            (true, true) => since != 0,
            (true, false) => since >= PUBLISH_MS,
            (false, _) => since >= REBUILD_PUBLISH_MS || self.current,
        };
        if self.unpublished && due {
            self.publish(now).await;
        }
        if self.swept_at.is_none_or(|at| now.since(at) >= SWEEP_MS) {
            self.swept_at = Some(now);
            self.sweep(now).await;
        }
        let reached = self.reached();
        if let Some(keeper) = &mut self.keeper {
            keeper.step(now, reached, &mut self.state).await;
        }
        if self.rebuilt && self.recipe.inbox.is_empty() {
            self.recall.ask(&self.state);
        }
    }

    /// Says how far the partition is, whether or not that is on the boards.
    fn tell_progress(&mut self, now: Millis) {
        let (calls, residue) = self.state.sizes();
        let step = Step {
            next: self.expected,
            applied_to: self.applied_to,
            current: self.current,
            calls,
            residue,
        };
        self.recipe.shared.hub.progress.step(self.recipe.partition, self.recipe.epoch, step);
        self.published_at = Some(now);
    }

    async fn publish(&mut self, now: Millis) {
        if self.state.is_shown_as_before && !self.current {
            return self.tell_progress(now);
        }
        self.state.publish(now).await;
        self.tell_progress(now);
        let hub = &self.recipe.shared.hub;
        let (partition, epoch) = (self.recipe.partition, self.recipe.epoch);
        let times = std::mem::take(&mut self.times);
        if self.rebuilt {
            hub.progress.lags(partition, now, &times);
        }
        if self.current && !self.rebuilt {
            self.rebuilt = true;
            self.tell_rebuild();
        }
        self.unpublished = false;
        let _ = self.recipe.notices.send(Notice::Published {
            partition,
            epoch,
            next: self.expected,
        });
    }

    /// Looks after idle and silent calls. While the log is read back, its own time counts: else every call would look idle.
    async fn sweep(&mut self, now: Millis) {
        let time = if self.current { Some(now) } else { self.applied_to };
        let Some(time) = time else { return };
        let sweep = self.state.sweep(time, self.current).await;
        self.unpublished |= sweep.moved;
        if now.since(self.forgot_at) >= FORGET_MS {
            self.forgot_at = now;
            self.state.touch_businesses();
            self.unpublished = true;
        }
        for silent in sweep.silent {
            // No room: the call comes up again with its next silence.
            if self.recipe.questions.try_send(silent).is_err() {
                metrics::counter!("trunkline_silent_calls_total", "found" => "put_off").increment(1);
            }
        }
    }
}

/// What became of what the keeper has sent; never, if there is none.
async fn arrived(keeper: &mut Option<Keeper>) -> Result<(), PutError> {
    match keeper {
        Some(keeper) => keeper.arrived().await,
        None => std::future::pending().await,
    }
}

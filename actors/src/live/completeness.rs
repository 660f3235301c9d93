//! How complete the live figures are: up to which moment everything has been applied, and what is missing.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use trunkline_core::instant::Millis;
use trunkline_stores::postgres::reconciler::Summary;

use super::lag::{LagSum, LagWindow};
use crate::audit::AuditSummary;

/// Holes remembered per partition; more than these means that a person must look anyway.
const GAPS_MAX: usize = 100;

/// A run of offsets that should be in the log and was not delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// Which partition.
    pub partition: u32,
    /// First missing offset.
    pub first: i64,
    /// Last missing offset.
    pub last: i64,
}

/// How far one partition is.
#[derive(Debug, Clone, Serialize)]
pub struct PartitionState {
    /// Which one.
    pub partition: u32,
    /// First offset of this rebuild.
    pub began_at: i64,
    /// The next offset to be applied.
    pub next: i64,
    /// The end of the log has been reached since the last record.
    pub current: bool,
    /// The end has been reached once since the rebuild began.
    pub rebuilt: bool,
    /// When the log took the last applied record.
    pub applied_to: Option<Millis>,
    /// Calls with an actor.
    pub calls: usize,
    /// Ended calls kept in compact form for late events.
    pub residue: usize,
    /// The newest checkpoint of this process.
    pub checkpoint: Option<Checkpointed>,
    /// How this process came to have the partition's calls; `None` until it has them.
    pub rebuild: Option<Rebuild>,
}

/// A complete checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Checkpointed {
    /// When it was complete.
    pub at: Millis,
    /// A restart reads the log from here.
    pub next: i64,
    /// Calls that are stored in all.
    pub calls: usize,
    /// Records written for it: what had changed since the one before.
    pub records: u64,
    /// Bytes of them.
    pub bytes: u64,
}

/// How a partition was taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Rebuild {
    /// From a checkpoint, or else from the log alone.
    pub from_checkpoint: bool,
    /// Calls in the checkpoint.
    pub restored: usize,
    /// Records applied after it until the end of the log.
    pub replayed: i64,
    /// From the assignment to the right board, in ms.
    pub took_ms: u64,
}

/// What the screen says about its own truth.
#[derive(Debug, Clone, Serialize)]
pub struct Completeness {
    /// When this was asked.
    pub as_of: Millis,
    /// Everything that the log took up to here has been applied; `None` until every partition has begun.
    pub complete_to: Option<Millis>,
    /// A partition is still being rebuilt from the log: figures are too low, or of before that began.
    pub rebuilding: bool,
    /// The log cannot be reached at this moment.
    pub log_away: bool,
    /// Partitions of the log.
    pub partitions: u32,
    /// Partitions whose figures this process shows: those it reads, and those it follows.
    pub assigned: u32,
    /// Now minus `complete_to`.
    pub lag_ms: Option<i64>,
    /// 95th percentile from receipt at the door to publication, last minute; upper end of its bucket.
    pub lag_p95_ms: Option<i64>,
    /// 95th percentile from receipt at the door to the log's acknowledgement, last minute; upper end of its bucket.
    pub intake_lag_p95_ms: Option<i64>,
    /// Offsets that were not delivered, or that the auditor found wrong and has not repaired.
    pub gaps: Vec<Gap>,
    /// Calls in progress that have been silent for longer than usual: their end may be missing.
    pub open_without_end: u64,
    /// Calls closed by the reaper within the horizon.
    pub presumed_ended: u64,
    /// Set-aside events by reason, since the horizon.
    pub set_aside: BTreeMap<&'static str, u64>,
    /// How far calls are compared with Retell's own list, and what was filled in within the last day; `None` without a key for Retell's API.
    pub reconciled: Option<Summary>,
    /// How far log, facts and ledger are compared, and what differs; `None` while that is not known here.
    pub audited: Option<AuditSummary>,
}

/// Epoch of partitions that another process reads and this one shows. No assignment has it.
pub(crate) const FOLLOWED: u64 = 0;
/// Epoch of partitions that were given up and are shown as they were then, until somebody has them again. No assignment has it.
const LEFT: u64 = u64::MAX;

#[derive(Debug)]
struct Progress {
    epoch: u64,
    state: PartitionState,
    gaps: Vec<Gap>,
    lag: LagWindow,
    intake_lag: LagWindow,
}

impl Progress {
    /// Nothing is known yet.
    fn new(partition: u32, epoch: u64, at: i64) -> Progress {
        let state = PartitionState {
            partition,
            began_at: at,
            next: at,
            current: false,
            rebuilt: false,
            applied_to: None,
            calls: 0,
            residue: 0,
            checkpoint: None,
            rebuild: None,
        };
        Progress {
            epoch,
            state,
            gaps: Vec::new(),
            lag: LagWindow::default(),
            intake_lag: LagWindow::default(),
        }
    }
}

#[derive(Debug, Default)]
struct Inner {
    partitions: BTreeMap<u32, Progress>,
    log_away_since: Option<Millis>,
    /// All partitions are to be shown, whoever reads them.
    shows_all: bool,
}

/// The progress of all partitions of this process.
#[derive(Debug, Default)]
pub(crate) struct ProgressBook(Mutex<Inner>);

/// What a reader reports with each publication.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    pub(crate) next: i64,
    pub(crate) applied_to: Option<Millis>,
    pub(crate) current: bool,
    pub(crate) calls: usize,
    pub(crate) residue: usize,
}

impl ProgressBook {
    /// From now on something is missing as long as a partition is not shown, whoever reads it.
    pub(crate) fn show_all(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).shows_all = true;
    }

    /// Whether a reader of this process has the partition.
    pub(crate) fn is_read(&self, partition: u32) -> bool {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let read = |progress: &Progress| ![FOLLOWED, LEFT].contains(&progress.epoch);
        inner.partitions.get(&partition).is_some_and(read)
    }

    /// Shows a partition that nobody reads here; true when it was not followed before.
    pub(crate) fn follow(&self, partition: u32, at: i64) -> bool {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match inner.partitions.entry(partition) {
            Entry::Vacant(vacant) => {
                vacant.insert(Progress::new(partition, FOLLOWED, at));
                true
            }
            Entry::Occupied(mut left) if left.get().epoch == LEFT => {
                left.insert(Progress::new(partition, FOLLOWED, at));
                true
            }
            Entry::Occupied(_) => false,
        }
    }

    /// Every call that its reader keeps is shown.
    pub(crate) fn has_been_whole(&self, partition: u32, epoch: u64) {
        self.change(partition, epoch, |progress| progress.state.rebuilt = true);
    }

    /// Gives the partition to this assignment. True when it is shown already: then it is complete to what it was.
    pub(crate) fn begin(&self, partition: u32, epoch: u64) -> bool {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut progress = Progress::new(partition, epoch, 0);
        let before = inner.partitions.get(&partition);
        progress.state.applied_to = before.and_then(|before| before.state.applied_to);
        inner.partitions.insert(partition, progress).is_some()
    }

    /// Whether any partition that is shown is not yet whole.
    pub(crate) fn is_rebuilding(&self) -> bool {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.partitions.values().any(|progress| !progress.state.rebuilt)
    }

    /// The first offset to be read has been found.
    pub(crate) fn start_at(&self, partition: u32, epoch: u64, start: i64) {
        self.change(partition, epoch, |progress| {
            (progress.state.began_at, progress.state.next) = (start, start)
        });
    }

    /// The end of the log has been reached for the first time.
    pub(crate) fn rebuilt(&self, partition: u32, epoch: u64, rebuild: Rebuild) {
        self.change(partition, epoch, |progress| progress.state.rebuild = Some(rebuild));
    }

    /// A checkpoint is complete.
    pub(crate) fn checkpointed(&self, partition: u32, epoch: u64, checkpoint: Checkpointed) {
        self.change(partition, epoch, |progress| progress.state.checkpoint = Some(checkpoint));
    }

    /// First and last of offsets that were not delivered.
    pub(crate) fn gaps(&self, partition: u32) -> Vec<(i64, i64)> {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let gaps = inner.partitions.get(&partition).map(|progress| &*progress.gaps).unwrap_or_default();
        gaps.iter().map(|gap| (gap.first, gap.last)).collect()
    }

    fn change(&self, partition: u32, epoch: u64, change: impl FnOnce(&mut Progress)) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(progress) = inner.partitions.get_mut(&partition).filter(|progress| progress.epoch == epoch) {
            change(progress);
        }
    }

    /// True while this assignment holds: what an older reader says is void.
    pub(crate) fn holds(&self, partition: u32, epoch: u64) -> bool {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.partitions.get(&partition).is_some_and(|progress| progress.epoch == epoch)
    }

    /// Ends an assignment. True when nothing of the partition is to be shown any more. Where all partitions are shown it stays as it is
    /// until it is followed or read again; nothing happens when the assignment held no longer.
    pub(crate) fn leave(&self, partition: u32, epoch: u64) -> bool {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let shows_all = inner.shows_all;
        let Some(progress) = inner.partitions.get_mut(&partition).filter(|progress| progress.epoch == epoch) else {
            return false;
        };
        if shows_all {
            progress.epoch = LEFT;
            (progress.state.current, progress.state.rebuilt) = (false, false);
        } else {
            inner.partitions.remove(&partition);
        }
        !shows_all
    }

    pub(crate) fn step(&self, partition: u32, epoch: u64, step: Step) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(progress) = inner.partitions.get_mut(&partition).filter(|progress| progress.epoch == epoch) else {
            return;
        };
        let state = &mut progress.state;
        state.next = step.next;
        state.applied_to = step.applied_to.or(state.applied_to);
        state.current = step.current;
        state.rebuilt |= step.current;
        state.calls = step.calls;
        state.residue = step.residue;
    }

    /// Notes when the records published at `now` were received and taken by the log.
    pub(crate) fn lags(&self, partition: u32, now: Millis, times: &[(Millis, Millis)]) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(progress) = inner.partitions.get_mut(&partition) else {
            return;
        };
        for (received_at, appended_at) in times {
            let published = now.since(*received_at).max(0);
            let appended = appended_at.since(*received_at).max(0);
            progress.lag.note(now, published);
            progress.intake_lag.note(now, appended);
            metrics::histogram!("trunkline_event_lag_seconds", "stage" => "board").record(published as f64 / 1_000.0);
            metrics::histogram!("trunkline_event_lag_seconds", "stage" => "log").record(appended as f64 / 1_000.0);
        }
    }

    pub(crate) fn gap(&self, gap: Gap) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(progress) = inner.partitions.get_mut(&gap.partition) else {
            return;
        };
        if progress.gaps.len() < GAPS_MAX {
            progress.gaps.push(gap);
        }
    }

    /// The log stopped answering at `since`, or answers again.
    pub(crate) fn log_away(&self, since: Option<Millis>) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.log_away_since = match (inner.log_away_since, since) {
            (Some(first), Some(_)) => Some(first),
            (_, since) => since,
        };
    }

    pub(crate) fn states(&self) -> Vec<PartitionState> {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.partitions.values().map(|progress| progress.state.clone()).collect()
    }

    /// The whole answer but for what belongs to a tenant.
    pub(crate) fn read(&self, now: Millis, partitions: u32) -> Completeness {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let assigned = u32::try_from(inner.partitions.len()).unwrap_or(u32::MAX);
        let present = inner.log_away_since.unwrap_or(now).min(now);
        let mut complete_to = (assigned > 0).then_some(present);
        let lacks = inner.shows_all && assigned < partitions;
        let mut rebuilding = assigned == 0 || lacks;
        complete_to = complete_to.filter(|_| !lacks);
        let (mut lag, mut intake_lag) = (LagSum::default(), LagSum::default());
        let mut gaps = Vec::new();
        for progress in inner.partitions.values() {
            let state = &progress.state;
            rebuilding |= !state.rebuilt;
            if !state.current {
                complete_to = complete_to.and_then(|to| state.applied_to.map(|at| to.min(at)));
            }
            progress.lag.add_to(now, &mut lag);
            progress.intake_lag.add_to(now, &mut intake_lag);
            gaps.extend_from_slice(&progress.gaps);
        }
        Completeness {
            as_of: now,
            complete_to,
            rebuilding,
            log_away: inner.log_away_since.is_some(),
            partitions,
            assigned,
            lag_ms: complete_to.map(|to| now.since(to).max(0)),
            lag_p95_ms: lag.p95_ms(),
            intake_lag_p95_ms: intake_lag.p95_ms(),
            gaps,
            open_without_end: 0,
            presumed_ended: 0,
            set_aside: BTreeMap::new(),
            reconciled: None,
            audited: None,
        }
    }
}

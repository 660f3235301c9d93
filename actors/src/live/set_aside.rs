//! Events that could not be read or applied: the newest of them, and counts of all by reason.
//!
//! The whole list, with the raw bytes, is in ClickHouse; this is what the operator page shows at once.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use trunkline_core::checkpoint::{NOTES_MAX, Note, SetAsides};
use trunkline_core::id::{TenantId, WorkspaceId};
use trunkline_core::instant::Millis;
use trunkline_core::record::SetAside;
use trunkline_stores::log::Position;

/// One set-aside event.
#[derive(Debug, Clone, Serialize)]
pub struct SetAsideNote {
    /// Where its bytes are.
    pub position: Position,
    /// Why.
    pub reason: SetAside,
    /// Whose; `None` when the record itself is damaged.
    pub tenant: Option<TenantId>,
    /// Which workspace's address it came to.
    pub workspace: Option<WorkspaceId>,
    /// Its event name, as the record's header has it.
    pub event: String,
    /// Its routing key.
    pub key: String,
    /// When the door took it; of a damaged record, when the log took it.
    pub received_at: Millis,
    /// What was found, in words, without content of the body.
    pub detail: Option<String>,
}

#[derive(Debug, Default)]
struct Inner {
    notes: VecDeque<SetAsideNote>,
    counts: BTreeMap<(u32, Option<TenantId>, &'static str), u64>,
}

/// The newest set-aside events, and counts.
#[derive(Debug, Default)]
pub(crate) struct SetAsideBook(Mutex<Inner>);

impl SetAsideNote {
    fn stored(&self) -> Note {
        Note {
            offset: self.position.offset,
            reason: self.reason,
            tenant: self.tenant,
            workspace: self.workspace,
            event: self.event.clone(),
            key: self.key.clone(),
            received_at: self.received_at,
            detail: self.detail.clone(),
        }
    }

    fn restored(partition: u32, note: Note) -> SetAsideNote {
        SetAsideNote {
            position: Position {
                partition,
                offset: note.offset,
            },
            reason: note.reason,
            tenant: note.tenant,
            workspace: note.workspace,
            event: note.event,
            key: note.key,
            received_at: note.received_at,
            detail: note.detail,
        }
    }
}

impl SetAsideBook {
    /// Newest notes kept in memory; older ones are in ClickHouse.
    const NOTES_MAX: usize = 1_000;

    pub(crate) fn add(&self, note: SetAsideNote) {
        metrics::counter!("trunkline_events_set_aside_total", "reason" => note.reason.as_str()).increment(1);
        tracing::warn!(
            log.partition = note.position.partition,
            log.offset = note.position.offset,
            reason = note.reason.as_str(),
            "event set aside"
        );
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *inner
            .counts
            .entry((note.position.partition, note.tenant, note.reason.as_str()))
            .or_default() += 1;
        if inner.notes.len() == Self::NOTES_MAX {
            inner.notes.pop_front();
        }
        inner.notes.push_back(note);
    }

    /// The newest `limit` notes, newest first; of one tenant, or of all.
    pub(crate) fn newest(&self, tenant: Option<TenantId>, limit: usize) -> Vec<SetAsideNote> {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = |note: &&SetAsideNote| tenant.is_none() || note.tenant == tenant;
        inner.notes.iter().rev().filter(wanted).take(limit).cloned().collect()
    }

    /// Counts by reason since the rebuild began; of one tenant, or of all.
    pub(crate) fn counts(&self, tenant: Option<TenantId>) -> BTreeMap<&'static str, u64> {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sums = BTreeMap::new();
        for ((_, whose, reason), count) in &inner.counts {
            if tenant.is_none() || *whose == tenant {
                *sums.entry(*reason).or_default() += count;
            }
        }
        sums
    }

    /// What came from one partition, for a checkpoint: everything from records below `as_of`.
    pub(crate) fn stored(&self, partition: u32, as_of: i64) -> SetAsides {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = inner.counts.iter().filter(|((from, _, _), _)| *from == partition);
        let counts = counts.filter_map(|((_, tenant, reason), count)| Some((*tenant, SetAside::parse(reason)?, *count)));
        let notes = inner.notes.iter().filter(|note| note.position.partition == partition);
        let mut notes: Vec<Note> = notes.rev().take(NOTES_MAX).map(SetAsideNote::stored).collect();
        notes.reverse();
        SetAsides {
            as_of,
            counts: counts.collect(),
            notes,
        }
    }

    /// Has of one partition what a checkpoint says, and nothing else.
    pub(crate) fn restore(&self, partition: u32, stored: SetAsides) {
        self.forget(partition);
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (tenant, reason, count) in stored.counts {
            *inner.counts.entry((partition, tenant, reason.as_str())).or_default() += count;
        }
        let notes = stored.notes.into_iter().map(|note| SetAsideNote::restored(partition, note));
        inner.notes.extend(notes);
        // Partitions come one after the other, and the newest of all are to be first.
        inner.notes.make_contiguous().sort_by_key(|note| note.received_at);
        let surplus = inner.notes.len().saturating_sub(Self::NOTES_MAX);
        inner.notes.drain(..surplus);
    }

    /// Forgets what came from one partition: its rebuild finds it again.
    pub(crate) fn forget(&self, partition: u32) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.notes.retain(|note| note.position.partition != partition);
        inner.counts.retain(|(from, _, _), _| *from != partition);
    }
}

//! Brings the calls that a batch touches up to date: from memory, else from their records in the events table.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use tokio::task::yield_now;
use trunkline_core::call::Call;
use trunkline_core::event::{Event, Reading, read};
use trunkline_core::id::{CallKey, WorkspaceId};
use trunkline_core::record::Record;
use trunkline_stores::clickhouse::{AnalyticsError, FactTables, Known};
use uuid::Uuid;

use super::cache::{Cache, Held};
use super::reading::{Entry, poison};
use super::worker::CALLS_AT_ONCE;

/// A call and the entries of the batch that are its events.
pub(super) struct Touched {
    pub key: CallKey,
    pub partition: u32,
    entries: Vec<usize>,
}

/// The calls of a batch in the order of their first events.
pub(super) fn touched(entries: &[Entry]) -> Vec<Touched> {
    let mut places: HashMap<CallKey, usize> = HashMap::new();
    let mut touched: Vec<Touched> = Vec::new();
    for (place, entry) in entries.iter().enumerate() {
        let Some(event) = &entry.event else { continue };
        let key = event.key();
        let at = *places.entry(key.clone()).or_insert_with(|| {
            touched.push(Touched {
                key: key.clone(),
                partition: entry.row.log_partition,
                entries: Vec::new(),
            });
            touched.len() - 1
        });
        touched[at].entries.push(place);
    }
    touched
}

/// Calls that nothing happened to but that are to be written anew.
pub(super) fn untouched(keys: Vec<(CallKey, u32)>) -> Vec<Touched> {
    keys.into_iter()
        .map(|(key, partition)| Touched {
            key,
            partition,
            entries: Vec::new(),
        })
        .collect()
}

/// What the tables have of calls that are not in memory.
#[derive(Default)]
struct Loaded {
    records: HashMap<CallKey, Vec<Record>>,
    known: HashMap<CallKey, Vec<Known>>,
}

impl Loaded {
    async fn load(&mut self, tables: &dyn FactTables, keys: &[CallKey]) -> Result<(), AnalyticsError> {
        self.records.extend(tables.records_of(keys).await?);
        self.load_places(tables, keys).await
    }

    async fn load_places(&mut self, tables: &dyn FactTables, keys: &[CallKey]) -> Result<(), AnalyticsError> {
        self.known.extend(tables.places_of(keys).await?);
        Ok(())
    }
}

/// Applies the entries to their calls. After an error nothing is lost: the calls are loaded again at the next attempt.
pub(super) async fn fold(
    tables: &dyn FactTables,
    cache: &mut Cache,
    entries: &mut [Entry],
    touched: &[Touched],
) -> Result<Vec<(CallKey, Held)>, AnalyticsError> {
    let missing: Vec<CallKey> = touched
        .iter()
        .map(|touched| &touched.key)
        .filter(|key| !cache.holds(key))
        .cloned()
        .collect();
    let mut loaded = Loaded::default();
    loaded.load(tables, &missing).await?;
    let doubted: Vec<CallKey> = touched
        .iter()
        .map(|touched| &touched.key)
        .filter(|key| cache.doubts(key))
        .cloned()
        .collect();
    loaded.load_places(tables, &doubted).await?;
    let mut calls = Vec::with_capacity(touched.len());
    for (nth, touched) in touched.iter().enumerate() {
        if nth % CALLS_AT_ONCE == 0 {
            yield_now().await;
        }
        let mut held = match cache.take(&touched.key) {
            Some(held) if held.is_doubted => Held {
                known: loaded.known.remove(&touched.key).unwrap_or_default(),
                is_doubted: false,
                ..held
            },
            Some(held) => held,
            None => rebuilt(touched, entries, &mut loaded),
        };
        while let Some(place) = first_poisonous(&mut held, touched, entries) {
            tracing::error!(
                log.partition = entries[place].row.log_partition,
                log.offset = entries[place].row.log_offset,
                "an event could not be applied and is set aside"
            );
            poison(&mut entries[place]);
            // The call may be half changed: it is folded again without that event.
            loaded.load(tables, std::slice::from_ref(&touched.key)).await?;
            held = rebuilt(touched, entries, &mut loaded);
        }
        calls.push((touched.key.clone(), held));
    }
    Ok(calls)
}

/// Applies a call's events of the batch; the place of the one that panicked.
fn first_poisonous(held: &mut Held, touched: &Touched, entries: &[Entry]) -> Option<usize> {
    for place in &touched.entries {
        let Some(event) = &entries[*place].event else { continue };
        match apply(&mut held.call, event) {
            Some(transcript) => held.transcript_changed |= transcript,
            None => return Some(*place),
        }
    }
    None
}

/// Applies one event; whether the transcript changed, `None` when it panicked.
fn apply(call: &mut Call, event: &Event) -> Option<bool> {
    catch_unwind(AssertUnwindSafe(|| call.apply(event).transcript)).ok()
}

/// A call from its stored records. Those that panic are left out here as they were when they came.
fn rebuilt(touched: &Touched, entries: &[Entry], loaded: &mut Loaded) -> Held {
    let key = &touched.key;
    let mut records = loaded.records.remove(key).unwrap_or_default();
    records.sort_by_key(|record| record.header.received_at);
    let stored = records.iter().map(|record| (record.header.received_at, record.header.workspace));
    let coming = touched.entries.iter().filter_map(|place| entries[*place].event.as_ref());
    let coming = coming.map(|event| (event.received_at(), event.workspace()));
    // A call that is touched has a record, stored or coming.
    let workspace = stored
        .chain(coming)
        .min_by_key(|(at, _)| *at)
        .map_or(WorkspaceId(Uuid::nil()), |(_, workspace)| workspace);
    let mut call = Call::new(key.clone(), workspace);
    for record in &records {
        if let Ok(Reading::Event(event)) = catch_unwind(AssertUnwindSafe(|| read(record))) {
            apply(&mut call, &event);
        }
    }
    Held {
        call,
        known: loaded.known.remove(key).unwrap_or_default(),
        transcript_changed: true,
        is_doubted: false,
        partition: touched.partition,
    }
}

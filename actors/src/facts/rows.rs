//! The rows of a batch, and their writing in an order that a crash cannot harm.

use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::sync::Arc;

use trunkline_core::id::{BusinessId, CallKey};
use trunkline_core::metric::{Rules, contribution};
use trunkline_stores::clickhouse::{
    AnalyticsError, BLOCK_BYTES, BLOCK_ROWS, CallRow, EventRow, FactTables, Place, TranscriptRow, after, place, weight,
};
use trunkline_stores::postgres::Directory;
use uuid::Uuid;

use super::cache::Held;

/// Rows that belong together. Records first: what is derived from them can be made again, they cannot.
#[derive(Default)]
pub(super) struct Rows {
    token: String,
    pub events: Vec<EventRow>,
    pub transcripts: Vec<TranscriptRow>,
    pub calls: Vec<CallRow>,
    /// Inserts that ClickHouse has acknowledged; a further attempt goes on behind them.
    done: usize,
}

impl Rows {
    pub fn new(token: String, events: Vec<EventRow>) -> Self {
        Self {
            token,
            events,
            ..Self::default()
        }
    }

    /// Adds the rows of a call; true when it is to be written.
    pub fn add(&mut self, key: &CallKey, held: &mut Held, directory: &Directory, rules: &Rules) -> bool {
        if !held.call.exists() {
            return false;
        }
        let facts = held.call.facts();
        // A workspace that the directory does not know (any more): nobody's business, until the directory knows better.
        let business = directory
            .business_of(key.tenant, facts.workspace, facts.owner_agent.as_deref())
            .unwrap_or(BusinessId(Uuid::nil()));
        let here = Place {
            business,
            opened_at: facts.opened_at(),
        };
        let Some(placed) = place(&held.known, here, weight(&facts)) else {
            return false;
        };
        let measures = contribution(&facts, rules).measures();
        let moved = !held.known.iter().any(|at| at.place == here && !at.cancelled);
        self.calls
            .push(CallRow::live(&facts, business, placed.version, held.partition, measures));
        if held.transcript_changed || moved {
            self.transcripts
                .push(TranscriptRow::live(&facts, &held.call.transcript(), business, placed.version));
            held.transcript_changed = false;
        }
        for old in &placed.cancel {
            self.calls
                .push(CallRow::cancelled(key, old.business, old.opened_at, placed.version));
            self.transcripts
                .push(TranscriptRow::cancelled(key, old.business, old.opened_at, placed.version));
        }
        held.known = after(&held.known, here, &placed);
        true
    }

    /// Writes what is not yet written.
    pub async fn write(&mut self, tables: &dyn FactTables) -> Result<(), AnalyticsError> {
        let mut step = 0;
        for block in blocks(&self.events, |row| row.body.0.len()) {
            step += 1;
            if step > self.done {
                // One block unless a limit was exceeded by the last record: the token then names the whole range.
                let token = if block.len() == self.events.len() {
                    self.token.clone()
                } else {
                    format!("{}#{step}", self.token)
                };
                tables.insert_events(block, &token).await?;
                self.done = step;
            }
        }
        // Calls before transcripts. Whoever dies between them, or is too late and wins with one, has then left a call where it does not belong,
        // and such calls are looked for; of a transcript alone nobody would know.
        for block in blocks(&self.calls, |row| row.facts.len() * 2) {
            step += 1;
            if step > self.done {
                let content = digest(block, |row| {
                    (row.business, row.opened_at, &row.call_id, row.version, row.is_deleted, &row.facts)
                });
                tables.insert_calls(block, &format!("{}#{step}:{content:016x}", self.token)).await?;
                self.done = step;
            }
        }
        for block in blocks(&self.transcripts, transcript_weight) {
            step += 1;
            if step > self.done {
                let content = digest(block, |row| {
                    (row.business, row.opened_at, &row.call_id, row.version, row.is_deleted, &row.content)
                });
                tables
                    .insert_transcripts(block, &format!("{}#{step}:{content:016x}", self.token))
                    .await?;
                self.done = step;
            }
        }
        Ok(())
    }
}

/// Tells two contents apart. What is derived from the same records may differ after a restart, because the directory has changed
/// or more is known; under the same token ClickHouse would drop it and report success.
fn digest<'r, R, H: Hash>(rows: &'r [R], of: impl Fn(&'r R) -> H) -> u64 {
    let mut hasher = DefaultHasher::new();
    rows.iter().for_each(|row| of(row).hash(&mut hasher));
    hasher.finish()
}

fn transcript_weight(row: &TranscriptRow) -> usize {
    let text = |texts: &[Arc<str>]| texts.iter().map(|text| text.len()).sum::<usize>();
    // A word has its text and two times.
    text(&row.content) + row.word_text.iter().map(|words| text(words) + words.len() * 17).sum::<usize>()
}

/// Cuts rows into pieces that are one insert each.
fn blocks<R>(rows: &[R], weight: impl Fn(&R) -> usize) -> Vec<&[R]> {
    let (mut blocks, mut begin, mut bytes) = (Vec::new(), 0, 0);
    for (at, row) in rows.iter().enumerate() {
        let weight = weight(row);
        if at > begin && (at - begin >= BLOCK_ROWS || bytes + weight > BLOCK_BYTES) {
            blocks.push(&rows[begin..at]);
            (begin, bytes) = (at, 0);
        }
        bytes += weight;
    }
    if begin < rows.len() {
        blocks.push(&rows[begin..]);
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_hold_every_row_once_and_in_order() {
        let rows: Vec<usize> = vec![1; BLOCK_ROWS + 1];
        assert_eq!(
            blocks(&rows, |row| *row).iter().map(|block| block.len()).collect::<Vec<_>>(),
            [BLOCK_ROWS, 1]
        );
        let heavy = [BLOCK_BYTES + 1, 1, BLOCK_BYTES, 1];
        assert_eq!(blocks(&heavy, |row| *row), [&heavy[..1], &heavy[1..2], &heavy[2..3], &heavy[3..]]);
        assert!(blocks(&[] as &[usize], |row| *row).is_empty());
    }
}

//! Brings the words of restored and woken calls back: a stored call holds none, they are in the records. Read from the log when nothing else is to be
//! done, oldest first, because records of calls in progress lie close together.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use trunkline_stores::log::{EventLog, LogError, LogRecord};

use super::call_actor::{ApplyBatch, Receipt};
use super::entry::Held;
use super::gather::gather;
use super::partition::{Changes, Partition};
use crate::system::ask;

/// Records read at once: a few megabytes. With fewer, Kafka's client, which reads ahead, throws most of what it fetched away when the next
/// partition has its turn.
const AT_ONCE: usize = 512;

/// Figures come before words: so long after its beginning a partition leaves the log to those whose calls are not there yet. Not longer, because one
/// of them may never get there.
const OTHERS_FIRST: Duration = Duration::from_secs(5);

/// Pause after the log did not answer.
const AWAY_PAUSE: Duration = Duration::from_secs(1);

/// Asks the log for stretches of one partition, one after the other.
pub(super) struct Recall {
    log: Arc<dyn EventLog>,
    partition: u32,
    is_asking: bool,
    began: Instant,
    answers: mpsc::UnboundedSender<Stretch>,
    answered: mpsc::UnboundedReceiver<Stretch>,
}

/// What the log holds from an offset on.
pub(super) struct Stretch {
    from: i64,
    records: Vec<LogRecord>,
}

impl Recall {
    pub(super) fn new(log: Arc<dyn EventLog>, partition: u32) -> Recall {
        let (answers, answered) = mpsc::unbounded_channel();
        Recall {
            log,
            partition,
            is_asking: false,
            began: Instant::now(),
            answers,
            answered,
        }
    }

    /// Waits for the log's answer.
    pub(super) async fn answer(&mut self) -> Option<Stretch> {
        self.answered.recv().await
    }

    /// Asks for the next stretch, if words are missing, nothing is under way, and no other partition needs the log more.
    pub(super) fn ask(&mut self, state: &Partition) {
        let Some(from) = state.wordless.keys().next().copied().filter(|_| !self.is_asking) else {
            return;
        };
        if self.began.elapsed() < OTHERS_FIRST && state.shared.hub.progress.is_rebuilding() {
            return;
        }
        self.is_asking = true;
        let (log, partition, answers) = (Arc::clone(&self.log), self.partition, self.answers.clone());
        actix_rt::spawn(async move {
            let records = loop {
                match log.read(partition, from, AT_ONCE).await {
                    Ok(records) => break records,
                    Err(LogError::Gone { .. } | LogError::Misconfigured(_)) => break Vec::new(),
                    Err(LogError::Unavailable(_) | LogError::Fenced) => tokio::time::sleep(AWAY_PAUSE).await,
                }
            };
            // The reader has ended: nobody needs it.
            let _ = answers.send(Stretch { from, records });
        });
    }

    /// Applies what was found once more, which changes nothing but that the words are there.
    pub(super) async fn take(&mut self, stretch: Stretch, state: &mut Partition) {
        self.is_asking = false;
        state.recall(stretch).await;
    }
}

impl Partition {
    async fn recall(&mut self, Stretch { from, mut records }: Stretch) {
        let end = records.last().map_or(from, |record| record.position.offset) + 1;
        let later = self.wordless.split_off(&end);
        let wanted = std::mem::replace(&mut self.wordless, later);
        records.retain(|record| wanted.contains_key(&record.position.offset));
        let mut changes = Changes::new();
        for group in gather(records).groups {
            self.start_stored(&group.key);
            let Some(Held::Live(line)) = self.calls.get(&group.key).map(|entry| &entry.held) else {
                continue;
            };
            let (events, faults) = (group.events, self.shared.faults.clone());
            let settled = match ask(line, ApplyBatch { events, faults }).await.unwrap_or(Receipt::Void) {
                Receipt::Settled(settled) => Some(*settled),
                Receipt::Void => self.rebuild_call(&group.key, i64::MAX).await,
            };
            if let Some(settled) = settled {
                self.settle(&group.key, settled, &mut changes);
            }
        }
        self.fold(changes).await;
        for (key, seen) in wanted.into_values() {
            let Some(entry) = self.calls.get(&key) else { continue };
            let lacks_text = entry.fresh.as_ref().is_none_or(|fresh| fresh.call.lacks_text());
            let seen = seen + 1;
            // The record before: the last one need not be the one with the words.
            if let Some(offset) = entry.trail.all().rev().nth(seen).filter(|_| lacks_text) {
                self.wordless.insert(offset, (key, seen));
            }
        }
    }
}

//! Puts batches on their way: first those that an earlier owner was about to write, then new ones, whose boundaries are noted before
//! anything of them is written.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::time::Instant;
use trunkline_stores::log::{EventLog, LogError, Mark};

use super::batch::Cut;
use super::cache::Cache;
use super::fold::touched;
use super::intent::Intent;
use super::reading::{Entry, Read};
use super::rows::Rows;
use super::worker::{WAIT_MIN, Worker};

/// A batch on its way.
pub(super) struct Staged {
    /// Names it to ClickHouse.
    pub token: String,
    /// Of each partition the first and last offset.
    pub ranges: Vec<(u32, i64, i64)>,
    /// What an earlier owner was about to write, if it is that.
    pub intent: Option<Intent>,
    pub entries: Vec<Entry>,
    pub rows: Option<Rows>,
    /// Partitions that were taken away since. Their next owner finds the intent, writes the batch as well, and knows better where its calls
    /// belong: this member may have heard less.
    pub given_up: BTreeSet<u32>,
}

impl Staged {
    pub fn new(log: &str, cut: Cut<Read>, intent: Option<Intent>) -> Self {
        Self {
            token: cut.token(log),
            ranges: cut.ranges,
            intent,
            entries: cut.records.into_iter().map(|read| read.entry).collect(),
            rows: None,
            given_up: BTreeSet::new(),
        }
    }

    /// Whether it has records of this partition.
    pub fn has(&self, partition: u32) -> bool {
        self.ranges.iter().any(|(of, ..)| *of == partition)
    }

    /// The partition is taken away, or comes back: rows that were made for others are made anew, from what the tables then have.
    pub fn change(&mut self, partition: u32, is_given_up: bool, cache: &mut Cache) {
        let has_changed = match is_given_up {
            true => self.has(partition) && self.given_up.insert(partition),
            false => self.given_up.remove(&partition),
        };
        if has_changed && self.rows.take().is_some() {
            touched(&self.entries).iter().for_each(|touched| cache.doubt(&touched.key));
        }
    }
}

impl Worker {
    /// Begins a new partition where the group is with it, behind what its last owner was about to write; that is repeated first.
    pub(super) async fn go_on(&mut self, partition: u32, next: i64, intent: Option<&str>) -> Result<i64, LogError> {
        let noted = intent.and_then(|text| {
            let intent = Intent::read(text);
            if intent.is_none() {
                tracing::warn!(
                    log.partition = partition,
                    "what was about to be written is noted in a form of another version; written anew"
                );
            }
            intent
        });
        let last = noted
            .as_ref()
            .and_then(|intent| intent.of_partition(partition))
            .map(|(_, last)| last);
        let (Some(intent), Some(last)) = (noted, last) else {
            self.subscription.start(partition, next).await?;
            return Ok(next);
        };
        self.subscription.start(partition, last + 1).await?;
        if self.repeated.as_ref() == Some(&intent) {
            // Written a moment ago, for another partition of the same batch.
            self.subscription.commit(partition, last + 1).await?;
            return Ok(last + 1);
        }
        let is_under_way = self.staged.as_ref().is_some_and(|staged| staged.intent.as_ref() == Some(&intent));
        if !is_under_way && !self.repeats.contains(&intent) {
            self.repeats.push_back(intent);
        }
        Ok(next)
    }

    /// Puts the next batch on its way, if there is one: the boundaries are noted before anything is written. False when they could not be
    /// noted; they are tried again after a pause, in which the subscription is heard.
    pub(super) async fn stage(&mut self) -> Result<bool, LogError> {
        if self.staged.is_some() {
            return Ok(true);
        }
        while let Some(intent) = self.repeats.pop_front() {
            match again(&*self.ground.log, &self.log_name, &intent).await {
                Ok(Some(cut)) => {
                    tracing::info!(records = cut.records.len(), "writing again what was about to be written");
                    self.staged = Some(Staged::new(&self.log_name, cut, Some(intent)));
                    return Ok(true);
                }
                Ok(None) | Err(LogError::Gone { .. }) => {
                    // Some of it is gone, or it is not what it was. What is there is written in new batches; the key keeps it single.
                    tracing::error!("what was about to be written is not in the log any more as it was; written anew");
                    for range @ (partition, first, _) in &intent.ranges {
                        if self.is_ahead(range) {
                            let begins = self.ground.log.span(*partition).await?.0;
                            self.gathered.drop_partition(*partition);
                            self.ahead.forget(*partition);
                            self.subscription.start(*partition, begins.max(*first)).await?;
                        }
                    }
                }
                Err(error) => {
                    self.repeats.push_front(intent);
                    return Err(error);
                }
            }
        }
        let options = &self.ground.options;
        let next = self.noting.take();
        let Some(cut) = next.or_else(|| self.gathered.cut(options.batch_rows, options.batch_bytes)) else {
            return Ok(true);
        };
        let intent = Intent::of(&cut).text();
        let mark = |(partition, first, _): &(u32, i64, i64)| Mark {
            partition: *partition,
            next: *first,
            intent: Some(intent.clone()),
        };
        let marks: Vec<Mark> = cut.ranges.iter().map(mark).collect();
        match self.subscription.mark(&marks).await {
            Ok(()) => {
                self.staged = Some(Staged::new(&self.log_name, cut, None));
                Ok(true)
            }
            // Nobody knows whether it is noted, so it stays this batch: cut anew, its first boundaries might be repeated beside other ones.
            Err(LogError::Unavailable(reason)) => {
                tracing::warn!(reason, "cannot note what is about to be written; trying again");
                self.noting = Some(cut);
                self.retry_at = Some(Instant::now() + WAIT_MIN);
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }
}

/// The batch of an intent from the log; `None` when its records are not what they were.
async fn again(log: &dyn EventLog, name: &Arc<str>, intent: &Intent) -> Result<Option<Cut<Read>>, LogError> {
    let mut records: Vec<Read> = Vec::new();
    for (partition, first, last) in &intent.ranges {
        let mut from = *first;
        while from <= *last {
            let read = log.read(*partition, from, (last - from + 1) as usize).await?;
            let Some(newest) = read.last() else { return Ok(None) };
            from = newest.position.offset + 1;
            records.extend(read.into_iter().map(|record| Read::new(name, record)));
        }
    }
    Ok(intent.cut(records))
}

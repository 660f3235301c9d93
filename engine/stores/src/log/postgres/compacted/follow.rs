//! Reads partitions of a topic and goes on reading: what is there, then every second what was written since, by the transaction that wrote it.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::super::{LogError, Shared, ask, column, number};
use crate::log::compacted::{Followed, Kept};

/// How often it is looked for what was written since.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Every so many looks it is looked for what was removed: nothing of a row that is gone says so.
const REMOVED_EVERY: u32 = 20;
/// Keys given on at once.
const AT_ONCE: i64 = 512;

type Sender = mpsc::Sender<Result<Followed, LogError>>;

struct One {
    partition: u32,
    keys: HashSet<Bytes>,
    /// Transactions from this one on may have written what was not seen.
    seen: i64,
}

/// Sends what comes until nobody listens any more, or Postgres does not answer.
pub(super) async fn send_on(shared: Arc<Shared>, topic: String, partitions: Vec<u32>, sender: Sender) {
    if let Err(error) = follow(&shared, &topic, &partitions, &sender).await {
        // Nobody there to hear it: the follower has gone.
        let _ = sender.send(Err(error)).await;
    }
}

async fn follow(shared: &Shared, topic: &str, partitions: &[u32], sender: &Sender) -> Result<(), LogError> {
    let mut followed = Vec::with_capacity(partitions.len());
    for partition in partitions {
        let mut one = One {
            partition: *partition,
            keys: HashSet::new(),
            seen: now(shared).await?,
        };
        if !one.first(shared, topic, sender).await? {
            return Ok(());
        }
        followed.push(one);
    }
    for look in 1u32.. {
        tokio::time::sleep(LOOK_EVERY).await;
        for one in &mut followed {
            shared.must_be_open()?;
            let mut kept = one.written(shared, topic).await?;
            if look % REMOVED_EVERY == 0 {
                kept.extend(one.removed(shared, topic).await?);
            }
            if !kept.is_empty() && !one.send(sender, kept, false).await || sender.is_closed() {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// The oldest transaction that is still under way: whatever it and later ones write is not seen yet.
async fn now(shared: &Shared) -> Result<i64, LogError> {
    let rows = ask(
        &shared.database,
        "read values",
        include_str!("../../sql/oldest_transaction.sql"),
        &[],
    )
    .await?;
    rows.first().map(|row| column(row, 0)).transpose().map(Option::unwrap_or_default)
}

impl One {
    async fn first(&mut self, shared: &Shared, topic: &str, sender: &Sender) -> Result<bool, LogError> {
        let mut last: Vec<u8> = Vec::new();
        loop {
            let sql = include_str!("../../sql/read_values.sql");
            let rows = ask(
                &shared.database,
                "read values",
                sql,
                &[&topic, &number(self.partition), &last, &AT_ONCE],
            )
            .await?;
            let Some(end) = rows.last() else { break };
            last = column(end, 0)?;
            let kept = rows.iter().map(super::kept).collect::<Result<Vec<Kept>, _>>()?;
            self.keys.extend(kept.iter().map(|kept| kept.key.clone()));
            if !self.send(sender, kept, false).await {
                return Ok(false);
            }
        }
        Ok(self.send(sender, Vec::new(), true).await)
    }

    async fn written(&mut self, shared: &Shared, topic: &str) -> Result<Vec<Kept>, LogError> {
        let since = std::mem::replace(&mut self.seen, now(shared).await?);
        let sql = include_str!("../../sql/values_since.sql");
        let rows = ask(&shared.database, "read new values", sql, &[&topic, &number(self.partition), &since]).await?;
        let kept = rows.iter().map(super::kept).collect::<Result<Vec<Kept>, _>>()?;
        self.keys.extend(kept.iter().map(|kept| kept.key.clone()));
        Ok(kept)
    }

    async fn removed(&mut self, shared: &Shared, topic: &str) -> Result<Vec<Kept>, LogError> {
        let sql = include_str!("../../sql/value_keys.sql");
        let rows = ask(
            &shared.database,
            "read which values there are",
            sql,
            &[&topic, &number(self.partition)],
        )
        .await?;
        let there = rows
            .iter()
            .map(|row| column::<&[u8]>(row, 0).map(Bytes::copy_from_slice))
            .collect::<Result<HashSet<Bytes>, _>>()?;
        let gone: Vec<Bytes> = self.keys.difference(&there).cloned().collect();
        self.keys = there;
        let kept = |key| Kept {
            key,
            value: None,
            late: false,
        };
        Ok(gone.into_iter().map(kept).collect())
    }

    async fn send(&self, sender: &Sender, kept: Vec<Kept>, current: bool) -> bool {
        let partition = self.partition;
        sender.send(Ok(Followed { partition, kept, current })).await.is_ok()
    }
}

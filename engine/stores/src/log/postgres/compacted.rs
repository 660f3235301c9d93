//! The newest values of keys in a table. Claims are rows: a writer holds the row of its claim until it commits, so whoever claims the
//! partition waits for it, and what comes later finds another epoch.

mod follow;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::{LogError, Shared, ask, column, number};
use crate::log::compacted::{CompactedTopic, Following, Kept, Put, PutError, Reading};

/// Keys given to a reader at once.
const AT_ONCE: i64 = 512;

/// Portions that may wait for a reader.
const WAITING: usize = 4;

/// One topic.
pub(super) struct Values {
    shared: Arc<Shared>,
    topic: String,
}

impl Values {
    pub fn new(shared: Arc<Shared>, topic: &str) -> Values {
        Values {
            shared,
            topic: topic.to_owned(),
        }
    }
}

#[async_trait]
impl CompactedTopic for Values {
    async fn claim(&self, partition: u32) -> Result<i64, LogError> {
        self.shared.must_be_open()?;
        let sql = include_str!("../sql/claim_topic.sql");
        let rows = ask(&self.shared.database, "claim a partition", sql, &[&self.topic, &number(partition)]).await?;
        rows.first()
            .map(|row| column(row, 0))
            .transpose()?
            .ok_or_else(|| super::no_partition(partition))
    }

    async fn put(&self, partition: u32, epoch: i64, puts: Vec<Put>) -> Result<(), PutError> {
        self.shared.must_be_open()?;
        let keys: Vec<&[u8]> = puts.iter().map(|put| put.key.as_slice()).collect();
        let values: Vec<Option<&[u8]>> = puts.iter().map(|put| put.value.as_deref()).collect();
        let sql = include_str!("../sql/put_values.sql");
        let with: [&(dyn ToSql + Sync); 5] = [&self.topic, &number(partition), &epoch, &keys, &values];
        let rows = ask(&self.shared.database, "write values", sql, &with).await?;
        match rows.first().map(|row| column::<bool>(row, 0)).transpose()? {
            Some(true) => Ok(()),
            _ => Err(PutError::Stale(partition)),
        }
    }

    async fn read(&self, partition: u32, _epoch: i64) -> Result<Reading, LogError> {
        self.shared.must_be_open()?;
        let (sender, reading) = mpsc::channel(WAITING);
        let (shared, topic) = (self.shared.clone(), self.topic.clone());
        tokio::spawn(async move {
            if let Err(error) = send_all(&shared, &topic, partition, &sender).await {
                // Nobody there to hear it: the reader has gone.
                let _ = sender.send(Err(error)).await;
            }
        });
        Ok(reading)
    }

    async fn follow(&self, partitions: &[u32]) -> Result<Following, LogError> {
        self.shared.must_be_open()?;
        let (sender, following) = mpsc::channel(WAITING);
        tokio::spawn(follow::send_on(
            self.shared.clone(),
            self.topic.clone(),
            partitions.to_vec(),
            sender,
        ));
        Ok(following)
    }
}

async fn send_all(
    shared: &Shared,
    topic: &str,
    partition: u32,
    sender: &mpsc::Sender<Result<Vec<Kept>, LogError>>,
) -> Result<(), LogError> {
    // No key is empty, so all are behind this.
    let mut last: Vec<u8> = Vec::new();
    loop {
        let sql = include_str!("../sql/read_values.sql");
        let rows = ask(&shared.database, "read values", sql, &[&topic, &number(partition), &last, &AT_ONCE]).await?;
        let Some(end) = rows.last() else { return Ok(()) };
        last = column(end, 0)?;
        let kept = rows.iter().map(kept).collect::<Result<_, _>>()?;
        if sender.send(Ok(kept)).await.is_err() {
            return Ok(());
        }
    }
}

fn kept(row: &Row) -> Result<Kept, LogError> {
    Ok(Kept {
        key: Bytes::copy_from_slice(column(row, 0)?),
        value: Some(Bytes::copy_from_slice(column(row, 1)?)),
        late: false,
    })
}

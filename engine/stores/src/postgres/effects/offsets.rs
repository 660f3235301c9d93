//! How far the group is, and the fence that keeps a stale owner out.

use trunkline_core::instant::Millis;

use super::Effects;
use crate::postgres::PostgresError;
use crate::postgres::config::{column, must_exist, rows};

/// A partition taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// Goes into every write; older ones have no effect from now on.
    pub epoch: i64,
    /// First offset that has had no effect yet.
    pub next: i64,
    /// Where the group was, if that is not where the log allows to go on.
    pub lost: Option<i64>,
}

/// One step forward in a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advance {
    /// Which partition.
    pub partition: u32,
    /// Of the claim.
    pub epoch: i64,
    /// First offset of the batch.
    pub from: i64,
    /// First offset behind it; the same for a write that reads nothing.
    pub to: i64,
}

/// How far the group is in a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionOffset {
    /// Which partition.
    pub partition: u32,
    /// How often it was taken over.
    pub epoch: i64,
    /// First offset that has had no effect yet.
    pub next: i64,
    /// When the last batch was written.
    pub committed_at: Option<Millis>,
}

/// Partitions are small numbers.
pub(super) fn stored(partition: u32) -> i32 {
    i32::try_from(partition).unwrap_or(i32::MAX)
}

impl Effects {
    /// Takes a partition over: whoever had it can write nothing any more. The log holds offsets from `begins` to before `end`.
    /// Where the group was outside of them, it goes on at `begins`: events that are read again change nothing.
    pub async fn claim(&self, partition: u32, begins: i64, end: i64) -> Result<Claim, PostgresError> {
        let doing = "take a partition for the effects group";
        let failed = |error: tokio_postgres::Error| PostgresError::from_driver(doing, &error);
        let mut client = self.database.client(doing).await?;
        let transaction = client.transaction().await.map_err(failed)?;
        let number = stored(partition);
        let before = rows(
            &transaction,
            doing,
            include_str!("../sql/effects_offset.sql"),
            &[&&*self.log_name, &number],
        )
        .await?;
        let before = before
            .first()
            .map(|row| column::<Option<i64>>(row, 0))
            .transpose()
            .map(Option::flatten)?;
        let next = before.filter(|next| (begins..=end).contains(next)).unwrap_or(begins);
        let claimed = rows(
            &transaction,
            doing,
            include_str!("../sql/effects_claim.sql"),
            &[&&*self.log_name, &number, &next],
        )
        .await?;
        must_exist(&claimed, doing)?;
        let epoch = column(&claimed[0], 0)?;
        transaction.commit().await.map_err(failed)?;
        Ok(Claim {
            epoch,
            next,
            lost: before.filter(|before| *before != next),
        })
    }

    /// How far the group is, over all members.
    pub async fn offsets(&self) -> Result<Vec<PartitionOffset>, PostgresError> {
        let doing = "read how far the effects group is";
        let client = self.database.client(doing).await?;
        let found = rows(&client, doing, include_str!("../sql/effects_offsets.sql"), &[&&*self.log_name]).await?;
        let read = |row| {
            Ok(PartitionOffset {
                partition: column::<i32>(row, 0)?.unsigned_abs(),
                epoch: column(row, 1)?,
                next: column::<Option<i64>>(row, 2)?.unwrap_or(0),
                committed_at: column::<Option<i64>>(row, 3)?.map(Millis),
            })
        };
        found.iter().map(read).collect()
    }
}

//! Knows where each partition ends, and tells those who wait for more.
//!
//! Writers of this process say it directly. Other processes hear of it by notification, sent by the bell and not by the writing
//! transaction itself: a commit that notifies takes a lock over the whole database and would undo group commit.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::sleep;
use tokio_postgres::AsyncMessage;

use super::{LogError, Shared, ask, column, from_driver, partition_number};
use crate::postgres::database::OwnConnection;

const LISTEN: &str = include_str!("../sql/listen_log.sql");
const NOTIFY: &str = include_str!("../sql/notify_log.sql");

/// Other processes hear of new records at most this often: keeps the bell cheap, and their delay far below what a person sees.
const RING_EVERY: Duration = Duration::from_millis(10);

/// A lost notification is made good by looking after this time.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Wait before connecting again.
const AGAIN: Duration = Duration::from_millis(250);

/// The offset the next record of each partition will have, as far as known; it only grows.
pub(super) struct Ends {
    next: Vec<AtomicI64>,
    changed: watch::Sender<()>,
    /// Set off when a writer of this process has moved an end.
    written: Notify,
}

impl Ends {
    pub fn new(partitions: u32) -> Self {
        let next = (0..partitions).map(|_| AtomicI64::new(0)).collect();
        Self {
            next,
            changed: watch::Sender::new(()),
            written: Notify::new(),
        }
    }

    /// Where a partition ends, as far as known.
    pub fn get(&self, partition: u32) -> i64 {
        self.next.get(partition as usize).map_or(0, |end| end.load(Ordering::Acquire))
    }

    /// Notes an end; wakes those who wait when it is news.
    pub fn raise(&self, partition: u32, next: i64) {
        let Some(end) = self.next.get(partition as usize) else { return };
        if end.fetch_max(next, Ordering::AcqRel) < next {
            self.changed.send_replace(());
        }
    }

    /// As [`Self::raise`], by a writer of this process: others must be told.
    pub fn written(&self, partition: u32, next: i64) {
        self.raise(partition, next);
        self.written.notify_one();
    }

    /// To wait for any change.
    pub fn subscribe(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    fn text(&self) -> String {
        let list = self
            .next
            .iter()
            .enumerate()
            .map(|(partition, end)| format!("{partition}:{}", end.load(Ordering::Acquire)));
        list.collect::<Vec<_>>().join(" ")
    }

    fn read_text(&self, text: &str) {
        for pair in text.split(' ') {
            if let Some((partition, next)) = pair.split_once(':')
                && let (Ok(partition), Ok(next)) = (partition.parse(), next.parse())
            {
                self.raise(partition, next);
            }
        }
    }
}

/// Asks Postgres for all ends.
pub(super) async fn refresh(shared: &Shared) -> Result<(), LogError> {
    for row in ask(&shared.database, "read the ends of the log", include_str!("../sql/ends.sql"), &[]).await? {
        shared.ends.raise(partition_number(&row, 0)?, column(&row, 1)?);
    }
    Ok(())
}

/// The bell: hears other processes and tells them, until the log closes.
pub(super) async fn ring(shared: Arc<Shared>) {
    let closing = shared.closing.clone();
    closing
        .run_until_cancelled(async {
            loop {
                if let Err(error) = hear_and_tell(&shared).await {
                    tracing::warn!(%error, "the log's bell has no connection; looking for new records now and then");
                }
                sleep(AGAIN).await;
                if let Err(error) = refresh(&shared).await {
                    tracing::debug!(%error, "cannot read the ends of the log");
                }
            }
        })
        .await;
}

async fn hear_and_tell(shared: &Arc<Shared>) -> Result<(), LogError> {
    let hearer = shared.clone();
    let OwnConnection { client, ended } = shared
        .database
        .own_connection(move |message| {
            if let AsyncMessage::Notification(notification) = message {
                hearer.ends.read_text(notification.payload());
            }
        })
        .await?;
    let failed = |error: tokio_postgres::Error| from_driver("ring the log's bell", &error);
    client.batch_execute(LISTEN).await.map_err(failed)?;
    let notify = client.prepare(NOTIFY).await.map_err(failed)?;
    refresh(shared).await?;
    loop {
        tokio::select! {
            () = shared.ends.written.notified() => {
                client.execute(&notify, &[&shared.ends.text()]).await.map_err(failed)?;
                sleep(RING_EVERY).await;
            }
            () = sleep(LOOK_EVERY) => refresh(shared).await?,
            () = ended.cancelled() => return Ok(()),
        }
    }
}

//! Keeps the directory in memory up to date: on notice from Postgres, and every 30 s in case a notice was missed.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio_postgres::{AsyncMessage, Client};
use tokio_util::sync::CancellationToken;

use super::{Config, Directory, PostgresError};

const LISTEN: &str = include_str!("sql/listen_configuration.sql");

/// Longest time a change can go unseen when its notice is lost.
const REFRESH: Duration = Duration::from_secs(30);

/// Changes come in groups (a form saves several tables): one read for all that come within this time.
const GATHER: Duration = Duration::from_millis(50);

/// Wait before asking an unavailable server again.
const AGAIN: Duration = Duration::from_secs(1);

impl Config {
    /// Reads the directory and keeps it up to date until `stop`. While Postgres is away, the last one stays.
    pub async fn watch(self, stop: CancellationToken) -> Result<watch::Receiver<Arc<Directory>>, PostgresError> {
        let (sender, receiver) = watch::channel(Arc::new(self.directory().await?));
        tokio::spawn(async move { stop.run_until_cancelled(keep(self, sender)).await });
        Ok(receiver)
    }
}

async fn keep(config: Config, sender: watch::Sender<Arc<Directory>>) {
    let changed = Arc::new(Notify::new());
    let mut ear: Option<Client> = None;
    loop {
        if ear.as_ref().is_none_or(Client::is_closed) {
            ear = match listen(&config, changed.clone()).await {
                Ok(client) => Some(client),
                Err(error) => {
                    tracing::warn!(%error, "cannot listen for changes of the configuration");
                    None
                }
            };
        }
        match config.directory().await {
            Ok(read) => {
                sender.send_if_modified(|held| {
                    let modified = held.version != read.version;
                    if modified {
                        *held = Arc::new(read);
                    }
                    modified
                });
                // A missing ear is tried again soon; with one, silence means that nothing has changed.
                let wait = if ear.is_some() { REFRESH } else { AGAIN };
                let _ = tokio::time::timeout(wait, changed.notified()).await;
                tokio::time::sleep(GATHER).await;
            }
            Err(error) => {
                tracing::warn!(%error, "the configuration in memory may be out of date");
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}

async fn listen(config: &Config, changed: Arc<Notify>) -> Result<Client, PostgresError> {
    let wake = changed.clone();
    let hangup = HangUp(changed);
    let client = config
        .database()
        .own_connection(move |message| {
            let _held_until_the_connection_ends = &hangup;
            if matches!(message, AsyncMessage::Notification(_)) {
                wake.notify_one();
            }
        })
        .await?;
    let doing = "listen for changes of the configuration";
    client
        .batch_execute(LISTEN)
        .await
        .map_err(|error| PostgresError::from_driver(doing, &error))?;
    Ok(client)
}

/// Wakes the watcher when the listening connection ends, so that it listens again at once.
struct HangUp(Arc<Notify>);

impl Drop for HangUp {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

//! Keeps the directory in memory up to date: on notice from Postgres, and every 30 s in case a notice was missed.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio_postgres::AsyncMessage;
use tokio_util::sync::CancellationToken;

use super::database::OwnConnection;
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
    let mut ear: Option<OwnConnection> = None;
    loop {
        if ear.as_ref().is_none_or(|ear| ear.ended.is_cancelled()) {
            ear = match listen(&config, changed.clone()).await {
                Ok(listening) => Some(listening),
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
            }
            Err(error) => tracing::warn!(%error, "the configuration in memory may be out of date"),
        }
        // While we listen, silence means that nothing has changed; else we look again soon.
        match &ear {
            Some(ear) => tokio::select! {
                () = changed.notified() => tokio::time::sleep(GATHER).await,
                () = ear.ended.cancelled() => tokio::time::sleep(GATHER).await,
                () = tokio::time::sleep(REFRESH) => {}
            },
            None => tokio::time::sleep(AGAIN).await,
        }
    }
}

async fn listen(config: &Config, changed: Arc<Notify>) -> Result<OwnConnection, PostgresError> {
    let on_message = move |message| {
        if matches!(message, AsyncMessage::Notification(_)) {
            changed.notify_one();
        }
    };
    let own = config.database().own_connection(on_message).await?;
    let doing = "listen for changes of the configuration";
    own.client
        .batch_execute(LISTEN)
        .await
        .map_err(|error| PostgresError::from_driver(doing, &error))?;
    Ok(own)
}

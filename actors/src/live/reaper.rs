//! The reaper: closes calls whose end never came. It asks Retell first, and writes what it finds into the log, so that every
//! group sees the same ending.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use trunkline_core::id::{CallKey, Kind, WorkspaceId};
use trunkline_core::instant::Millis;
use trunkline_core::record::Source;
use trunkline_stores::log::EventLog;
use trunkline_stores::postgres::Directory;
use trunkline_stores::postgres::directory::WorkspaceEntry;

use crate::system::Clock;

/// Questions that may wait. More than these come up again with a later sweep.
pub(crate) const WAITING_MAX: usize = 1_024;

/// Event name of the record that closes a silent call.
pub const PRESUMED_ENDED: &str = "trunkline_presumed_ended";

/// What Retell says of a silent call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// It is over: the bodies of the events that tell it (`call_ended`, `call_analyzed`...), as Retell would have sent them.
    Ended(Vec<Bytes>),
    /// It runs. It will be asked for again if it stays silent.
    Running,
    /// Retell does not know it, or there is no key to ask with: presume.
    Unknown,
    /// Retell did not answer: ask again later.
    Unavailable,
}

/// Asks Retell for a call.
#[async_trait]
pub trait CallLookup: Send + Sync + 'static {
    /// What became of the call.
    async fn look_up(&self, workspace: &WorkspaceEntry, key: &CallKey) -> Lookup;
}

/// A call that has been silent for too long.
#[derive(Debug, Clone)]
pub(crate) struct Silent {
    pub(crate) key: CallKey,
    pub(crate) workspace: WorkspaceId,
    pub(crate) since: Millis,
}

/// The reaper's task.
pub(crate) struct Reaper {
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) lookup: Option<Arc<dyn CallLookup>>,
    pub(crate) directory: watch::Receiver<Arc<Directory>>,
    pub(crate) clock: Clock,
}

impl Reaper {
    /// Settles questions one by one until `stop`.
    pub(crate) async fn run(self, questions: Arc<tokio::sync::Mutex<mpsc::Receiver<Silent>>>, stop: CancellationToken) {
        let mut questions = questions.lock().await;
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                question = questions.recv() => match question {
                    Some(silent) => self.settle(silent).await,
                    None => return,
                }
            }
        }
    }

    async fn settle(&self, silent: Silent) {
        let (bodies, source, found) = match self.ask(&silent).await {
            Lookup::Ended(bodies) => (bodies, Source::Backfill, "ended"),
            Lookup::Unknown => (vec![presumed_body(&silent.key)], Source::Reaper, "presumed"),
            Lookup::Running => return count("running"),
            Lookup::Unavailable => return count("unavailable"),
        };
        count(found);
        for body in bodies {
            let (routed, body) = trunkline_core::door::route(body);
            let record = trunkline_core::door::record(routed, body, self.clock.now(), silent.key.tenant, silent.workspace, source);
            let partition_key = record.header.key.clone();
            if let Err(error) = self.log.append(&partition_key, record.encode()).await {
                // The call stays open and is asked for again.
                tracing::warn!(%error, "append the end of a silent call to the log");
                return;
            }
        }
        tracing::info!(silent_ms = self.clock.now().since(silent.since), found, "silent call closed");
    }

    async fn ask(&self, silent: &Silent) -> Lookup {
        let Some(lookup) = &self.lookup else { return Lookup::Unknown };
        let directory = Arc::clone(&self.directory.borrow());
        let workspace = directory
            .by_token
            .values()
            .find(|entry| entry.workspace == silent.workspace)
            .cloned();
        match workspace {
            Some(workspace) if workspace.api_key.is_some() => lookup.look_up(&workspace, &silent.key).await,
            _ => Lookup::Unknown,
        }
    }
}

fn count(found: &'static str) {
    metrics::counter!("trunkline_silent_calls_total", "found" => found).increment(1);
}

/// The body that closes a call by presumption.
fn presumed_body(key: &CallKey) -> Bytes {
    let (object, id) = match key.kind {
        Kind::Call => ("call", "call_id"),
        Kind::Chat => ("chat", "chat_id"),
    };
    let body = serde_json::json!({ "event": PRESUMED_ENDED, object: { id: &*key.id } });
    Bytes::from(body.to_string())
}

//! One member of the live group: joins, has its subscription served, and joins again when another member of its name took its place.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use trunkline_stores::log::{LogError, Subscription};
use trunkline_stores::postgres::Directory;

use super::reaper::Silent;
use super::shared::Shared;
use super::subscriber::{End, Subscriber};
use crate::system::{Arbiters, Bound, Deaths, Health, Role, Verdict};

/// Pause after the log did not answer.
pub(super) const AWAY_PAUSE: Duration = Duration::from_secs(1);

/// What to do about fences that do not end.
const ONE_NAME: &str = "another process is the same static member of this group; give each its own name (kafka.member)";

/// What the member is made from.
#[derive(Clone)]
pub(crate) struct Member {
    pub(crate) group: String,
    pub(crate) shared: Arc<Shared>,
    pub(crate) arbiters: Rc<Arbiters>,
    pub(crate) directory: watch::Receiver<Arc<Directory>>,
    pub(crate) questions: mpsc::Sender<Silent>,
    pub(crate) role: Arc<Role>,
    pub(crate) stop: CancellationToken,
}

impl Member {
    /// Joins the group and serves it until the stop, anew whenever another member of its name took its place.
    pub(crate) async fn run(self) {
        // Readers need it next; it is opened while the group forms. What goes wrong there the readers hear.
        let opening = Arc::clone(&self.shared);
        actix_rt::spawn(async move {
            if let Some(checkpoints) = &opening.checkpoints {
                let _ = checkpoints.topic(&opening.log).await;
            }
        });
        let mut fences = Deaths::new(Bound::ROLE);
        while let Some(subscription) = self.join().await {
            let mut subscriber = Subscriber::new(self.clone(), subscription);
            match subscriber.serve(&self.stop).await {
                End::Stop => return subscriber.leave().await,
                End::Fenced => subscriber.abandon().await,
            }
            let over = match fences.note(self.shared.clock.now()) {
                Verdict::Rebuild(pause) => {
                    tracing::warn!(
                        group = self.group,
                        "another member of our name took our place in the group; joining again"
                    );
                    self.role.tell(Health::Rebuilding, Some(LogError::Fenced.to_string()));
                    self.stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none()
                }
                Verdict::GiveUp => self.away(&LogError::Misconfigured(ONE_NAME.to_owned())).await,
            };
            if over {
                return;
            }
        }
    }

    /// None at a stop.
    async fn join(&self) -> Option<Box<dyn Subscription>> {
        loop {
            match self.shared.log.subscribe(&self.group).await {
                Ok(subscription) => {
                    self.shared.hub.progress.log_away(None);
                    self.role.tell(Health::Running, None);
                    return Some(subscription);
                }
                Err(error) => {
                    if self.away(&error).await {
                        return None;
                    }
                }
            }
        }
    }

    /// Says that the log is away and waits; true at a stop.
    pub(super) async fn away(&self, error: &LogError) -> bool {
        tracing::warn!(%error, group = self.group, "read the event log");
        self.shared.hub.progress.log_away(Some(self.shared.clock.now()));
        match error {
            LogError::Misconfigured(_) => {
                self.role.tell(Health::Failed, Some(error.to_string()));
                (self.shared.failure)(self.role.name());
                self.stop.cancelled().await;
            }
            _ => self.role.tell(Health::Rebuilding, Some(error.to_string())),
        }
        tokio::select! {
            biased;
            () = self.stop.cancelled() => true,
            () = tokio::time::sleep(AWAY_PAUSE) => self.stop.is_cancelled(),
        }
    }
}

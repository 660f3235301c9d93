//! How a reader takes its partition over: from a checkpoint if there is one, else from the horizon of the log.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use trunkline_stores::log::LogError;

use super::checkpoint::Keeper;
use super::completeness::Rebuild;
use super::reader::{Notice, Reader};
use crate::system::Health;

/// Pause after the log did not answer.
const AWAY_PAUSE: Duration = Duration::from_secs(1);

impl Reader {
    /// Takes the partition over and says where it goes on. False at a stop.
    pub(super) async fn begin(&mut self) -> bool {
        loop {
            match self.take_over().await {
                Ok(()) => break,
                Err(error) => {
                    tracing::warn!(log.partition = self.recipe.partition, %error, "take a partition over");
                    if matches!(error, LogError::Misconfigured(_)) {
                        let shared = &self.recipe.shared;
                        let role = shared.roles.role(&format!("log_reader/{}", self.recipe.partition), 0);
                        role.tell(Health::Failed, Some(error.to_string()));
                        (shared.failure)(role.name());
                    }
                }
            }
            // Nothing comes before it has begun, so the inbox tells of a stop only.
            if let Ok(None) = timeout(AWAY_PAUSE, self.recipe.inbox.recv()).await {
                return false;
            }
        }
        let (partition, epoch, start) = (self.recipe.partition, self.recipe.epoch, self.start);
        self.recipe.shared.hub.progress.start_at(partition, epoch, start);
        let _ = self.recipe.notices.send(Notice::Begun { partition, epoch, start });
        true
    }

    async fn take_over(&mut self) -> Result<(), LogError> {
        let shared = Arc::clone(&self.recipe.shared);
        let (partition, epoch) = (self.recipe.partition, self.recipe.epoch);
        let mut restored = None;
        if let Some(checkpoints) = &shared.checkpoints {
            let found;
            (found, restored) = self.state.restore(checkpoints, self.recipe.distrusts).await?;
            self.keeper = Some(Keeper::new(&shared, partition, epoch, checkpoints.every_ms, found));
        }
        self.start = match &restored {
            Some(restored) => restored.next,
            None => {
                let horizon = self.clock.now().plus(-shared.limits.horizon_ms);
                shared.log.offset_at(partition, horizon).await?
            }
        };
        self.expected = self.start;
        self.applied_to = restored.as_ref().and_then(|restored| restored.applied_to);
        self.restored = restored.map(|restored| restored.calls);
        Ok(())
    }

    /// The board is right for the first time.
    pub(super) fn tell_rebuild(&self) {
        let took = self.began.elapsed();
        let from = if self.restored.is_some() { "checkpoint" } else { "log" };
        metrics::histogram!("trunkline_rebuild_seconds", "from" => from).record(took.as_secs_f64());
        let rebuild = Rebuild {
            from_checkpoint: self.restored.is_some(),
            restored: self.restored.unwrap_or_default(),
            replayed: self.expected - self.start,
            took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        };
        let (partition, epoch) = (self.recipe.partition, self.recipe.epoch);
        self.recipe.shared.hub.progress.rebuilt(partition, epoch, rebuild);
        tracing::info!(
            log.partition = partition,
            from,
            calls.restored = rebuild.restored,
            events.replayed = rebuild.replayed,
            rebuild.duration_ms = rebuild.took_ms,
            "partition rebuilt"
        );
    }
}

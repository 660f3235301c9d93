//! Shows here what other processes keep: follows their checkpoints and publishes calls and figures of partitions that nobody reads here.
//!
//! What the next owner of a partition would begin with is what the other processes show: state, not increments (rule D17). What is read
//! again changes nothing, what a stale owner wrote is told apart by the topic, and what an owner that vanished has left stays until its
//! successor writes. How complete it is follows from the marker and the *log's* end, so nobody's word is taken for it.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use trunkline_core::checkpoint::{self, Part, meaning};
use trunkline_stores::log::LogError;
use trunkline_stores::log::compacted::{Followed, Following};
use trunkline_stores::postgres::Directory;

use super::followed::Model;
use super::shared::Shared;
use crate::system::{Health, Role};

/// How often what came is published: as often as readers publish.
const PUBLISH_EVERY: Duration = Duration::from_millis(200);
/// How often it is looked which partitions are read here, and where the log ends.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Pause after the log did not answer.
const AWAY_PAUSE: Duration = Duration::from_secs(1);

/// What the follower is made from.
#[derive(Clone)]
pub(crate) struct Follower {
    pub(crate) shared: Arc<Shared>,
    pub(crate) directory: watch::Receiver<Arc<Directory>>,
    pub(crate) role: Arc<Role>,
    /// Nothing is read here: whether the log is away is for us to say.
    pub(crate) is_alone: bool,
    pub(crate) stop: CancellationToken,
}

impl Follower {
    /// Follows until the stop.
    pub(crate) async fn run(self) {
        let stop = self.stop.clone();
        stop.run_until_cancelled(self.follow()).await;
    }

    async fn follow(self) {
        let mut models: HashMap<u32, Model> = HashMap::new();
        loop {
            let wanted = self.not_read_here();
            models.retain(|partition, _| wanted.contains(partition));
            if wanted.is_empty() {
                self.role.tell(Health::Running, Some("every partition is read here".to_owned()));
                tokio::time::sleep(LOOK_EVERY).await;
                continue;
            }
            if let Err(error) = self.serve(&wanted, &mut models).await {
                tracing::warn!(%error, "follow the checkpoints of other processes");
                self.role.tell(Health::Rebuilding, Some(error.to_string()));
                self.tell_away(true);
                tokio::time::sleep(AWAY_PAUSE).await;
            }
        }
    }

    fn not_read_here(&self) -> BTreeSet<u32> {
        let progress = &self.shared.hub.progress;
        (0..self.shared.log.partitions())
            .filter(|partition| !progress.is_read(*partition))
            .collect()
    }

    fn tell_away(&self, away: bool) {
        if self.is_alone {
            self.shared.hub.progress.log_away(away.then(|| self.shared.clock.now()));
        }
    }

    /// Follows these partitions until others are to be followed.
    async fn serve(&self, wanted: &BTreeSet<u32>, models: &mut HashMap<u32, Model>) -> Result<(), LogError> {
        let Some(checkpoints) = &self.shared.checkpoints else {
            return Err(LogError::Misconfigured(
                "no checkpoints are taken, so there is nothing to follow".to_owned(),
            ));
        };
        let topic = checkpoints.topic(&self.shared.log).await?;
        let partitions: Vec<u32> = wanted.iter().copied().collect();
        let mut following = topic.follow(&partitions).await?;
        for partition in wanted {
            models.entry(*partition).or_insert_with(|| Model::new(*partition)).begin_round();
        }
        self.role.tell(Health::Running, None);
        let mut directory = self.directory.clone();
        directory.mark_unchanged();
        let mut publish = tokio::time::interval(PUBLISH_EVERY);
        publish.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                came = next(&mut following) => self.take(came?, models),
                _ = publish.tick() => {
                    let watched = self.shared.hub.watched(self.shared.clock.now());
                    for model in models.values_mut() {
                        model.recall(&self.shared, &watched).await;
                        model.publish(&self.shared);
                    }
                }
                _ = look.tick() => {
                    if self.not_read_here() != *wanted {
                        return Ok(());
                    }
                    for model in models.values_mut() {
                        let (_, end) = self.shared.log.span(model.partition).await?;
                        model.look(&self.shared, end);
                    }
                    self.tell_away(false);
                }
                Ok(()) = directory.changed() => {
                    let directory = Arc::clone(&directory.borrow_and_update());
                    models.values_mut().for_each(|model| model.rehome(&directory));
                }
            }
        }
    }

    fn take(&self, came: Followed, models: &mut HashMap<u32, Model>) {
        let Some(model) = models.get_mut(&came.partition) else { return };
        let directory = Arc::clone(&self.directory.borrow());
        for kept in came.kept {
            let Some(value) = kept.value else {
                model.remove(&kept.key);
                continue;
            };
            match checkpoint::read(&kept.key, &value) {
                Ok(Part::Call(key, stored)) => model.put(key, stored, kept.late, &directory),
                // Read here by now: its reader knows better.
                Ok(Part::SetAsides(_)) if self.shared.hub.progress.is_read(model.partition) => {}
                Ok(Part::SetAsides(noted)) => self.shared.hub.set_asides.restore(model.partition, noted),
                Ok(Part::Marker(marker)) => {
                    let is_ours = marker.log == self.shared.log.identity() && marker.meaning == meaning(&self.shared.rules);
                    if is_ours {
                        model.mark(marker);
                    } else {
                        tracing::debug!(
                            log.partition = model.partition,
                            "a checkpoint of another log or version is not shown"
                        );
                    }
                }
                // Of another version; its owner will be replaced, or we shall be.
                Err(error) => tracing::debug!(log.partition = model.partition, %error, "a part of a checkpoint is not shown"),
            }
        }
        if came.current {
            model.end_round();
        }
    }
}

async fn next(following: &mut Following) -> Result<Followed, LogError> {
    following
        .recv()
        .await
        .unwrap_or_else(|| Err(LogError::Unavailable("the checkpoints are not sent any more".to_owned())))
}

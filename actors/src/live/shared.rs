//! What all parts of the live group hold together.

use std::sync::Arc;

use tokio::sync::OnceCell;
use trunkline_core::metric::Rules;
use trunkline_stores::log::{CompactedTopic, EventLog, LogError};

use super::faults::Faults;
use super::hub::Hub;
use super::limits::Limits;
use crate::system::{Clock, FailureHook, Role, Roles};

/// Handles of the live group.
pub(crate) struct Shared {
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) roles: Roles,
    pub(crate) call_role: Arc<Role>,
    pub(crate) business_role: Arc<Role>,
    pub(crate) clock: Clock,
    pub(crate) limits: Limits,
    pub(crate) rules: Rules,
    pub(crate) failure: FailureHook,
    pub(crate) faults: Option<Faults>,
    /// `None`: every start reads the log from the horizon.
    pub(crate) checkpoints: Option<Checkpoints>,
}

/// Where checkpoints are kept, and how often they are taken.
pub(crate) struct Checkpoints {
    pub(crate) every_ms: i64,
    name: String,
    topic: OnceCell<Arc<dyn CompactedTopic>>,
}

impl Checkpoints {
    /// Checkpoints of one group; each group has its own, because groups stand at different offsets.
    pub(crate) fn of(group: &str, every_ms: i64) -> Checkpoints {
        Checkpoints {
            every_ms,
            name: format!("{group}.checkpoints"),
            topic: OnceCell::new(),
        }
    }

    /// The topic, opened by whoever needs it first.
    pub(crate) async fn topic(&self, log: &Arc<dyn EventLog>) -> Result<Arc<dyn CompactedTopic>, LogError> {
        self.topic.get_or_try_init(|| log.compacted(&self.name)).await.cloned()
    }
}

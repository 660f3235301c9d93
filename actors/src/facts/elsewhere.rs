//! Looks at the group from a process that is no member of it: what it has committed, and where the log ends.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use trunkline_stores::log::{EventLog, LogError};

use super::state::{PartitionFacts, Shared};
use super::{FactsWatcher, GROUP};

/// How often it looks: the lag on the operator page is at most this old.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// A watcher of the group's members elsewhere, until `stop`.
pub fn watch_elsewhere(log: Arc<dyn EventLog>, stop: CancellationToken) -> FactsWatcher {
    let shared = Arc::new(Shared::default());
    let watched = shared.clone();
    tokio::spawn(async move {
        let look = async {
            loop {
                if let Err(error) = look(&*log, &watched).await {
                    tracing::debug!(%error, "cannot see how far the facts group is");
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        stop.run_until_cancelled(look).await;
    });
    FactsWatcher(shared)
}

async fn look(log: &dyn EventLog, shared: &Shared) -> Result<(), LogError> {
    let committed = log.committed(GROUP).await?;
    for partition in 0..log.partitions() {
        let (begins, end) = log.span(partition).await?;
        let noted = committed.iter().find(|(of, _)| *of == partition);
        let next = noted.map_or(begins, |(_, next)| *next);
        shared.change(|state| {
            state.partitions.insert(partition, PartitionFacts { next, end });
        });
    }
    Ok(())
}

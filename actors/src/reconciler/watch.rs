//! Brings what the reconciler has done, wherever it runs, to the boards of this process.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use trunkline_stores::postgres::Config;

use crate::live::Live;
use crate::system::wall_clock;

/// How often it is looked: figures of boards are at most this old.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Healed findings count for so long.
const COUNTED_MS: i64 = 86_400_000;

/// Looks until `stop`. While Postgres is away, the last figures stay.
pub fn watch_reconciled(config: Config, live: Live, stop: CancellationToken) {
    tokio::spawn(async move {
        let look = async {
            loop {
                match config.reconciler_summary(wall_clock().plus(-COUNTED_MS)).await {
                    Ok(found) => live.note_reconciled(found),
                    Err(error) => tracing::debug!(%error, "cannot see how far the reconciler is"),
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        stop.run_until_cancelled(look).await;
    });
}

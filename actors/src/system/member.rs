//! What the members of the log's groups have in common: they join again after any failure, and sleep until there is something to do.

use std::fmt::Display;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt as _;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::role::{Health, Role};

/// Wait before joining a group again after the log failed, the worker died or a partition had another owner.
const REJOIN: Duration = Duration::from_secs(1);

/// Works until `work` ends by itself, and begins anew after any failure: nothing in a member's memory is worth saving. `why` names a
/// failure for the role's count of deaths, `forget` takes back what was shown of its partitions.
pub(crate) async fn keep_joined<E: Display, W: Future<Output = Result<(), E>>>(
    group: &'static str,
    role: &Role,
    stop: &CancellationToken,
    work: impl Fn() -> W,
    why: impl Fn(&E) -> &'static str,
    forget: impl Fn(),
) {
    loop {
        role.born();
        role.tell(Health::Running, None);
        let reason = match AssertUnwindSafe(work()).catch_unwind().await {
            Ok(Ok(())) => {
                role.ended();
                role.tell(Health::Stopped, None);
                return;
            }
            Ok(Err(error)) => {
                tracing::warn!(group, %error, "a member of a group of the log joins again");
                role.died(why(&error));
                error.to_string()
            }
            Err(_) => {
                tracing::error!(group, "a member of a group of the log panicked and begins anew");
                role.died("panic");
                "panicked".to_owned()
            }
        };
        role.tell(Health::Rebuilding, Some(reason));
        forget();
        if stop.run_until_cancelled(tokio::time::sleep(REJOIN)).await.is_none() {
            role.tell(Health::Stopped, None);
            return;
        }
    }
}

/// Sleeps until `at`, or for ever.
pub(crate) async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

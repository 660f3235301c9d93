//! Makes a record durable: in the log, or in the spool when the log is away or slow.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use trunkline_core::instant::Millis;

use super::disk::Disk;
use super::files::{Files, failed};
use super::pen::Pen;
use super::{Desk, Refused, Spool, SpoolError, SpoolOptions, SpoolState, drain};
use crate::log::{AppendError, EventLog};

/// The log has this long. Usually it answers within some ms; what takes a second is trouble, and Retell's patience is short: with a
/// thousand events a second, a thousand of them wait when this is over.
const LOG_PATIENCE: Duration = Duration::from_secs(1);

/// Then the spool has this long: together they stay within the five seconds of rule A4.
const SPOOL_PATIENCE: Duration = Duration::from_millis(3_500);

/// Where a record is durable now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// The log has it.
    Logged,
    /// The spool has it, and the log will.
    Spooled,
}

/// Why a record is not durable, or not known to be.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// The log is away, and the spool took nothing either.
    #[error("the event log is away, and {0}")]
    Spool(#[from] Refused),
    /// The log is away, and the spool's disk is slower than anybody waits.
    #[error("the event log is away, and the spool did not answer in time")]
    Slow,
    /// No log takes it, now or later.
    #[error(transparent)]
    TooLarge(AppendError),
}

/// The intake's way to durability. Dropped, it ends what it has started.
pub struct Keeper {
    log: Arc<dyn EventLog>,
    spool: Arc<Spool>,
    desk: Desk,
    closing: CancellationToken,
}

impl Keeper {
    /// Opens the spool and begins to hand over what is in it, on `runtime`.
    pub fn open(log: Arc<dyn EventLog>, options: &SpoolOptions, runtime: &Handle) -> Result<Keeper, SpoolError> {
        let disk = Arc::new(Files::open(&options.directory)?);
        let (keeper, writer, drain) = Keeper::over(log, disk, options.bytes_max)?;
        // A flush blocks, so the writer has a thread of its own.
        let started = std::thread::Builder::new().name("spool-pen".to_owned()).spawn({
            let runtime = runtime.clone();
            move || runtime.block_on(writer)
        });
        started.map_err(|source| failed("start the writer", &options.directory, source))?;
        runtime.spawn(drain);
        Ok(keeper)
    }

    /// The same over a disk of any kind, with what the caller has to run: the writer, which ends when the keeper is gone, and what hands
    /// over to the log.
    pub fn over(
        log: Arc<dyn EventLog>,
        disk: Arc<dyn Disk>,
        bytes_max: u64,
    ) -> Result<
        (
            Keeper,
            impl Future<Output = ()> + Send + 'static,
            impl Future<Output = ()> + Send + 'static,
        ),
        SpoolError,
    > {
        let spool = Spool::over(disk, bytes_max)?;
        let (desk, entries) = mpsc::unbounded_channel();
        let writer = Pen::new(spool.clone()).run(entries);
        let closing = CancellationToken::new();
        let handing = closing.clone().run_until_cancelled_owned(drain::run(log.clone(), spool.clone()));
        let drain = async move {
            handing.await;
        };
        Ok((Keeper { log, spool, desk, closing }, writer, drain))
    }

    /// Returns once `record` is durable. `at` is when it was received.
    ///
    /// An append that ended without an answer may be in the log already. It is spooled all the same: being there twice is harmless,
    /// because its bytes and so its stamp are the same, and one stamp is one record (rule B1); being there never is not.
    pub async fn keep(&self, key: &str, record: Bytes, at: Millis) -> Result<Kept, KeepError> {
        if self.spool.lets_pass(key) {
            match timeout(LOG_PATIENCE, self.log.append(key, record.clone())).await {
                Ok(Ok(_)) => {
                    // With nothing spooled there is no drain that would find out.
                    if self.spool.is_away() {
                        self.spool.set_away(false);
                    }
                    return Ok(Kept::Logged);
                }
                Ok(Err(error @ AppendError::TooLarge { .. })) => return Err(KeepError::TooLarge(error)),
                Ok(Err(AppendError::Unknown | AppendError::Unavailable(_))) | Err(_) => self.spool.set_away(true),
            }
        }
        match timeout(SPOOL_PATIENCE, self.spool.write(&self.desk, key, record, at)).await {
            Ok(written) => Ok(written.map(|()| Kept::Spooled)?),
            Err(_) => Err(KeepError::Slow),
        }
    }

    /// What is in the spool.
    pub fn spool(&self) -> SpoolState {
        self.spool.state()
    }

    /// Hands nothing over any more; what is spooled waits for the next start.
    pub fn close(&self) {
        self.closing.cancel();
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.close();
    }
}

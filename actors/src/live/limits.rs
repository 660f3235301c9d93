//! The live group's ceilings and times, each with its reason.

/// Most records in one micro-batch: about 1 ms of work in a release build, so that a batch never starves its thread.
pub(crate) const BATCH_RECORDS: usize = 512;

/// Most bytes in one micro-batch, but for a single larger record.
pub(crate) const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// Longest wait for a micro-batch to fill.
pub(crate) const BATCH_WAIT_MS: u64 = 5;

/// The same while the log is read back: as much as may wait, because then most of a call's records are superseded within the batch.
pub(crate) const CATCH_UP_RECORDS: usize = WAITING_RECORDS - BATCH_RECORDS;

/// Longest wait for such a batch to fill: boards say *rebuilding* and are published once a second.
pub(crate) const CATCH_UP_WAIT_MS: u64 = 50;

/// Bytes of one partition that may wait for its reader; then the subscription pauses it.
pub(crate) const WAITING_BYTES: usize = 16 * 1024 * 1024;

/// Records of one partition that may wait for its reader; then the subscription pauses it.
pub(crate) const WAITING_RECORDS: usize = 8 * BATCH_RECORDS;

/// Shortest time between two publications of one partition while more records wait.
pub(crate) const PUBLISH_MS: i64 = 200;

/// How often idle calls are looked for.
pub(crate) const SWEEP_MS: i64 = 5_000;

/// A silent call that runs, or could not be asked for or closed, comes up again after this.
pub(crate) const ASK_AGAIN_MS: i64 = 600_000;

/// How often businesses without events are made to forget what is older than the horizon.
pub(crate) const FORGET_MS: i64 = 600_000;

/// How often the group's committed offset moves: it is only a hint for lag monitors, the live group rebuilds by time.
pub(crate) const COMMIT_MS: i64 = 1_000;

/// Poisoned events after which a call is given up: then it is the call, not the event.
pub(crate) const POISONED_MAX: usize = 16;

/// Times that a setting may change.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How far back a start reads the log: the longest business day plus the longest call. Calls idle for longer are forgotten.
    pub horizon_ms: i64,
    /// An ended call leaves memory this long after its last event.
    pub grace_ms: i64,
    /// The same while a bridged transfer is open: the transferred leg outlives the end event.
    pub transfer_grace_ms: i64,
    /// A call in progress without an event for this long is asked for, then presumed ended.
    pub silence_ms: i64,
    /// The same for a call that was only registered or dialled.
    pub registered_silence_ms: i64,
    /// A call in progress without an event for this long counts as *open without an end*.
    pub quiet_ms: i64,
    /// How often what changed is stored, so that a restart reads only what came since; `None`: never, and a start reads the log from the
    /// horizon.
    pub checkpoint_ms: Option<i64>,
}

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;

impl Default for Limits {
    fn default() -> Self {
        Limits {
            horizon_ms: 26 * HOUR_MS,
            grace_ms: 15 * MINUTE_MS,
            transfer_grace_ms: 2 * HOUR_MS,
            silence_ms: 2 * HOUR_MS,
            registered_silence_ms: 10 * MINUTE_MS,
            quiet_ms: 15 * MINUTE_MS,
            checkpoint_ms: None,
        }
    }
}

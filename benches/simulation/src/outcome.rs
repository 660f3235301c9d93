//! What became of a run.

/// Something that was acknowledged.
pub struct Acked {
    /// Print of whose it is and of its body.
    pub print: u64,
    /// For people.
    pub words: String,
}

/// What became of a run.
pub struct Outcome {
    /// Its seed.
    pub seed: u64,
    /// Equal for equal runs.
    pub hash: u64,
    /// What is wrong; empty when nothing is.
    pub found: Vec<String>,
    /// What happened, in numbers.
    pub counts: Counts,
}

/// What happened in a run, in numbers: shows that faults do occur.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    /// Lines of the trace.
    pub steps: u64,
    /// Milliseconds that passed.
    pub span_ms: u64,
    /// Records in the log.
    pub records: u64,
    /// Bodies that were acknowledged.
    pub acked: u64,
    /// Processes that died.
    pub deaths: u64,
    /// Processes that were stopped and woke.
    pub freezes: u64,
    /// Inserts that a token kept out.
    pub repeated: u64,
    /// Ledger writes that the fence kept out.
    pub fenced: u64,
    /// Checkpoint writes of former owners.
    pub stale_puts: u64,
    /// Checkpoint writes that broke off.
    pub torn_puts: u64,
    /// Partitions that were restored from a checkpoint.
    pub restored: u64,
    /// Writes to a spool.
    pub spooled: u64,
}

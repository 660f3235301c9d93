//! What happened in a run: a hash of every line, and the lines themselves when somebody wants to read them.

use std::io::Write as _;

/// The trace of a run.
pub struct Trace {
    hash: u64,
    shown: bool,
    count: u64,
}

/// FNV-1a: the same on every machine, and quick.
const BASE: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

impl Trace {
    /// An empty one; with `shown` its lines are printed as they come.
    pub fn new(shown: bool) -> Trace {
        Trace {
            hash: BASE,
            shown,
            count: 0,
        }
    }

    /// Adds a line.
    pub fn note(&mut self, at_ms: i64, line: &str) {
        for byte in at_ms.to_be_bytes().iter().chain(line.as_bytes()) {
            self.hash = (self.hash ^ u64::from(*byte)).wrapping_mul(PRIME);
        }
        self.count += 1;
        if self.shown {
            // A reader that has gone does not stop the run.
            let _ = writeln!(std::io::stdout(), "{:>9.3} {line}", at_ms as f64 / 1_000.0);
        }
    }

    /// Equal for equal runs.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// How many lines there are.
    pub fn count(&self) -> u64 {
        self.count
    }
}

/// A short print of bytes, for lines.
pub fn print(bytes: &[u8]) -> u64 {
    bytes.iter().fold(BASE, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(PRIME))
}

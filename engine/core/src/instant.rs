//! Moments and spans in milliseconds. Arithmetic only: nothing here reads a clock.

use serde::{Deserialize, Serialize};

/// A moment: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, Default)]
#[serde(transparent)]
pub struct Millis(pub i64);

impl Millis {
    /// Milliseconds from `earlier` to `self`; negative when `earlier` is later.
    pub fn since(self, earlier: Millis) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// This moment moved by `span_ms`.
    pub fn plus(self, span_ms: i64) -> Millis {
        Millis(self.0.saturating_add(span_ms))
    }

    /// The start of the half-open interval of `width_ms` that holds this moment.
    pub fn floor(self, width_ms: i64) -> Millis {
        Millis(self.0.div_euclid(width_ms) * width_ms)
    }
}

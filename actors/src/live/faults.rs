//! Points at which a test may make something go wrong. In production nothing is installed here.

use std::fmt;
use std::sync::Arc;

use trunkline_core::event::Event;
use trunkline_core::id::{BusinessId, CallKey};

/// Where the engine is.
#[derive(Debug)]
pub enum Point<'a> {
    /// About to apply this event, inside the quarantine.
    Apply(&'a Event),
    /// In a call actor's handler, outside the quarantine.
    Handle(&'a CallKey),
    /// In a business actor's handler.
    Fold(BusinessId),
    /// In a partition's reader, before a micro-batch.
    Read(u32),
}

/// Called at every [`Point`]; a panic there is a fault of the engine.
#[derive(Clone)]
pub struct Faults(Arc<dyn Fn(Point<'_>) + Send + Sync>);

impl Faults {
    /// Installs `probe`.
    pub fn new(probe: impl Fn(Point<'_>) + Send + Sync + 'static) -> Faults {
        Faults(Arc::new(probe))
    }

    pub(crate) fn reach(&self, point: Point<'_>) {
        (self.0)(point);
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Faults")
    }
}

//! What the records of a partition come to: the newest value of each key, and which were written too late.

use std::collections::HashMap;

use bytes::Bytes;

use super::form::{Frame, What};
use crate::log::compacted::Kept;

/// What records that follow one another come to.
#[derive(Debug, Default)]
pub(in super::super) struct Values {
    newest_claim: Option<i64>,
    pub(super) by_key: HashMap<Bytes, (Bytes, bool)>,
}

impl Values {
    /// Takes in the next record.
    pub fn take(&mut self, frame: Frame) {
        match frame.what {
            What::Claim { .. } => self.newest_claim = Some(frame.offset),
            What::Value { epoch, key, value } => {
                let is_late = self.newest_claim.is_some_and(|claim| epoch < claim);
                self.by_key.insert(key, (value, is_late));
            }
            What::Removed { key, .. } => drop(self.by_key.remove(&key)),
            What::Through { .. } => {}
        }
    }

    /// Each key that has a value.
    pub fn kept(self) -> Vec<Kept> {
        let kept = |(key, (value, late))| Kept {
            key,
            value: Some(value),
            late,
        };
        self.by_key.into_iter().map(kept).collect()
    }
}

//! The marker that closes a checkpoint: without it, what was written is of no use.

use sha2::{Digest, Sha256};

use super::{marker_key, seal};
use crate::instant::Millis;
use crate::metric::Rules;
use crate::wire::{In, Out};

/// Raised when the same records give other facts or figures than before: stored calls carry what they add, and figures of two meanings
/// must not be summed. A golden test notices when it is forgotten.
const FIGURES_VERSION: u32 = 1;

/// The end of a checkpoint: everything it says was stored before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marker {
    /// Identity of the log whose offsets these are.
    pub log: String,
    /// [`meaning`] of the stored figures.
    pub meaning: u64,
    /// Every record below this offset is in the stored calls.
    pub next: i64,
    /// Whose checkpoint it is: the claim under which it was written.
    pub epoch: i64,
    /// When the newest of these records was appended to the log; `None` while there was none.
    pub applied_to: Option<Millis>,
    /// When it was taken.
    pub taken_at: Millis,
    /// How many calls are stored.
    pub calls: u64,
    /// First and last of offsets that were not delivered.
    pub gaps: Vec<(i64, i64)>,
}

impl Marker {
    /// Key and value to store.
    pub fn encode(&self) -> (Vec<u8>, Vec<u8>) {
        let key = marker_key();
        let value = seal(&key, |out| {
            out.text(&self.log);
            out.bytes(&self.meaning.to_be_bytes());
            out.number(self.next);
            out.number(self.epoch);
            out.option(self.applied_to, Out::moment);
            out.moment(self.taken_at);
            out.count(self.calls);
            out.list(self.gaps.iter(), |out, (first, last)| {
                out.number(*first);
                out.number(*last);
            });
        });
        (key, value)
    }

    pub(super) fn read(from: &mut In<'_>) -> Option<Marker> {
        Some(Marker {
            log: from.str()?.to_owned(),
            meaning: u64::from_be_bytes(from.bytes()?),
            next: from.number()?,
            epoch: from.number()?,
            applied_to: from.option(In::moment)?,
            taken_at: from.moment()?,
            calls: from.count()?,
            gaps: from.list(|from| Some((from.number()?, from.number()?)))?,
        })
    }
}

/// What stored figures mean: equal numbers were made by the same rules in the same way.
pub fn meaning(rules: &Rules) -> u64 {
    let mut print = Sha256::new();
    print.update(FIGURES_VERSION.to_be_bytes());
    print.update(serde_json::to_vec(rules).expect("plain values always serialise into memory"));
    u64::from_be_bytes(*print.finalize().first_chunk().expect("SHA-256 is longer than 8 bytes"))
}

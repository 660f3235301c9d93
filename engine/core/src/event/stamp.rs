//! The order and the identity of stored records (rule B1).

use sha2::{Digest, Sha256};

use crate::instant::Millis;
use crate::json::{Canonical, Omit, Value};

/// What the content of a transfer event leaves out: with an agent swap the same event comes once for each agent.
const AGENT: Omit<'static> = Omit {
    inside: "call",
    names: &["agent_id", "agent_name", "agent_version", "agent_tag"],
};

/// Orders records, and tells two apart: the same stamp read twice is one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp {
    /// When the door took it.
    pub received_at: Millis,
    /// SHA-256 of the canonical body; of transfer events without the agent. The same event with the same content is a repeat.
    pub content: [u8; 32],
    /// SHA-256 of the whole canonical body.
    pub whole: [u8; 32],
}

impl Stamp {
    pub(super) fn of(received_at: Millis, body: Value<'_>, is_transfer: bool, canonical: &mut Canonical) -> Stamp {
        let whole = Sha256::digest(canonical.text(body)).into();
        let mut stamp = Stamp::of_whole(received_at, whole);
        if is_transfer {
            stamp.content = Sha256::digest(canonical.text_without(body, AGENT)).into();
        }
        stamp
    }

    /// Of what is no transfer event.
    pub(super) fn of_whole(received_at: Millis, whole: [u8; 32]) -> Stamp {
        Stamp {
            received_at,
            content: whole,
            whole,
        }
    }
}

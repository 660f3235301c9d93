//! The order and the identity of stored records (rule B1).

use std::hash::{BuildHasher, Hasher};
use std::sync::LazyLock;

use foldhash::quality::RandomState;
use sha2::{Digest, Sha256};

use crate::instant::Millis;
use crate::json::{Canonical, Omit, Value, likeness};

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
        let content = if is_transfer {
            Sha256::digest(canonical.text_without(body, AGENT)).into()
        } else {
            whole
        };
        Stamp {
            received_at,
            content,
            whole,
        }
    }
}

/// What nearly always tells the records of one call apart at a tenth of a stamp's price.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Print {
    /// Of the very bytes: equal ones are equal contents.
    pub bytes: u64,
    /// Of all spellings of the body: unlike ones are unlike contents.
    pub likeness: u32,
}

/// The key of [`Print::bytes`], drawn once for the process as that of any hash table: who sends bodies cannot aim at a meeting of two.
/// No result depends on it.
static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::default);

impl Print {
    /// Of an event whose body is gone: fit for calls that go by stamps, which are all such events are applied to.
    pub(super) fn of_stamp(stamp: &Stamp) -> Print {
        Print {
            bytes: u64::from_be_bytes(*stamp.content.first_chunk().expect("32 bytes")),
            likeness: u32::from_be_bytes(*stamp.whole.first_chunk().expect("32 bytes")),
        }
    }

    pub(super) fn of(bytes: &[u8], body: Value<'_>, canonical: &mut Canonical) -> Print {
        let mut hasher = KEY.build_hasher();
        hasher.write(bytes);
        Print {
            bytes: hasher.finish(),
            likeness: likeness(body, canonical),
        }
    }
}

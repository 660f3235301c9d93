//! What the live group keeps between two starts, in the form it is stored in: each call under its own key, what was set aside, and a
//! marker that says up to which offset all of it is complete.
//!
//! A value is: version byte, content, CRC-32 (big endian) of key, version and content. A new form gets a new version byte and a new golden
//! file. Whoever cannot read a value must not use the checkpoint: the log has everything.
//!
//! Parts are written one after the other while events go on, so a call may be *newer* than the marker. That does no harm, because applying an
//! event once more changes nothing (rules B1 to B3): whoever restores the calls and applies all events from [`Marker::next`] on has the
//! same calls as one who applied all events. Business figures are not stored: they are the sum of what the calls add
//! ([`Standing::contribution`]), and a sum that is made anew agrees with its calls whatever a crash has left behind.

mod aside;
mod call;
mod marker;

pub use aside::{NOTES_MAX, Note, SetAsides};
pub use call::{Standing, StoredCall, StoredState};
pub use marker::{Marker, meaning};

use uuid::Uuid;

use crate::id::{CallKey, Kind, TenantId};
use crate::wire::{In, Out};

/// The form written now.
pub const STORED_VERSION: u8 = 1;

const CALL: u8 = b'c';
const MARKER: u8 = b'm';
const SET_ASIDES: u8 = b's';

/// Why a stored part cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Written by another version.
    #[error("the checkpoint has stored form {0} and this version reads {STORED_VERSION}")]
    OtherVersion(u8),
    /// Cut off, changed, or none of ours.
    #[error("the checkpoint is damaged")]
    Damaged,
}

/// One stored part, read.
#[derive(Debug, Clone, PartialEq)]
pub enum Part<'a> {
    /// A call.
    Call(CallKey, StoredCall<'a>),
    /// What was set aside.
    SetAsides(SetAsides),
    /// The end of a checkpoint.
    Marker(Marker),
}

/// The key that a call is stored under.
pub fn call_key(key: &CallKey) -> Vec<u8> {
    let kind = match key.kind {
        Kind::Call => b'c',
        Kind::Chat => b't',
    };
    let mut bytes = Vec::with_capacity(18 + key.id.len());
    bytes.push(CALL);
    bytes.extend_from_slice(key.tenant.0.as_bytes());
    bytes.push(kind);
    bytes.extend_from_slice(key.id.as_bytes());
    bytes
}

/// The key that the marker is stored under.
pub fn marker_key() -> Vec<u8> {
    vec![MARKER]
}

/// The key that what was set aside is stored under.
pub fn set_asides_key() -> Vec<u8> {
    vec![SET_ASIDES]
}

/// Reads a stored part of whatever kind its key says.
pub fn read<'a>(key: &[u8], value: &'a [u8]) -> Result<Part<'a>, Unreadable> {
    let mut from = open(key, value)?;
    let part = match key.split_first().ok_or(Unreadable::Damaged)? {
        (&CALL, rest) => read_call_key(rest).and_then(|key| Some(Part::Call(key, StoredCall::read(&mut from)?))),
        (&MARKER, []) => Marker::read(&mut from).map(Part::Marker),
        (&SET_ASIDES, []) => SetAsides::read(&mut from).map(Part::SetAsides),
        _ => None,
    };
    part.filter(|_| from.is_empty()).ok_or(Unreadable::Damaged)
}

fn read_call_key(bytes: &[u8]) -> Option<CallKey> {
    let (tenant, rest) = bytes.split_first_chunk::<16>()?;
    let (kind, id) = rest.split_first()?;
    Some(CallKey {
        tenant: TenantId(Uuid::from_bytes(*tenant)),
        kind: match kind {
            b'c' => Kind::Call,
            b't' => Kind::Chat,
            _ => return None,
        },
        id: std::str::from_utf8(id).ok()?.into(),
    })
}

/// Puts the frame round what `write` writes.
fn seal(key: &[u8], write: impl FnOnce(&mut Out)) -> Vec<u8> {
    let mut out = Out(vec![STORED_VERSION]);
    write(&mut out);
    let sum = checksum(key, &out.0);
    out.bytes(&sum.to_be_bytes());
    out.0
}

fn open<'a>(key: &[u8], value: &'a [u8]) -> Result<In<'a>, Unreadable> {
    let (content, sum) = value.split_last_chunk::<4>().ok_or(Unreadable::Damaged)?;
    if u32::from_be_bytes(*sum) != checksum(key, content) {
        return Err(Unreadable::Damaged);
    }
    match content.split_first() {
        Some((&STORED_VERSION, rest)) => Ok(In(rest)),
        Some((&version, _)) => Err(Unreadable::OtherVersion(version)),
        None => Err(Unreadable::Damaged),
    }
}

fn checksum(key: &[u8], content: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key);
    hasher.update(content);
    hasher.finalize()
}

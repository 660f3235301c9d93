//! The stored form of one received event: what the log keeps, for ever readable.
//!
//! `TLR` + version byte, length of the header (u32, big endian), header as JSON, raw body. The body is as Retell sent it, but for
//! masked credentials (rule A12). A new form gets a new version byte and a new golden file.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::id::{TenantId, WorkspaceId};
use crate::instant::Millis;

const MAGIC: &[u8; 3] = b"TLR";
const VERSION: u8 = 1;
const PREFIX_BYTES: usize = 8;

/// How a record came to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Through the intake, signed by Retell.
    Webhook,
    /// Fetched from Retell's API.
    Backfill,
    /// Made by our own reaper from silence.
    Reaper,
}

/// Why a body cannot be read as an event (rules A1, A6, A7, A9). Kept, listed, never refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SetAside {
    /// Not UTF-8.
    NotUtf8,
    /// Not JSON.
    NotJson,
    /// JSON, but no object at the top.
    NotAnObject,
    /// Nested deeper than [`crate::limit::JSON_DEPTH`].
    TooDeep,
    /// No usable `event` name.
    NoEventName,
    /// No usable call or chat id where one is needed.
    NoId,
    /// An alert without an `alert` object.
    NoAlert,
    /// The record itself is damaged in the log (checksum).
    Damaged,
    /// Applying it panicked; quarantined.
    Poisoned,
}

impl SetAside {
    /// The word stored and shown for this reason.
    pub fn as_str(self) -> &'static str {
        match self {
            SetAside::NotUtf8 => "not_utf8",
            SetAside::NotJson => "not_json",
            SetAside::NotAnObject => "not_an_object",
            SetAside::TooDeep => "too_deep",
            SetAside::NoEventName => "no_event_name",
            SetAside::NoId => "no_id",
            SetAside::NoAlert => "no_alert",
            SetAside::Damaged => "damaged",
            SetAside::Poisoned => "poisoned",
        }
    }
}

/// What we note beside the body when it arrives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// When the door took it, ms since the epoch; kept through spool and back-fill (rule B1).
    pub received_at: Millis,
    /// Whose: decided by the intake token alone (rule A13).
    pub tenant: TenantId,
    /// Which workspace's address it came to.
    pub workspace: WorkspaceId,
    /// How it came.
    pub source: Source,
    /// `event` of the body as text, cut to 128 characters; empty when there is none.
    pub event: String,
    /// Routing key (rule A7).
    pub key: String,
    /// Set when the door found it unreadable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set_aside: Option<SetAside>,
    /// True when a credential in the body was overwritten (rule A12).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub masked: bool,
    /// CRC-32 (IEEE) of the body.
    pub crc32: u32,
}

/// One received event as the log keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// What we noted.
    pub header: Header,
    /// The raw body.
    pub body: Bytes,
}

/// Why stored bytes are not a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DamagedRecord {
    /// Too short, or other first bytes.
    #[error("stored bytes do not begin like a Trunkline record")]
    NotARecord,
    /// Written by a newer version.
    #[error("record has stored form {0}; this version reads up to {VERSION}: upgrade before reading this log")]
    NewerVersion(u8),
    /// The header cannot be read.
    #[error("record header cannot be read: {0}")]
    Header(String),
    /// The body does not match its checksum.
    #[error("record body does not match its checksum")]
    Checksum,
}

impl Record {
    /// The bytes to store.
    pub fn encode(&self) -> Bytes {
        let header = serde_json::to_vec(&self.header).expect("a header of plain fields always serialises");
        let mut out = Vec::with_capacity(PREFIX_BYTES + header.len() + self.body.len());
        out.extend_from_slice(MAGIC);
        out.push(VERSION);
        out.extend_from_slice(&(header.len() as u32).to_be_bytes());
        out.extend_from_slice(&header);
        out.extend_from_slice(&self.body);
        out.into()
    }

    /// Reads stored bytes; the body shares their memory. The checksum is verified.
    pub fn decode(stored: &Bytes) -> Result<Record, DamagedRecord> {
        if stored.len() < PREFIX_BYTES || &stored[..3] != MAGIC {
            return Err(DamagedRecord::NotARecord);
        }
        if stored[3] != VERSION {
            return Err(DamagedRecord::NewerVersion(stored[3]));
        }
        let length = u32::from_be_bytes(stored[4..8].try_into().expect("four bytes")) as usize;
        let end = PREFIX_BYTES
            .checked_add(length)
            .filter(|end| *end <= stored.len())
            .ok_or(DamagedRecord::NotARecord)?;
        let header: Header =
            serde_json::from_slice(&stored[PREFIX_BYTES..end]).map_err(|error| DamagedRecord::Header(error.to_string()))?;
        let body = stored.slice(end..);
        if crc32fast::hash(&body) != header.crc32 {
            return Err(DamagedRecord::Checksum);
        }
        Ok(Record { header, body })
    }
}

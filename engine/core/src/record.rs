//! The stored form of one received event: what the log keeps, for ever readable.
//!
//! `TLR`, version byte, length of the header (u32), header, raw body. The header: `received_at` (i64), tenant and workspace (16 bytes
//! each), source, reason of being set aside (0 = none) and flags (one byte each), CRC-32 of the body (u32), event name and
//! key (u16 length and UTF-8 each). Integers are big endian. The body is as Retell sent it, but for masked credentials (rule A12).
//! A new form gets a new version byte and a new golden file. Plain bytes rather than JSON, because every consumer of the log reads
//! this for every event.

use bytes::{Buf, Bytes};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::id::{TenantId, WorkspaceId};
use crate::instant::Millis;

const MAGIC: &[u8; 3] = b"TLR";
const VERSION: u8 = 1;
const PREFIX_BYTES: usize = 8;
const FIXED_HEADER_BYTES: usize = 47;
const MASKED: u8 = 1;

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

    /// The reason of a word.
    pub fn parse(word: &str) -> Option<SetAside> {
        REASONS.into_iter().find(|reason| reason.as_str() == word)
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
    Header(&'static str),
    /// The body does not match its checksum.
    #[error("record body does not match its checksum")]
    Checksum,
}

/// The bytes that stand for the sources, in the order of their values from 1.
const SOURCES: [Source; 3] = [Source::Webhook, Source::Backfill, Source::Reaper];

/// The bytes that stand for the reasons, in the order of their values from 1. Only ever added to at the end.
const REASONS: [SetAside; 9] = [
    SetAside::NotUtf8,
    SetAside::NotJson,
    SetAside::NotAnObject,
    SetAside::TooDeep,
    SetAside::NoEventName,
    SetAside::NoId,
    SetAside::NoAlert,
    SetAside::Damaged,
    SetAside::Poisoned,
];

/// Place in a table of stored values, from 1.
fn stored<T: PartialEq>(table: &[T], value: T) -> u8 {
    let place = table.iter().position(|known| *known == value).expect("the table holds every value");
    place as u8 + 1
}

impl Record {
    /// The bytes to store.
    pub fn encode(&self) -> Bytes {
        let Header {
            received_at,
            tenant,
            workspace,
            source,
            event,
            key,
            set_aside,
            masked,
            crc32,
        } = &self.header;
        let (event, key) = (cut(event), cut(key));
        let length = FIXED_HEADER_BYTES + 4 + event.len() + key.len();
        let mut out = Vec::with_capacity(PREFIX_BYTES + length + self.body.len());
        out.extend_from_slice(MAGIC);
        out.push(VERSION);
        out.extend_from_slice(&(length as u32).to_be_bytes());
        out.extend_from_slice(&received_at.0.to_be_bytes());
        out.extend_from_slice(tenant.0.as_bytes());
        out.extend_from_slice(workspace.0.as_bytes());
        out.push(stored(&SOURCES, *source));
        out.push(set_aside.map_or(0, |reason| stored(&REASONS, reason)));
        out.push(if *masked { MASKED } else { 0 });
        out.extend_from_slice(&crc32.to_be_bytes());
        for text in [event, key] {
            out.extend_from_slice(&(text.len() as u16).to_be_bytes());
            out.extend_from_slice(text.as_bytes());
        }
        out.extend_from_slice(&self.body);
        out.into()
    }

    /// Reads stored bytes; the body shares their memory. The checksum is verified.
    pub fn decode(stored: &Bytes) -> Result<Record, DamagedRecord> {
        Record::decode_from(stored.clone())
    }

    /// The same for who needs the stored bytes no longer: the body keeps their memory, and nothing has to be counted.
    pub fn decode_from(stored: Bytes) -> Result<Record, DamagedRecord> {
        let head = Opened::of(&stored)?.head();
        Ok(head.with(stored))
    }
}

/// A header on its own, and where the body behind it begins.
#[derive(Debug, Clone)]
pub struct Head {
    header: Header,
    body_at: usize,
}

impl Head {
    /// The record of which `stored` are the bytes; the body keeps their memory.
    pub fn with(self, mut stored: Bytes) -> Record {
        stored.advance(self.body_at);
        Record {
            header: self.header,
            body: stored,
        }
    }
}

/// A stored record, looked at where it lies: for who reads very many and keeps few. The checksum is verified.
#[derive(Debug, Clone, Copy)]
pub struct Opened<'a> {
    body: &'a [u8],
    body_at: usize,
    received_at: Millis,
    tenant: TenantId,
    workspace: WorkspaceId,
    source: Source,
    event: &'a str,
    key: &'a str,
    set_aside: Option<SetAside>,
    masked: bool,
    crc32: u32,
}

impl<'a> Opened<'a> {
    /// Looks at stored bytes.
    pub fn of(stored: &'a [u8]) -> Result<Opened<'a>, DamagedRecord> {
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
        let opened = Fields(&stored[PREFIX_BYTES..end]).opened(stored, end)?;
        if crc32fast::hash(opened.body) != opened.crc32 {
            return Err(DamagedRecord::Checksum);
        }
        Ok(opened)
    }

    /// The raw body.
    pub fn body(&self) -> &'a [u8] {
        self.body
    }

    /// When the door took it.
    pub fn received_at(&self) -> Millis {
        self.received_at
    }

    /// Whose.
    pub fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// Which workspace's address it came to.
    pub fn workspace(&self) -> WorkspaceId {
        self.workspace
    }

    /// How it came.
    pub fn source(&self) -> Source {
        self.source
    }

    /// `event` of the body, cut.
    pub fn event(&self) -> &'a str {
        self.event
    }

    /// Routing key (rule A7).
    pub fn key(&self) -> &'a str {
        self.key
    }

    /// The header on its own, to make a record of the same bytes.
    pub fn head(&self) -> Head {
        let header = Header {
            received_at: self.received_at,
            tenant: self.tenant,
            workspace: self.workspace,
            source: self.source,
            event: self.event.to_owned(),
            key: self.key.to_owned(),
            set_aside: self.set_aside,
            masked: self.masked,
            crc32: self.crc32,
        };
        Head {
            header,
            body_at: self.body_at,
        }
    }
}

/// A text that fits its 16-bit length; event names and keys are far below it, so this cuts nothing that came through the door.
fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(usize::from(u16::MAX))]
}

/// What is left of a header to read.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn opened(mut self, stored: &'a [u8], body_at: usize) -> Result<Opened<'a>, DamagedRecord> {
        let opened = Opened {
            body: &stored[body_at..],
            body_at,
            received_at: Millis(i64::from_be_bytes(self.array()?)),
            tenant: TenantId(Uuid::from_bytes(self.array()?)),
            workspace: WorkspaceId(Uuid::from_bytes(self.array()?)),
            source: self.value(&SOURCES)?.ok_or(DamagedRecord::Header("its source is zero"))?,
            set_aside: self.value(&REASONS)?,
            masked: self.array::<1>()?[0] & MASKED != 0,
            crc32: u32::from_be_bytes(self.array()?),
            event: self.text()?,
            key: self.text()?,
        };
        if self.0.is_empty() {
            Ok(opened)
        } else {
            Err(DamagedRecord::Header("it is longer than its fields"))
        }
    }

    fn take(&mut self, bytes: usize) -> Result<&'a [u8], DamagedRecord> {
        let (taken, rest) = self
            .0
            .split_at_checked(bytes)
            .ok_or(DamagedRecord::Header("it is shorter than its fields"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const BYTES: usize>(&mut self) -> Result<[u8; BYTES], DamagedRecord> {
        Ok(self.take(BYTES)?.try_into().expect("as many bytes as taken"))
    }

    fn value<T: Copy>(&mut self, table: &[T]) -> Result<Option<T>, DamagedRecord> {
        match self.array::<1>()?[0] {
            0 => Ok(None),
            place => table
                .get(usize::from(place) - 1)
                .copied()
                .map(Some)
                .ok_or(DamagedRecord::Header("it holds a value unknown here")),
        }
    }

    fn text(&mut self) -> Result<&'a str, DamagedRecord> {
        let length = u16::from_be_bytes(self.array()?);
        std::str::from_utf8(self.take(usize::from(length))?).map_err(|_| DamagedRecord::Header("a text in it is not UTF-8"))
    }
}

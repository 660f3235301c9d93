//! One record of the log as a row.

use std::sync::Arc;

use bytes::Bytes;
use clickhouse::Row;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use trunkline_core::id::CallKey;
use trunkline_core::instant::Millis;
use trunkline_core::record::{Record, SetAside};
use uuid::Uuid;

use super::word;
use crate::log::Position;

/// Bytes of any kind in a `String` column: what arrived need not be UTF-8.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Raw(pub Bytes);

impl Serialize for Raw {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Raw;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Raw, E> {
                Ok(Raw(Bytes::copy_from_slice(bytes)))
            }
            fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Raw, E> {
                Ok(Raw(bytes.into()))
            }
        }
        deserializer.deserialize_byte_buf(Visitor)
    }
}

/// One record of the log, whatever became of it: table `events`.
#[derive(Debug, Clone, PartialEq, Row, Serialize, Deserialize)]
pub struct EventRow {
    /// Whose; nil when the record itself is damaged.
    #[serde(with = "clickhouse::serde::uuid")]
    pub tenant: Uuid,
    /// Whose address it came to; nil when damaged.
    #[serde(with = "clickhouse::serde::uuid")]
    pub workspace: Uuid,
    /// Identity of the event log.
    pub log: Arc<str>,
    /// Partition of the log.
    pub log_partition: u32,
    /// Offset in it.
    pub log_offset: i64,
    /// When the door took it, ms.
    pub received_at: i64,
    /// Event name.
    pub event: String,
    /// `call`, `chat` or empty.
    pub kind: String,
    /// Retell's id, when it belongs to a call or chat.
    pub call_id: String,
    /// Routing key (rule A7).
    pub routing_key: String,
    /// Content hash (rule B1), hex.
    pub content: String,
    /// How it came.
    pub source: String,
    /// Reason word; empty when readable.
    pub set_aside: String,
    /// Rule A12.
    pub masked: bool,
    /// What Retell's documentation does not list of it, as `kind:name`.
    pub undocumented: Vec<String>,
    /// The body as it was stored.
    pub body: Raw,
}

impl EventRow {
    /// The row of a record that was read as an event of a call.
    pub fn of_call(log: &Arc<str>, position: Position, record: &Record, key: &CallKey, content: &[u8; 32]) -> Self {
        Self {
            kind: key.kind.as_str().to_owned(),
            call_id: key.id.to_string(),
            content: hex::encode(content),
            ..Self::of_no_call(log, position, record, None)
        }
    }

    /// The row of a record that belongs to no call: an alert, a hook, or one that was set aside.
    pub fn of_no_call(log: &Arc<str>, position: Position, record: &Record, set_aside: Option<SetAside>) -> Self {
        let header = &record.header;
        Self {
            tenant: header.tenant.0,
            workspace: header.workspace.0,
            log: log.clone(),
            log_partition: position.partition,
            log_offset: position.offset,
            received_at: header.received_at.0,
            event: header.event.clone(),
            kind: String::new(),
            call_id: String::new(),
            routing_key: header.key.clone(),
            content: hex::encode(Sha256::digest(&record.body)),
            source: word(&header.source),
            set_aside: set_aside.map(SetAside::as_str).unwrap_or_default().to_owned(),
            masked: header.masked,
            undocumented: Vec::new(),
            body: Raw(record.body.clone()),
        }
    }

    /// The row of stored bytes that are no record: nobody's, kept as they are.
    pub fn damaged(log: &Arc<str>, position: Position, appended_at: Millis, stored: &Bytes) -> Self {
        Self {
            tenant: Uuid::nil(),
            workspace: Uuid::nil(),
            log: log.clone(),
            log_partition: position.partition,
            log_offset: position.offset,
            received_at: appended_at.0,
            event: String::new(),
            kind: String::new(),
            call_id: String::new(),
            routing_key: String::new(),
            content: hex::encode(Sha256::digest(stored)),
            source: String::new(),
            set_aside: SetAside::Damaged.as_str().to_owned(),
            masked: false,
            undocumented: Vec::new(),
            body: Raw(stored.clone()),
        }
    }
}

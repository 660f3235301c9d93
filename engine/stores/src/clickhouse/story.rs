//! One call in full: its facts, its transcript and its records.

use clickhouse::Row;
use serde::{Deserialize, Serialize};
use trunkline_core::call::Call;
use trunkline_core::event::{Reading, read};
use trunkline_core::facts::{CallFacts, Item, Word};
use trunkline_core::id::{BusinessId, CallKey, Kind, TenantId};
use uuid::Uuid;

use super::client::{Analytics, AnalyticsError, answer};
use super::rows::{Raw, role_of};

/// Most records listed of one call; a call of hours with an update a second stays below.
const EVENTS_OF_A_CALL: u32 = 10_000;

const CALL: &str = include_str!("../../../../clickhouse/queries/call.sql");
const TRANSCRIPT: &str = include_str!("../../../../clickhouse/queries/transcript.sql");
const EVENTS: &str = include_str!("../../../../clickhouse/queries/events_of.sql");
const BODY: &str = include_str!("../../../../clickhouse/queries/event_body.sql");

/// The stored story of one call.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StoredCall {
    /// Its business.
    pub business: BusinessId,
    /// Version of the row.
    pub version: u64,
    /// Everything that is known.
    pub facts: CallFacts,
}

/// One record of a call.
#[derive(Debug, Clone, PartialEq, Row, Serialize, Deserialize)]
pub struct StoredEvent {
    /// Identity of the log.
    pub log: String,
    /// Partition.
    pub log_partition: u32,
    /// Offset.
    pub log_offset: i64,
    /// When the door took it, ms.
    pub received_at: i64,
    /// Event name.
    pub event: String,
    /// How it came.
    pub source: String,
    /// Reason word; empty when readable.
    pub set_aside: String,
    /// A credential was overwritten.
    pub masked: bool,
    /// Content hash (rule B1).
    pub content: String,
    /// Size of the body.
    pub bytes: u64,
}

/// Which record's body is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventPlace {
    /// `call`, `chat` or empty, as listed.
    pub kind: String,
    /// Retell's id, as listed.
    pub call_id: String,
    /// Identity of the log.
    pub log: String,
    /// Partition.
    pub log_partition: u32,
    /// Offset.
    pub log_offset: i64,
}

#[derive(Row, Deserialize)]
struct CallStory {
    #[serde(with = "clickhouse::serde::uuid")]
    business: Uuid,
    version: u64,
    facts: String,
}

#[derive(Row, Deserialize)]
struct TranscriptColumns {
    role: Vec<String>,
    role_raw: Vec<String>,
    content: Vec<String>,
    start_ms: Vec<Option<i64>>,
    end_ms: Vec<Option<i64>>,
    tool: Vec<String>,
    tool_call_id: Vec<String>,
    tool_type: Vec<String>,
    successful: Vec<Option<bool>>,
    word_text: Vec<Vec<String>>,
    word_start_ms: Vec<Vec<i64>>,
    word_end_ms: Vec<Vec<i64>>,
}

#[derive(Row, Deserialize)]
struct BodyRow {
    body: Raw,
}

impl Analytics {
    /// The story of one call; `None` when the tenant has no such call.
    pub async fn call(&self, tenant: TenantId, kind: Kind, id: &str) -> Result<Option<StoredCall>, AnalyticsError> {
        let attempt = "read a call";
        let query = self.ask(CALL, tenant.0).param("kind", kind.as_str()).param("id", id);
        let Some(row) = answer(attempt, query.fetch_optional::<CallStory>()).await? else {
            return Ok(None);
        };
        let facts = match serde_json::from_str(&row.facts) {
            Ok(facts) => facts,
            // Written in a form that this version does not read: the records say the same.
            Err(error) => self.folded(tenant, kind, id).await?.ok_or_else(|| AnalyticsError::Unreadable {
                attempt,
                reason: in_words(&error),
            })?,
        };
        Ok(Some(StoredCall {
            business: BusinessId(row.business),
            version: row.version,
            facts,
        }))
    }

    /// The facts of a call from its records; `None` when they are gone.
    async fn folded(&self, tenant: TenantId, kind: Kind, id: &str) -> Result<Option<CallFacts>, AnalyticsError> {
        let key = CallKey {
            tenant,
            kind,
            id: id.into(),
        };
        let mut records = self.records_of(std::slice::from_ref(&key)).await?.remove(&key).unwrap_or_default();
        records.sort_by_key(|record| record.header.received_at);
        let Some(first) = records.first() else { return Ok(None) };
        let mut call = Call::new(key, first.header.workspace);
        for record in &records {
            if let Reading::Event(event) = read(record) {
                call.apply(&event);
            }
        }
        Ok(call.exists().then(|| call.facts()))
    }

    /// The transcript of one call, tool calls and all; empty when there is none.
    pub async fn transcript(&self, tenant: TenantId, kind: Kind, id: &str) -> Result<Vec<Item>, AnalyticsError> {
        let query = self.ask(TRANSCRIPT, tenant.0).param("kind", kind.as_str()).param("id", id);
        let columns = answer("read a transcript", query.fetch_optional::<TranscriptColumns>()).await?;
        Ok(columns.map(items).unwrap_or_default())
    }

    /// The records of one call in the order received, without bodies.
    pub async fn events(&self, tenant: TenantId, kind: Kind, id: &str) -> Result<Vec<StoredEvent>, AnalyticsError> {
        let query = self
            .ask(EVENTS, tenant.0)
            .param("kind", kind.as_str())
            .param("id", id)
            .param("limit", EVENTS_OF_A_CALL);
        answer("list the events of a call", query.fetch_all()).await
    }

    /// The body of one record as it came; `None` when the tenant has no such record.
    pub async fn event_body(&self, tenant: TenantId, place: &EventPlace) -> Result<Option<bytes::Bytes>, AnalyticsError> {
        let query = self
            .ask(BODY, tenant.0)
            .param("kind", &place.kind)
            .param("id", &place.call_id)
            .param("log", &place.log)
            .param("partition", place.log_partition)
            .param("offset", place.log_offset);
        let row = answer("read the body of an event", query.fetch_optional::<BodyRow>()).await?;
        Ok(row.map(|row| row.body.0))
    }
}

/// What is wrong with a stored form, without the data that is.
fn in_words(error: &serde_json::Error) -> String {
    format!("{:?} error at line {} column {}", error.classify(), error.line(), error.column())
}

/// Puts the arrays in step together again.
fn items(columns: TranscriptColumns) -> Vec<Item> {
    let filled = |text: Option<&String>| text.filter(|text| !text.is_empty()).map(|text| text.as_str().into());
    let item = |n: usize| {
        let none = Vec::new();
        let (starts, ends) = (columns.word_start_ms.get(n), columns.word_end_ms.get(n));
        let times = starts.into_iter().flatten().zip(ends.into_iter().flatten());
        let texts = columns.word_text.get(n).unwrap_or(&none);
        let words = texts.iter().zip(times).map(|(text, (start_ms, end_ms))| Word {
            text: text.as_str().into(),
            start_ms: *start_ms,
            end_ms: *end_ms,
        });
        Item {
            role: role_of(&columns.role[n]),
            role_raw: filled(columns.role_raw.get(n)),
            content: columns.content.get(n).map(String::as_str).unwrap_or_default().into(),
            start_ms: columns.start_ms.get(n).copied().flatten(),
            end_ms: columns.end_ms.get(n).copied().flatten(),
            tool: filled(columns.tool.get(n)),
            tool_call_id: filled(columns.tool_call_id.get(n)),
            tool_type: filled(columns.tool_type.get(n)),
            successful: columns.successful.get(n).copied().flatten(),
            words: words.collect(),
        }
    };
    (0..columns.role.len()).map(item).collect()
}

impl StoredEvent {
    /// Where its body is.
    pub fn place(&self, kind: Kind, id: &str) -> EventPlace {
        EventPlace {
            kind: kind.as_str().to_owned(),
            call_id: id.to_owned(),
            log: self.log.clone(),
            log_partition: self.log_partition,
            log_offset: self.log_offset,
        }
    }
}

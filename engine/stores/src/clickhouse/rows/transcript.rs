//! The transcript of one call as a row of arrays in step.

use std::sync::Arc;

use clickhouse::Row;
use serde::Serialize;
use trunkline_core::facts::{CallFacts, Item};
use trunkline_core::id::{BusinessId, CallKey};
use trunkline_core::instant::Millis;
use uuid::Uuid;

use super::{text, word};

/// The transcript of one call: table `transcripts`.
#[derive(Debug, Clone, PartialEq, Default, Row, Serialize)]
#[allow(missing_docs)] // the columns are described in clickhouse/0003_transcripts.sql
pub struct TranscriptRow {
    #[serde(with = "clickhouse::serde::uuid")]
    pub tenant: Uuid,
    #[serde(with = "clickhouse::serde::uuid")]
    pub business: Uuid,
    pub opened_at: i64,
    pub kind: String,
    pub call_id: Arc<str>,
    pub version: u64,
    pub is_deleted: u8,
    pub role: Vec<String>,
    pub role_raw: Vec<Arc<str>>,
    pub content: Vec<Arc<str>>,
    pub start_ms: Vec<Option<i64>>,
    pub end_ms: Vec<Option<i64>>,
    pub tool: Vec<Arc<str>>,
    pub tool_call_id: Vec<Arc<str>>,
    pub tool_type: Vec<Arc<str>>,
    pub successful: Vec<Option<bool>>,
    pub word_text: Vec<Vec<Arc<str>>>,
    pub word_start_ms: Vec<Vec<i64>>,
    pub word_end_ms: Vec<Vec<i64>>,
}

impl TranscriptRow {
    /// The transcript beside a live [`CallRow`].
    pub fn live(facts: &CallFacts, items: &[Item], business: BusinessId, version: u64) -> Self {
        Self {
            tenant: facts.key.tenant.0,
            business: business.0,
            opened_at: facts.opened_at().0,
            kind: facts.key.kind.as_str().to_owned(),
            call_id: facts.key.id.clone(),
            version,
            is_deleted: 0,
            role: items.iter().map(|item| word(&item.role)).collect(),
            role_raw: items.iter().map(|item| text(&item.role_raw)).collect(),
            content: items.iter().map(|item| item.content.clone()).collect(),
            start_ms: items.iter().map(|item| item.start_ms).collect(),
            end_ms: items.iter().map(|item| item.end_ms).collect(),
            tool: items.iter().map(|item| text(&item.tool)).collect(),
            tool_call_id: items.iter().map(|item| text(&item.tool_call_id)).collect(),
            tool_type: items.iter().map(|item| text(&item.tool_type)).collect(),
            successful: items.iter().map(|item| item.successful).collect(),
            word_text: items
                .iter()
                .map(|item| item.words.iter().map(|w| w.text.clone()).collect())
                .collect(),
            word_start_ms: items.iter().map(|item| item.words.iter().map(|w| w.start_ms).collect()).collect(),
            word_end_ms: items.iter().map(|item| item.words.iter().map(|w| w.end_ms).collect()).collect(),
        }
    }

    /// The row that takes a transcript away from an old place.
    pub fn cancelled(key: &CallKey, business: BusinessId, opened_at: Millis, version: u64) -> Self {
        Self {
            tenant: key.tenant.0,
            business: business.0,
            opened_at: opened_at.0,
            kind: key.kind.as_str().to_owned(),
            call_id: key.id.clone(),
            version,
            is_deleted: 1,
            ..Self::default()
        }
    }
}

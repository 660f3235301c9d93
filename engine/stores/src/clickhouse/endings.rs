//! What the auditor compares with the log, range by range: what became of each offset, and how the calls stand that it is about.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use clickhouse::Row;
use serde::Deserialize;
use trunkline_core::id::{BusinessId, CallKey, TenantId};
use trunkline_core::instant::Millis;
use uuid::Uuid;

use super::client::{Analytics, AnalyticsError, answer};
use super::history::kind_of;
use super::place::Place;

const ENDINGS: &str = include_str!("../../../../clickhouse/queries/endings.sql");
const STANDINGS: &str = include_str!("../../../../clickhouse/queries/standings.sql");

/// What became of a record of the log: one row of events.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub struct StoredEnding {
    /// Offset.
    pub log_offset: i64,
    /// Whose; nil when damaged.
    #[serde(with = "clickhouse::serde::uuid")]
    pub tenant: Uuid,
    /// `call`, `chat` or empty.
    pub kind: String,
    /// Retell's id, when it belongs to a call or chat.
    pub call_id: String,
    /// Content hash (rule B1), hex.
    pub content: String,
    /// Reason word; empty when readable.
    pub set_aside: String,
}

/// A range of a partition, and when the door took its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndingsOf<'a> {
    /// Identity of the log.
    pub log: &'a str,
    /// Partition.
    pub partition: u32,
    /// First offset.
    pub first: i64,
    /// Last offset.
    pub last: i64,
    /// Earliest receipt.
    pub from: Millis,
    /// Latest receipt.
    pub to: Millis,
}

#[derive(Row, Deserialize)]
struct StandingRow {
    #[serde(with = "clickhouse::serde::uuid")]
    tenant: Uuid,
    kind: String,
    call_id: String,
    #[serde(with = "clickhouse::serde::uuid")]
    business: Uuid,
    opened_at: i64,
    connected: bool,
    lasted_ms: i64,
    ended: bool,
    records: u32,
    of_call: bool,
}

/// A live row of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Where it stands.
    pub place: Place,
    /// The two sides spoke.
    pub connected: bool,
    /// Its duration; 0 while it is not known.
    pub lasted_ms: i64,
    /// It is over.
    pub ended: bool,
    /// Distinct records it was folded from.
    pub records: u32,
}

/// Live rows of a call: one of each, if all is well.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standings {
    /// Of the call.
    pub calls: Vec<Standing>,
    /// Where what was said stands.
    pub transcripts: Vec<Place>,
}

impl Analytics {
    /// What became of each offset of a range, over all tenants, by offset.
    pub async fn endings(&self, of: &EndingsOf<'_>) -> Result<Vec<StoredEnding>, AnalyticsError> {
        let query = self
            .ask_across(ENDINGS)
            .param("log", of.log)
            .param("partition", of.partition)
            .param("first", of.first)
            .param("last", of.last)
            .param("from", of.from.0)
            .param("to", of.to.0);
        answer("look what became of offsets", query.fetch_all()).await
    }

    /// How calls stand; those without any row are left out.
    pub async fn standings(&self, keys: &[CallKey]) -> Result<HashMap<CallKey, Standings>, AnalyticsError> {
        if keys.is_empty() {
            return Ok(HashMap::new());
        }
        let wanted: HashSet<&CallKey> = keys.iter().collect();
        let ids: Vec<&str> = keys.iter().map(|key| key.id.as_ref()).collect();
        let rows: Vec<StandingRow> = answer("look how calls stand", self.ask_across(STANDINGS).param("ids", ids).fetch_all()).await?;
        let mut found: HashMap<CallKey, Standings> = HashMap::new();
        for row in rows {
            let key = CallKey {
                tenant: TenantId(row.tenant),
                kind: kind_of(&row.kind),
                id: Arc::from(row.call_id),
            };
            if !wanted.contains(&key) {
                continue;
            }
            let place = Place {
                business: BusinessId(row.business),
                opened_at: Millis(row.opened_at),
            };
            let standings = found.entry(key).or_default();
            match row.of_call {
                true => standings.calls.push(Standing {
                    place,
                    connected: row.connected,
                    lasted_ms: row.lasted_ms,
                    ended: row.ended,
                    records: row.records,
                }),
                false => standings.transcripts.push(place),
            }
        }
        Ok(found)
    }
}

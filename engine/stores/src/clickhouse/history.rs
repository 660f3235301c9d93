//! What the writer asks before it writes: the earlier records of a call, and the places where the table has it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use clickhouse::Row;
use clickhouse::query::Query;
use serde::Deserialize;
use trunkline_core::id::{BusinessId, CallKey, Kind, TenantId, WorkspaceId};
use trunkline_core::instant::Millis;
use trunkline_core::record::{Header, Record, Source};
use uuid::Uuid;

use super::client::{Analytics, AnalyticsError, answer};
use super::place::{Known, Place};
use super::rows::{Raw, of_word};

/// Most calls of one agent that are moved to another business at a time.
pub const MOVED_CALLS: u32 = 500;

/// Calls whose records are read with one question: bounds its answer, since each has every update of its transcript among them.
const RECORDS_CALLS: usize = 50;
/// Calls that are asked for with one question whose answer is small.
const ASKED_CALLS: usize = 1_000;

const STORED: &str = include_str!("../../../../clickhouse/queries/stored_calls.sql");
const RECORDS: &str = include_str!("../../../../clickhouse/queries/records_of.sql");
const PLACES: &str = include_str!("../../../../clickhouse/queries/places_of.sql");
const OWNERS: &str = include_str!("../../../../clickhouse/queries/owners.sql");
const OF_OWNER: &str = include_str!("../../../../clickhouse/queries/calls_of_owner.sql");

#[derive(Row, Deserialize)]
struct RecordRow {
    #[serde(with = "clickhouse::serde::uuid")]
    tenant: Uuid,
    #[serde(with = "clickhouse::serde::uuid")]
    workspace: Uuid,
    kind: String,
    call_id: String,
    received_at: i64,
    event: String,
    routing_key: String,
    source: String,
    masked: bool,
    body: Raw,
}

#[derive(Row, Deserialize)]
struct StoredRow {
    #[serde(with = "clickhouse::serde::uuid")]
    tenant: Uuid,
    kind: String,
    call_id: String,
}

#[derive(Row, Deserialize)]
struct PlaceRow {
    #[serde(with = "clickhouse::serde::uuid")]
    tenant: Uuid,
    kind: String,
    call_id: String,
    #[serde(with = "clickhouse::serde::uuid")]
    business: Uuid,
    opened_at: i64,
    highest: u64,
    cancelled: u8,
}

/// Calls of one agent in one business.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Row, Deserialize)]
pub struct Owned {
    /// Whose.
    #[serde(with = "clickhouse::serde::uuid")]
    pub tenant: Uuid,
    /// Of which workspace.
    #[serde(with = "clickhouse::serde::uuid")]
    pub workspace: Uuid,
    /// The agent that decides; empty for none.
    pub owner_agent: String,
    /// Where they stand.
    #[serde(with = "clickhouse::serde::uuid")]
    pub business: Uuid,
    /// How many.
    pub calls: u64,
}

#[derive(Row, Deserialize)]
struct IdRow {
    kind: String,
    call_id: String,
    log_partition: u32,
}

pub(super) fn kind_of(word: &str) -> Kind {
    if word == Kind::Chat.as_str() { Kind::Chat } else { Kind::Call }
}

/// A question for some calls.
fn these(query: Query, keys: &[CallKey]) -> Query {
    query
        .param("tenants", keys.iter().map(|key| key.tenant.0.to_string()).collect::<Vec<_>>())
        .param("kinds", keys.iter().map(|key| key.kind.as_str()).collect::<Vec<_>>())
        .param("ids", keys.iter().map(|key| key.id.as_ref()).collect::<Vec<_>>())
}

impl Analytics {
    /// The readable records of calls, as the log had them.
    pub async fn records_of(&self, keys: &[CallKey]) -> Result<HashMap<CallKey, Vec<Record>>, AnalyticsError> {
        // Many are new, and to look for bodies that are not there reads a megabyte for each.
        let stored = self.stored(keys).await?;
        let mut records: HashMap<CallKey, Vec<Record>> = HashMap::new();
        for keys in stored.chunks(RECORDS_CALLS) {
            self.read_records(keys, &mut records).await?;
        }
        Ok(records)
    }

    /// Those of the calls that have records.
    async fn stored(&self, keys: &[CallKey]) -> Result<Vec<CallKey>, AnalyticsError> {
        let mut stored = Vec::new();
        for keys in keys.chunks(ASKED_CALLS) {
            let query = these(self.ask_across(STORED), keys);
            let rows: Vec<StoredRow> = answer("look which calls have records", query.fetch_all()).await?;
            stored.extend(rows.into_iter().map(|row| CallKey {
                tenant: TenantId(row.tenant),
                kind: kind_of(&row.kind),
                id: Arc::from(row.call_id),
            }));
        }
        Ok(stored)
    }

    async fn read_records(&self, keys: &[CallKey], records: &mut HashMap<CallKey, Vec<Record>>) -> Result<(), AnalyticsError> {
        let query = these(self.ask_across(RECORDS), keys);
        let rows: Vec<RecordRow> = answer("read the earlier records of calls", query.fetch_all()).await?;
        for row in rows {
            let key = CallKey {
                tenant: TenantId(row.tenant),
                kind: kind_of(&row.kind),
                id: Arc::from(row.call_id),
            };
            let header = Header {
                received_at: Millis(row.received_at),
                tenant: TenantId(row.tenant),
                workspace: WorkspaceId(row.workspace),
                source: of_word(&row.source).unwrap_or(Source::Webhook),
                event: row.event,
                key: row.routing_key,
                set_aside: None,
                masked: row.masked,
                crc32: crc32fast::hash(&row.body.0),
            };
            records.entry(key).or_default().push(Record { header, body: row.body.0 });
        }
        Ok(())
    }

    /// Every place the table has for calls, cancelled ones included.
    pub async fn places_of(&self, keys: &[CallKey]) -> Result<HashMap<CallKey, Vec<Known>>, AnalyticsError> {
        let wanted: HashSet<&CallKey> = keys.iter().collect();
        let mut rows: Vec<PlaceRow> = Vec::new();
        for keys in keys.chunks(ASKED_CALLS) {
            let ids: Vec<&str> = keys.iter().map(|key| key.id.as_ref()).collect();
            let query = self.ask_across(PLACES).param("ids", ids);
            rows.extend(answer::<Vec<PlaceRow>>("read where calls stand", query.fetch_all()).await?);
        }
        let mut places: HashMap<CallKey, Vec<Known>> = HashMap::new();
        for row in rows {
            let key = CallKey {
                tenant: TenantId(row.tenant),
                kind: kind_of(&row.kind),
                id: Arc::from(row.call_id),
            };
            if wanted.contains(&key) {
                let place = Place {
                    business: BusinessId(row.business),
                    opened_at: Millis(row.opened_at),
                };
                places.entry(key).or_default().push(Known {
                    place,
                    version: row.highest,
                    cancelled: row.cancelled != 0,
                });
            }
        }
        Ok(places)
    }

    /// Which agents' calls of some partitions stand in which business.
    pub async fn owners(&self, partitions: &[u32]) -> Result<Vec<Owned>, AnalyticsError> {
        if partitions.is_empty() {
            return Ok(Vec::new());
        }
        answer(
            "compare calls with the directory",
            self.ask_across(OWNERS).param("partitions", partitions).fetch_all(),
        )
        .await
    }

    /// Up to [`MOVED_CALLS`] calls of some partitions that stand there, each with its partition.
    pub async fn calls_of_owner(&self, owned: &Owned, partitions: &[u32]) -> Result<Vec<(CallKey, u32)>, AnalyticsError> {
        let query = self
            .ask(OF_OWNER, owned.tenant)
            .param("business", owned.business.to_string())
            .param("workspace", owned.workspace.to_string())
            .param("agent", &owned.owner_agent)
            .param("partitions", partitions)
            .param("limit", MOVED_CALLS);
        let rows: Vec<IdRow> = answer("list the calls of an agent", query.fetch_all()).await?;
        let key = |row: IdRow| {
            let key = CallKey {
                tenant: TenantId(owned.tenant),
                kind: kind_of(&row.kind),
                id: Arc::from(row.call_id),
            };
            (key, row.log_partition)
        };
        Ok(rows.into_iter().map(key).collect())
    }
}

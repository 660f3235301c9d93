//! What the auditor compares and the operator looks at: records by class in an interval, whether any offset is missing, what of the
//! records Retell does not document, and which agents' records come again.

use clickhouse::Row;
use serde::{Deserialize, Serialize};
use trunkline_core::id::TenantId;
use trunkline_core::instant::Millis;

use super::client::{Analytics, AnalyticsError, answer};

const COUNTS: &str = include_str!("../../../../clickhouse/queries/counts.sql");
const UNDOCUMENTED: &str = include_str!("../../../../clickhouse/queries/undocumented.sql");
/// Most undocumented names listed: beyond, a sender makes them up.
const UNDOCUMENTED_NAMES: u32 = 200;
const RECEIPTS: &str = include_str!("../../../../clickhouse/queries/receipts_by_agent.sql");
/// Most agents listed with their receipts; the noisiest come first.
const RECEIPTS_AGENTS: u32 = 100;
const DENSITY: &str = include_str!("../../../../clickhouse/queries/density.sql");
const MISSING: &str = include_str!("../../../../clickhouse/queries/missing.sql");
const DENSITY_OF_NEWEST: &str = include_str!("../../../../clickhouse/queries/density_of_newest.sql");
const CALLS_OF_PARTITION: &str = include_str!("../../../../clickhouse/queries/calls_of_partition.sql");

/// Records of one class in an interval.
#[derive(Debug, Clone, PartialEq, Eq, Row, Serialize, Deserialize)]
pub struct ClassCount {
    /// Event name.
    pub event: String,
    /// Belongs to a call or chat.
    pub of_a_call: bool,
    /// How they came.
    pub source: String,
    /// Reason word; empty when readable.
    pub set_aside: String,
    /// How many, each log record once.
    pub records: u64,
    /// Of how many calls.
    pub calls: u64,
}

/// Offsets of one partition that are in the events table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Row, Serialize, Deserialize)]
pub struct Density {
    /// Partition of the log.
    pub log_partition: u32,
    /// Lowest offset.
    pub first: i64,
    /// Highest offset.
    pub last: i64,
    /// Distinct offsets.
    pub distinct: u64,
    /// Rows, repeats included that are not merged yet.
    pub rows: u64,
}

/// Something that Retell sent and does not document.
#[derive(Debug, Clone, PartialEq, Eq, Row, Serialize, Deserialize)]
pub struct StoredOddity {
    /// `event`, `value`, `field` or `unreadable`.
    pub what: String,
    /// Its name; of values `field=value`.
    pub spelled: String,
    /// Records that had it.
    pub records: u64,
    /// Of how many calls and chats.
    pub calls: u64,
    /// When the door took the first of them, ms.
    pub first_at: i64,
    /// And the last one.
    pub last_at: i64,
    /// Some of the agents whose records they were, by Retell's id.
    pub agents: Vec<String>,
    /// The newest record: log, partition, offset, kind, call id.
    pub sample: (String, u32, i64, String, String),
}

/// Receipts of one agent's calls and chats (rule B2).
#[derive(Debug, Clone, PartialEq, Eq, Row, Serialize, Deserialize)]
pub struct AgentReceipts {
    /// Retell's id; empty for calls without an agent.
    pub agent_id: String,
    /// Its name, as last heard.
    pub name: String,
    /// Calls and chats.
    pub conversations: u64,
    /// Distinct records, repeats included.
    pub received: u64,
    /// The same content again.
    pub repeated: u64,
    /// A once-only event again with other content.
    pub revised: u64,
}

/// Offsets that are not there, first and last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Row, Serialize, Deserialize)]
pub struct Missing {
    /// First missing offset.
    pub first: i64,
    /// Last missing offset.
    pub last: i64,
}

/// Calls of a partition of the log that stand at a business.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Row, Serialize, Deserialize)]
pub struct StandingCalls {
    /// Whose.
    #[serde(with = "clickhouse::serde::uuid")]
    pub tenant: uuid::Uuid,
    /// Which business.
    #[serde(with = "clickhouse::serde::uuid")]
    pub business: uuid::Uuid,
    /// Calls and chats.
    pub all_calls: u64,
    /// Connected calls.
    pub all_connected: u64,
    /// Durations of connected calls.
    pub all_talk_ms: i64,
}

impl Density {
    /// Offsets that are missing between the lowest and the highest.
    pub fn missing(&self) -> u64 {
        ((self.last - self.first + 1) as u64).saturating_sub(self.distinct)
    }
}

impl Analytics {
    /// Records of a tenant by class, received in an interval.
    pub async fn counts(&self, tenant: TenantId, from: Millis, to: Millis) -> Result<Vec<ClassCount>, AnalyticsError> {
        let query = self.ask(COUNTS, tenant.0).param("from", from.0).param("to", to.0);
        answer("count records by class", query.fetch_all()).await
    }

    /// What a tenant's records have since `from` that Retell does not document, most frequent first.
    pub async fn undocumented(&self, tenant: TenantId, from: Millis) -> Result<Vec<StoredOddity>, AnalyticsError> {
        let query = self
            .ask(UNDOCUMENTED, tenant.0)
            .param("from", from.0)
            .param("limit", UNDOCUMENTED_NAMES);
        answer("list what is not documented", query.fetch_all()).await
    }

    /// Repeats and revisions of a tenant's calls that began since `from`, by agent, most first.
    pub async fn receipts_by_agent(&self, tenant: TenantId, from: Millis) -> Result<Vec<AgentReceipts>, AnalyticsError> {
        let query = self.ask(RECEIPTS, tenant.0).param("from", from.0).param("limit", RECEIPTS_AGENTS);
        answer("count repeats by agent", query.fetch_all()).await
    }

    /// Which offsets of a log are here, by partition, over all tenants.
    pub async fn density(&self, log: &str) -> Result<Vec<Density>, AnalyticsError> {
        answer(
            "check the offsets of the log",
            self.ask_across(DENSITY).param("log", log).fetch_all(),
        )
        .await
    }

    /// Which offsets are here of those between the bounds of each partition (from the first, to before the end; by number), over all
    /// tenants. A partition of which nothing is here is left out.
    pub async fn density_between(&self, log: &str, bounds: &[(i64, i64)]) -> Result<Vec<Density>, AnalyticsError> {
        let (firsts, ends): (Vec<i64>, Vec<i64>) = bounds.iter().copied().unzip();
        let query = self.ask_across(DENSITY_OF_NEWEST).param("log", log);
        let query = query.param("firsts", firsts).param("ends", ends);
        answer("check the newest offsets of the log", query.fetch_all()).await
    }

    /// Which offsets of a partition are not here, from `first` to before `end`; the first hundred ranges.
    pub async fn missing(&self, log: &str, partition: u32, first: i64, end: i64) -> Result<Vec<Missing>, AnalyticsError> {
        let query = self.ask_across(MISSING).param("log", log).param("partition", partition);
        let query = query.param("first", first).param("end", end);
        answer("look for missing offsets", query.fetch_all()).await
    }

    /// Calls of a partition by business, over all tenants.
    pub async fn calls_of_partition(&self, partition: u32) -> Result<Vec<StandingCalls>, AnalyticsError> {
        let query = self.ask_across(CALLS_OF_PARTITION).param("partition", partition);
        answer("count calls of a partition", query.fetch_all()).await
    }
}

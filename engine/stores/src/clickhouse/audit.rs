//! What the auditor compares: records by class in an interval, and whether any offset is missing.

use clickhouse::Row;
use serde::{Deserialize, Serialize};
use trunkline_core::id::TenantId;
use trunkline_core::instant::Millis;

use super::client::{Analytics, AnalyticsError, answer};

const COUNTS: &str = include_str!("../../../../clickhouse/queries/counts.sql");
const DENSITY: &str = include_str!("../../../../clickhouse/queries/density.sql");

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

    /// Which offsets of a log are here, by partition, over all tenants.
    pub async fn density(&self, log: &str) -> Result<Vec<Density>, AnalyticsError> {
        answer("check the offsets of the log", self.limited(DENSITY).param("log", log).fetch_all()).await
    }
}

//! What the platform asks over all organisations: how much and when, never what.

use std::collections::HashMap;

use clickhouse::Row;
use serde::{Deserialize, Serialize};
use trunkline_core::id::TenantId;
use trunkline_core::instant::Millis;
use uuid::Uuid;

use super::client::{Analytics, AnalyticsError, answer};

const EVENTS: &str = include_str!("../../../../clickhouse/queries/platform_events.sql");
const STORAGE: &str = include_str!("../../../../clickhouse/queries/platform_storage.sql");

/// One minute.
const MINUTE_MS: i64 = 60_000;

/// What came from an organisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Arrived {
    /// Records since the moment that was asked for.
    pub records: u64,
    /// Of these, within the last minute.
    pub last_minute: u64,
    /// Of these, that could not be read.
    pub set_aside: u64,
    /// When the door took the last one, ms.
    pub last_at: i64,
}

#[derive(Row, Serialize, Deserialize)]
struct Line {
    #[serde(with = "clickhouse::serde::uuid")]
    tenant: Uuid,
    records: u64,
    last_minute: u64,
    set_aside: u64,
    last_at: i64,
}

impl Analytics {
    /// What came from each organisation since `from`; those from which nothing came are left out.
    pub async fn arrived(&self, from: Millis, now: Millis) -> Result<HashMap<TenantId, Arrived>, AnalyticsError> {
        let query = self
            .ask_across(EVENTS)
            .param("from", from.0)
            .param("minute", now.plus(-MINUTE_MS).0);
        let found: Vec<Line> = answer("count the records of organisations", query.fetch_all()).await?;
        let arrived = |line: Line| {
            let Line {
                tenant,
                records,
                last_minute,
                set_aside,
                last_at,
            } = line;
            let arrived = Arrived {
                records,
                last_minute,
                set_aside,
                last_at,
            };
            (TenantId(tenant), arrived)
        };
        Ok(found.into_iter().map(arrived).collect())
    }

    /// Bytes on disk of all tables.
    pub async fn stored_bytes(&self) -> Result<u64, AnalyticsError> {
        answer("measure what is stored", self.ask_across(STORAGE).fetch_one()).await
    }
}

//! The records that could not be read, page by page.

use std::fmt;
use std::str::FromStr;

use clickhouse::Row;
use serde::{Deserialize, Serialize};
use trunkline_core::id::TenantId;
use trunkline_core::record::SetAside;
use uuid::Uuid;

use super::client::{Analytics, AnalyticsError, answer};
use super::filter::{BadCursor, Turning};
use super::rows::of_word;
use super::story::EventPlace;

/// Most records of one page.
const PAGE_RECORDS: u32 = 500;

const OLDER: &str = include_str!("../../../../clickhouse/queries/set_aside_older.sql");
const NEWER: &str = include_str!("../../../../clickhouse/queries/set_aside_newer.sql");

/// One record that could not be read.
#[derive(Debug, Clone, PartialEq, Row, Serialize, Deserialize)]
pub struct StoredSetAside {
    /// Identity of the log.
    pub log: String,
    /// Partition.
    pub log_partition: u32,
    /// Offset.
    pub log_offset: i64,
    /// When the door took it, ms.
    pub received_at: i64,
    /// Whose address it came to.
    #[serde(with = "clickhouse::serde::uuid")]
    pub workspace: Uuid,
    /// Event name, as far as there was one.
    pub event: String,
    /// `call`, `chat` or empty.
    pub kind: String,
    /// Retell's id, when known.
    pub call_id: String,
    /// Routing key (rule A7).
    pub routing_key: String,
    /// How it came.
    pub source: String,
    /// Reason word.
    pub set_aside: String,
    /// Size of the body.
    pub bytes: u64,
}

/// The place of a record in the list: unique, so that no page leaves one out or repeats one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AsidePlace {
    /// When the door took it, ms.
    pub received_at: i64,
    /// Identity of the log.
    pub log: String,
    /// Partition.
    pub log_partition: u32,
    /// Offset.
    pub log_offset: i64,
}

/// A page, newest first.
#[derive(Debug, Clone, PartialEq)]
pub struct AsidePage {
    /// The records.
    pub records: Vec<StoredSetAside>,
    /// There are older ones: go on with this.
    pub older: Option<AsidePlace>,
    /// There are newer ones: go back with this.
    pub newer: Option<AsidePlace>,
}

impl Analytics {
    /// A page of `limit` records (at most [`PAGE_RECORDS`]) of a tenant that could not be read.
    pub async fn set_aside(&self, tenant: TenantId, turning: &Turning<AsidePlace>, limit: u32) -> Result<AsidePage, AnalyticsError> {
        let limit = limit.clamp(1, PAGE_RECORDS);
        let (sql, place) = match turning {
            Turning::First => (OLDER, None),
            Turning::Older(place) => (OLDER, Some(place)),
            Turning::Newer(place) => (NEWER, Some(place)),
        };
        let query = self
            .ask(sql, tenant.0)
            .param("any", place.is_none())
            .param("at", place.map_or(0, |place| place.received_at))
            .param("log", place.map(|place| place.log.as_str()).unwrap_or_default())
            .param("partition", place.map_or(0, |place| place.log_partition))
            .param("offset", place.map_or(0, |place| place.log_offset))
            // One more than wanted tells whether there is a further page.
            .param("limit", limit + 1);
        let mut records: Vec<StoredSetAside> = answer("list set-aside records", query.fetch_all()).await?;
        let more = records.len() > limit as usize;
        records.truncate(limit as usize);
        let backwards = matches!(turning, Turning::Newer(_));
        if backwards {
            records.reverse();
        }
        let edge = |record: Option<&StoredSetAside>, there: bool| record.filter(|_| there).map(StoredSetAside::cursor);
        let older = edge(records.last(), more || backwards);
        let newer = edge(records.first(), if backwards { more } else { place.is_some() });
        Ok(AsidePage { records, older, newer })
    }
}

impl fmt::Display for AsidePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}.{}", self.received_at, self.log_partition, self.log_offset, self.log)
    }
}

impl FromStr for AsidePlace {
    type Err = BadCursor;

    fn from_str(text: &str) -> Result<Self, BadCursor> {
        let mut parts = text.splitn(4, '.');
        let mut part = || parts.next().ok_or(BadCursor);
        Ok(Self {
            received_at: part()?.parse().map_err(|_| BadCursor)?,
            log_partition: part()?.parse().map_err(|_| BadCursor)?,
            log_offset: part()?.parse().map_err(|_| BadCursor)?,
            log: part()?.to_owned(),
        })
    }
}

impl StoredSetAside {
    /// Where its body is.
    pub fn place(&self) -> EventPlace {
        EventPlace {
            kind: self.kind.clone(),
            call_id: self.call_id.clone(),
            log: self.log.clone(),
            log_partition: self.log_partition,
            log_offset: self.log_offset,
        }
    }

    /// The reason; `None` for one from a newer version.
    pub fn reason(&self) -> Option<SetAside> {
        of_word(&self.set_aside)
    }

    /// Its place in the list.
    pub fn cursor(&self) -> AsidePlace {
        AsidePlace {
            received_at: self.received_at,
            log: self.log.clone(),
            log_partition: self.log_partition,
            log_offset: self.log_offset,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_survives_being_a_text() {
        let place = AsidePlace {
            received_at: 1_764_547_200_000,
            log: "kafka:a.b:c".into(),
            log_partition: 7,
            log_offset: 42,
        };
        assert_eq!(place.to_string().parse::<AsidePlace>(), Ok(place));
        for bad in ["", "1", "1.2.3", "a.1.2.log"] {
            assert_eq!(bad.parse::<AsidePlace>(), Err(BadCursor), "{bad}");
        }
    }
}

//! The call log: a page of calls behind a cursor, how many match, and where the words that were searched for were said.

use std::collections::HashMap;

use clickhouse::Row;
use serde::{Deserialize, Serialize};
use trunkline_core::id::{Kind, TenantId};
use uuid::Uuid;

use super::client::{Analytics, AnalyticsError, answer};
use super::filter::{CallFilter, Cursor, Turning, Words};
use super::mark::{Hit, hits};

/// Most calls of one page.
pub const PAGE_CALLS: u32 = 500;
/// Counting stops here: a screen says "more than", and a full scan for a number nobody needs exactly is not made.
pub const COUNTED_CALLS: u64 = 10_000;
/// Most marked turns shown per call.
const HITS_PER_CALL: usize = 3;

const MATCHING: &str = include_str!("../../../../clickhouse/queries/calls_matching.sql");
const OLDER: &str = include_str!("../../../../clickhouse/queries/calls_older.sql");
const NEWER: &str = include_str!("../../../../clickhouse/queries/calls_newer.sql");
const TOTAL: &str = include_str!("../../../../clickhouse/queries/calls_total.sql");
const SPOKEN: &str = include_str!("../../../../clickhouse/queries/spoken_of.sql");

/// One line of the call log. Moments are ms since the epoch; words are those of [`trunkline_core::facts`]; empty is missing.
#[derive(Debug, Clone, PartialEq, Row, Serialize, Deserialize)]
#[allow(missing_docs)] // the columns are described in clickhouse/0002_calls.sql
pub struct ListedCall {
    #[serde(with = "clickhouse::serde::uuid")]
    pub business: Uuid,
    #[serde(with = "clickhouse::serde::uuid")]
    pub workspace: Uuid,
    pub opened_at: i64,
    pub closed_at: Option<i64>,
    pub last_received_at: i64,
    pub kind: String,
    pub call_id: String,
    pub agent_id: String,
    pub agent_name: String,
    pub agent_version: Option<i64>,
    pub channel: String,
    pub direction: String,
    pub from_number: String,
    pub to_number: String,
    pub state: String,
    pub end_inferred: bool,
    pub presumed_ended: bool,
    pub reason: String,
    pub reason_class: String,
    pub connected: bool,
    pub duration_ms: Option<i64>,
    pub analysed: bool,
    pub summary: String,
    pub successful: Option<bool>,
    pub sentiment: String,
    pub in_voicemail: Option<bool>,
    pub turns: u32,
    pub tool_calls: u32,
    pub tool_failures: u32,
    pub transfers: u32,
    pub cost_cents: Option<f64>,
    pub language: String,
    pub last_said: String,
}

impl ListedCall {
    /// Call or chat.
    pub fn kind(&self) -> Kind {
        if self.kind == Kind::Chat.as_str() { Kind::Chat } else { Kind::Call }
    }

    /// The place of this call in the list.
    pub fn cursor(&self) -> Cursor {
        Cursor {
            opened_at: self.opened_at,
            call_id: self.call_id.clone(),
            kind: self.kind(),
        }
    }
}

/// How many calls match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Total {
    /// As many, or at least as many.
    pub calls: u64,
    /// False: there are more, they were not counted.
    pub exact: bool,
}

/// A page of the call log, newest first.
#[derive(Debug, Clone, PartialEq)]
pub struct CallPage {
    /// The calls.
    pub calls: Vec<ListedCall>,
    /// Where the words were said, for the call at the same place of `calls`; empty lists without a search.
    pub hits: Vec<Vec<Hit>>,
    /// There are older ones: go on with this.
    pub older: Option<Cursor>,
    /// There are newer ones: go back with this.
    pub newer: Option<Cursor>,
}

#[derive(Row, Deserialize)]
struct Spoken {
    kind: String,
    call_id: String,
    role: Vec<String>,
    content: Vec<String>,
}

impl Analytics {
    /// A page of `limit` calls (at most [`PAGE_CALLS`]) of a tenant.
    pub async fn calls(&self, tenant: TenantId, filter: &CallFilter, turning: &Turning, limit: u32) -> Result<CallPage, AnalyticsError> {
        let limit = limit.clamp(1, PAGE_CALLS);
        let (sql, cursor) = match turning {
            Turning::First => (OLDER, None),
            Turning::Older(cursor) => (OLDER, Some(cursor)),
            Turning::Newer(cursor) => (NEWER, Some(cursor)),
        };
        let query = filter
            .bind(self.ask(&sql.replace("{matching}", MATCHING), tenant.0))
            .param("cursor_at", cursor.map_or(0, |cursor| cursor.opened_at))
            .param("cursor_id", cursor.map(|cursor| cursor.call_id.as_str()).unwrap_or_default())
            .param("cursor_kind", cursor.map(|cursor| cursor.kind.as_str()).unwrap_or_default())
            // One more than wanted tells whether there is a further page.
            .param("limit", limit + 1);
        let mut calls: Vec<ListedCall> = answer("list calls", query.fetch_all()).await?;
        let more = calls.len() > limit as usize;
        calls.truncate(limit as usize);
        let backwards = matches!(turning, Turning::Newer(_));
        if backwards {
            calls.reverse();
        }
        let edge = |call: Option<&ListedCall>, there: bool| call.filter(|_| there).map(ListedCall::cursor);
        let older = edge(calls.last(), more || backwards);
        let newer = edge(calls.first(), if backwards { more } else { cursor.is_some() });
        let hits = self.hits(tenant, &calls, &filter.words).await?;
        Ok(CallPage { calls, hits, older, newer })
    }

    /// How many calls match, counted up to [`COUNTED_CALLS`].
    pub async fn calls_total(&self, tenant: TenantId, filter: &CallFilter) -> Result<Total, AnalyticsError> {
        let query = filter
            .bind(self.ask(&TOTAL.replace("{matching}", MATCHING), tenant.0))
            .param("limit", COUNTED_CALLS + 1);
        let counted: u64 = answer("count calls", query.fetch_one()).await?;
        Ok(Total {
            calls: counted.min(COUNTED_CALLS),
            exact: counted <= COUNTED_CALLS,
        })
    }

    async fn hits(&self, tenant: TenantId, calls: &[ListedCall], words: &Words) -> Result<Vec<Vec<Hit>>, AnalyticsError> {
        if words.is_empty() || calls.is_empty() {
            return Ok(vec![Vec::new(); calls.len()]);
        }
        let ids: Vec<&str> = calls.iter().map(|call| call.call_id.as_str()).collect();
        let query = self.ask(SPOKEN, tenant.0).param("ids", ids);
        let spoken: Vec<Spoken> = answer("mark words in transcripts", query.fetch_all()).await?;
        let by_call: HashMap<(String, String), (Vec<String>, Vec<String>)> = spoken
            .into_iter()
            .map(|row| ((row.kind, row.call_id), (row.role, row.content)))
            .collect();
        let marked = calls
            .iter()
            .map(|call| match by_call.get(&(call.kind.clone(), call.call_id.clone())) {
                Some((roles, contents)) => hits(roles, contents, words, HITS_PER_CALL),
                None => Vec::new(),
            });
        Ok(marked.collect())
    }
}

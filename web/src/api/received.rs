//! `GET /v1/received`: what came in, counted by class from the stored records.

use actix_web::{HttpRequest, get, web};
use serde::Serialize;
use trunkline_stores::clickhouse::ClassCount;
use utoipa::ToSchema;

use super::calls::unread;
use super::query::Parameters;
use crate::error::{Problem, Written};
use crate::identity::Caller;
use crate::identity::session::now;
use crate::state::AppState;
use trunkline_core::access::Permission;

/// Without a beginning, the last day is counted.
const SPAN_MS: i64 = 86_400_000;

/// What came in.
#[derive(Debug, Serialize, ToSchema)]
pub struct Received {
    /// By class; classes without a record are left out.
    pub data: Vec<ReceivedClass>,
}

/// Records of one class.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReceivedClass {
    /// Retell's name of the event; empty when there was none.
    pub event: String,
    /// They belong to a call or chat.
    pub of_a_call: bool,
    /// `webhook`, `backfill` or `reaper`.
    pub source: String,
    /// Why they could not be read; null when they could.
    pub set_aside: Option<String>,
    /// How many, repeats included, each stored record once.
    pub records: u64,
    /// Of how many calls and chats.
    pub calls: u64,
}

/// Stored records by class, counted one by one: to check against what a sender says it sent.
#[utoipa::path(tag = "operation", operation_id = "listReceived", params(
    ("received_at[gte]" = Option<String>, Query, description = "Received at or after, RFC 3339; default a day ago"),
    ("received_at[lt]" = Option<String>, Query, description = "Received before, RFC 3339; default now"),
), responses((status = 200, description = "Records by class", body = Received),
    (status = 401, description = "No credential", body = Written), (status = 403, description = "Not allowed", body = Written),
    (status = 503, description = "ClickHouse is away", body = Written)))]
#[get("/v1/received")]
pub async fn received(caller: Caller, request: HttpRequest, state: web::Data<AppState>) -> Result<web::Json<Received>, Problem> {
    caller.needs(Permission::Operate)?;
    let mut parameters = Parameters::of(&request)?;
    let from = parameters.moment("received_at[gte]")?;
    let to = parameters.moment("received_at[lt]")?.unwrap_or_else(|| now().plus(1));
    parameters.end()?;
    let counts = state
        .analytics
        .counts(caller.tenant, from.unwrap_or(to.plus(-SPAN_MS)), to)
        .await
        .map_err(|error| unread("count received records", error))?;
    Ok(web::Json(Received {
        data: counts.into_iter().map(ReceivedClass::of).collect(),
    }))
}

impl ReceivedClass {
    fn of(count: ClassCount) -> ReceivedClass {
        ReceivedClass {
            event: count.event,
            of_a_call: count.of_a_call,
            source: count.source,
            set_aside: (!count.set_aside.is_empty()).then_some(count.set_aside),
            records: count.records,
            calls: count.calls,
        }
    }
}

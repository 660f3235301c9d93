//! `GET /v1/live/calls`: calls in progress, from memory.

use actix_web::{HttpRequest, get, web};
use serde::Serialize;
use trunkline_core::id::CallKey;
use utoipa::ToSchema;

use super::form::{Call, CallDetail, Turn, turns};
use super::query::{Parameters, calls_of};
use super::seen::{self, Part};
use crate::error::{Problem, Written};
use crate::identity::Caller;
use crate::state::AppState;
use trunkline_core::access::Permission;

/// Calls in progress.
#[derive(Debug, Serialize, ToSchema)]
pub struct LiveCalls {
    /// Oldest first, at most `limit`.
    pub data: Vec<Call>,
    /// How many there are.
    pub total: usize,
    /// State of the figures; rises with every change.
    pub version: u64,
}

/// One call in progress.
#[derive(Debug, Serialize, ToSchema)]
pub struct LiveCallDetail {
    /// The call.
    #[serde(flatten)]
    pub call: CallDetail,
    /// Its transcript so far.
    pub turns: Vec<Turn>,
    /// Rises with every change of this call.
    pub version: u64,
}

/// Most calls in one answer; a screen that follows all of them uses the stream.
const CALLS_MAX: usize = 1_000;

/// Calls in progress, oldest first. Numbers and summaries need the permission to read calls.
#[utoipa::path(tag = "live", operation_id = "listLiveCalls", params(
    ("business" = Option<String>, Query, description = "One business"),
    ("agent" = Option<String>, Query, description = "One agent, by Retell's id"),
    ("direction" = Option<String>, Query, description = "inbound or outbound"),
    ("with_ended" = Option<bool>, Query, description = "Also calls that ended a short while ago"),
    ("limit" = Option<usize>, Query, description = "1 to 1000, default 100"),
), responses(
    (status = 200, description = "Calls in progress", body = LiveCalls),
    (status = 401, description = "No credential", body = Written), (status = 422, description = "A parameter is refused", body = Written),
))]
#[get("/v1/live/calls")]
pub async fn live_calls(caller: Caller, request: HttpRequest, state: web::Data<AppState>) -> Result<web::Json<LiveCalls>, Problem> {
    let mut parameters = Parameters::of(&request)?;
    let with_ended = parameters.flag("with_ended")?.unwrap_or(false);
    let limit = parameters.number("limit")?.unwrap_or(100);
    if !(1..=CALLS_MAX).contains(&limit) {
        return Err(Problem::field(
            "limit",
            "out_of_range",
            format!("limit must be between 1 and {CALLS_MAX}."),
        ));
    }
    let scope = calls_of(&parameters.board_scope(&state, &caller)?, with_ended);
    parameters.end()?;
    let version = state.live.version(caller.tenant);
    let mut calls = state.live.calls(caller.tenant, &scope);
    let total = calls.len();
    calls.sort_by(|a, b| (a.facts.opened_at(), &a.facts.key.id).cmp(&(b.facts.opened_at(), &b.facts.key.id)));
    calls.truncate(limit);
    let (read, numbers) = (Permission::Calls, Permission::Numbers);
    let form = |call: &trunkline_actors::LiveCall| {
        let form = Call::of(&call.facts, call.business);
        let may = |permission| caller.sees(permission, call.business, call.facts.agent_id.as_deref());
        match (may(read), may(numbers)) {
            (true, true) => form,
            (true, false) => form.masked(),
            (false, _) => form.without_parties(),
        }
    };
    Ok(web::Json(LiveCalls {
        data: calls.iter().map(|call| form(call)).collect(),
        total,
        version,
    }))
}

/// One call in progress with its transcript so far.
#[utoipa::path(tag = "live", operation_id = "getLiveCall", params(
    ("id" = String, Path, description = "Retell's id"),
    ("kind" = Option<String>, Query, description = "call (default) or chat"),
), responses(
    (status = 200, description = "The call", body = LiveCallDetail),
    (status = 401, description = "No credential", body = Written), (status = 404, description = "Not in memory", body = Written),
))]
#[get("/v1/live/calls/{id}")]
pub async fn live_call(
    caller: Caller,
    id: web::Path<String>,
    request: HttpRequest,
    state: web::Data<AppState>,
) -> Result<web::Json<LiveCallDetail>, Problem> {
    let sight = caller.sight(Permission::Calls)?;
    let key = key_of(&caller, &id, &request)?;
    let (call, items) = state.live.call(&key, &sight).ok_or_else(Problem::not_found)?;
    seen::note(&state, &caller, &key, Part::Call).await?;
    let detail = CallDetail::seen(&call.facts, call.business, &caller.access.sight(Permission::Numbers));
    Ok(web::Json(LiveCallDetail {
        call: detail,
        turns: turns(&items),
        version: call.version,
    }))
}

/// The call a path and its `kind` name, in the caller's own organisation.
pub fn key_of(caller: &Caller, id: &str, request: &HttpRequest) -> Result<CallKey, Problem> {
    let mut parameters = Parameters::of(request)?;
    let kind = parameters.word("kind")?.unwrap_or(trunkline_core::id::Kind::Call);
    parameters.end()?;
    if id.is_empty() || id.len() > trunkline_core::limit::ID_BYTES || id.chars().any(char::is_control) {
        return Err(Problem::not_found());
    }
    Ok(CallKey {
        tenant: caller.tenant,
        kind,
        id: id.into(),
    })
}

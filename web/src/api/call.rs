//! `GET /v1/calls/{id}` and below: one call, in progress or stored.

use actix_web::{HttpRequest, get, web};
use serde::Serialize;
use trunkline_core::instant::Millis;
use trunkline_stores::clickhouse::StoredEvent;
use utoipa::ToSchema;

use super::calls::unread;
use super::form::{CallDetail, Turn, moment, turns as form_turns};
use super::live::key_of;
use super::seen::{self, Part};
use crate::error::{Problem, Written};
use crate::identity::Caller;
use crate::state::AppState;
use trunkline_core::access::Permission;

/// The transcript of a call.
#[derive(Debug, Serialize, ToSchema)]
pub struct Turns {
    /// Entries in order: turns, tool calls and results, keys pressed...
    pub data: Vec<Turn>,
}

/// The records of a call.
#[derive(Debug, Serialize, ToSchema)]
pub struct Events {
    /// In the order received.
    pub data: Vec<EventForm>,
}

/// One record of a call.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventForm {
    /// Retell's name of the event.
    pub event: String,
    /// When our door took it.
    pub received_at: Option<String>,
    /// `webhook`, `backfill` or `reaper`.
    pub source: String,
    /// Why it could not be read; null when it could.
    pub set_aside: Option<String>,
    /// A credential in it was overwritten.
    pub masked: bool,
    /// Size of the body.
    pub bytes: u64,
    /// Hash of its content: equal ones are repeats.
    pub content: String,
    /// Partition of the log.
    pub log_partition: u32,
    /// Offset in the log.
    pub log_offset: i64,
}

/// One call or chat in full: from memory while it is there, else from the call log.
#[utoipa::path(tag = "calls", operation_id = "getCall", params(
    ("id" = String, Path, description = "Retell's id"),
    ("kind" = Option<String>, Query, description = "call (default) or chat"),
), responses(
    (status = 200, description = "The call", body = CallDetail),
    (status = 401, description = "No credential", body = Written), (status = 404, description = "No such call", body = Written),
))]
#[get("/v1/calls/{id}", wrap = "actix_web::middleware::from_fn(super::etag::conditional)")]
pub async fn call(
    caller: Caller,
    id: web::Path<String>,
    request: HttpRequest,
    state: web::Data<AppState>,
) -> Result<web::Json<CallDetail>, Problem> {
    let sight = caller.sight(Permission::Calls)?;
    let key = key_of(&caller, &id, &request)?;
    seen::check(&state, &sight, &key).await?;
    let numbers = caller.access.sight(Permission::Numbers);
    if let Some((call, _)) = state.live.call(&key, &sight) {
        seen::note(&state, &caller, &key, Part::Call).await?;
        return Ok(web::Json(CallDetail::seen(&call.facts, call.business, &numbers)));
    }
    let found = state
        .analytics
        .call(caller.tenant, key.kind, &key.id)
        .await
        .map_err(|error| unread("read a call", error))?;
    let stored = found.ok_or_else(Problem::not_found)?;
    seen::note(&state, &caller, &key, Part::Call).await?;
    Ok(web::Json(CallDetail::seen(&stored.facts, Some(stored.business), &numbers)))
}

/// The transcript of a call, tool calls and all.
#[utoipa::path(tag = "calls", operation_id = "listTurns", params(
    ("id" = String, Path, description = "Retell's id"),
    ("kind" = Option<String>, Query, description = "call (default) or chat"),
), responses(
    (status = 200, description = "The transcript", body = Turns),
    (status = 401, description = "No credential", body = Written), (status = 404, description = "No such call", body = Written),
))]
#[get("/v1/calls/{id}/turns", wrap = "actix_web::middleware::from_fn(super::etag::conditional)")]
pub async fn turns(
    caller: Caller,
    id: web::Path<String>,
    request: HttpRequest,
    state: web::Data<AppState>,
) -> Result<web::Json<Turns>, Problem> {
    let sight = caller.sight(Permission::Calls)?;
    let key = key_of(&caller, &id, &request)?;
    seen::check(&state, &sight, &key).await?;
    if let Some((_, items)) = state.live.call(&key, &sight)
        && !items.is_empty()
    {
        seen::note(&state, &caller, &key, Part::Call).await?;
        return Ok(web::Json(Turns { data: form_turns(&items) }));
    }
    let items = state
        .analytics
        .transcript(caller.tenant, key.kind, &key.id)
        .await
        .map_err(|error| unread("read a transcript", error))?;
    if items.is_empty() && state.live.call(&key, &sight).is_none() {
        let stored = state
            .analytics
            .call(caller.tenant, key.kind, &key.id)
            .await
            .map_err(|error| unread("read a call", error))?;
        stored.ok_or_else(Problem::not_found)?;
    }
    seen::note(&state, &caller, &key, Part::Call).await?;
    Ok(web::Json(Turns { data: form_turns(&items) }))
}

/// The records a call was made from, in the order received.
#[utoipa::path(tag = "calls", operation_id = "listEvents", params(
    ("id" = String, Path, description = "Retell's id"),
    ("kind" = Option<String>, Query, description = "call (default) or chat"),
), responses(
    (status = 200, description = "The records", body = Events),
    (status = 401, description = "No credential", body = Written), (status = 404, description = "No such call", body = Written),
))]
#[get("/v1/calls/{id}/events", wrap = "actix_web::middleware::from_fn(super::etag::conditional)")]
pub async fn events(
    caller: Caller,
    id: web::Path<String>,
    request: HttpRequest,
    state: web::Data<AppState>,
) -> Result<web::Json<Events>, Problem> {
    let sight = caller.sight(Permission::Calls)?;
    let key = key_of(&caller, &id, &request)?;
    seen::check(&state, &sight, &key).await?;
    let events = state
        .analytics
        .events(caller.tenant, key.kind, &key.id)
        .await
        .map_err(|error| unread("list events", error))?;
    if events.is_empty() && state.live.call(&key, &sight).is_none() {
        return Err(Problem::not_found());
    }
    seen::note(&state, &caller, &key, Part::Raw).await?;
    Ok(web::Json(Events {
        data: events.into_iter().map(EventForm::of).collect(),
    }))
}

impl EventForm {
    fn of(event: StoredEvent) -> EventForm {
        EventForm {
            event: event.event,
            received_at: moment(Millis(event.received_at)),
            source: event.source,
            set_aside: (!event.set_aside.is_empty()).then_some(event.set_aside),
            masked: event.masked,
            bytes: event.bytes,
            content: event.content,
            log_partition: event.log_partition,
            log_offset: event.log_offset,
        }
    }
}

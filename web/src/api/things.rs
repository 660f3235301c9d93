//! The catalogue of metrics, set-aside events.

use actix_web::{HttpRequest, get, web};
use serde::Serialize;
use serde_json::Value;
use trunkline_core::instant::Millis;
use trunkline_core::metric::CATALOGUE;
use trunkline_stores::clickhouse::AsidePlace;
use utoipa::ToSchema;

use super::calls::{turning, unread};
use super::form::{Page, moment};
use super::query::Parameters;
use crate::error::{Problem, Written};
use crate::identity::Caller;
use crate::state::AppState;
use trunkline_core::access::Permission;

/// Every metric, defined once.
#[derive(Debug, Serialize, ToSchema)]
pub struct Metrics {
    /// Name, time base, formula in words, unit, null rule, direction of good, default target.
    #[schema(value_type = Vec<Object>)]
    pub data: Value,
}

/// One record that could not be read; its bytes are kept.
#[derive(Debug, Serialize, ToSchema)]
pub struct SetAsideForm {
    /// When our door took it.
    pub received_at: Option<String>,
    /// Why: `not_json`, `no_id`...
    pub reason: String,
    /// Its event name, as far as there was one.
    pub event: String,
    /// Retell's id, when known.
    pub call_id: Option<String>,
    /// The workspace it came to.
    pub workspace_id: String,
    /// Size of the body.
    pub bytes: u64,
    /// Partition of the log.
    pub log_partition: u32,
    /// Offset in the log.
    pub log_offset: i64,
}

/// The catalogue: what each metric counts, and how.
#[utoipa::path(tag = "metrics", operation_id = "listMetrics", responses((status = 200, description = "All metrics", body = Metrics),
    (status = 401, description = "No credential", body = Written)))]
#[get("/v1/metrics", wrap = "actix_web::middleware::from_fn(super::etag::conditional)")]
pub async fn metrics(caller: Caller) -> Result<web::Json<Metrics>, Problem> {
    caller.sight(Permission::Live)?;
    let data = serde_json::to_value(CATALOGUE).map_err(|error| Problem::internal("write the catalogue", error))?;
    Ok(web::Json(Metrics { data }))
}

/// Events that were kept but could not be read, newest first.
#[utoipa::path(tag = "operation", operation_id = "listSetAside", params(
    ("limit" = Option<u32>, Query, description = "1 to 100, default 25"),
    ("after" = Option<String>, Query, description = "next_cursor of the page before"),
    ("before" = Option<String>, Query, description = "previous_cursor of the page after"),
), responses((status = 200, description = "Set-aside events", body = Page<SetAsideForm>),
    (status = 401, description = "No credential", body = Written), (status = 403, description = "Not allowed", body = Written)))]
#[get("/v1/set-aside")]
pub async fn set_aside(caller: Caller, request: HttpRequest, state: web::Data<AppState>) -> Result<web::Json<Page<SetAsideForm>>, Problem> {
    const LIST: &str = "set-aside";
    caller.needs(Permission::Operate)?;
    let mut parameters = Parameters::of(&request)?;
    let limit = parameters.limit()?;
    let turning = turning(&mut parameters, &caller, &state, LIST)?;
    parameters.end()?;
    let page = state
        .analytics
        .set_aside(caller.tenant, &turning, limit)
        .await
        .map_err(|error| unread("list set-aside events", error))?;
    let seal = |place: AsidePlace| state.cursors.seal(caller.tenant, LIST, &place.to_string());
    let form = |record: trunkline_stores::clickhouse::StoredSetAside| SetAsideForm {
        received_at: moment(Millis(record.received_at)),
        reason: record.set_aside,
        event: record.event,
        call_id: (!record.call_id.is_empty()).then_some(record.call_id),
        workspace_id: trunkline_core::id::WorkspaceId(record.workspace).to_string(),
        bytes: record.bytes,
        log_partition: record.log_partition,
        log_offset: record.log_offset,
    };
    Ok(web::Json(Page {
        data: page.records.into_iter().map(form).collect(),
        has_more: page.older.is_some(),
        next_cursor: page.older.map(seal),
        previous_cursor: page.newer.map(seal),
    }))
}

//! `/v1/businesses`: whom the organisation answers calls for.

use actix_web::{HttpRequest, HttpResponse, get, patch, post, web};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use trunkline_core::access::Permission;
use trunkline_core::id::BusinessId;
use trunkline_stores::postgres::row::{Business, NewBusiness};
use utoipa::ToSchema;

use super::etag::must_match;
use super::form::{given, json};
use crate::configure::{business, refused};
use crate::error::{Problem, Written};
use crate::identity::Caller;
use crate::state::AppState;

/// The businesses of the organisation.
#[derive(Debug, Serialize, ToSchema)]
pub struct Businesses {
    /// By name.
    pub data: Vec<BusinessForm>,
}

/// One business.
#[derive(Debug, Serialize, ToSchema)]
pub struct BusinessForm {
    /// Always `business`.
    pub object: &'static str,
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// IANA time zone.
    pub time_zone: String,
    /// Minute of the local day at which its day begins.
    pub day_start_minute: u16,
    /// Calls at once that its plan allows.
    pub concurrency_limit: Option<u32>,
    /// Targets by metric.
    #[schema(value_type = Object)]
    pub targets: Value,
}

/// A business to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BusinessDraft {
    /// Its name.
    pub name: String,
    /// IANA time zone, for example `Europe/Madrid`.
    pub time_zone: String,
    /// Minute of the local day at which its day begins, 0 to 1439; 0 unless given.
    #[serde(default)]
    pub day_start_minute: u16,
    /// Calls at once that its plan allows.
    #[serde(default)]
    pub concurrency_limit: Option<u32>,
    /// Targets by metric: `{"service_level_ai": {"target": 0.95, "watch": 0.9}}`; null switches a metric's target off, metrics that
    /// are not named have their default.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub targets: Value,
}

/// What is to be changed; what is not named stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BusinessChange {
    /// Another name.
    #[serde(default)]
    pub name: Option<String>,
    /// Another IANA time zone.
    #[serde(default)]
    pub time_zone: Option<String>,
    /// Minute of the local day at which its day begins.
    #[serde(default)]
    pub day_start_minute: Option<u16>,
    /// Calls at once that its plan allows; null: no limit.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u32>)]
    pub concurrency_limit: Option<Option<u32>>,
    /// All targets anew.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub targets: Option<Value>,
}

/// The businesses that the caller may see.
#[utoipa::path(tag = "configuration", operation_id = "listBusinesses", responses((status = 200, description = "All businesses", body = Businesses),
    (status = 401, description = "No credential", body = Written)))]
#[get("/v1/businesses", wrap = "actix_web::middleware::from_fn(super::etag::conditional)")]
pub async fn list(caller: Caller, state: web::Data<AppState>) -> Result<web::Json<Businesses>, Problem> {
    let sight = caller.sight(Permission::Live)?;
    let found = state.config.businesses(caller.tenant, None).await;
    let found = found.map_err(|error| refused("list businesses", error))?;
    let seen = found.into_iter().filter(|business| sight.agents(business.id).is_some());
    Ok(web::Json(Businesses {
        data: seen.map(BusinessForm::of).collect(),
    }))
}

/// Makes a business.
#[utoipa::path(tag = "configuration", operation_id = "createBusiness", request_body = BusinessDraft,
    responses((status = 201, description = "The business", body = BusinessForm),
    (status = 401, description = "No credential", body = Written), (status = 403, description = "Not allowed", body = Written),
    (status = 422, description = "A field that cannot be", body = Written)))]
#[post("/v1/businesses")]
pub async fn create(caller: Caller, state: web::Data<AppState>, body: web::Bytes) -> Result<HttpResponse, Problem> {
    caller.needs(Permission::Businesses)?;
    let draft: BusinessDraft = json(&body)?;
    let new = NewBusiness {
        name: draft.name,
        zone: draft.time_zone,
        day_start_minute: draft.day_start_minute,
        concurrency_limit: draft.concurrency_limit,
        targets: draft.targets,
    };
    let made = business::create(&state, &caller, new).await?;
    Ok(HttpResponse::Created()
        .insert_header(("location", format!("/v1/businesses/{}", made.id)))
        .json(BusinessForm::of(made)))
}

/// One business.
#[utoipa::path(tag = "configuration", operation_id = "getBusiness", params(("id" = String, Path, description = "Its id")),
    responses((status = 200, description = "The business", body = BusinessForm),
    (status = 401, description = "No credential", body = Written), (status = 404, description = "Not there", body = Written)))]
#[get("/v1/businesses/{id}", wrap = "actix_web::middleware::from_fn(super::etag::conditional)")]
pub async fn show(caller: Caller, state: web::Data<AppState>, path: web::Path<String>) -> Result<web::Json<BusinessForm>, Problem> {
    business::find(&state, &caller, id(&path)?)
        .await
        .map(BusinessForm::of)
        .map(web::Json)
}

/// Changes a business; `If-Match` is needed. Boards follow at once.
#[utoipa::path(tag = "configuration", operation_id = "updateBusiness", params(("id" = String, Path, description = "Its id"),
    ("If-Match" = String, Header, description = "ETag of the state that is to be changed")),
    request_body = BusinessChange, responses((status = 200, description = "The business", body = BusinessForm),
    (status = 401, description = "No credential", body = Written), (status = 403, description = "Not allowed", body = Written),
    (status = 404, description = "Not there", body = Written), (status = 412, description = "Changed meanwhile", body = Written),
    (status = 422, description = "A field that cannot be", body = Written), (status = 428, description = "No If-Match", body = Written)))]
#[patch("/v1/businesses/{id}")]
pub async fn update(
    caller: Caller,
    request: HttpRequest,
    state: web::Data<AppState>,
    path: web::Path<String>,
    body: web::Bytes,
) -> Result<web::Json<BusinessForm>, Problem> {
    let before = business::find(&state, &caller, id(&path)?).await?;
    caller.needs_in(Permission::Businesses, before.id)?;
    let change: BusinessChange = json(&body)?;
    must_match(&request, &BusinessForm::of(before.clone()))?;
    let new = NewBusiness {
        name: change.name.unwrap_or_else(|| before.name.clone()),
        zone: change.time_zone.unwrap_or_else(|| before.zone.clone()),
        day_start_minute: change.day_start_minute.unwrap_or(before.day_start_minute),
        concurrency_limit: change.concurrency_limit.unwrap_or(before.concurrency_limit),
        targets: change.targets.unwrap_or_else(|| before.targets.clone()),
    };
    business::change(&state, &caller, &before, new)
        .await
        .map(BusinessForm::of)
        .map(web::Json)
}

fn id(path: &str) -> Result<BusinessId, Problem> {
    path.parse().map_err(|_| Problem::not_found())
}

impl BusinessForm {
    fn of(business: Business) -> BusinessForm {
        BusinessForm {
            object: "business",
            id: business.id.to_string(),
            name: business.name,
            time_zone: business.zone,
            day_start_minute: business.day_start_minute,
            concurrency_limit: business.concurrency_limit,
            targets: business.targets,
        }
    }
}

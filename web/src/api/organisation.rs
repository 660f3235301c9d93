//! `/v1/organisation`: the organisation itself, for its owners.

use actix_web::{HttpRequest, get, patch, web};
use serde::{Deserialize, Serialize};
use trunkline_core::access::Permission;
use trunkline_stores::postgres::config::second_factor::Whom;
use utoipa::ToSchema;

use super::etag::must_match;
use super::form::json;
use crate::configure::organisation;
use crate::error::{Problem, Written};
use crate::identity::Caller;
use crate::state::AppState;

/// The caller's organisation.
#[derive(Debug, Serialize, ToSchema)]
pub struct OwnOrganisation {
    /// Always `organisation`.
    pub object: &'static str,
    /// Its id.
    pub id: String,
    /// Its name; whoever runs the platform changes it.
    pub name: String,
    /// Who has to have a second factor: `nobody`, `admins` (owners and admins) or `everybody`.
    pub second_factor: &'static str,
}

/// What is to be changed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OwnOrganisationChange {
    /// Who has to have a second factor: `nobody`, `admins` or `everybody`. Those who have none are asked to set one up with their next step.
    pub second_factor: String,
}

/// The caller's organisation.
#[utoipa::path(tag = "people", operation_id = "getOwnOrganisation", responses((status = 200, description = "The organisation", body = OwnOrganisation),
    (status = 401, description = "No credential", body = Written), (status = 403, description = "Not allowed", body = Written)))]
#[get("/v1/organisation", wrap = "actix_web::middleware::from_fn(super::etag::conditional)")]
pub async fn show(caller: Caller, state: web::Data<AppState>) -> Result<web::Json<OwnOrganisation>, Problem> {
    let (name, whom) = organisation::rule(&state, &caller).await?;
    Ok(web::Json(OwnOrganisation::of(&caller, name, whom)))
}

/// Says who has to have a second factor; `If-Match` is needed.
#[utoipa::path(tag = "people", operation_id = "updateOwnOrganisation", request_body = OwnOrganisationChange,
    params(("If-Match" = String, Header, description = "ETag of the state that is to be changed")),
    responses((status = 200, description = "The organisation", body = OwnOrganisation), (status = 401, description = "No credential", body = Written),
    (status = 403, description = "Not allowed", body = Written), (status = 412, description = "Changed meanwhile", body = Written),
    (status = 422, description = "A field that cannot be", body = Written), (status = 428, description = "No If-Match", body = Written)))]
#[patch("/v1/organisation")]
pub async fn update(
    caller: Caller,
    request: HttpRequest,
    state: web::Data<AppState>,
    body: web::Bytes,
) -> Result<web::Json<OwnOrganisation>, Problem> {
    caller.needs(Permission::Organisation)?;
    let (name, before) = organisation::rule(&state, &caller).await?;
    let change: OwnOrganisationChange = json(&body)?;
    must_match(&request, &OwnOrganisation::of(&caller, name.clone(), before))?;
    let whom: Whom = change.second_factor.parse().map_err(|error| {
        let detail = format!("second_factor: {error}.");
        Problem::field("/second_factor", "unknown_value", detail)
    })?;
    organisation::require(&state, &caller, before, whom).await?;
    Ok(web::Json(OwnOrganisation::of(&caller, name, whom)))
}

impl OwnOrganisation {
    fn of(caller: &Caller, name: String, whom: Whom) -> OwnOrganisation {
        OwnOrganisation {
            object: "organisation",
            id: caller.tenant.to_string(),
            name,
            second_factor: whom.as_str(),
        }
    }
}

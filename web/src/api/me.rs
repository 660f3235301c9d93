//! `/v1/me`: who asks, and what they may do.

use actix_web::{HttpRequest, HttpResponse, get, patch, post, web};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use trunkline_core::access::Role;
use trunkline_core::platform::PlatformPermission;
use utoipa::ToSchema;

use super::etag::must_match;
use super::form::{json, moment};
use crate::configure::profile;
use crate::error::{Problem, Written};
use crate::identity::{Caller, Who};
use crate::state::AppState;

/// Who asks.
#[derive(Debug, Serialize, ToSchema)]
pub struct Me {
    /// `person`, `api_key` or `tv_link`.
    pub object: &'static str,
    /// Its id.
    pub id: String,
    /// The organisation.
    pub organisation_id: String,
    /// Name as shown.
    pub name: String,
    /// Address of a person.
    pub email: Option<String>,
    /// Role of a person everywhere in the organisation.
    pub role: Option<&'static str>,
    /// Permissions held everywhere in the organisation.
    pub permissions: Vec<&'static str>,
    /// What they may do on the platform; empty for everybody who belongs to an organisation.
    pub platform_permissions: Vec<&'static str>,
    /// Until when somebody who runs the platform has this organisation open; null for everybody else.
    pub open_until: Option<String>,
}

/// What a person may change of themselves.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MyChange {
    /// Another name.
    pub name: String,
}

/// Another password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordChange {
    /// The one in force.
    #[schema(value_type = String)]
    pub current_password: SecretString,
    /// The one that follows.
    #[schema(value_type = String)]
    pub new_password: SecretString,
}

/// Who asks, and what they may do everywhere.
#[utoipa::path(tag = "people", operation_id = "getMe", responses((status = 200, description = "Who asks", body = Me),
    (status = 401, description = "No credential", body = Written)))]
#[get("/v1/me", wrap = "actix_web::middleware::from_fn(super::etag::conditional)")]
pub async fn show(caller: Caller) -> web::Json<Me> {
    web::Json(Me::of(&caller))
}

/// Changes one's own name; `If-Match` is needed. Programs have nothing to change.
#[utoipa::path(tag = "people", operation_id = "updateMe", request_body = MyChange,
    params(("If-Match" = String, Header, description = "ETag of the state that is to be changed")),
    responses((status = 200, description = "Who asks", body = Me), (status = 401, description = "No credential", body = Written),
    (status = 403, description = "Not a person", body = Written), (status = 412, description = "Changed meanwhile", body = Written),
    (status = 422, description = "A field that cannot be", body = Written), (status = 428, description = "No If-Match", body = Written)))]
#[patch("/v1/me")]
pub async fn update(
    mut caller: Caller,
    request: HttpRequest,
    state: web::Data<AppState>,
    body: web::Bytes,
) -> Result<web::Json<Me>, Problem> {
    profile::person(&caller)?;
    let change: MyChange = json(&body)?;
    must_match(&request, &Me::of(&caller))?;
    let name = profile::rename(&state, &caller, &change.name).await?;
    if let Who::Person(person) = &mut caller.who {
        person.name = name;
    }
    Ok(web::Json(Me::of(&caller)))
}

/// Changes one's own password. All other sessions end.
#[utoipa::path(tag = "people", operation_id = "changeMyPassword", request_body = PasswordChange, params(
    ("Idempotency-Key" = Option<String>, Header, description = "The same request under the same key is done once")),
    responses((status = 204, description = "It is in force"), (status = 401, description = "No credential", body = Written),
    (status = 403, description = "Not a person, or not their password", body = Written),
    (status = 422, description = "The new one is too weak", body = Written),
    (status = 429, description = "Too many wrong tries", body = Written)))]
#[post("/v1/me/password")]
pub async fn change_password(caller: Caller, state: web::Data<AppState>, body: web::Bytes) -> Result<HttpResponse, Problem> {
    profile::person(&caller)?;
    let change: PasswordChange = json(&body)?;
    profile::change_password(&state, &caller, change.current_password, change.new_password).await?;
    Ok(HttpResponse::NoContent().finish())
}

impl Me {
    fn of(caller: &Caller) -> Me {
        let (object, id, name, email, role) = match &caller.who {
            Who::Person(person) => ("person", person.user.to_string(), &person.name, Some(&person.email), person.role),
            Who::Program { key, name } => ("api_key", key.to_string(), name, None, None),
            Who::Screen { link, name, .. } => ("tv_link", link.to_string(), name, None, None),
        };
        Me {
            object,
            id,
            organisation_id: caller.tenant.to_string(),
            name: name.clone(),
            email: email.cloned(),
            role: role.map(Role::as_str),
            permissions: caller.access.everywhere().iter().map(|permission| permission.scope()).collect(),
            platform_permissions: caller.platform.iter().map(PlatformPermission::as_str).collect(),
            open_until: caller.opening.as_ref().and_then(|opening| moment(opening.expires_at)),
        }
    }
}

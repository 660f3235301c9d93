//! `/v1/permissions`: what can be allowed, and which role includes it. Made from `engine/core/src/access.rs`, like the page of roles.

use actix_web::{get, web};
use serde::Serialize;
use trunkline_core::access::{Permission, Reach, Role};
use utoipa::ToSchema;

use crate::error::{Problem, Written};
use crate::identity::Caller;

/// The matrix of roles.
#[derive(Debug, Serialize, ToSchema)]
pub struct Permissions {
    /// In the order of the page of roles.
    pub data: Vec<PermissionForm>,
}

/// One permission.
#[derive(Debug, Serialize, ToSchema)]
pub struct PermissionForm {
    /// Its word: the scope that an API key needs.
    pub scope: &'static str,
    /// What it allows.
    pub meaning: &'static str,
    /// `business`: can be held in one business; `organisation`: everywhere or not at all.
    pub reach: &'static str,
    /// Roles that include it.
    pub roles: Vec<&'static str>,
}

/// All permissions, with the roles that include them.
pub fn matrix() -> Vec<PermissionForm> {
    let form = |permission: Permission| PermissionForm {
        scope: permission.scope(),
        meaning: permission.meaning(),
        reach: match permission.reach() {
            Reach::Business => "business",
            Reach::Organisation => "organisation",
        },
        roles: Role::ALL
            .into_iter()
            .filter(|role| role.permissions().has(permission))
            .map(Role::as_str)
            .collect(),
    };
    Permission::ALL.into_iter().map(form).collect()
}

/// What can be allowed, and which role includes it.
#[utoipa::path(tag = "people", operation_id = "listPermissions", responses((status = 200, description = "The matrix", body = Permissions),
    (status = 401, description = "No credential", body = Written)))]
#[get("/v1/permissions", wrap = "actix_web::middleware::from_fn(super::etag::conditional)")]
pub async fn permissions(_: Caller) -> Result<web::Json<Permissions>, Problem> {
    Ok(web::Json(Permissions { data: matrix() }))
}

//! `/settings/roles`: which role may do what; the matrix of `engine/core/src/access.rs` and no second list.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use trunkline_core::access::{Permission, Reach, Role};

use super::{SideItem, shell, side};
use crate::error::Problem;
use crate::identity::Caller;
use crate::l10n::Texts;
use crate::pages::html;
use crate::pages::shell::Shell;
use crate::state::AppState;

struct Line {
    scope: &'static str,
    meaning: String,
    everywhere_only: bool,
    held: Vec<bool>,
}

/// The page.
#[derive(Template)]
#[template(path = "settings/roles.html")]
pub struct RolesPage {
    s: Shell,
    side: Vec<SideItem>,
    roles: Vec<String>,
    lines: Vec<Line>,
}

/// What a permission allows, in the reader's language.
pub fn meaning(l: &Texts, permission: Permission) -> String {
    l.t(&format!("may-{}", permission.scope().replace(':', "-")))
}

/// A role in the reader's language.
pub fn word(l: &Texts, role: Role) -> String {
    l.t(&format!("role-{}", role.as_str()))
}

/// `GET /settings/roles`.
pub async fn show(caller: Caller, request: HttpRequest, state: web::Data<AppState>) -> Result<HttpResponse, Problem> {
    let s = shell(&request, &state, &caller, "set-roles", "/settings/roles")?;
    let line = |permission: Permission| Line {
        scope: permission.scope(),
        meaning: meaning(s.l, permission),
        everywhere_only: permission.reach() == Reach::Organisation,
        held: Role::ALL.into_iter().map(|role| role.permissions().has(permission)).collect(),
    };
    let lines = Permission::ALL.into_iter().map(line).collect();
    let roles = Role::ALL.into_iter().map(|role| word(s.l, role)).collect();
    html(
        StatusCode::OK,
        &RolesPage {
            side: side(&s),
            roles,
            lines,
            s,
        },
    )
}

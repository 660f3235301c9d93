//! `/v1/invitations`: who may join the organisation.

use actix_web::{HttpRequest, HttpResponse, delete, get, post, web};
use serde::{Deserialize, Serialize};
use trunkline_core::access::{Permission, Role};
use trunkline_core::id::InvitationId;
use trunkline_stores::postgres::row::InvitationListed;
use utoipa::ToSchema;

use super::form::{Page, json, moment};
use super::paging;
use super::people::{GrantForm, grants, role};
use super::query::Parameters;
use crate::configure::{Wrong, invitations};
use crate::error::{Problem, Written};
use crate::identity::Caller;
use crate::identity::session::now;
use crate::l10n;
use crate::state::AppState;

/// Name of the list in its cursors.
const LIST: &str = "invitations";

/// An invitation.
#[derive(Debug, Serialize, ToSchema)]
pub struct InvitationForm {
    /// Always `invitation`.
    pub object: &'static str,
    /// Its id.
    pub id: String,
    /// The address that may accept it.
    pub email: String,
    /// Name, which may be changed on accepting.
    pub name: String,
    /// Role everywhere in the organisation; null: none.
    pub role: Option<&'static str>,
    /// Roles in single businesses.
    pub grants: Vec<GrantForm>,
    /// `open`, `expired`, `accepted` or `revoked`.
    pub status: &'static str,
    /// Name of who invited; null: the command line, a program, or somebody who has left.
    pub invited_by: Option<String>,
    /// When it was made.
    pub created_at: Option<String>,
    /// Its link holds until then.
    pub expires_at: Option<String>,
    /// The link to pass on: in this answer and in no other, and only where no mail server is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
}

/// Somebody to invite.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InvitationDraft {
    /// Address.
    pub email: String,
    /// Name.
    pub name: String,
    /// Role everywhere in the organisation; null: none.
    #[serde(default)]
    pub role: Option<String>,
    /// Roles in single businesses.
    #[serde(default)]
    pub grants: Vec<GrantForm>,
    /// Language of the mail (BCP 47); `en` unless given.
    #[serde(default)]
    pub language: Option<String>,
}

/// Invitations of the organisation, oldest first.
#[utoipa::path(tag = "people", operation_id = "listInvitations", params(
    ("limit" = Option<u32>, Query, description = "1 to 100, default 25"),
    ("after" = Option<String>, Query, description = "next_cursor of the page before"),
    ("before" = Option<String>, Query, description = "previous_cursor of the page after")),
    responses((status = 200, description = "Invitations", body = Page<InvitationForm>), (status = 401, description = "No credential", body = Written),
    (status = 403, description = "Not allowed", body = Written), (status = 422, description = "A parameter that cannot be", body = Written)))]
#[get("/v1/invitations")]
pub async fn list(caller: Caller, request: HttpRequest, state: web::Data<AppState>) -> Result<web::Json<Page<InvitationForm>>, Problem> {
    caller.needs(Permission::People)?;
    let mut parameters = Parameters::of(&request)?;
    let span = paging::span(&mut parameters, &state, &caller, LIST)?;
    parameters.end()?;
    let found = invitations::list(&state, &caller, span).await?;
    let form = |invitation| InvitationForm::of(invitation, None);
    let page = paging::page((&state, &caller, LIST), &span, found, |invitation| invitation.id.0, form);
    Ok(web::Json(page))
}

/// Invites somebody: by mail, or, where no mail server is set, by a link in the answer. Nobody gives away more than they have.
#[utoipa::path(tag = "people", operation_id = "createInvitation", request_body = InvitationDraft, params(
    ("Idempotency-Key" = Option<String>, Header, description = "The same request under the same key is done once")),
    responses((status = 201, description = "The invitation", body = InvitationForm), (status = 401, description = "No credential", body = Written),
    (status = 403, description = "Not allowed, or more than the caller may", body = Written),
    (status = 409, description = "Invited already", body = Written), (status = 422, description = "A field that cannot be", body = Written)))]
#[post("/v1/invitations")]
pub async fn create(caller: Caller, state: web::Data<AppState>, body: web::Bytes) -> Result<HttpResponse, Problem> {
    caller.needs(Permission::People)?;
    let draft: InvitationDraft = json(&body)?;
    let mut wrong = Wrong::default();
    let draft = invitations::Draft {
        role: role(draft.role.as_deref(), &mut wrong),
        grants: grants(&draft.grants, &mut wrong),
        email: draft.email,
        name: draft.name,
        lang: l10n::negotiate(draft.language.as_deref(), None).lang.to_owned(),
    };
    wrong.end()?;
    let (made, link) = invitations::create(&state, &caller, draft).await?;
    Ok(HttpResponse::Created()
        .insert_header(("location", format!("/v1/invitations/{}", made.id)))
        .json(InvitationForm::of(made, link)))
}

/// One invitation.
#[utoipa::path(tag = "people", operation_id = "getInvitation", params(("id" = String, Path, description = "Its id")),
    responses((status = 200, description = "The invitation", body = InvitationForm), (status = 401, description = "No credential", body = Written),
    (status = 403, description = "Not allowed", body = Written), (status = 404, description = "Not there", body = Written)))]
#[get("/v1/invitations/{id}")]
pub async fn show(caller: Caller, state: web::Data<AppState>, path: web::Path<String>) -> Result<web::Json<InvitationForm>, Problem> {
    let found = invitations::find(&state, &caller, id(&caller, &path)?).await?;
    Ok(web::Json(InvitationForm::of(found, None)))
}

/// Sends an invitation again, also one that has expired. The link sent before is worth nothing from then on.
#[utoipa::path(tag = "people", operation_id = "resendInvitation", params(("id" = String, Path, description = "Its id"),
    ("Idempotency-Key" = Option<String>, Header, description = "The same request under the same key is done once")),
    responses((status = 200, description = "The invitation", body = InvitationForm), (status = 401, description = "No credential", body = Written),
    (status = 403, description = "Not allowed", body = Written), (status = 404, description = "Not there", body = Written),
    (status = 409, description = "Accepted or revoked", body = Written)))]
#[post("/v1/invitations/{id}/resend")]
pub async fn resend(caller: Caller, state: web::Data<AppState>, path: web::Path<String>) -> Result<web::Json<InvitationForm>, Problem> {
    let (invitation, link) = invitations::renew(&state, &caller, id(&caller, &path)?, l10n::negotiate(None, None).lang).await?;
    Ok(web::Json(InvitationForm::of(invitation, link)))
}

/// Takes an invitation back.
#[utoipa::path(tag = "people", operation_id = "revokeInvitation", params(("id" = String, Path, description = "Its id")),
    responses((status = 204, description = "Its link is worth nothing"), (status = 401, description = "No credential", body = Written),
    (status = 403, description = "Not allowed", body = Written), (status = 404, description = "Not there", body = Written),
    (status = 409, description = "Accepted or revoked", body = Written)))]
#[delete("/v1/invitations/{id}")]
pub async fn revoke(caller: Caller, state: web::Data<AppState>, path: web::Path<String>) -> Result<HttpResponse, Problem> {
    invitations::revoke(&state, &caller, id(&caller, &path)?).await?;
    Ok(HttpResponse::NoContent().finish())
}

fn id(caller: &Caller, path: &str) -> Result<InvitationId, Problem> {
    caller.needs(Permission::People)?;
    path.parse().map_err(|_| Problem::not_found())
}

impl InvitationForm {
    fn of(invitation: InvitationListed, link: Option<String>) -> InvitationForm {
        InvitationForm {
            object: "invitation",
            id: invitation.id.to_string(),
            status: invitation.status(now()),
            email: invitation.email,
            name: invitation.name,
            role: invitation.role.map(Role::as_str),
            grants: invitation.grants.iter().map(GrantForm::of).collect(),
            invited_by: invitation.invited_by,
            created_at: moment(invitation.created_at),
            expires_at: moment(invitation.expires_at),
            link,
        }
    }
}

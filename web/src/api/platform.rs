//! `/v1/platform`: for those who run the platform. They see how much organisations have and how they are, and nothing of their calls; for
//! that they open one's data for a while, with a reason.

mod forms;

use actix_web::http::header::ETAG;
use actix_web::{HttpRequest, HttpResponse, delete, get, patch, post, web};
use trunkline_core::id::TenantId;
use trunkline_core::platform::PlatformPermission;
use trunkline_stores::postgres::row::{OrganisationListed, OrganisationState};

use super::audit::{self, AuditEntry};
use super::etag::{must_match, name_of};
use super::form::{Page, json};
use crate::configure::platform::{self, Draft, Seen};
use crate::error::{Problem, Written};
use crate::identity::Caller;
use crate::l10n;
use crate::state::AppState;
use forms::{
    OpeningDraft, OpeningForm, OrganisationChange, OrganisationDraft, OrganisationForm, OrganisationMade, Organisations, PlatformOverview,
    StateForm,
};

/// Name of the record of deeds in its cursors.
const DEEDS: &str = "platform-audit";

/// How the platform is.
#[utoipa::path(tag = "platform", operation_id = "getPlatformOverview", responses((status = 200, description = "The platform", body = PlatformOverview),
    (status = 401, description = "No credential", body = Written), (status = 403, description = "Not allowed", body = Written)))]
#[get("/v1/platform/overview")]
pub async fn overview(caller: Caller, state: web::Data<AppState>) -> Result<web::Json<PlatformOverview>, Problem> {
    let found = platform::overview(&state, &caller).await?;
    Ok(web::Json(PlatformOverview::of(&found, state.facts.state().behind_records)))
}

/// Organisations, by name.
#[utoipa::path(tag = "platform", operation_id = "listOrganisations", responses((status = 200, description = "All organisations", body = Organisations),
    (status = 401, description = "No credential", body = Written), (status = 403, description = "Not allowed", body = Written)))]
#[get("/v1/platform/organisations")]
pub async fn list(caller: Caller, state: web::Data<AppState>) -> Result<web::Json<Organisations>, Problem> {
    let found = platform::overview(&state, &caller).await?;
    Ok(web::Json(Organisations {
        data: found.organisations.into_iter().map(OrganisationForm::of).collect(),
    }))
}

/// Makes an organisation and invites its first owner.
#[utoipa::path(tag = "platform", operation_id = "createOrganisation", request_body = OrganisationDraft, params(
    ("Idempotency-Key" = Option<String>, Header, description = "The same request under the same key is done once")),
    responses((status = 201, description = "The organisation", body = OrganisationMade),
    (status = 401, description = "No credential", body = Written), (status = 403, description = "Not allowed", body = Written),
    (status = 409, description = "There is one of this name", body = Written), (status = 422, description = "A field that cannot be", body = Written)))]
#[post("/v1/platform/organisations")]
pub async fn create(caller: Caller, state: web::Data<AppState>, body: web::Bytes) -> Result<HttpResponse, Problem> {
    caller.needs_platform(PlatformPermission::Organisations)?;
    let draft: OrganisationDraft = json(&body)?;
    let draft = Draft {
        state: OrganisationState {
            name: draft.name,
            plan: draft.plan,
            suspended_at: None,
            suspended_why: String::new(),
            intake_per_second: draft.intake_per_second,
            concurrency_limit: draft.concurrent_calls,
            api_keys_max: draft.api_keys_max,
        },
        email: draft.email,
        owner: draft.owner_name,
        lang: l10n::negotiate(draft.language.as_deref(), None).lang.to_owned(),
    };
    let (id, link) = platform::create(&state, &caller, draft).await?;
    let organisation = OrganisationForm::of(platform::find(&state, &caller, id).await?);
    Ok(HttpResponse::Created()
        .insert_header(("location", format!("/v1/platform/organisations/{id}")))
        .json(OrganisationMade { organisation, link }))
}

/// One organisation.
#[utoipa::path(tag = "platform", operation_id = "getOrganisation", params(("id" = String, Path, description = "Its id")),
    responses((status = 200, description = "The organisation", body = OrganisationForm),
    (status = 401, description = "No credential", body = Written), (status = 403, description = "Not allowed", body = Written),
    (status = 404, description = "Not there", body = Written)))]
#[get("/v1/platform/organisations/{id}")]
pub async fn show(caller: Caller, state: web::Data<AppState>, path: web::Path<String>) -> Result<HttpResponse, Problem> {
    caller.needs_platform(PlatformPermission::Overview)?;
    tagged(platform::find(&state, &caller, id(&path)?).await?)
}

/// Renames an organisation, sets its plan and limits, suspends or resumes it; `If-Match` is needed.
#[utoipa::path(tag = "platform", operation_id = "updateOrganisation", params(("id" = String, Path, description = "Its id"),
    ("If-Match" = String, Header, description = "ETag of the state that is to be changed")),
    request_body = OrganisationChange, responses((status = 200, description = "The organisation", body = OrganisationForm),
    (status = 401, description = "No credential", body = Written), (status = 403, description = "Not allowed", body = Written),
    (status = 404, description = "Not there", body = Written), (status = 409, description = "There is one of this name", body = Written),
    (status = 412, description = "Changed meanwhile", body = Written), (status = 422, description = "A field that cannot be", body = Written),
    (status = 428, description = "No If-Match", body = Written)))]
#[patch("/v1/platform/organisations/{id}")]
pub async fn update(
    caller: Caller,
    request: HttpRequest,
    state: web::Data<AppState>,
    path: web::Path<String>,
    body: web::Bytes,
) -> Result<HttpResponse, Problem> {
    caller.needs_platform(PlatformPermission::Organisations)?;
    let before = platform::find(&state, &caller, id(&path)?).await?.listed;
    let change: OrganisationChange = json(&body)?;
    must_match(&request, &StateForm::of(&before.state))?;
    let after = match &change.suspended_reason {
        None => before.state.clone(),
        Some(reason) => platform::suspended(&before.state, reason.as_deref()),
    };
    let after = OrganisationState {
        name: change.name.unwrap_or(after.name),
        plan: change.plan.unwrap_or(after.plan),
        suspended_at: after.suspended_at,
        suspended_why: after.suspended_why,
        intake_per_second: change.intake_per_second.unwrap_or(after.intake_per_second),
        concurrency_limit: change.concurrent_calls.unwrap_or(after.concurrency_limit),
        api_keys_max: change.api_keys_max.unwrap_or(after.api_keys_max),
    };
    platform::change(&state, &caller, &before, after).await?;
    tagged(platform::find(&state, &caller, before.id).await?)
}

/// Opens an organisation's data to this session, for a while: reading only, with masked numbers. It stands in both records of deeds, and the
/// organisation sees it.
#[utoipa::path(tag = "platform", operation_id = "openOrganisation", params(("id" = String, Path, description = "Its id")),
    request_body = OpeningDraft, responses((status = 201, description = "It is open", body = OpeningForm),
    (status = 401, description = "No credential", body = Written),
    (status = 403, description = "Not allowed, or without a reason and a fresh code", body = Written),
    (status = 404, description = "Not there", body = Written), (status = 429, description = "Too many wrong codes", body = Written)))]
#[post("/v1/platform/organisations/{id}/openings")]
pub async fn open(caller: Caller, state: web::Data<AppState>, path: web::Path<String>, body: web::Bytes) -> Result<HttpResponse, Problem> {
    caller.needs_platform(PlatformPermission::Open)?;
    let id = platform::find(&state, &caller, id(&path)?).await?.listed.id;
    let draft: OpeningDraft = json(&body)?;
    let opening = platform::open(&state, &caller, id, &draft.reason, &draft.code).await?;
    Ok(HttpResponse::Created().json(OpeningForm::of(&opening)))
}

/// Closes what this session has open.
#[utoipa::path(tag = "platform", operation_id = "closeOpening", responses((status = 204, description = "It is closed"),
    (status = 401, description = "No credential", body = Written), (status = 403, description = "Not allowed", body = Written),
    (status = 404, description = "Nothing is open", body = Written)))]
#[delete("/v1/platform/opening")]
pub async fn close(caller: Caller, state: web::Data<AppState>) -> Result<HttpResponse, Problem> {
    platform::close(&state, &caller).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// What was done on the platform, newest first.
#[utoipa::path(tag = "platform", operation_id = "listPlatformAuditEntries", params(
    ("actor" = Option<String>, Query, description = "Id of a person (usr_...)"),
    ("action" = Option<String>, Query, description = "An action such as organisation.open, or a group of them such as organisation"),
    ("target_type" = Option<String>, Query, description = "Kind of thing: organisation, user, ..."),
    ("target_id" = Option<String>, Query, description = "Id of the thing"),
    ("from" = Option<String>, Query, description = "Not before this moment"),
    ("to" = Option<String>, Query, description = "Before this moment"),
    ("q" = Option<String>, Query, description = "Part of the actor's name, the action, the thing's id or the address"),
    ("limit" = Option<u32>, Query, description = "1 to 100, default 25"),
    ("after" = Option<String>, Query, description = "next_cursor of the page before"),
    ("before" = Option<String>, Query, description = "previous_cursor of the page after"),
), responses((status = 200, description = "Entries", body = Page<AuditEntry>),
    (status = 401, description = "No credential", body = Written), (status = 403, description = "Not allowed", body = Written),
    (status = 422, description = "A filter is refused", body = Written)))]
#[get("/v1/platform/audit")]
pub async fn deeds(caller: Caller, request: HttpRequest, state: web::Data<AppState>) -> Result<web::Json<Page<AuditEntry>>, Problem> {
    let home = caller.needs_platform(PlatformPermission::Overview)?.home;
    audit::page(&state, &caller, &request, (home, DEEDS)).await.map(web::Json)
}

fn id(path: &str) -> Result<TenantId, Problem> {
    path.parse().map_err(|_| Problem::not_found())
}

fn tagged(seen: Seen) -> Result<HttpResponse, Problem> {
    let tag = tag(&seen.listed)?;
    Ok(HttpResponse::Ok().insert_header((ETAG, tag)).json(OrganisationForm::of(seen)))
}

/// The name of the state of an organisation that a change is meant for.
pub fn tag(listed: &OrganisationListed) -> Result<String, Problem> {
    name_of(&StateForm::of(&listed.state))
}

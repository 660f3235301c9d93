//! `/v1/tv-links`: links that show one board on a screen without a seat.

use actix_web::{HttpResponse, delete, get, post, web};
use serde::{Deserialize, Serialize};
use trunkline_core::access::Permission;
use trunkline_core::id::{BusinessId, LinkId};
use trunkline_stores::postgres::config::tv_links::TvLink;
use utoipa::ToSchema;

use super::form::{json, moment};
use crate::configure::refused;
use crate::error::{Problem, Written};
use crate::identity::session::now;
use crate::identity::{Caller, screen};
use crate::pages::wall;
use crate::state::AppState;

/// All links.
#[derive(Debug, Serialize, ToSchema)]
pub struct TvLinks {
    /// Newest first, those that were taken back last.
    pub data: Vec<TvLinkForm>,
}

/// One link.
#[derive(Debug, Serialize, ToSchema)]
pub struct TvLinkForm {
    /// Always `tv_link`.
    pub object: &'static str,
    /// Its id.
    pub id: String,
    /// Where the screen hangs, or what it is for.
    pub name: String,
    /// Its business; null: the whole organisation.
    pub business_id: Option<String>,
    /// Its agent, by Retell's id; null: all of the business.
    pub agent_id: Option<String>,
    /// Calls of this direction only: `inbound` or `outbound`; null: all.
    pub direction: Option<String>,
    /// When it was made.
    pub created_at: Option<String>,
    /// Not accepted from then on.
    pub expires_at: Option<String>,
    /// When its screen asked last, to the minute.
    pub last_seen_at: Option<String>,
    /// It is accepted.
    pub active: bool,
    /// The address to open on the screen; shown once, when the link is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// A link to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewLink {
    /// Where the screen hangs, or what it is for.
    pub name: String,
    /// Its business; left out: the whole organisation.
    #[serde(default)]
    pub business_id: Option<String>,
    /// Its agent, by Retell's id; only together with `business_id`.
    #[serde(default)]
    pub agent_id: Option<String>,
    /// Calls of this direction only: `inbound` or `outbound`; left out: all, chats included.
    #[serde(default)]
    pub direction: Option<String>,
    /// Days that it holds, 1 to 730; left out: 365.
    #[serde(default)]
    pub days: Option<u32>,
}

/// Links of boards that the caller may give away.
#[utoipa::path(tag = "tv", operation_id = "listTvLinks", responses((status = 200, description = "Links", body = TvLinks),
    (status = 401, description = "No credential", body = Written), (status = 403, description = "Not allowed", body = Written)))]
#[get("/v1/tv-links")]
pub async fn list(caller: Caller, state: web::Data<AppState>) -> Result<web::Json<TvLinks>, Problem> {
    let links = theirs(&caller, &state).await?;
    Ok(web::Json(TvLinks {
        data: links.into_iter().map(|link| TvLinkForm::of(link, None)).collect(),
    }))
}

/// Makes a link: live figures and calls in progress of one board, numbers masked, nothing that was said. The answer holds its address,
/// which is never shown again.
#[utoipa::path(tag = "tv", operation_id = "createTvLink", request_body = NewLink,
    responses((status = 201, description = "The link, with its address", body = TvLinkForm),
    (status = 401, description = "No credential", body = Written), (status = 403, description = "Not allowed", body = Written),
    (status = 404, description = "No such business", body = Written), (status = 422, description = "A field is refused", body = Written)))]
#[post("/v1/tv-links")]
pub async fn create(caller: Caller, state: web::Data<AppState>, body: web::Bytes) -> Result<HttpResponse, Problem> {
    caller.sight(Permission::Links)?;
    let new: NewLink = json(&body)?;
    let (id, token) = make(&caller, &state, new).await?;
    let all = state.config.tv_links(caller.tenant).await;
    let made = all
        .map_err(|error| refused("read a link of a screen", error))?
        .into_iter()
        .find(|link| link.id == id)
        .ok_or_else(Problem::not_found)?;
    let url = format!("{}/tv/{token}", state.settings.server.origin());
    Ok(HttpResponse::Created()
        .insert_header(("location", format!("/v1/tv-links/{id}")))
        .json(TvLinkForm::of(made, Some(url))))
}

/// One link.
#[utoipa::path(tag = "tv", operation_id = "getTvLink", params(("id" = String, Path, description = "Its id")),
    responses((status = 200, description = "The link", body = TvLinkForm),
    (status = 401, description = "No credential", body = Written), (status = 404, description = "Not there", body = Written)))]
#[get("/v1/tv-links/{id}")]
pub async fn show(caller: Caller, state: web::Data<AppState>, path: web::Path<String>) -> Result<web::Json<TvLinkForm>, Problem> {
    let theirs = theirs(&caller, &state).await?;
    let id: LinkId = path.parse().map_err(|_| Problem::not_found())?;
    let found = theirs.into_iter().find(|link| link.id == id);
    found
        .map(|link| web::Json(TvLinkForm::of(link, None)))
        .ok_or_else(Problem::not_found)
}

/// Takes a link back: its screen goes dark within five seconds.
#[utoipa::path(tag = "tv", operation_id = "revokeTvLink", params(("id" = String, Path, description = "Its id")),
    responses((status = 204, description = "It is not accepted any more"),
    (status = 401, description = "No credential", body = Written), (status = 404, description = "Not there", body = Written)))]
#[delete("/v1/tv-links/{id}")]
pub async fn revoke(caller: Caller, state: web::Data<AppState>, path: web::Path<String>) -> Result<HttpResponse, Problem> {
    take_back(&caller, &state, &path).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Makes a link after looking at what is asked for and by whom.
pub async fn make(caller: &Caller, state: &AppState, new: NewLink) -> Result<(LinkId, String), Problem> {
    let name = new.name.trim().to_owned();
    if name.is_empty() || name.chars().count() > 200 || name.chars().any(char::is_control) {
        return Err(Problem::field("/name", "length", "name must have 1 to 200 characters."));
    }
    let business = match new.business_id.as_deref().filter(|text| !text.is_empty()) {
        None => None,
        Some(text) => {
            let id: BusinessId = text
                .parse()
                .map_err(|error| Problem::field("/business_id", "unreadable", format!("business_id: {error}.")))?;
            Some(id)
                .filter(|id| caller.knows(state, *id))
                .ok_or_else(Problem::not_found)
                .map(Some)?
        }
    };
    let agent = new.agent_id.filter(|agent| !agent.is_empty());
    let bad = |agent: &String| agent.len() > trunkline_core::limit::ID_BYTES || agent.chars().any(char::is_control);
    if agent.as_ref().is_some_and(bad) || (agent.is_some() && business.is_none()) {
        let detail = "agent_id must be one of Retell's ids, together with the business_id that it belongs to.";
        return Err(Problem::field("/agent_id", "unreadable", detail));
    }
    let asked = new.direction.filter(|word| !word.is_empty());
    let direction = asked.as_deref().and_then(wall::direction);
    if asked.is_some() && direction.is_none() {
        return Err(Problem::field(
            "/direction",
            "unknown_value",
            "direction must be inbound or outbound.",
        ));
    }
    let days = new.days.unwrap_or(screen::DAYS);
    if !(1..=screen::DAYS_MAX).contains(&days) {
        let detail = format!("days must be between 1 and {}.", screen::DAYS_MAX);
        return Err(Problem::field("/days", "out_of_range", detail));
    }
    screen::check(caller, business, agent.as_deref())?;
    let wanted = screen::Wanted {
        name,
        business,
        agent,
        direction,
        days,
    };
    let made = screen::create(state, caller.tenant, &caller.by(), wanted).await;
    made.map_err(|error| refused("make a link for a screen", error))
}

/// Links of boards that the caller may give away.
pub async fn theirs(caller: &Caller, state: &AppState) -> Result<Vec<TvLink>, Problem> {
    caller.sight(Permission::Links)?;
    let found = state.config.tv_links(caller.tenant).await;
    let mut links = found.map_err(|error| refused("list links of screens", error))?;
    links.retain(|link| screen::check(caller, link.business, link.agent.as_deref()).is_ok());
    Ok(links)
}

/// Takes a link back that the caller may give away; another one does not exist for them.
pub async fn take_back(caller: &Caller, state: &AppState, id: &str) -> Result<(), Problem> {
    let theirs = theirs(caller, state).await?;
    let id: LinkId = id.parse().map_err(|_| Problem::not_found())?;
    if !theirs.iter().any(|link| link.id == id) {
        return Err(Problem::not_found());
    }
    let done = state.config.revoke_tv_link(caller.tenant, &caller.by(), id, now()).await;
    done.map_err(|error| refused("take a link of a screen back", error))
}

impl TvLinkForm {
    fn of(link: TvLink, url: Option<String>) -> TvLinkForm {
        TvLinkForm {
            object: "tv_link",
            active: link.holds(now()),
            id: link.id.to_string(),
            name: link.name,
            business_id: link.business.map(|business| business.to_string()),
            agent_id: link.agent,
            direction: link.direction,
            created_at: moment(link.created_at),
            expires_at: moment(link.expires_at),
            last_seen_at: link.seen_at.and_then(moment),
            url,
        }
    }
}

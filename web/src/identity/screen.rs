//! Screens without a seat: a link whose secret shows one board, and nothing else.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::cookie::time::Duration as CookieDuration;
use actix_web::cookie::{Cookie, SameSite};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use trunkline_core::access::{Access, Agents, Grant, Permission, Role, Sight};
use trunkline_core::audit::By;
use trunkline_core::facts::Direction;
use trunkline_core::id::{BusinessId, LinkId, TenantId};
use trunkline_core::instant::Millis;
use trunkline_stores::postgres::PostgresError;
use trunkline_stores::postgres::config::tv_links::NewTvLink;
use trunkline_stores::postgres::row::Hash32;

use super::session::now;
use super::{Caller, Who};
use crate::error::{Kind, Problem};
use crate::pages::format::path_segment;
use crate::pages::wall::direction;
use crate::state::AppState;

/// The screen's cookie, over https and over http.
const COOKIE_SECURE: &str = "__Host-trunkline_screen";
const COOKIE_PLAIN: &str = "trunkline_screen";

/// 256 bits: not to be guessed.
const TOKEN_BYTES: usize = 32;

/// How long a link holds unless told otherwise: a year; nobody climbs a ladder more often than that.
pub const DAYS: u32 = 365;

/// And at most.
pub const DAYS_MAX: u32 = 2 * 365;

/// What a screen is to show.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Where it hangs, or what it is for.
    pub name: String,
    /// Its business; none: the whole organisation.
    pub business: Option<BusinessId>,
    /// Its agent, by Retell's id.
    pub agent: Option<String>,
    /// Calls of this direction only; none: all.
    pub direction: Option<Direction>,
    /// Days that the link holds.
    pub days: u32,
}

/// Makes a link; its secret exists only in the answer.
pub async fn create(state: &AppState, tenant: TenantId, by: &By, wanted: Wanted) -> Result<(LinkId, String), PostgresError> {
    let token = URL_SAFE_NO_PAD.encode(rand::random::<[u8; TOKEN_BYTES]>());
    let created_at = now();
    let new = NewTvLink {
        name: wanted.name,
        business: wanted.business,
        agent: wanted.agent,
        direction: wanted.direction.map(|direction| word(direction).to_owned()),
        token_hash: hash(&token),
        created_at,
        expires_at: created_at.plus(i64::from(wanted.days) * 86_400_000),
    };
    let id = state.config.create_tv_link(tenant, by, &new).await?;
    Ok((id, token))
}

/// The screen of a secret; `None` when it is unknown, taken back or too old.
pub async fn find(state: &AppState, token: &str, source: Option<IpAddr>) -> Result<Option<Caller>, PostgresError> {
    let found = state.config.tv_link_access(&hash(token), now()).await?;
    Ok(found.map(|link| Caller {
        tenant: link.tenant,
        access: access(link.business, link.agent.as_deref()),
        who: Who::Screen {
            link: link.id,
            name: link.name,
            direction: link.direction.as_deref().and_then(direction),
        },
        source,
        until: None,
        platform: Default::default(),
        opening: None,
    }))
}

/// What a screen may do now; `None` when its link is no longer accepted.
pub async fn look(state: &AppState, tenant: TenantId, link: LinkId) -> Result<Option<Access>, PostgresError> {
    let at: Millis = now();
    let links = state.config.tv_links(tenant).await?;
    let held = links.into_iter().find(|listed| listed.id == link && listed.holds(at));
    Ok(held.map(|link| access(link.business, link.agent.as_deref())))
}

/// Refuses unless the caller may make and take back links of this board.
pub fn check(caller: &Caller, business: Option<BusinessId>, agent: Option<&str>) -> Result<(), Problem> {
    match (business, agent) {
        (None, _) => caller.needs(Permission::Links),
        (Some(business), None) => caller.needs_in(Permission::Links, business),
        (Some(business), Some(agent)) if caller.access.sight(Permission::Links).holds(business, Some(agent)) => Ok(()),
        (Some(business), Some(_)) => caller.needs_in(Permission::Links, business),
    }
}

/// The word of a direction that a screen can be bound to, as stored and as in addresses.
pub fn word(direction: Direction) -> &'static str {
    match direction {
        Direction::Inbound => "inbound",
        Direction::Outbound => "outbound",
        Direction::None => "",
    }
}

impl Caller {
    /// The only direction whose calls the caller sees: of a screen that is bound to one.
    pub fn only_direction(&self) -> Option<Direction> {
        match self.who {
            Who::Screen { direction, .. } => direction,
            Who::Person(_) | Who::Program { .. } => None,
        }
    }

    /// The direction to show when this one is asked for; refuses one that the caller does not see.
    pub fn direction(&self, asked: Option<Direction>) -> Result<Option<Direction>, Problem> {
        match (self.only_direction(), asked) {
            (Some(only), Some(other)) if only != other => Err(Problem::new(
                Kind::Forbidden,
                format!("This screen shows {} calls and no others.", word(only)),
            )),
            (Some(only), _) => Ok(Some(only)),
            (None, asked) => Ok(asked),
        }
    }
}

/// Address of the board that a screen shows.
pub fn board(caller: &Caller) -> String {
    let whole = match caller.only_direction() {
        Some(only) => format!("/wall?tv=1&direction={}", word(only)),
        None => "/wall?tv=1".to_owned(),
    };
    let Sight::Only(seen) = caller.access.sight(Permission::Live) else {
        return whole;
    };
    match seen.iter().next() {
        Some((business, Agents::Only(agents))) => {
            let agent = agents.iter().next().map(|agent| path_segment(agent)).unwrap_or_default();
            format!("{whole}&business={business}&agent={agent}")
        }
        Some((business, Agents::All)) => format!("{whole}&business={business}"),
        None => whole,
    }
}

/// Live figures of its board, as a viewer has them.
fn access(business: Option<BusinessId>, agent: Option<&str>) -> Access {
    let Some(business) = business else {
        return Access::of_person(Some(Role::Viewer), &[]);
    };
    let agents = agent.map_or(Agents::All, |agent| Agents::Only(BTreeSet::from([Arc::from(agent)])));
    let grant = Grant {
        business,
        role: Role::Viewer,
        agents,
    };
    Access::of_person(None, &[grant])
}

/// The secret in a request's cookie.
pub fn of(request: &HttpRequest, secure: bool) -> Option<String> {
    Some(request.cookie(name(secure))?.value().to_owned())
}

/// Whether a request comes from a screen that once opened a link, whatever became of that.
pub fn carries_a_link(request: &HttpRequest) -> bool {
    [true, false].into_iter().any(|secure| of(request, secure).is_some())
}

/// The cookie that keeps the secret on the screen.
pub fn cookie(token: &str, secure: bool) -> Cookie<'static> {
    Cookie::build(name(secure), token.to_owned())
        .path("/")
        .http_only(true)
        .secure(secure)
        // From a bookmark or a link the board has to open as well.
        .same_site(SameSite::Lax)
        .max_age(CookieDuration::days(i64::from(DAYS_MAX)))
        .finish()
}

fn name(secure: bool) -> &'static str {
    if secure { COOKIE_SECURE } else { COOKIE_PLAIN }
}

fn hash(token: &str) -> Hash32 {
    Sha256::digest(token.as_bytes()).into()
}

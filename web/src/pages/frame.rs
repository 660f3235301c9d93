//! The frame of a page from the application's state: reader, businesses to choose from, zone, completeness.

use actix_web::HttpRequest;
use jiff::tz::TimeZone;
use trunkline_actors::{BoardScope, Completeness};
use trunkline_core::id::BusinessId;
use trunkline_stores::postgres::row::AgentMapping;

use crate::error::Problem;
use crate::identity::{Caller, Who};
use crate::pages::format;
use crate::pages::shell::{Fresh, Place, Reader, Scope, Shell};
use crate::state::AppState;
use trunkline_core::access::Permission;
use trunkline_core::platform::PlatformPermission;

/// A lag beyond this is shown as delayed at once; scripts take over with their own clock.
const DELAYED_MS: i64 = 5_000;

/// The frame for this request.
pub fn shell(
    request: &HttpRequest,
    state: &AppState,
    caller: &Caller,
    place: Place,
    title: &str,
    business: &str,
) -> Result<Shell, Problem> {
    let mut s = Shell::new(request, place, title);
    let chosen = self::business(state, caller, business)?;
    let platform = caller.platform.has(PlatformPermission::Overview);
    let (name, role) = match &caller.who {
        Who::Person(person) => {
            let role = match person.role {
                _ if platform => "platform",
                Some(role) => role.as_str(),
                None => "local",
            };
            (person.name.clone(), s.l.t(&format!("role-{role}")))
        }
        Who::Program { .. } => (s.l.t("program"), String::new()),
        Who::Screen { name, .. } => (name.clone(), String::new()),
    };
    s.tv = matches!(caller.who, Who::Screen { .. });
    s.user = Reader {
        initials: format::initials(&name),
        name,
        role,
        access: caller.access.clone(),
        platform,
    };
    s.form_token = caller.form_token();
    s.businesses = businesses(state, caller, chosen);
    s.zone_name = zone_name(state, caller, chosen);
    s.zone = TimeZone::get(&s.zone_name).unwrap_or(TimeZone::UTC);
    if let Some(opening) = &caller.opening {
        let until = format::minute(opening.expires_at, &s.zone);
        s.opened = s.l.t2("opened-banner", ("name", opening.organisation.clone()), ("time", until));
    }
    s.fresh = fresh(&state.live.completeness(caller.tenant), &s);
    Ok(s)
}

/// A business by its public id; one of somebody else does not exist.
pub fn business(state: &AppState, caller: &Caller, id: &str) -> Result<Option<BusinessId>, Problem> {
    if id.is_empty() {
        return Ok(None);
    }
    let id: BusinessId = id.parse().map_err(|_| Problem::not_found())?;
    caller.knows(state, id).then_some(Some(id)).ok_or_else(Problem::not_found)
}

/// Name of a business.
pub fn business_name(state: &AppState, id: BusinessId) -> Option<String> {
    state.directory.borrow().businesses.get(&id).map(|entry| entry.name.clone())
}

/// Agents to choose from, by name: those of the configuration and those that had calls today.
pub async fn agents(state: &AppState, caller: &Caller) -> Vec<(String, String)> {
    let mut known: std::collections::BTreeMap<String, String> = std::collections::BTreeMap::new();
    let sight = caller.access.sight(Permission::Live);
    let scope = BoardScope {
        direction: caller.only_direction(),
        ..BoardScope::whole(sight.clone())
    };
    let board = state.live.board(caller.tenant, &scope);
    for row in &board.agents {
        if let Some(id) = &row.agent {
            known.insert(
                id.clone(),
                row.name.clone().filter(|name| !name.is_empty()).unwrap_or_else(|| id.clone()),
            );
        }
    }
    // Names of the configuration are nicer, but a filter bar must not fail with Postgres.
    if let Ok(mapped) = state.config.agents(caller.tenant).await {
        let seen = |agent: &AgentMapping| sight.holds(agent.business, Some(&agent.agent_id));
        for agent in mapped.into_iter().filter(seen) {
            let name = if agent.name.is_empty() {
                agent.agent_id.clone()
            } else {
                agent.name
            };
            known.entry(agent.agent_id).or_insert(name);
        }
    }
    let mut agents: Vec<(String, String)> = known.into_iter().collect();
    agents.sort_by_key(|agent| agent.1.to_lowercase());
    agents
}

/// The address to paste at Retell: of the organisation's first workspace, for those who may link one.
pub fn intake_url(state: &AppState, caller: &Caller) -> String {
    if !caller.access.may(Permission::Workspaces) {
        return String::new();
    }
    let directory = state.directory.borrow();
    let mut own: Vec<(&str, &str)> = directory
        .by_token
        .iter()
        .filter(|(_, entry)| entry.tenant == caller.tenant && entry.enabled)
        .map(|(token, entry)| (entry.name.as_str(), token.as_str()))
        .collect();
    own.sort_unstable();
    own.first()
        .map(|(_, token)| format!("{}/v1/retell/{token}", state.settings.intake.origin()))
        .unwrap_or_default()
}

fn businesses(state: &AppState, caller: &Caller, chosen: Option<BusinessId>) -> Vec<Scope> {
    let directory = state.directory.borrow();
    let sight = caller.access.sight(Permission::Live);
    let own = directory
        .businesses
        .iter()
        .filter(|(id, entry)| entry.tenant == caller.tenant && sight.agents(**id).is_some());
    let mut scopes: Vec<Scope> = own
        .map(|(id, entry)| Scope {
            id: id.to_string(),
            name: entry.name.clone(),
            selected: chosen == Some(*id),
        })
        .collect();
    scopes.sort_by_key(|scope| scope.name.to_lowercase());
    scopes
}

/// The zone of the chosen business; of all together, the one most of them have.
fn zone_name(state: &AppState, caller: &Caller, chosen: Option<BusinessId>) -> String {
    let directory = state.directory.borrow();
    if let Some(entry) = chosen.and_then(|id| directory.businesses.get(&id)) {
        return entry.zone.clone();
    }
    let mut zones: std::collections::BTreeMap<&str, usize> = std::collections::BTreeMap::new();
    let sight = caller.access.sight(Permission::Live);
    let own = directory
        .businesses
        .iter()
        .filter(|(id, entry)| entry.tenant == caller.tenant && sight.agents(**id).is_some());
    for (_, entry) in own {
        *zones.entry(entry.zone.as_str()).or_default() += 1;
    }
    zones
        .into_iter()
        .max_by_key(|(name, count)| (*count, std::cmp::Reverse(*name)))
        .map_or_else(|| "UTC".to_owned(), |(name, _)| name.to_owned())
}

fn fresh(completeness: &Completeness, s: &Shell) -> Fresh {
    let l = s.l;
    let Some(complete_to) = completeness.complete_to else {
        return Fresh {
            state: "wait",
            complete: l.t("fresh-wait"),
            gaps: false,
            more: String::new(),
        };
    };
    let lag_ms = completeness.lag_ms.unwrap_or(0).max(0);
    let gaps = completeness.gaps.len() as u64;
    let more = l.t2(
        "fresh-more",
        ("n", format::count(gaps)),
        ("seconds", format::decimal(lag_ms as f64 / 1000.0, 1)),
    );
    // Nothing to look at is not said: the line is short.
    let said = |key, count: u64| match count {
        0 => String::new(),
        count => l.t1(key, "n", format::count(count)),
    };
    let open = said("fresh-open", completeness.open_without_end);
    let healed = said("fresh-healed", completeness.reconciled.map_or(0, |reconciled| reconciled.healed));
    let repaired = said("fresh-audit", completeness.audited.as_ref().map_or(0, |audited| audited.repaired));
    let rebuilding = if completeness.rebuilding {
        format!("· {}", l.t("fresh-rebuilding"))
    } else {
        String::new()
    };
    Fresh {
        state: if lag_ms > DELAYED_MS || completeness.rebuilding || completeness.log_away {
            "delayed"
        } else {
            "ok"
        },
        complete: l.t1("fresh-complete", "time", format::clock(complete_to, &s.zone)),
        gaps: gaps > 0,
        more: [open, more, healed, repaired, rebuilding]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join(" "),
    }
}

//! Page requests: who asks, what they ask for, the page.

mod operator;

use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use trunkline_actors::{BoardScope, LiveCall};
use trunkline_core::facts::{CallFacts, CallState};
use trunkline_core::id::{CallKey, Kind};
use trunkline_core::instant::Millis;
use trunkline_stores::clickhouse::{AnalyticsError, EventPlace};

use crate::api::calls::number_sight;
use crate::api::form::without_numbers;
use crate::api::query::calls_of;
use crate::api::seen::{self, Part};
use crate::error::Problem;
use crate::identity::Caller;
use crate::pages::call::{CallPage, Told};
use crate::pages::live::LivePage;
use crate::pages::log::{self, LogPage};
use crate::pages::query::LogQuery;
use crate::pages::raw::{RawPage, RawPart, Record, indented};
use crate::pages::row::{LiveRow, Prices};
use crate::pages::shell::{Place, Shell};
use crate::pages::wall::{Asked, Material, WallPage, direction};
use crate::pages::{format, html};
use crate::pages::{frame, settings};
use crate::state::AppState;
use trunkline_core::access::{Permission, Sight};
use trunkline_core::platform::PlatformPermission;

pub use operator::{operator, operator_figures, operator_raw};

/// Raw records shown of one call at once: a long call has thousands of updates, the last ones say everything.
const RAW_RECORDS: usize = 60;
/// New calls counted for the pill of the log; beyond, it says "more than".
const NEWS_COUNTED: u32 = 100;

/// What wall and live list take from the address.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct BoardQuery {
    business: String,
    agent: String,
    direction: String,
    tv: String,
}

impl BoardQuery {
    fn asked(&self) -> Asked {
        Asked {
            business: self.business.clone(),
            agent: self.agent.clone(),
            direction: self.direction.clone(),
        }
    }
}

/// `GET /`.
pub async fn home() -> HttpResponse {
    HttpResponse::SeeOther().insert_header((header::LOCATION, "/wall")).finish()
}

/// `GET /wall`.
pub async fn wall(
    caller: Caller,
    request: HttpRequest,
    state: web::Data<AppState>,
    query: web::Query<BoardQuery>,
) -> Result<HttpResponse, Problem> {
    // Those who run the platform have no board of their own.
    if caller.platform.has(PlatformPermission::Overview) && caller.opening.is_none() {
        return Ok(settings::go("/platform"));
    }
    let asked = query.asked();
    let mut s = frame::shell(&request, &state, &caller, Place::Wall, "wall-title", &asked.business)?;
    s.tv |= query.tv == "1";
    s.scope_keep = kept(&asked);
    let scope = board_scope(&state, &caller, &asked)?;
    let board = state.live.board(caller.tenant, &scope);
    let calls = rows(&state, &caller, &scope);
    let first_use = board.offered.total == 0 && board.now.in_progress == 0 && board.now.by_state.dialling == 0 && board.offered.chats == 0;
    let material = Material {
        heading: s
            .businesses
            .iter()
            .find(|b| b.selected)
            .map_or_else(|| s.l.t("scope-all-businesses"), |b| b.name.clone()),
        agents: frame::agents(&state, &caller).await,
        stream: stream("board,calls", &asked),
        intake_url: if first_use {
            frame::intake_url(&state, &caller)
        } else {
            String::new()
        },
        board: &board,
        calls: &calls,
        first_use,
        asked,
    };
    html(StatusCode::OK, &WallPage::of(s, material))
}

/// `GET /live`.
pub async fn live(
    caller: Caller,
    request: HttpRequest,
    state: web::Data<AppState>,
    query: web::Query<BoardQuery>,
) -> Result<HttpResponse, Problem> {
    let asked = query.asked();
    let mut s = frame::shell(&request, &state, &caller, Place::Live, "nav-live", &asked.business)?;
    s.scope_action = "/live".to_owned();
    s.scope_keep = kept(&asked);
    let scope = board_scope(&state, &caller, &asked)?;
    let calls = rows(&state, &caller, &scope);
    let agents = frame::agents(&state, &caller).await;
    let address = stream("calls", &asked);
    html(StatusCode::OK, &LivePage::of(s, asked, &agents, &calls, state.live.now(), &address))
}

/// `GET /calls`.
pub async fn calls(
    caller: Caller,
    request: HttpRequest,
    state: web::Data<AppState>,
    query: web::Query<LogQuery>,
) -> Result<HttpResponse, Problem> {
    let mut s = frame::shell(&request, &state, &caller, Place::Calls, "nav-calls", &query.business)?;
    s.scope_action = "/calls".to_owned();
    s.scope_keep = query.kept();
    let filter = query.filter(number_sight(&caller, query.by_number())?, state.live.now(), &s.zone)?;
    let turning = query.turning()?;
    let (page, total, agents) = futures::join!(
        state.analytics.calls(caller.tenant, &filter, &turning, log::PAGE),
        state.analytics.calls_total(caller.tenant, &filter),
        frame::agents(&state, &caller),
    );
    let page = page.map_err(|error| unread("list calls for a page", error))?;
    let behind = u64::try_from(state.facts.state().behind_records).unwrap_or(0);
    html(StatusCode::OK, &LogPage::of(s, &query, &page, total.ok(), &agents, behind))
}

/// How many calls there are that the reader of the log does not have yet.
#[derive(Serialize)]
struct News {
    calls: usize,
    more: bool,
}

/// `GET /calls/news`: with the filters of the log and its first row as `before`.
pub async fn news(
    caller: Caller,
    request: HttpRequest,
    state: web::Data<AppState>,
    query: web::Query<LogQuery>,
) -> Result<HttpResponse, Problem> {
    let s = frame::shell(&request, &state, &caller, Place::Calls, "nav-calls", &query.business)?;
    let filter = query.filter(number_sight(&caller, query.by_number())?, state.live.now(), &s.zone)?;
    let page = state
        .analytics
        .calls(caller.tenant, &filter, &query.turning()?, NEWS_COUNTED)
        .await
        .map_err(|error| unread("count new calls", error))?;
    Ok(HttpResponse::Ok().json(News {
        calls: page.calls.len(),
        more: page.newer.is_some() && page.calls.len() == NEWS_COUNTED as usize,
    }))
}

/// `GET /calls/{kind}/{id}`.
pub async fn call(
    caller: Caller,
    request: HttpRequest,
    state: web::Data<AppState>,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let sight = caller.sight(Permission::Calls)?;
    let key = key(&caller, path.into_inner())?;
    seen::check(&state, &sight, &key).await?;
    let (now, stream) = (state.live.now(), follow(&key));
    let prices = Prices::of(&state.live.board(caller.tenant, &BoardScope::whole(sight.clone())));
    let in_memory = state.live.call(&key, &sight);
    let s = frame::shell(&request, &state, &caller, Place::Calls, "nav-calls", "")?;
    let told = |business| Told {
        business,
        stream: &stream,
        prices: &prices,
        now,
    };
    let shown = |facts: &CallFacts, business| match caller.sees(Permission::Numbers, business, facts.agent_id.as_deref()) {
        true => facts.clone(),
        false => without_numbers(facts),
    };
    if let Some((call, items)) = in_memory.as_ref().filter(|(call, _)| call.facts.state != CallState::Ended) {
        let business = call.business.and_then(|id| frame::business_name(&state, id)).unwrap_or_default();
        let facts = shown(&call.facts, call.business);
        seen::note(&state, &caller, &key, Part::Call).await?;
        return html(StatusCode::OK, &CallPage::of(s, &facts, items, &told(&business)));
    }
    // An ended call is told by the store, which keeps its transcript; until it is there, by memory.
    let stored = state.analytics.call(caller.tenant, key.kind, &key.id).await;
    let known = in_memory.as_ref().map(|(call, items)| (call.business, &call.facts, items));
    let (business, facts, items) = match (stored, known) {
        (Ok(Some(stored)), memory) if memory.as_ref().is_none_or(|(_, facts, _)| facts.records <= stored.facts.records) => {
            let items = state
                .analytics
                .transcript(caller.tenant, key.kind, &key.id)
                .await
                .map_err(|error| unread("read a transcript", error))?;
            (Some(stored.business), stored.facts, items)
        }
        (_, Some((business, facts, items))) => (business, facts.as_ref().clone(), items.to_vec()),
        (Ok(_), None) => return Err(Problem::not_found()),
        (Err(error), None) => return Err(unread("read a call", error)),
    };
    seen::note(&state, &caller, &key, Part::Call).await?;
    let facts = shown(&facts, business);
    let business = business.and_then(|id| frame::business_name(&state, id)).unwrap_or_default();
    html(StatusCode::OK, &CallPage::of(s, &facts, &items, &told(&business)))
}

/// `GET /calls/{kind}/{id}/raw`: the records as they came.
pub async fn raw(
    caller: Caller,
    request: HttpRequest,
    state: web::Data<AppState>,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    caller.sight(Permission::Calls)?;
    let key = key(&caller, path.into_inner())?;
    // Records are shown as they came, so only to those who may see the numbers in them.
    seen::check(&state, &caller.sight(Permission::Numbers)?, &key).await?;
    let s = frame::shell(&request, &state, &caller, Place::Calls, "raw", "")?;
    let mut events = state
        .analytics
        .events(caller.tenant, key.kind, &key.id)
        .await
        .map_err(|error| unread("list raw events", error))?;
    // Of one that goes on, or has just ended, records may still be on their way here; of any other none means that there is none such.
    if events.is_empty() && state.live.call(&key, &Sight::All).is_none() {
        return Err(Problem::not_found());
    }
    let surplus = events.len().saturating_sub(RAW_RECORDS);
    events.drain(..surplus);
    if !events.is_empty() {
        seen::note(&state, &caller, &key, Part::Raw).await?;
    }
    let mut records = Vec::with_capacity(events.len());
    for event in events {
        let place = EventPlace {
            kind: key.kind.as_str().to_owned(),
            call_id: key.id.to_string(),
            log: event.log.clone(),
            log_partition: event.log_partition,
            log_offset: event.log_offset,
        };
        records.extend(record(&state, &caller, &s, place, event.event, event.received_at).await?);
    }
    raw_page(&request, s, records)
}

/// A record as it came; `None` when it is not there (any more).
async fn record(
    state: &AppState,
    caller: &Caller,
    s: &Shell,
    place: EventPlace,
    event: String,
    at: i64,
) -> Result<Option<Record>, Problem> {
    let body = state
        .analytics
        .event_body(caller.tenant, &place)
        .await
        .map_err(|error| unread("read a raw event", error))?;
    let place =
        s.l.t2("raw-place", ("n", place.log_partition), ("total", place.log_offset.to_string()));
    Ok(body.map(|body| Record {
        at: if at == 0 {
            String::new()
        } else {
            format::clock(Millis(at), &s.zone)
        },
        event,
        place,
        body: indented(&body),
    }))
}

/// Inside a page for htmx, else a page of its own.
fn raw_page(request: &HttpRequest, s: Shell, records: Vec<Record>) -> Result<HttpResponse, Problem> {
    if request.headers().contains_key("hx-request") {
        html(StatusCode::OK, &RawPart { s, records })
    } else {
        html(StatusCode::OK, &RawPage { s, records })
    }
}

fn key(caller: &Caller, (kind, id): (String, String)) -> Result<CallKey, Problem> {
    let kind = match kind.as_str() {
        "call" => Kind::Call,
        "chat" => Kind::Chat,
        _ => return Err(Problem::not_found()),
    };
    if id.is_empty() || id.len() > trunkline_core::limit::ID_BYTES {
        return Err(Problem::not_found());
    }
    Ok(CallKey {
        tenant: caller.tenant,
        kind,
        id: id.into(),
    })
}

fn board_scope(state: &AppState, caller: &Caller, asked: &Asked) -> Result<BoardScope, Problem> {
    Ok(BoardScope {
        business: frame::business(state, caller, &asked.business)?,
        agent: (!asked.agent.is_empty()).then(|| asked.agent.clone()),
        direction: caller.direction(direction(&asked.direction))?,
        ..BoardScope::whole(caller.sight(Permission::Live)?)
    })
}

fn rows(state: &AppState, caller: &Caller, scope: &BoardScope) -> Vec<LiveRow> {
    let prices = Prices::of(&state.live.board(caller.tenant, &BoardScope::whole(scope.sight.clone())));
    let calls: Vec<std::sync::Arc<LiveCall>> = state.live.calls(caller.tenant, &calls_of(scope, false));
    let words = caller.access.sight(Permission::Calls);
    let mut rows: Vec<LiveRow> = calls.iter().map(|call| LiveRow::seen(call, &prices, &words)).collect();
    rows.sort_by(|a, b| (a.since, &a.id).cmp(&(b.since, &b.id)));
    rows
}

fn kept(asked: &Asked) -> Vec<(String, String)> {
    let all = [("agent", &asked.agent), ("direction", &asked.direction)];
    all.into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| (name.to_owned(), value.clone()))
        .collect()
}

fn stream(topics: &str, asked: &Asked) -> String {
    asked.link("/v1/stream", &[("topics", topics)])
}

fn follow(key: &CallKey) -> String {
    format!("/v1/stream?topics={}%3A{}", key.kind.as_str(), format::path_segment(&key.id))
}

fn unread(attempted: &'static str, error: AnalyticsError) -> Problem {
    match error {
        AnalyticsError::Unavailable { .. } => Problem::unavailable(attempted, error),
        other => Problem::internal(attempted, other),
    }
}

//! Requests of the operator page.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use trunkline_core::audit::Deed;
use trunkline_stores::clickhouse::{EventPlace, Turning};

use super::{raw_page, record};
use crate::configure::refused;
use crate::error::Problem;
use crate::identity::Caller;
use crate::pages::operator::{Figures, OperatorPage, Stored};
use crate::pages::shell::Place;
use crate::pages::{frame, html};
use crate::state::AppState;
use trunkline_core::access::Permission;

/// Set-aside events on the operator page.
const SET_ASIDE_SHOWN: u32 = 50;
/// What the operator page counts.
const COUNTED_MS: i64 = 86_400_000;
/// How far back it looks for what Retell does not document: a name that came once a month ago still matters.
const UNDOCUMENTED_MS: i64 = 30 * 86_400_000;

/// `GET /operator`.
pub async fn operator(caller: Caller, request: HttpRequest, state: web::Data<AppState>) -> Result<HttpResponse, Problem> {
    caller.needs(Permission::Operate)?;
    let now = state.live.now();
    let stored = futures::try_join!(
        state.analytics.set_aside(caller.tenant, &Turning::First, SET_ASIDE_SHOWN),
        state.analytics.counts(caller.tenant, now.plus(-COUNTED_MS), now.plus(COUNTED_MS)),
        state.analytics.undocumented(caller.tenant, now.plus(-UNDOCUMENTED_MS)),
        state.analytics.receipts_by_agent(caller.tenant, now.plus(-COUNTED_MS)),
    );
    if let Err(error) = &stored {
        tracing::warn!(request_id = %crate::request::current_id(), %error, "operator page without stored counts");
    }
    let moving = figures(&caller, &request, &state)?;
    let stored = stored.ok().map(|(set_aside, classes, undocumented, receipts)| Stored {
        set_aside: set_aside.records,
        classes,
        undocumented,
        receipts,
    });
    html(StatusCode::OK, &OperatorPage::of(moving, stored))
}

/// `GET /operator/figures`: the part that moves.
pub async fn operator_figures(caller: Caller, request: HttpRequest, state: web::Data<AppState>) -> Result<HttpResponse, Problem> {
    caller.needs(Permission::Operate)?;
    html(StatusCode::OK, &figures(&caller, &request, &state)?)
}

/// Which record the operator wants to see.
#[derive(Debug, Deserialize)]
pub struct Wanted {
    log: String,
    partition: u32,
    offset: i64,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    call: String,
}

/// `GET /operator/raw`: a set-aside record as it came.
pub async fn operator_raw(
    caller: Caller,
    request: HttpRequest,
    state: web::Data<AppState>,
    wanted: web::Query<Wanted>,
) -> Result<HttpResponse, Problem> {
    caller.needs(Permission::Operate)?;
    let s = frame::shell(&request, &state, &caller, Place::Operator, "raw", "")?;
    let Wanted {
        log,
        partition,
        offset,
        kind,
        call,
    } = wanted.into_inner();
    let place = EventPlace {
        kind,
        call_id: call,
        log,
        log_partition: partition,
        log_offset: offset,
    };
    let deed = Deed::plain(
        "record.view",
        "record",
        format!("{}/{}/{}", place.log, place.log_partition, place.log_offset),
    );
    let title = s.l.t("raw");
    let shown = record(&state, &caller, &s, place, title, 0).await?.ok_or_else(Problem::not_found)?;
    let noted = state.config.note_deed(caller.tenant, &caller.by(), &deed).await;
    noted.map_err(|error| refused("note a view", error))?;
    raw_page(&request, s, vec![shown])
}

fn figures(caller: &Caller, request: &HttpRequest, state: &AppState) -> Result<Figures, Problem> {
    let s = frame::shell(request, state, caller, Place::Operator, "nav-operator", "")?;
    Ok(Figures::of(
        s,
        &state.live.completeness(caller.tenant),
        &state.live.partitions(),
        &state.live.role_states(),
        &state.facts.state(),
        state.keeper.as_ref().map(|keeper| keeper.spool()).as_ref(),
    ))
}

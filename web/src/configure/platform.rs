//! The platform as those see it who run it: organisations, what they may have, how they are; and opening one's data for a while.

use std::collections::HashMap;

use secrecy::SecretString;
use trunkline_actors::{BoardScope, Completeness};
use trunkline_core::access::{Role, Sight};
use trunkline_core::id::TenantId;
use trunkline_core::instant::Millis;
use trunkline_core::platform::PlatformPermission;
use trunkline_stores::clickhouse::Arrived;
use trunkline_stores::postgres::PostgresError;
use trunkline_stores::postgres::config::openings::Opener;
use trunkline_stores::postgres::config::second_factor::{Proof, Proved};
use trunkline_stores::postgres::row::{NewInvitation, Opening, OrganisationListed, OrganisationState};

use super::invitations::{checked_email, expiry, handed_over};
use super::{Wrong, refused};
use crate::error::{Kind, Problem};
use crate::identity::session::now;
use crate::identity::{Caller, second_factor, second_step, token};
use crate::state::AppState;

/// What is counted as lately.
const LATELY_MS: i64 = 86_400_000;

/// Largest limit: what the whole engine is planned for.
const LIMIT_MAX: u32 = 1_000_000;

/// Longest plan, reason for a suspension and reason for an opening, in characters; the database has the same limits.
const PLAN_CHARS: usize = 100;
const REASON_CHARS: usize = 500;

/// Shortest reason for opening somebody's data: "support" says nothing to whom it concerns.
const OPENING_CHARS_MIN: usize = 10;

/// An organisation with how it is at this moment.
pub struct Seen {
    /// What is stored of it.
    pub listed: OrganisationListed,
    /// Calls in progress.
    pub live_calls: u64,
    /// What came within a day; none when ClickHouse did not say.
    pub arrived: Option<Arrived>,
    /// What somebody should look at, in stable words.
    pub problems: Vec<&'static str>,
}

/// The platform at one moment.
pub struct Overview {
    /// When.
    pub as_of: Millis,
    /// By name.
    pub organisations: Vec<Seen>,
    /// How far the live figures are, over all.
    pub completeness: Completeness,
    /// Bytes on disk of the analytics store; none when it did not say.
    pub stored_bytes: Option<u64>,
}

/// The platform at this moment.
pub async fn overview(state: &AppState, caller: &Caller) -> Result<Overview, Problem> {
    caller.needs_platform(PlatformPermission::Overview)?;
    let as_of = state.live.now();
    let (listed, arrived, stored) = futures::join!(
        state.config.platform_organisations(None),
        state.analytics.arrived(as_of.plus(-LATELY_MS), as_of),
        state.analytics.stored_bytes(),
    );
    let listed = listed.map_err(|error| refused("list organisations", error))?;
    let arrived = known(arrived);
    Ok(Overview {
        as_of,
        organisations: listed.into_iter().map(|listed| seen(state, listed, arrived.as_ref())).collect(),
        completeness: state.live.completeness_of_all(),
        stored_bytes: known(stored),
    })
}

/// One organisation; the platform's own is none.
pub async fn find(state: &AppState, caller: &Caller, id: TenantId) -> Result<Seen, Problem> {
    caller.needs_platform(PlatformPermission::Overview)?;
    let as_of = state.live.now();
    let (listed, arrived) = futures::join!(
        state.config.platform_organisations(Some(id)),
        state.analytics.arrived(as_of.plus(-LATELY_MS), as_of),
    );
    let listed = listed.map_err(|error| refused("read an organisation", error))?;
    let listed = listed.into_iter().next().ok_or_else(Problem::not_found)?;
    Ok(seen(state, listed, known(arrived).as_ref()))
}

/// A page about many things does not fail with one store: what is missing is said.
fn known<T>(answer: Result<T, trunkline_stores::clickhouse::AnalyticsError>) -> Option<T> {
    answer
        .inspect_err(
            |error| tracing::warn!(request_id = %crate::request::current_id(), %error, "the platform's page without stored counts"),
        )
        .ok()
}

fn seen(state: &AppState, listed: OrganisationListed, arrived: Option<&HashMap<TenantId, Arrived>>) -> Seen {
    let live_calls = state.live.board(listed.id, &BoardScope::whole(Sight::All)).now.in_progress;
    let arrived = arrived.map(|all| all.get(&listed.id).copied().unwrap_or_default());
    let over = listed.state.concurrency_limit.is_some_and(|limit| live_calls > u64::from(limit));
    let silent = listed.workspaces > 0 && arrived.is_some_and(|arrived| arrived.records == 0);
    let problems = [
        (listed.state.suspended_at.is_some(), "suspended"),
        (over, "over_concurrency"),
        (listed.workspaces == 0, "no_workspace"),
        (silent, "silent"),
        (arrived.is_some_and(|arrived| arrived.set_aside > 0), "set_aside"),
        (listed.failing_webhooks > 0, "webhooks_failing"),
    ];
    Seen {
        live_calls,
        arrived,
        problems: problems.into_iter().filter(|(is, _)| *is).map(|(_, word)| word).collect(),
        listed,
    }
}

/// An organisation to make, with its first owner.
pub struct Draft {
    /// What it is to be; suspended it cannot be yet.
    pub state: OrganisationState,
    /// Address of the owner.
    pub email: String,
    /// Name of the owner.
    pub owner: String,
    /// Language of the mail.
    pub lang: String,
}

/// Makes an organisation and invites its first owner; gives the link of the invitation, when there is no mail server that would carry it.
pub async fn create(state: &AppState, caller: &Caller, draft: Draft) -> Result<(TenantId, Option<String>), Problem> {
    let person = caller.needs_platform(PlatformPermission::Organisations)?;
    let mut wrong = Wrong::default();
    let new = checked(draft.state, &mut wrong);
    let owner = NewInvitation {
        email: checked_email(&draft.email, &mut wrong),
        name: wrong.name("/owner_name", &draft.owner),
        role: Some(Role::Owner),
        grants: Vec::new(),
        lang: draft.lang,
        expires_at: expiry(state),
    };
    wrong.end()?;
    let token = handed_over(state);
    let hash = token.as_ref().map(|(_, hash)| hash);
    let made = state
        .config
        .found_organisation(person.home, &caller.by(), &new, &owner, (hash, now()))
        .await;
    let (id, _) = made.map_err(|error| refused("make an organisation", error))?;
    let origin = state.settings.server.origin();
    Ok((id, token.map(|(text, _)| token::link(&origin, "invitation", &owner.email, &text))))
}

/// Changes an organisation that is still as `before` says. Sessions, keys and streams of a suspended one end within seconds; its events are
/// kept.
pub async fn change(state: &AppState, caller: &Caller, before: &OrganisationListed, after: OrganisationState) -> Result<(), Problem> {
    let person = caller.needs_platform(PlatformPermission::Organisations)?;
    let mut wrong = Wrong::default();
    let after = checked(after, &mut wrong);
    wrong.end()?;
    if after == before.state {
        return Ok(());
    }
    let changed = state
        .config
        .change_organisation(person.home, &caller.by(), before.id, &before.state, &after)
        .await;
    changed.map_err(|error| refused("change an organisation", error))
}

/// `before`, suspended for a reason or resumed.
pub fn suspended(before: &OrganisationState, reason: Option<&str>) -> OrganisationState {
    OrganisationState {
        suspended_at: reason.map(|_| before.suspended_at.unwrap_or_else(now)),
        suspended_why: reason.unwrap_or_default().trim().to_owned(),
        ..before.clone()
    }
}

/// The form, checked; everything that is wrong is said at once.
fn checked(mut state: OrganisationState, wrong: &mut Wrong) -> OrganisationState {
    state.name = wrong.name("/name", &state.name);
    state.plan = state.plan.trim().to_owned();
    if state.plan.chars().count() > PLAN_CHARS || state.plan.chars().any(char::is_control) {
        wrong.field(
            "/plan",
            "bad_name",
            format!("A plan has at most {PLAN_CHARS} characters and no line breaks."),
        );
    }
    if state.suspended_at.is_some() && !(1..=REASON_CHARS).contains(&state.suspended_why.chars().count()) {
        wrong.field(
            "/suspended_reason",
            "bad_reason",
            format!("Say why, in 1 to {REASON_CHARS} characters."),
        );
    }
    let limits = [
        ("/intake_per_second", state.intake_per_second, 1),
        ("/concurrent_calls", state.concurrency_limit, 1),
        ("/api_keys_max", state.api_keys_max, 0),
    ];
    for (field, limit, least) in limits {
        if limit.is_some_and(|limit| !(least..=LIMIT_MAX).contains(&limit)) {
            wrong.field(field, "out_of_range", format!("Write {least} to {LIMIT_MAX}, or leave it out."));
        }
    }
    state
}

/// Opens an organisation's data to this session, for a reason and a fresh code of the second factor (S-009). Nothing can be changed in it,
/// telephone numbers stay masked, and the organisation sees who looks, since when, until when and why.
pub async fn open(state: &AppState, caller: &Caller, id: TenantId, reason: &str, code: &str) -> Result<Opening, Problem> {
    let person = caller.needs_platform(PlatformPermission::Open)?;
    let reason = reason.trim();
    let length = reason.chars().count();
    if !(OPENING_CHARS_MIN..=REASON_CHARS).contains(&length) || code.trim().is_empty() {
        return Err(stepped_up(
            caller,
            format!("Say why, in {OPENING_CHARS_MIN} to {REASON_CHARS} characters, and type a fresh code of your authenticator app."),
        ));
    }
    let at = now();
    let expires_at = at.plus(i64::from(state.settings.platform.opening_minutes) * 60_000);
    let opener = Opener {
        platform: person.home,
        user: person.user,
        session_hash: person.session.hash(),
        by: &caller.by(),
    };
    let check = |secret: &SecretString| second_factor::step_of(secret, code, at);
    let proved = state
        .config
        .open_organisation(&opener, id, &Proof::Code(&check), reason, (at, expires_at))
        .await;
    match proved.map_err(|error| refused("open an organisation's data", error))? {
        Proved::Yes => {
            tracing::warn!(target: "audit", event = "platform.open", tenant = %id, user = %person.user,
                request_id = %crate::request::current_id(), "an organisation's data was opened");
            let found = state.config.opening_of(&person.session.hash(), at).await;
            found
                .map_err(|error| refused("find an opening", error))?
                .ok_or_else(|| Problem::internal("find an opening", "made a moment ago, and gone"))
        }
        wait @ Proved::Wait(_) => Err(second_step::refusal(wait)),
        Proved::Wrong | Proved::Gone => Err(stepped_up(
            caller,
            "The code is wrong, or was used already; wait for the next one.".to_owned(),
        )),
    }
}

fn stepped_up(caller: &Caller, detail: String) -> Problem {
    tracing::info!(target: "audit", event = "authz.stepup", tenant = %caller.tenant, request_id = %crate::request::current_id(), "refused");
    Problem::new(Kind::FreshSignIn, detail)
}

/// Closes what this session has open.
pub async fn close(state: &AppState, caller: &Caller) -> Result<(), Problem> {
    let person = caller.needs_platform(PlatformPermission::Open)?;
    let opening = caller.opening.as_ref().ok_or_else(Problem::not_found)?;
    let closed = state.config.close_opening(person.home, &caller.by(), opening, now()).await;
    match closed {
        Ok(()) | Err(PostgresError::Missing { .. }) => Ok(()),
        Err(error) => Err(refused("close an organisation's data", error)),
    }
}

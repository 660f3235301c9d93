//! The second step of signing in: a code of an app, or a recovery code.

use actix_web::HttpRequest;
use actix_web::cookie::Cookie;
use trunkline_core::audit::{Actor, By};
use trunkline_stores::postgres::config::second_factor::{Proof, Proved};
use trunkline_stores::postgres::row::UserRow;

use super::platform;
use super::second_factor::{recovery_hash, step_of};
use super::session::{self, SessionKey, now};
use crate::error::{Kind, Problem};
use crate::request;
use crate::state::AppState;

/// How long somebody has for finding the code.
const LASTS_MS: i64 = 10 * 60_000;

/// Begins to wait for the code of somebody whose password was right; gives the cookie that names the wait and opens nothing else (S-116).
pub async fn wait_for(state: &AppState, user: &UserRow) -> Result<Cookie<'static>, Problem> {
    let key = SessionKey::new();
    let waits = state
        .config
        .await_second_step(user.tenant, user.id, &key.hash(), now().plus(LASTS_MS))
        .await;
    waits.map_err(|error| Problem::unavailable("await a second step", error))?;
    Ok(session::step_cookie(Some(&key), LASTS_MS, state.settings.server.secure()))
}

/// The code that was typed, of somebody who waits: gives the cookies of a new session.
pub async fn take(state: &AppState, request: &HttpRequest, typed: &str) -> Result<[Cookie<'static>; 2], Problem> {
    let gone = || Problem::new(Kind::Unauthenticated, "Begin again: sign in with your password.");
    let secure = state.settings.server.secure();
    let key = session::step_of(request, secure).ok_or_else(gone)?;
    let found = state.config.second_step(&key.hash(), now()).await;
    let step = found
        .map_err(|error| Problem::unavailable("find a second step", error))?
        .ok_or_else(gone)?;
    if state.directory.borrow().is_suspended(step.tenant) {
        return Err(platform::suspended());
    }
    let by = By {
        actor: Actor::Person(step.user),
        name: step.name,
        source: request::client_address(request, &state.settings.server.trusted_proxies),
        request: request::current_id(),
    };
    let (new, cookie) = session::fresh(state, request, &by, step.user);
    let at = new.created_at;
    let check = |secret: &secrecy::SecretString| step_of(secret, typed, at);
    let proof = recovery_hash(typed).map_or(Proof::Code(&check), Proof::Recovery);
    let proved = state.config.take_second_step(step.tenant, &by, &key.hash(), &proof, &new).await;
    match proved.map_err(|error| Problem::unavailable("take a second step", error))? {
        Proved::Yes => Ok([cookie, session::step_cookie(None, 0, secure)]),
        Proved::Gone => Err(gone()),
        other => Err(refusal(other)),
    }
}

/// Why a code was not taken.
pub fn refusal(proved: Proved) -> Problem {
    match proved {
        Proved::Wait(seconds) => Problem::new(Kind::TooMany, "Too many wrong codes; wait a while.").retry_after(seconds),
        _ => Problem::new(Kind::SecondFactor, "The code is wrong, or was used already."),
    }
}

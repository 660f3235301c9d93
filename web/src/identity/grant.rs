//! Giving out tokens of the API: for a password and a code, for an API key, and for a refresh token.

use actix_web::HttpRequest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use trunkline_core::audit::{Actor, By};
use trunkline_core::instant::Millis;
use trunkline_stores::postgres::config::second_factor::Proof;
use trunkline_stores::postgres::config::tokens::{ApiSession, Begun, Refreshed, Shown};
use trunkline_stores::postgres::row::{Hash32, NewSession};
use uuid::Uuid;

use super::access_token::{self, Bearer, Signed};
use super::second_factor::{recovery_hash, step_of};
use super::session::{self, now};
use super::{Who, key, second_step, sign_in, token};
use crate::configure::refused;
use crate::error::{Kind, Problem};
use crate::request;
use crate::settings::Environment;
use crate::state::AppState;

/// What is given out.
pub struct Granted {
    /// The access token.
    pub access: Signed,
    /// What the next one is got with; none for an API key, which can be shown again.
    pub refresh: Option<Refresh>,
}

/// A refresh token.
pub struct Refresh {
    /// Its text.
    pub token: SecretString,
    /// Its session, whose id the list of devices has.
    pub session: Uuid,
    /// When one has to sign in again in any case.
    pub expires_at: Millis,
}

/// Tokens for somebody's password, and the code of their app where there is one.
pub async fn for_password(
    state: &AppState,
    request: &HttpRequest,
    (email, password): (&str, SecretString),
    code: Option<&str>,
) -> Result<Granted, Problem> {
    let user = sign_in::prove(state, request, email, password).await?;
    let by = By {
        actor: Actor::Person(user.id),
        name: user.name.clone(),
        ..visitor(state, request)
    };
    let created_at = now();
    let limits = &state.settings.tokens;
    let new = NewSession {
        user: user.id,
        // Found by its id and its refresh tokens: this names it in lists and opens nothing.
        token_hash: rand::random(),
        created_at,
        expires_at: created_at.plus(limits.absolute_ms()),
        idle_ms: limits.idle_ms(),
        source: by.source.map(|source| source.to_string()).unwrap_or_default(),
        device: session::device(request),
    };
    let text = write(state.settings.server.environment, &rand::random());
    let check = |secret: &SecretString| code.and_then(|code| step_of(secret, code, created_at));
    let proof = code.map(|code| recovery_hash(code).map_or(Proof::Code(&check), Proof::Recovery));
    let hash = token::hash(&text);
    let begun = state.config.begin_api_session(user.tenant, &by, &new, proof.as_ref(), &hash).await;
    let session = match begun.map_err(|error| refused("begin a session of the API", error))? {
        Begun::Session(session) => session,
        Begun::NeedsCode => {
            let detail = "Send the code of your authenticator app, or a recovery code, as \"code\".";
            return Err(Problem::new(Kind::SecondFactor, detail));
        }
        Begun::MustEnrol => return Err(must_enrol()),
        Begun::Refused(proved) => return Err(second_step::refusal(proved)),
    };
    of_session(state, &session, text).await
}

/// An access token for an API key; while the key holds, it can be had again, so there is no refresh token (RFC 6749, section 4.4.3).
pub async fn for_key(state: &AppState, request: &HttpRequest, text: &SecretString) -> Result<Granted, Problem> {
    let source = check_address(state, request)?;
    let found = key::find(state, text.expose_secret().trim(), source).await;
    let found = found.map_err(|error| refused("find an API key", error))?;
    let unknown = || Problem::new(Kind::Unauthenticated, "This API key is not accepted.");
    let caller = found.ok_or_else(unknown)?;
    state.limits.check_caller(&caller.who)?;
    let Who::Program { key, .. } = &caller.who else {
        return Err(unknown());
    };
    let signed = access_token::sign(state, &Bearer::Program(caller.tenant, *key)).await;
    Ok(Granted {
        access: signed.map_err(|error| refused("sign an access token", error))?,
        refresh: None,
    })
}

/// New tokens for a refresh token, which is not taken again. One that was used before ends its session.
pub async fn for_refresh(state: &AppState, request: &HttpRequest, text: &SecretString) -> Result<Granted, Problem> {
    check_address(state, request)?;
    let unknown = || Problem::new(Kind::Unauthenticated, "This refresh token is not accepted; sign in again.");
    let environment = state.settings.server.environment;
    let text = text.expose_secret().trim();
    if !text.starts_with(&prefix(environment)) {
        tracing::info!(target: "audit", event = "token.type", request_id = %request::current_id(), "refused");
        return Err(unknown());
    }
    let shown = Shown {
        hash: &token::hash(text),
        seed: rand::random(),
        successor: &|seed| token::hash(&successor(environment, text, seed)),
        mail: state.settings.mail.is_set(),
    };
    let taken = state.config.refresh(&visitor(state, request), &shown, now()).await;
    match taken.map_err(|error| refused("take a refresh token", error))? {
        Refreshed::Session(session, seed) => {
            if session.row.needs_factor && !session.row.has_factor {
                return Err(must_enrol());
            }
            of_session(state, &session, successor(environment, text, &seed)).await
        }
        Refreshed::Reused { tenant } => {
            metrics::counter!("trunkline_refresh_reuse_total").increment(1);
            tracing::warn!(target: "audit", event = "refresh.reuse", %tenant, request_id = %request::current_id(), "a refresh token came again; its session has ended");
            Err(unknown())
        }
        Refreshed::Unknown => Err(unknown()),
    }
}

/// Ends the session of a refresh token; of one that is unknown nothing is said (RFC 7009, section 2.2).
pub async fn revoke(state: &AppState, request: &HttpRequest, text: &SecretString) -> Result<(), Problem> {
    check_address(state, request)?;
    let hash = token::hash(text.expose_secret());
    let ended = state.config.revoke_refresh_token(&visitor(state, request), &hash).await;
    ended.map_err(|error| refused("end a session of the API", error))
}

async fn of_session(state: &AppState, session: &ApiSession, text: String) -> Result<Granted, Problem> {
    let signed = access_token::sign(state, &Bearer::Person(session)).await;
    Ok(Granted {
        access: signed.map_err(|error| refused("sign an access token", error))?,
        refresh: Some(Refresh {
            token: SecretString::from(text),
            session: session.id,
            expires_at: session.row.expires_at,
        }),
    })
}

fn must_enrol() -> Problem {
    let detail = "Your organisation demands a second factor; sign in with a browser and set it up on the page of your account.";
    Problem::new(Kind::EnrolFirst, detail)
}

fn check_address(state: &AppState, request: &HttpRequest) -> Result<Option<std::net::IpAddr>, Problem> {
    let source = request::client_address(request, &state.settings.server.trusted_proxies);
    if let Some(source) = &source {
        state.limits.check_address(source)?;
    }
    Ok(source)
}

fn visitor(state: &AppState, request: &HttpRequest) -> By {
    By {
        actor: Actor::Visitor,
        name: String::new(),
        source: request::client_address(request, &state.settings.server.trusted_proxies),
        request: request::current_id(),
    }
}

fn prefix(environment: Environment) -> String {
    format!("rt_{}_", environment.as_str())
}

fn write(environment: Environment, bytes: &Hash32) -> String {
    format!("{}{}", prefix(environment), URL_SAFE_NO_PAD.encode(bytes))
}

/// What follows a refresh token: made of the token and a seed that Postgres keeps until the successor is used. So the same successor can be
/// given out again, though neither who has only the token nor who has only the database can make it.
fn successor(environment: Environment, text: &str, seed: &[u8; 32]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(text.as_bytes()).expect("HMAC takes keys of every length");
    mac.update(seed);
    write(environment, &mac.finalize().into_bytes().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_successor_needs_the_token_and_the_seed() {
        let token = write(Environment::Live, &[1; 32]);
        assert_eq!(token.len(), "rt_live_".len() + 43);
        let next = successor(Environment::Live, &token, &[2; 32]);
        assert_eq!(next, successor(Environment::Live, &token, &[2; 32]));
        assert_ne!(next, successor(Environment::Live, &token, &[3; 32]));
        assert_ne!(next, successor(Environment::Live, &next, &[2; 32]));
        assert!(successor(Environment::Test, &token, &[2; 32]).starts_with("rt_test_"));
    }
}

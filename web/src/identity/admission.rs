//! Coming in by a mail: accepting an invitation, and setting a password that was forgotten. What is wrong with a code is never said:
//! unknown, used, too old, revoked and somebody else's look the same (S-096, S-119).

use actix_web::HttpRequest;
use actix_web::cookie::Cookie;
use secrecy::SecretString;
use trunkline_core::audit::{Actor, By};
use trunkline_core::id::InvitationId;
use trunkline_stores::postgres::PostgresError;
use trunkline_stores::postgres::config::invitations::Admitted;
use trunkline_stores::postgres::row::Invited;

use super::password_rules::{self, About};
use super::session::{self, now};
use super::token;
use crate::configure::profile::unhashed;
use crate::configure::{Wrong, refused};
use crate::error::{Kind, Problem};
use crate::request;
use crate::state::AppState;

/// What somebody fills in to join.
pub struct Acceptance<'a> {
    /// The code of the link.
    pub code: &'a str,
    /// Their address.
    pub email: &'a str,
    /// Their name.
    pub name: &'a str,
    /// Their password.
    pub password: SecretString,
}

/// Makes an invited person and signs them in.
pub async fn accept(state: &AppState, request: &HttpRequest, form: Acceptance<'_>) -> Result<Cookie<'static>, Problem> {
    let token_hash = token::hash(form.code);
    let found = state.config.invitation_by_token(&token_hash, now()).await;
    let found = found.map_err(|error| refused("find an invitation", error))?;
    let Some(admitted) = found.filter(|admitted| admitted.email == form.email.trim().to_lowercase()) else {
        return Err(rejected("invite.reject"));
    };
    let mut wrong = Wrong::default();
    let name = wrong.name("/name", form.name);
    wrong.end()?;
    let about = About {
        name: &name,
        ..about(&admitted)
    };
    check(&form.password, &about)?;
    let hash = state.passwords.hash(&form.password).await.map_err(unhashed)?;
    let invited = Invited {
        tenant: admitted.tenant,
        id: InvitationId(admitted.id),
        token_hash,
        email: &admitted.email,
        name: &name,
    };
    let made = state
        .config
        .accept_invitation(&visitor(state, request, &name), &invited, &hash, now())
        .await;
    made.map_err(|error| match error {
        PostgresError::Missing { .. } => rejected("invite.reject"),
        PostgresError::Conflict { .. } => Problem::new(
            Kind::CompanySignIn,
            "Your organisation lets people in by its own sign-in: sign in with your company, and you have joined.",
        ),
        PostgresError::Taken { .. } => Problem::new(Kind::Conflict, "There is an account with this address already."),
        other => refused("accept an invitation", other),
    })?;
    let user = state.config.user_by_email(&admitted.email).await;
    let user = user.map_err(|error| refused("find a user", error))?;
    let user = user.ok_or_else(|| Problem::internal("find a user", "made a moment ago, and gone"))?;
    let by = By {
        actor: Actor::Person(user.id),
        ..visitor(state, request, &name)
    };
    let (new, cookie) = session::fresh(state, request, &by, user.id);
    let begun = state.config.create_session(user.tenant, &by, &new).await;
    begun.map_err(|error| refused("begin a session", error))?;
    Ok(cookie)
}

/// Sends a mail to whoever has this address, if somebody does: looked up after the answer, so that its time says nothing (S-099).
pub fn forgot(state: &AppState, request: &HttpRequest, email: &str, lang: &'static str) -> Result<(), Problem> {
    let source = request::client_address(request, &state.settings.server.trusted_proxies);
    if let Some(seconds) = state.attempts.wait_for_mail(source, state.settings.sign_in.attempts_max) {
        return Err(Problem::new(Kind::TooMany, "Too many mails were asked for; wait a while.").retry_after(seconds));
    }
    state.attempts.note_mail(source);
    let (state, email, by) = (state.clone(), email.trim().to_owned(), visitor(state, request, ""));
    let expires_at = now().plus(i64::from(state.settings.sign_in.reset_minutes) * 60_000);
    let work = async move {
        let found = state.config.user_by_email(&email).await?;
        let Some(user) = found.filter(|user| !user.disabled) else {
            return Ok(false);
        };
        let by = By { name: user.name, ..by };
        state
            .config
            .begin_password_reset(user.tenant, &by, user.id, (lang, expires_at), now())
            .await
    };
    actix_web::rt::spawn(request::carrying(request::current_id(), async move {
        let outcome: Result<bool, PostgresError> = work.await;
        if let Err(error) = outcome {
            tracing::error!(request_id = %request::current_id(), %error, "a mail about a forgotten password was not posted");
        }
    }));
    Ok(())
}

/// Sets the password that was asked for by mail; all sessions end.
pub async fn reset(state: &AppState, request: &HttpRequest, code: &str, password: SecretString) -> Result<(), Problem> {
    let token_hash = token::hash(code);
    let found = state.config.password_reset_by_token(&token_hash, now()).await;
    let found = found.map_err(|error| refused("find a reset of a password", error))?;
    let Some((admitted, user)) = found.and_then(|admitted| admitted.user.map(|user| (admitted, user))) else {
        return Err(rejected("reset.reject"));
    };
    check(&password, &about(&admitted))?;
    let hash = state.passwords.hash(&password).await.map_err(unhashed)?;
    let by = visitor(state, request, &admitted.name);
    let set = state.config.reset_password(&by, (&admitted, user), &token_hash, &hash, now()).await;
    set.map_err(|error| match error {
        PostgresError::Missing { .. } => rejected("reset.reject"),
        other => refused("reset a password", other),
    })
}

fn about(admitted: &Admitted) -> About<'_> {
    About {
        email: &admitted.email,
        name: &admitted.name,
        organisation: &admitted.organisation,
    }
}

fn check(password: &SecretString, about: &About<'_>) -> Result<(), Problem> {
    match password_rules::refusal(password, about) {
        Some(weak) => Err(Problem::field("/password", weak.code(), weak.to_string())),
        None => Ok(()),
    }
}

fn rejected(event: &'static str) -> Problem {
    tracing::info!(target: "audit", event, request_id = %request::current_id(), "refused");
    Problem::not_found()
}

fn visitor(state: &AppState, request: &HttpRequest, name: &str) -> By {
    By {
        actor: Actor::Visitor,
        name: name.to_owned(),
        source: request::client_address(request, &state.settings.server.trusted_proxies),
        request: request::current_id(),
    }
}

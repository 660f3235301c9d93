//! Signing in and out. Every wrong try looks the same; many of them wait.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use actix_web::HttpRequest;
use actix_web::cookie::Cookie;
use dashmap::DashMap;
use secrecy::SecretString;
use sha2::{Digest, Sha256};
use trunkline_core::access::Role;
use trunkline_core::audit::{Actor, By, Deed};
use trunkline_core::id::{TenantId, UserId};
use trunkline_stores::postgres::row::UserRow;

use super::password::PasswordError;
use super::{Caller, Person, platform, second_step, session};
use crate::configure::refused;
use crate::error::{Kind, Problem};
use crate::request;
use crate::state::AppState;

/// Wrong tries are forgotten after this.
const WINDOW: Duration = Duration::from_secs(15 * 60);

/// Accounts and addresses remembered; the oldest are dropped beyond, so that a flood cannot eat memory.
const REMEMBERED_MAX: usize = 50_000;

/// What is counted of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Counted {
    /// Wrong tries for one account, by the hash of its address.
    Account([u8; 32]),
    /// Wrong tries for all accounts together (S-098).
    AllAccounts,
    /// Mails that were asked for, whoever they were for.
    Mails,
}

impl Counted {
    fn account(email: &str) -> Counted {
        Counted::Account(Sha256::digest(email.trim().to_lowercase().as_bytes()).into())
    }
}

/// What is counted, and from where.
type Count = (Counted, Option<IpAddr>);

/// Tries by what they are of and their address: a stranger's tries from elsewhere do not lock the owner out (S-100).
#[derive(Default)]
pub struct Attempts {
    wrong: DashMap<Count, (u32, Instant)>,
}

impl Attempts {
    /// Seconds to wait, if any.
    fn wait(&self, key: &Count, max: u32) -> Option<u32> {
        let entry = self.wrong.get(key)?;
        let age = entry.1.elapsed();
        (entry.0 >= max && age < WINDOW).then(|| (WINDOW - age).as_secs() as u32 + 1)
    }

    /// Seconds to wait before further mails may be asked for from an address.
    pub fn wait_for_mail(&self, source: Option<IpAddr>, max: u32) -> Option<u32> {
        self.wait(&(Counted::Mails, source), max)
    }

    /// Notes that a mail was asked for.
    pub fn note_mail(&self, source: Option<IpAddr>) {
        self.note((Counted::Mails, source));
    }

    /// Counts one more; says how many there are.
    fn note(&self, key: Count) -> u32 {
        if self.wrong.len() >= REMEMBERED_MAX {
            self.wrong.retain(|_, (_, since)| since.elapsed() < WINDOW);
        }
        if self.wrong.len() >= REMEMBERED_MAX {
            self.wrong.clear();
        }
        let mut entry = self.wrong.entry(key).or_insert((0, Instant::now()));
        if entry.1.elapsed() >= WINDOW {
            *entry = (0, Instant::now());
        }
        entry.0 += 1;
        entry.0
    }
}

/// What a right password leads to.
pub enum Entered {
    /// A session, by its cookie.
    In(Cookie<'static>),
    /// The second step, by the cookie that names it.
    Code(Cookie<'static>),
}

/// Checks e-mail and password, and lets in or waits for the code.
pub async fn sign_in(state: &AppState, request: &HttpRequest, email: &str, password: SecretString) -> Result<Entered, Problem> {
    let user = prove(state, request, email, password).await?;
    let by = By {
        actor: Actor::Person(user.id),
        name: user.name.clone(),
        source: request::client_address(request, &state.settings.server.trusted_proxies),
        request: request::current_id(),
    };
    let factor = state.config.second_factor(user.tenant, user.id).await;
    if factor
        .map_err(|error| refused("read a second factor", error))?
        .is_some_and(|factor| factor.confirmed)
    {
        return second_step::wait_for(state, &user).await.map(Entered::Code);
    }
    let (new, cookie) = session::fresh(state, request, &by, user.id);
    let begun = state.config.create_session(user.tenant, &by, &new).await;
    begun.map_err(|error| Problem::unavailable("begin a session", error))?;
    Ok(Entered::In(cookie))
}

/// The person whose e-mail and password these are. Every wrong try looks the same.
pub async fn prove(state: &AppState, request: &HttpRequest, email: &str, password: SecretString) -> Result<UserRow, Problem> {
    let address = request::client_address(request, &state.settings.server.trusted_proxies);
    let unchecked = |error| unchecked(error, address);
    // Before anything is looked up for it.
    state.passwords.have_room().map_err(unchecked)?;
    if let Some(address) = &address {
        state.limits.check_address(address)?;
        if let Some(seconds) = state
            .attempts
            .wait(&(Counted::AllAccounts, Some(*address)), state.settings.sign_in.address_attempts_max)
        {
            audit("authn.stuffing", Some(*address));
            return Err(Problem::new(Kind::TooMany, "Too many wrong tries from this address; wait a while.").retry_after(seconds));
        }
    }
    let key = (Counted::account(email), address);
    if let Some(seconds) = state.attempts.wait(&key, state.settings.sign_in.attempts_max) {
        audit("authn.lock", address);
        return Err(Problem::new(Kind::TooMany, "Too many wrong tries; wait a while.").retry_after(seconds));
    }
    let found = state
        .config
        .user_by_email(email.trim())
        .await
        .map_err(|error| Problem::unavailable("find a user", error))?;
    let usable = found.filter(|user| !user.disabled);
    let hash = usable.as_ref().map(|user| user.password_hash.clone());
    let known = usable.as_ref().map(|user| (user.tenant, user.id));
    let fits = state.passwords.fits(&password, hash).await.map_err(unchecked)?;
    let Some(user) = usable.filter(|_| fits) else {
        let wrong = state.attempts.note(key);
        state.attempts.note((Counted::AllAccounts, address));
        audit("authn.fail", address);
        if let Some((tenant, user)) = known {
            note_refusal(state, tenant, user, address, wrong);
        }
        return Err(Problem::new(Kind::Unauthenticated, "E-mail or password is wrong."));
    };
    state.attempts.wrong.remove(&key);
    // Said to those only whose password was right.
    if state.directory.borrow().is_suspended(user.tenant) {
        return Err(platform::suspended());
    }
    tracing::info!(target: "audit", event = "authn.ok", tenant = %user.tenant, user = %user.id, request_id = %request::current_id(), "the password is right");
    // Said to nobody but who knows the password (S-099). An owner keeps this way in, should the provider be away or set wrongly.
    let required = state.config.single_sign_on_required(user.tenant).await;
    if user.role != Some(Role::Owner) && required.map_err(|error| refused("read single sign-on", error))? {
        let detail = "Your organisation lets people in by its own sign-in: sign in with your company.";
        return Err(Problem::new(Kind::CompanySignIn, detail));
    }
    Ok(user)
}

/// Refuses unless this is the person's password: for what somebody at an open screen must not be able to do (S-117).
pub async fn prove_again(state: &AppState, caller: &Caller, person: &Person, password: &SecretString) -> Result<(), Problem> {
    let refused = || Problem::new(Kind::FreshSignIn, "Type your password to do this.");
    let key = (Counted::account(&person.email), caller.source);
    if let Some(seconds) = state.attempts.wait(&key, state.settings.sign_in.attempts_max) {
        audit("authn.lock", caller.source);
        return Err(Problem::new(Kind::TooMany, "Too many wrong tries; wait a while.").retry_after(seconds));
    }
    let found = state.config.user_by_email(&person.email).await;
    let hash = found
        .map_err(|error| Problem::unavailable("find a user", error))?
        .map(|user| user.password_hash);
    let fits = state.passwords.fits(password, hash).await;
    if fits.map_err(|error| unchecked(error, caller.source))? {
        return Ok(());
    }
    let wrong = state.attempts.note(key);
    tracing::info!(target: "audit", event = "authz.stepup", tenant = %caller.tenant, user = %person.user, request_id = %request::current_id(), "refused");
    note_refusal(state, person.home, person.user, caller.source, wrong);
    Err(refused())
}

fn unchecked(error: PasswordError, source: Option<IpAddr>) -> Problem {
    match error {
        PasswordError::Length => Problem::field("/password", "length", error.to_string()),
        PasswordError::Busy => {
            audit("authn.busy", source);
            Problem::new(Kind::TooMany, "Many people sign in at this moment; try again.").retry_after(2)
        }
        PasswordError::Hashing(_) => Problem::internal("check a password", error),
    }
}

/// Ends the caller's session; gives the cookie that makes the browser forget it.
pub async fn sign_out(state: &AppState, caller: &Caller) -> Result<Option<Cookie<'static>>, Problem> {
    let Some(person) = caller.person() else { return Ok(None) };
    let cookie = session::end(state, caller, person)
        .await
        .map_err(|error| Problem::unavailable("end a session", error))?;
    tracing::info!(target: "audit", event = "authn.out", tenant = %caller.tenant, user = %person.user, request_id = %request::current_id(), "signed out");
    Ok(Some(cookie))
}

/// Notes a wrong password of a known account, after the answer: waiting for Postgres would tell known accounts from unknown ones (S-099).
fn note_refusal(state: &AppState, tenant: TenantId, user: UserId, source: Option<IpAddr>, wrong: u32) {
    let by = By {
        actor: Actor::Visitor,
        name: String::new(),
        source,
        request: request::current_id(),
    };
    let (config, most) = (state.config.clone(), state.settings.sign_in.attempts_max);
    actix_web::rt::spawn(async move {
        let mut deeds = vec![Deed::plain("session.refuse", "user", user)];
        // Once, when the account begins to wait; not for each try that is turned away meanwhile.
        if wrong == most {
            deeds.push(Deed::plain("session.lock", "user", user));
        }
        for deed in &deeds {
            if let Err(error) = config.note_deed(tenant, &by, deed).await {
                tracing::error!(target: "audit", event = "audit.lost", action = deed.action, %error, "a refused sign-in is in the log only");
            }
        }
    });
}

fn audit(event: &'static str, source: Option<IpAddr>) {
    tracing::warn!(target: "audit", event, ?source, request_id = %request::current_id(), "sign-in refused");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_tries_from_one_address_do_not_lock_another() {
        let attempts = Attempts::default();
        let here = (Counted::Account([1; 32]), Some(IpAddr::from([127, 0, 0, 1])));
        let there = (Counted::Account([1; 32]), Some(IpAddr::from([192, 0, 2, 1])));
        for _ in 0..3 {
            assert_eq!(attempts.wait(&here, 3), None);
            let _ = attempts.note(here);
        }
        assert!(attempts.wait(&here, 3).is_some_and(|seconds| seconds <= 901));
        assert_eq!(attempts.wait(&there, 3), None);
    }

    #[test]
    fn wrong_passwords_and_mails_that_were_asked_for_are_counted_apart() {
        let attempts = Attempts::default();
        let here = Some(IpAddr::from([127, 0, 0, 1]));
        for _ in 0..3 {
            let _ = attempts.note((Counted::AllAccounts, here));
        }
        assert_eq!(attempts.wait_for_mail(here, 3), None);
        for _ in 0..3 {
            attempts.note_mail(here);
        }
        assert!(attempts.wait_for_mail(here, 3).is_some());
        assert_eq!(attempts.wait(&(Counted::AllAccounts, here), 4), None, "three, not six");
    }
}

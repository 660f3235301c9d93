//! Signing in with the provider of one's company (OpenID Connect). What was begun waits in a sealed cookie of the browser that began it.

use actix_web::HttpRequest;
use actix_web::cookie::time::Duration as CookieDuration;
use actix_web::cookie::{Cookie, SameSite};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use trunkline_connectors::oidc::{Attempt, Identity, OidcError, Registration};
use trunkline_core::audit::{Actor, By, Deed};
use trunkline_core::id::TenantId;
use trunkline_stores::keyring::Place;
use trunkline_stores::postgres::config::single_sign_on::{Arrival, Arrived, MailDomain, SingleSignOn};
use uuid::Uuid;

use super::platform;
use super::session::{self, now};
use crate::configure::{NAME_CHARS, refused};
use crate::error::Problem;
use crate::request;
use crate::state::AppState;

/// Over https, and over http on loopback.
const COOKIE_SECURE: &str = "__Host-trunkline_company";
const COOKIE_PLAIN: &str = "trunkline_company";

/// How long somebody has for signing in at their provider.
const LASTS_SECONDS: i64 = 10 * 60;

/// Where providers send people back to; to be registered there.
pub const RETURN: &str = "/signin/company/return";

/// Why nobody came in.
#[derive(Debug)]
pub enum Refusal {
    /// Said to the person, by the key of a text.
    Told(&'static str),
    /// A failure of ours.
    Failed(Problem),
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Refusal {
        Refusal::Failed(problem)
    }
}

/// What waits in the cookie.
#[derive(Serialize, Deserialize)]
struct Waiting {
    issuer: String,
    state: String,
    nonce: String,
    verifier: String,
    begun: i64,
    next: String,
}

/// What a provider sends back in the address.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Returned {
    code: String,
    state: String,
    iss: String,
    error: String,
}

/// The organisation whose provider an address leads to, by its domain alone, so that it says nothing of single people (S-099).
pub async fn organisation_of(state: &AppState, email: &str) -> Result<Option<TenantId>, Problem> {
    let Some((_, domain)) = email.trim().rsplit_once('@') else {
        return Ok(None);
    };
    let found = state.config.single_sign_on_of(domain).await;
    found.map_err(|error| refused("find single sign-on", error))
}

/// Begins: where the browser goes, and the cookie that it comes back with.
pub async fn begin(state: &AppState, request: &HttpRequest, tenant: TenantId, next: &str) -> Result<(String, Cookie<'static>), Refusal> {
    check_address(state, request)?;
    let company = provider(state, tenant).await?.ok_or(Refusal::Told("company-unknown"))?;
    let attempt = Attempt::fresh(now().0 / 1_000);
    let back = return_address(state);
    let address = state.oidc.begin(&registration(&company, &back), &attempt, None).await;
    let address = address.map_err(|error| away(tenant, &error))?;
    let waiting = Waiting {
        issuer: company.issuer,
        state: attempt.state,
        nonce: attempt.nonce,
        verifier: attempt.verifier,
        begun: attempt.begun,
        next: next.to_owned(),
    };
    let text = serde_json::to_string(&waiting).map_err(|error| Problem::internal("keep a sign-in", error))?;
    let id = Uuid::new_v4();
    let sealed = state.config.keyring().seal(&place(tenant, id), &SecretString::from(text));
    let cookie = cookie(state, format!("{tenant}.{id}.{sealed}"), CookieDuration::seconds(LASTS_SECONDS));
    Ok((address, cookie))
}

/// The cookie that makes the browser forget what was begun.
pub fn forget(state: &AppState) -> Cookie<'static> {
    cookie(state, String::new(), CookieDuration::ZERO)
}

/// Ends: the session of whoever came back, and where they wanted to go.
pub async fn finish(state: &AppState, request: &HttpRequest, returned: &Returned) -> Result<(Cookie<'static>, String), Refusal> {
    let source = check_address(state, request)?;
    let (tenant, waiting) = waiting(state, request).ok_or_else(|| rejected("no sign-in was begun"))?;
    // Compared by their hashes, so that nothing can be told from how long it takes.
    let same = |a: &str, b: &str| Sha256::digest(a.as_bytes()) == Sha256::digest(b.as_bytes());
    if returned.state.is_empty() || !same(&returned.state, &waiting.state) {
        return Err(rejected("another state"));
    }
    if !returned.iss.is_empty() && returned.iss != waiting.issuer {
        return Err(rejected("another issuer"));
    }
    if !returned.error.is_empty() || returned.code.is_empty() {
        return Err(rejected("the provider let nobody in"));
    }
    let company = provider(state, tenant).await?.filter(|company| company.issuer == waiting.issuer);
    let company = company.ok_or_else(|| rejected("another provider by now"))?;
    let attempt = Attempt {
        state: waiting.state,
        nonce: waiting.nonce,
        verifier: waiting.verifier,
        begun: waiting.begun,
    };
    let back = return_address(state);
    let came = state
        .oidc
        .finish(&registration(&company, &back), &attempt, &returned.code, now().0 / 1_000)
        .await;
    let identity = came.map_err(|error| away(tenant, &error))?;
    let by = By {
        actor: Actor::Visitor,
        name: name(&identity),
        source,
        request: request::current_id(),
    };
    let domains = state.config.mail_domains(tenant).await;
    let domains = domains.map_err(|error| refused("read mail domains", error))?;
    let Some(email) = ours(&domains, &identity) else {
        return Err(turned_away(state, tenant, &by, "company-unverified").await);
    };
    let arrival = Arrival {
        issuer: &company.issuer,
        client_id: &company.client_id,
        subject: &identity.subject,
        email: &email,
        name: &by.name,
    };
    let mut made = None;
    let arrived = state.config.arrive(tenant, &by, &arrival, now(), |user| {
        let (new, cookie) = session::fresh(state, request, &by, user);
        made = Some(cookie);
        new
    });
    let why = match arrived.await.map_err(|error| refused("sign in by single sign-on", error))? {
        Arrived::In(user) => {
            tracing::info!(target: "audit", event = "authn.ok", %tenant, %user, request_id = %request::current_id(), "signed in by single sign-on");
            let cookie = made.ok_or_else(|| Problem::internal("begin a session", "none was made"))?;
            return Ok((cookie, waiting.next));
        }
        Arrived::Changed => "company-wrong",
        Arrived::Disabled => "company-disabled",
        Arrived::Uninvited => "company-uninvited",
        Arrived::Otherwise => "company-otherwise",
        Arrived::Elsewhere => "company-elsewhere",
    };
    Err(turned_away(state, tenant, &by, why).await)
}

/// The address, if the provider has made sure of it and it is of a domain that the organisation has proved to be its own.
fn ours(domains: &[MailDomain], identity: &Identity) -> Option<String> {
    let email = identity.email.as_deref().filter(|_| identity.email_verified)?.trim().to_lowercase();
    let (_, domain) = email.rsplit_once('@')?;
    let proved = |of: &MailDomain| of.proved.is_some() && of.domain == domain;
    domains.iter().any(proved).then_some(email)
}

/// A name for lists: what the provider calls them, else their address up to the @.
fn name(identity: &Identity) -> String {
    let address = identity.email.as_deref().and_then(|email| email.split('@').next());
    let told = identity.name.as_deref().map(str::trim).filter(|name| !name.is_empty()).or(address);
    let plain = told.unwrap_or("?").chars().filter(|c| !c.is_control());
    plain.take(NAME_CHARS).collect()
}

async fn provider(state: &AppState, tenant: TenantId) -> Result<Option<SingleSignOn>, Problem> {
    if state.directory.borrow().is_suspended(tenant) {
        return Err(platform::suspended());
    }
    let found = state.config.single_sign_on(tenant).await;
    found.map_err(|error| refused("read single sign-on", error))
}

fn registration<'a>(company: &'a SingleSignOn, back: &'a str) -> Registration<'a> {
    Registration {
        issuer: &company.issuer,
        client_id: &company.client_id,
        client_secret: &company.client_secret,
        redirect_uri: back,
    }
}

/// Where providers send people back to, in full.
pub fn return_address(state: &AppState) -> String {
    format!("{}{RETURN}", state.settings.server.origin())
}

fn check_address(state: &AppState, request: &HttpRequest) -> Result<Option<std::net::IpAddr>, Problem> {
    let source = request::client_address(request, &state.settings.server.trusted_proxies);
    if let Some(source) = &source {
        state.limits.check_address(source)?;
    }
    Ok(source)
}

fn rejected(why: &'static str) -> Refusal {
    tracing::warn!(target: "audit", event = "oauth.reject", why, request_id = %request::current_id(), "sign-in by single sign-on refused");
    Refusal::Told("company-wrong")
}

fn away(tenant: TenantId, error: &OidcError) -> Refusal {
    tracing::warn!(target: "audit", event = "oauth.reject", %tenant, why = %error, request_id = %request::current_id(), "sign-in by single sign-on refused");
    Refusal::Told(match error {
        OidcError::Refused(_) | OidcError::Answered(400..500, _) => "company-wrong",
        _ => "company-away",
    })
}

/// Somebody whom the provider knows and who does not come in: noted, so that an owner sees whom to invite.
async fn turned_away(state: &AppState, tenant: TenantId, by: &By, why: &'static str) -> Refusal {
    tracing::warn!(target: "audit", event = "oauth.reject", %tenant, why, request_id = %request::current_id(), "sign-in by single sign-on refused");
    let deed = Deed::plain("single_sign_on.refuse", "organisation", tenant).after(&serde_json::json!({ "why": why }));
    match state.config.note_deed(tenant, by, &deed).await {
        Ok(()) => Refusal::Told(why),
        Err(error) => Refusal::Failed(refused("note a deed", error)),
    }
}

fn waiting(state: &AppState, request: &HttpRequest) -> Option<(TenantId, Waiting)> {
    let cookie = request.cookie(cookie_name(state))?;
    let mut parts = cookie.value().splitn(3, '.');
    let tenant: TenantId = parts.next()?.parse().ok()?;
    let id: Uuid = parts.next()?.parse().ok()?;
    let opened = state.config.keyring().open(&place(tenant, id), parts.next()?).ok()?;
    let waiting: Waiting = serde_json::from_str(opened.expose_secret()).ok()?;
    (now().0 / 1_000 - waiting.begun < LASTS_SECONDS).then_some((tenant, waiting))
}

fn place(tenant: TenantId, row: Uuid) -> Place {
    Place {
        tenant,
        column: "single_sign_on.waiting",
        row,
    }
}

fn cookie_name(state: &AppState) -> &'static str {
    if state.settings.server.secure() {
        COOKIE_SECURE
    } else {
        COOKIE_PLAIN
    }
}

fn cookie(state: &AppState, value: String, lifetime: CookieDuration) -> Cookie<'static> {
    Cookie::build(cookie_name(state), value)
        .path("/")
        .http_only(true)
        .secure(state.settings.server.secure())
        // It has to come back from the provider's site.
        .same_site(SameSite::Lax)
        .max_age(lifetime)
        .finish()
}

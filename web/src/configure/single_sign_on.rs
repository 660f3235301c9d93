//! The provider that an organisation's people sign in at.

use secrecy::{ExposeSecret, SecretString};
use trunkline_connectors::oidc::OidcError;
use trunkline_core::access::{Access, Permission, Role};
use trunkline_stores::postgres::config::single_sign_on::SingleSignOn;

use super::{Wrong, refused};
use crate::error::{Kind, Problem};
use crate::identity::Caller;
use crate::identity::session::now;
use crate::state::AppState;

/// Mail domains of one organisation.
const DOMAINS_MAX: usize = 20;

/// Domains where everybody gets an address: no organisation's.
const PUBLIC_DOMAINS: [&str; 12] = [
    "gmail.com",
    "googlemail.com",
    "outlook.com",
    "hotmail.com",
    "live.com",
    "yahoo.com",
    "icloud.com",
    "aol.com",
    "gmx.de",
    "gmx.net",
    "web.de",
    "proton.me",
];

/// A provider to be set.
#[derive(Debug, Clone, Default)]
pub struct Draft {
    /// Who it is.
    pub issuer: String,
    /// Our name there.
    pub client_id: String,
    /// And our secret; none: the one that is kept stays.
    pub client_secret: Option<SecretString>,
    /// Mail domains.
    pub domains: Vec<String>,
    /// Passwords are for owners only.
    pub required: bool,
    /// The role of newcomers, in a word.
    pub first_role: Option<String>,
}

/// The provider, if there is one.
pub async fn find(state: &AppState, caller: &Caller) -> Result<Option<SingleSignOn>, Problem> {
    caller.needs(Permission::Organisation)?;
    let found = state.config.single_sign_on(caller.tenant).await;
    found.map_err(|error| refused("read single sign-on", error))
}

/// Sets the provider. It is asked for what it offers at once, so that a mistake shows here and not when people want to sign in.
pub async fn set(state: &AppState, caller: &Caller, draft: Draft) -> Result<SingleSignOn, Problem> {
    let before = find(state, caller).await?;
    let mut wrong = Wrong::default();
    let issuer = draft.issuer.trim().to_owned();
    let client_id = draft.client_id.trim().to_owned();
    if client_id.is_empty() || client_id.len() > 255 {
        wrong.field("/client_id", "empty", "Write the client id that the provider has given you.");
    }
    let typed = draft.client_secret.filter(|secret| !secret.expose_secret().is_empty());
    // A secret that is kept is for the provider it was given by: another one must not get it.
    let kept = before.filter(|before| before.issuer == issuer).map(|before| before.client_secret);
    let client_secret = typed.or(kept);
    if client_secret.as_ref().is_none_or(|secret| secret.expose_secret().len() > 1_000) {
        wrong.field(
            "/client_secret",
            "empty",
            "Write the client secret that the provider has given you.",
        );
    }
    let domains = domains(&draft.domains, &mut wrong);
    let first_role = first_role(draft.first_role.as_deref(), &mut wrong);
    if issuer.is_empty() || issuer.len() > 500 || issuer.contains(['?', '#']) {
        wrong.field(
            "/issuer",
            "bad_issuer",
            "Write the issuer as the provider names it, such as https://login.example.com.",
        );
    } else if wrong.is_empty()
        && let Err(error) = state.oidc.discover(&issuer).await
    {
        let (code, detail) = unusable(&error);
        wrong.field("/issuer", code, detail);
    }
    wrong.end()?;
    if let Some(role) = first_role
        && !caller.access.covers(&Access::of_person(Some(role), &[]))
    {
        return Err(Problem::new(
            Kind::Forbidden,
            "Newcomers would be allowed something that you are not.",
        ));
    }
    let new = SingleSignOn {
        issuer,
        client_id,
        client_secret: client_secret.unwrap_or_default(),
        required: draft.required,
        first_role,
        domains,
        changed_at: now(),
    };
    let set = state.config.put_single_sign_on(caller.tenant, &caller.by(), &new).await;
    set.map_err(|error| refused("set single sign-on", error))?;
    Ok(new)
}

/// Takes the provider away.
pub async fn remove(state: &AppState, caller: &Caller) -> Result<(), Problem> {
    caller.needs(Permission::Organisation)?;
    let removed = state.config.remove_single_sign_on(caller.tenant, &caller.by()).await;
    removed.map_err(|error| refused("take single sign-on away", error))
}

fn unusable(error: &OidcError) -> (&'static str, String) {
    let code = match error {
        OidcError::Blocked(_) => "blocked_address",
        OidcError::OtherIssuer => "other_issuer",
        _ => "no_provider",
    };
    if let OidcError::Blocked(_) = error {
        tracing::info!(target: "audit", event = "ssrf.block", request_id = %crate::request::current_id(), "refused");
    }
    let text = error.to_string();
    (code, format!("{}{}.", text[..1].to_uppercase(), &text[1..]))
}

fn domains(typed: &[String], wrong: &mut Wrong) -> Vec<String> {
    let mut domains: Vec<String> = typed
        .iter()
        .map(|domain| domain.trim().trim_start_matches('@').to_lowercase())
        .filter(|domain| !domain.is_empty())
        .collect();
    domains.sort_unstable();
    domains.dedup();
    if domains.is_empty() || domains.len() > DOMAINS_MAX {
        let detail = format!("Name 1 to {DOMAINS_MAX} mail domains of your organisation.");
        wrong.field("/domains", "empty", detail);
    }
    let is_domain = |domain: &str| {
        let plain = |label: &str| !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        domain.len() <= 253 && domain.contains('.') && domain.split('.').all(plain)
    };
    if let Some(bad) = domains.iter().find(|domain| !is_domain(domain)) {
        wrong.field("/domains", "bad_domain", format!("{bad} is no domain; write it like example.com."));
    }
    if let Some(public) = domains.iter().find(|domain| PUBLIC_DOMAINS.contains(&domain.as_str())) {
        let detail = format!("Everybody can get an address of {public}; name domains that are your organisation's alone.");
        wrong.field("/domains", "public_domain", detail);
    }
    domains
}

fn first_role(word: Option<&str>, wrong: &mut Wrong) -> Option<Role> {
    let word = word.filter(|word| !word.is_empty())?;
    let role = word.parse::<Role>().ok().filter(|role| *role != Role::Owner);
    if role.is_none() {
        wrong.field(
            "/first_role",
            "bad_role",
            "Newcomers can be admin, supervisor, analyst or viewer, or have to be invited.",
        );
    }
    role
}

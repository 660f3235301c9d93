//! Single sign-on: the provider of the organisation.

use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use secrecy::SecretString;
use serde::Deserialize;
use trunkline_core::access::{Permission, Role};
use trunkline_stores::postgres::config::single_sign_on::{MailDomain, Proof};

use super::{Done, SideItem, Wrong, go, shell, side};
use crate::api::single_sign_on::sign_in_url;
use crate::configure::mail_domains;
use crate::configure::single_sign_on::{self, Draft};
use crate::error::Problem;
use crate::identity::{Caller, company};
use crate::pages::shell::Shell;
use crate::pages::{format, html};
use crate::state::AppState;

/// The page's address.
const HERE: &str = "/settings/single-sign-on";

struct RoleChoice {
    id: &'static str,
    name: String,
    selected: bool,
}

/// A mail domain.
struct DomainLine {
    domain: String,
    /// Mark.
    mark: &'static str,
    /// State in words.
    state: String,
    /// What the last look found, and when.
    looked: String,
    /// The record that is still to be made; empty when it is proved.
    record_name: String,
    record_value: String,
}

/// The page.
#[derive(Template)]
#[template(path = "settings/single_sign_on.html")]
pub struct SingleSignOnPage {
    s: Shell,
    side: Vec<SideItem>,
    done: String,
    wrong: Wrong,
    /// There is a provider.
    set: bool,
    issuer: String,
    client_id: String,
    domains: String,
    lines: Vec<DomainLine>,
    /// A domain waits for its proof.
    waits: bool,
    required: bool,
    roles: Vec<RoleChoice>,
    redirect_uri: String,
    sign_in_url: String,
}

/// What the form carries.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Filled {
    form_token: String,
    issuer: String,
    client_id: String,
    client_secret: SecretString,
    domains: String,
    first_role: String,
    required: String,
}

/// `GET /settings/single-sign-on`.
pub async fn show(
    caller: Caller,
    request: HttpRequest,
    state: web::Data<AppState>,
    done: web::Query<Done>,
) -> Result<HttpResponse, Problem> {
    let found = single_sign_on::find(&state, &caller).await?;
    let s = shell(&request, &state, &caller, "set-single-sign-on", HERE)?;
    let said = done.said(&s);
    let set = found.is_some();
    let shown = found.map_or_else(Filled::default, |found| Filled {
        issuer: found.issuer,
        client_id: found.client_id,
        domains: found.domains.join(" "),
        first_role: found.first_role.map(Role::as_str).unwrap_or_default().to_owned(),
        required: if found.required { "1".to_owned() } else { String::new() },
        ..Filled::default()
    });
    page(&state, &caller, s, (said, Wrong::default()), set, shown).await
}

/// `POST /settings/single-sign-on`.
pub async fn save(
    caller: Caller,
    request: HttpRequest,
    state: web::Data<AppState>,
    form: web::Form<Filled>,
) -> Result<HttpResponse, Problem> {
    caller.needs(Permission::Organisation)?;
    caller.check_form(&form.form_token)?;
    let form = form.into_inner();
    let draft = Draft {
        issuer: form.issuer.clone(),
        client_id: form.client_id.clone(),
        client_secret: Some(form.client_secret.clone()),
        domains: form.domains.split([' ', ',', '\n', '\r', '\t']).map(str::to_owned).collect(),
        required: !form.required.is_empty(),
        first_role: Some(form.first_role.clone()),
    };
    match single_sign_on::set(&state, &caller, draft).await {
        Ok(_) => Ok(go(&format!("{HERE}?done=single-sign-on-set"))),
        Err(problem) => {
            let s = shell(&request, &state, &caller, "set-single-sign-on", HERE)?;
            let wrong = Wrong::of(&problem, &s);
            let set = single_sign_on::find(&state, &caller).await?.is_some();
            page(&state, &caller, s, (String::new(), wrong), set, form).await
        }
    }
}

/// `POST /settings/single-sign-on/check`.
pub async fn check(caller: Caller, state: web::Data<AppState>, form: web::Form<Filled>) -> Result<HttpResponse, Problem> {
    caller.needs(Permission::Organisation)?;
    caller.check_form(&form.form_token)?;
    let found = mail_domains::check(&state, &caller).await?;
    let done = match found.iter().all(|of| of.proved.is_some()) {
        true => "single-sign-on-proved",
        false => "single-sign-on-looked",
    };
    Ok(go(&format!("{HERE}?done={done}")))
}

/// `POST /settings/single-sign-on/remove`.
pub async fn remove(caller: Caller, state: web::Data<AppState>, form: web::Form<Filled>) -> Result<HttpResponse, Problem> {
    caller.needs(Permission::Organisation)?;
    caller.check_form(&form.form_token)?;
    single_sign_on::remove(&state, &caller).await?;
    Ok(go(&format!("{HERE}?done=single-sign-on-removed")))
}

fn line(of: &MailDomain, s: &Shell) -> DomainLine {
    let clock = |at| format::full(at, &s.zone);
    let looked = of.looked.filter(|_| of.proved.is_none());
    let (mark, state) = match of.proved {
        Some((at, Proof::Dns)) => ("ok", s.l.t1("sso-proved", "time", clock(at))),
        Some((at, Proof::Operator)) => ("ok", s.l.t1("sso-proved-operator", "time", clock(at))),
        None => ("watch", s.l.t("sso-waiting")),
    };
    DomainLine {
        domain: of.domain.clone(),
        mark,
        state,
        looked: looked.map_or_else(String::new, |(at, seen)| {
            let found = s.l.t(&format!("sso-found-{}", seen.as_str()));
            s.l.t2("sso-looked", ("time", clock(at)), ("words", found))
        }),
        record_name: if of.proved.is_none() {
            mail_domains::record_name(of)
        } else {
            String::new()
        },
        record_value: mail_domains::record_value(of),
    }
}

async fn page(
    state: &AppState,
    caller: &Caller,
    s: Shell,
    (done, wrong): (String, Wrong),
    set: bool,
    form: Filled,
) -> Result<HttpResponse, Problem> {
    let lines: Vec<DomainLine> = match set {
        true => mail_domains::all(state, caller).await?.iter().map(|of| line(of, &s)).collect(),
        false => Vec::new(),
    };
    let invited = RoleChoice {
        id: "",
        name: s.l.t("sso-invited-only"),
        selected: form.first_role.is_empty(),
    };
    let role = |role: &Role| RoleChoice {
        id: role.as_str(),
        name: s.l.t(&format!("role-{}", role.as_str())),
        selected: form.first_role == role.as_str(),
    };
    let roles = Role::ALL.iter().filter(|role| **role != Role::Owner).rev().map(role);
    let roles = [invited].into_iter().chain(roles).collect();
    html(
        wrong.status(),
        &SingleSignOnPage {
            side: side(&s),
            done,
            wrong,
            set,
            issuer: form.issuer,
            client_id: form.client_id,
            domains: form.domains,
            waits: lines.iter().any(|line| !line.record_name.is_empty()),
            lines,
            required: !form.required.is_empty(),
            roles,
            redirect_uri: company::return_address(state),
            sign_in_url: sign_in_url(state, caller.tenant),
            s,
        },
    )
}

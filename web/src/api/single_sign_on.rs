//! `/v1/single-sign-on`: the provider that an organisation's people sign in at.

use actix_web::{HttpResponse, delete, get, post, put, web};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use trunkline_core::access::Role;
use trunkline_core::id::TenantId;
use trunkline_stores::postgres::config::single_sign_on::{MailDomain, SingleSignOn};
use utoipa::ToSchema;

use super::form::{json, moment};
use crate::configure::mail_domains;
use crate::configure::single_sign_on::{self, Draft};
use crate::error::{Problem, Written};
use crate::identity::{Caller, company};
use crate::state::AppState;

/// A provider of OpenID Connect; its secret is never shown.
#[derive(Debug, Serialize, ToSchema)]
pub struct SingleSignOnForm {
    /// Always `single_sign_on`.
    pub object: &'static str,
    /// Who it is.
    pub issuer: String,
    /// Our name there.
    pub client_id: String,
    /// Mail domains whose addresses lead there, once they are proved, and that people must have an address of.
    pub domains: Vec<String>,
    /// How far each of them is proved.
    pub domain_proofs: Vec<DomainProof>,
    /// Passwords are for owners only, from when a domain is proved.
    pub required: bool,
    /// Role of somebody who comes for the first time and was not invited; null: they do not come in.
    pub first_role: Option<&'static str>,
    /// To be registered at the provider.
    pub redirect_uri: String,
    /// Where people of this organisation can begin.
    pub sign_in_url: String,
    /// When it was changed.
    pub changed_at: Option<String>,
}

/// A mail domain, and how it is proved to be the organisation's own: by a TXT record in its DNS.
#[derive(Debug, Serialize, ToSchema)]
pub struct DomainProof {
    /// Which one.
    pub domain: String,
    /// `waiting` or `proved`.
    pub state: &'static str,
    /// Name of the record; the domain itself does as well.
    pub record_name: String,
    /// What it says.
    pub record_value: String,
    /// Since when it is proved.
    pub proved_at: Option<String>,
    /// `dns`, or `operator`: whoever runs the installation said so.
    pub proved_by: Option<&'static str>,
    /// When it was last looked.
    pub looked_at: Option<String>,
    /// What was there: `record`, `nothing`, `other` (a record of ours that says something else), `no_answer`, or `taken`: the record, and
    /// another organisation has proved the domain before.
    pub found: Option<&'static str>,
}

/// A provider to be set.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SingleSignOnDraft {
    /// Who it is, as it names itself.
    pub issuer: String,
    /// Our name there.
    pub client_id: String,
    /// And our secret; null: the one that is kept for this issuer stays.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub client_secret: Option<SecretString>,
    /// Mail domains of the organisation.
    pub domains: Vec<String>,
    /// Passwords are for owners only.
    #[serde(default)]
    pub required: bool,
    /// `admin`, `supervisor`, `analyst` or `viewer`; null: people have to be invited.
    #[serde(default)]
    pub first_role: Option<String>,
}

/// The provider of the organisation.
#[utoipa::path(tag = "people", operation_id = "getSingleSignOn",
    responses((status = 200, description = "The provider", body = SingleSignOnForm), (status = 401, description = "No credential", body = Written),
    (status = 403, description = "Not allowed", body = Written), (status = 404, description = "There is none", body = Written)))]
#[get("/v1/single-sign-on")]
pub async fn show(caller: Caller, state: web::Data<AppState>) -> Result<web::Json<SingleSignOnForm>, Problem> {
    let found = single_sign_on::find(&state, &caller).await?.ok_or_else(Problem::not_found)?;
    let domains = mail_domains::all(&state, &caller).await?;
    Ok(web::Json(SingleSignOnForm::of(&state, caller.tenant, found, &domains)))
}

/// Sets the provider; it is asked at once what it offers, and refused when it does not answer as its issuer.
#[utoipa::path(tag = "people", operation_id = "setSingleSignOn", request_body = SingleSignOnDraft,
    responses((status = 200, description = "The provider", body = SingleSignOnForm), (status = 401, description = "No credential", body = Written),
    (status = 403, description = "Not allowed", body = Written), (status = 422, description = "A field that cannot be", body = Written)))]
#[put("/v1/single-sign-on")]
pub async fn set(caller: Caller, state: web::Data<AppState>, body: web::Bytes) -> Result<web::Json<SingleSignOnForm>, Problem> {
    caller.needs(trunkline_core::access::Permission::Organisation)?;
    let draft: SingleSignOnDraft = json(&body)?;
    let draft = Draft {
        issuer: draft.issuer,
        client_id: draft.client_id,
        client_secret: draft.client_secret,
        domains: draft.domains,
        required: draft.required,
        first_role: draft.first_role,
    };
    let made = single_sign_on::set(&state, &caller, draft).await?;
    let domains = mail_domains::all(&state, &caller).await?;
    Ok(web::Json(SingleSignOnForm::of(&state, caller.tenant, made, &domains)))
}

/// Looks now at the DNS of every mail domain that is not proved yet; those whose record is there are proved from then on.
#[utoipa::path(tag = "people", operation_id = "checkSingleSignOnDomains",
    responses((status = 200, description = "The provider, with what was found", body = SingleSignOnForm),
    (status = 401, description = "No credential", body = Written), (status = 403, description = "Not allowed", body = Written),
    (status = 404, description = "There is none", body = Written)))]
#[post("/v1/single-sign-on/check")]
pub async fn check(caller: Caller, state: web::Data<AppState>) -> Result<web::Json<SingleSignOnForm>, Problem> {
    let domains = mail_domains::check(&state, &caller).await?;
    let found = single_sign_on::find(&state, &caller).await?.ok_or_else(Problem::not_found)?;
    Ok(web::Json(SingleSignOnForm::of(&state, caller.tenant, found, &domains)))
}

/// Takes the provider away; everybody signs in with a password again, and who has none sets one by mail.
#[utoipa::path(tag = "people", operation_id = "removeSingleSignOn",
    responses((status = 204, description = "It is gone"), (status = 401, description = "No credential", body = Written),
    (status = 403, description = "Not allowed", body = Written), (status = 404, description = "There is none", body = Written)))]
#[delete("/v1/single-sign-on")]
pub async fn remove(caller: Caller, state: web::Data<AppState>) -> Result<HttpResponse, Problem> {
    single_sign_on::remove(&state, &caller).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Where people of an organisation can begin.
pub fn sign_in_url(state: &AppState, tenant: TenantId) -> String {
    format!("{}/signin/company/{tenant}", state.settings.server.origin())
}

impl SingleSignOnForm {
    fn of(state: &AppState, tenant: TenantId, found: SingleSignOn, domains: &[MailDomain]) -> SingleSignOnForm {
        SingleSignOnForm {
            object: "single_sign_on",
            issuer: found.issuer,
            client_id: found.client_id,
            domains: found.domains,
            domain_proofs: domains.iter().map(DomainProof::of).collect(),
            required: found.required,
            first_role: found.first_role.map(Role::as_str),
            redirect_uri: company::return_address(state),
            sign_in_url: sign_in_url(state, tenant),
            changed_at: moment(found.changed_at),
        }
    }
}

impl DomainProof {
    fn of(of: &MailDomain) -> DomainProof {
        DomainProof {
            domain: of.domain.clone(),
            state: if of.proved.is_some() { "proved" } else { "waiting" },
            record_name: mail_domains::record_name(of),
            record_value: mail_domains::record_value(of),
            proved_at: of.proved.and_then(|(at, _)| moment(at)),
            proved_by: of.proved.map(|(_, proof)| proof.as_str()),
            looked_at: of.looked.and_then(|(at, _)| moment(at)),
            found: of.looked.map(|(_, seen)| seen.as_str()),
        }
    }
}

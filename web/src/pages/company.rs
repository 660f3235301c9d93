//! Signing in with one's company: the address leads to its provider, and from there back.

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use serde::Deserialize;
use trunkline_core::id::TenantId;

use super::signin::{Wanted, go, local};
use crate::error::Problem;
use crate::identity::company::{self, Refusal, Returned};
use crate::pages::shell::{Place, Shell};
use crate::pages::{format, html};
use crate::state::AppState;

/// The page.
#[derive(Template)]
#[template(path = "company.html")]
pub struct CompanyPage {
    /// Frame.
    pub s: Shell,
    /// What was wrong, in words.
    pub wrong: String,
    /// What was typed.
    pub email: String,
    /// Where to go on.
    pub next: String,
    /// Where the browser goes by itself: a form may lead to no other site, a link may.
    pub on: String,
}

/// What the form carries.
#[derive(Deserialize)]
pub struct Filled {
    #[serde(default)]
    email: String,
    #[serde(default)]
    next: String,
}

/// `GET /signin/company`.
pub async fn show(request: HttpRequest, wanted: web::Query<Wanted>) -> Result<HttpResponse, Problem> {
    page(&request, StatusCode::OK, "", String::new(), &wanted.next, String::new())
}

/// `POST /signin/company`: which provider an address leads to.
pub async fn find(request: HttpRequest, state: web::Data<AppState>, form: web::Form<Filled>) -> Result<HttpResponse, Problem> {
    let Filled { email, next } = form.into_inner();
    match company::organisation_of(&state, &email).await? {
        Some(tenant) => {
            let on = format!("/signin/company/{tenant}?next={}", format::path_segment(local(&next)));
            page(&request, StatusCode::OK, "", email, &next, on)
        }
        None => page(
            &request,
            StatusCode::UNPROCESSABLE_ENTITY,
            "company-unknown",
            email,
            &next,
            String::new(),
        ),
    }
}

/// `GET /signin/company/{organisation}`: on to the provider.
pub async fn begin(
    request: HttpRequest,
    state: web::Data<AppState>,
    path: web::Path<String>,
    wanted: web::Query<Wanted>,
) -> Result<HttpResponse, Problem> {
    let tenant: TenantId = path.parse().map_err(|_| Problem::not_found())?;
    match company::begin(&state, &request, tenant, local(&wanted.next)).await {
        Ok((address, cookie)) => {
            let mut response = HttpResponse::SeeOther().insert_header((header::LOCATION, address)).finish();
            response
                .add_cookie(&cookie)
                .map_err(|error| Problem::internal("set the cookie of a sign-in", error))?;
            Ok(response)
        }
        Err(refusal) => refused(&request, refusal),
    }
}

/// `GET /signin/company/return`: back from the provider.
pub async fn finish(request: HttpRequest, state: web::Data<AppState>, returned: web::Query<Returned>) -> Result<HttpResponse, Problem> {
    let outcome = company::finish(&state, &request, &returned).await;
    let mut response = match &outcome {
        Ok((_, next)) => go(next),
        Err(Refusal::Told(key)) => refused(&request, Refusal::Told(key))?,
        Err(Refusal::Failed(problem)) => return Err(problem.clone()),
    };
    let session = outcome.ok().map(|(cookie, _)| cookie);
    for cookie in session.into_iter().chain([company::forget(&state)]) {
        response
            .add_cookie(&cookie)
            .map_err(|error| Problem::internal("set the session cookie", error))?;
    }
    Ok(response)
}

fn refused(request: &HttpRequest, refusal: Refusal) -> Result<HttpResponse, Problem> {
    match refusal {
        Refusal::Told(key) => page(request, StatusCode::FORBIDDEN, key, String::new(), "", String::new()),
        Refusal::Failed(problem) => Err(problem),
    }
}

fn page(request: &HttpRequest, status: StatusCode, wrong: &str, email: String, next: &str, on: String) -> Result<HttpResponse, Problem> {
    let s = Shell::new(request, Place::Nowhere, "company-title");
    let wrong = if wrong.is_empty() { String::new() } else { s.l.t(wrong) };
    let next = local(next).to_owned();
    html(status, &CompanyPage { s, wrong, email, next, on })
}

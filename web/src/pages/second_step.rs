//! The page that asks for the code of an authenticator app.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use super::signin::{Wanted, go, local};
use crate::error::{Kind, Problem};
use crate::identity::second_step;
use crate::pages::html;
use crate::pages::shell::{Place, Shell};
use crate::state::AppState;

/// The page.
#[derive(Template)]
#[template(path = "second_step.html")]
pub struct SecondStepPage {
    /// Frame.
    pub s: Shell,
    /// What was wrong, in words.
    pub wrong: String,
    /// Where to go on.
    pub next: String,
}

/// What the form carries.
#[derive(Deserialize)]
pub struct Filled {
    #[serde(default)]
    code: String,
    #[serde(default)]
    next: String,
}

/// `GET /signin/code`.
pub async fn show(request: HttpRequest, wanted: web::Query<Wanted>) -> Result<HttpResponse, Problem> {
    page(&request, "", &wanted.next, StatusCode::OK)
}

/// `POST /signin/code`.
pub async fn enter(request: HttpRequest, state: web::Data<AppState>, form: web::Form<Filled>) -> Result<HttpResponse, Problem> {
    let refused = match second_step::take(&state, &request, &form.code).await {
        Ok(cookies) => {
            let mut response = go(&form.next);
            for cookie in &cookies {
                response
                    .add_cookie(cookie)
                    .map_err(|error| Problem::internal("set the session cookie", error))?;
            }
            return Ok(response);
        }
        Err(refused) => refused,
    };
    match refused.kind() {
        Kind::SecondFactor => page(&request, "code-wrong", &form.next, StatusCode::UNPROCESSABLE_ENTITY),
        Kind::TooMany => page(&request, "code-slow", &form.next, StatusCode::TOO_MANY_REQUESTS),
        _ => Err(refused),
    }
}

fn page(request: &HttpRequest, wrong: &str, next: &str, status: StatusCode) -> Result<HttpResponse, Problem> {
    let s = Shell::new(request, Place::Nowhere, "code-title");
    let wrong = if wrong.is_empty() { String::new() } else { s.l.t(wrong) };
    let next = local(next).to_owned();
    html(status, &SecondStepPage { s, wrong, next })
}

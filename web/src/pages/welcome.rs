//! Pages for those who cannot sign in yet: accepting an invitation, and a password that was forgotten.
//!
//! The code of a link stands behind `#` and is put into the form by a script, or by hand where there are no scripts.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use secrecy::SecretString;
use serde::Deserialize;

use crate::error::{Kind, Problem};
use crate::identity::admission::{self, Acceptance};
use crate::pages::html;
use crate::pages::shell::{Place, Shell};
use crate::pages::signin::go;
use crate::state::AppState;

/// One of the three pages.
#[derive(Template)]
#[template(path = "welcome.html")]
pub struct WelcomePage {
    s: Shell,
    act: Act,
    wrong: String,
    email: String,
    name: String,
    code: String,
    /// Nothing more to do: what was said.
    done: String,
}

/// What the page is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Accepting an invitation.
    Accept,
    /// Asking for a mail.
    Forgot,
    /// Setting a password by that mail.
    Reset,
}

/// What the forms carry.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Filled {
    code: String,
    email: String,
    name: String,
    password: SecretString,
}

impl Act {
    fn title(self) -> &'static str {
        match self {
            Act::Accept => "accept-title",
            Act::Forgot => "forgot-title",
            Act::Reset => "reset-title",
        }
    }

    fn path(self) -> &'static str {
        match self {
            Act::Accept => "/invitation",
            Act::Forgot => "/forgot",
            Act::Reset => "/reset",
        }
    }

    fn is(&self, path: &str) -> bool {
        self.path() == path
    }
}

/// `GET /invitation`, `GET /forgot`, `GET /reset`.
pub async fn show(request: HttpRequest, state: web::Data<AppState>) -> Result<HttpResponse, Problem> {
    let act = [Act::Accept, Act::Forgot, Act::Reset]
        .into_iter()
        .find(|act| act.is(request.path()));
    let act = act.ok_or_else(Problem::not_found)?;
    let s = Shell::new(&request, Place::Nowhere, act.title());
    let done = match act {
        Act::Forgot if !state.settings.mail.is_set() => s.l.t("forgot-no-mail"),
        _ => String::new(),
    };
    page(StatusCode::OK, s, act, String::new(), done, Filled::default())
}

/// `POST /invitation`: makes the person and signs them in.
pub async fn accept(request: HttpRequest, state: web::Data<AppState>, form: web::Form<Filled>) -> Result<HttpResponse, Problem> {
    let form = form.into_inner();
    let acceptance = Acceptance {
        code: &form.code,
        email: &form.email,
        name: &form.name,
        password: form.password.clone(),
    };
    match admission::accept(&state, &request, acceptance).await {
        Ok(cookie) => {
            let mut response = go("/wall");
            response
                .add_cookie(&cookie)
                .map_err(|error| Problem::internal("set the session cookie", error))?;
            Ok(response)
        }
        Err(problem) => again(&request, Act::Accept, &problem, form),
    }
}

/// `POST /forgot`: the same answer for everybody, at once (S-099).
pub async fn forgot(request: HttpRequest, state: web::Data<AppState>, form: web::Form<Filled>) -> Result<HttpResponse, Problem> {
    let s = Shell::new(&request, Place::Nowhere, Act::Forgot.title());
    if !state.settings.mail.is_set() {
        let done = s.l.t("forgot-no-mail");
        return page(StatusCode::OK, s, Act::Forgot, String::new(), done, Filled::default());
    }
    if let Err(problem) = admission::forgot(&state, &request, &form.email, s.l.lang) {
        return again(&request, Act::Forgot, &problem, form.into_inner());
    }
    let done = s.l.t("forgot-done");
    page(StatusCode::OK, s, Act::Forgot, String::new(), done, Filled::default())
}

/// `POST /reset`: sets the password; signing in is left to the sign-in, with all that it asks for.
pub async fn reset(request: HttpRequest, state: web::Data<AppState>, form: web::Form<Filled>) -> Result<HttpResponse, Problem> {
    let form = form.into_inner();
    match admission::reset(&state, &request, &form.code, form.password.clone()).await {
        Ok(()) => {
            let s = Shell::new(&request, Place::Nowhere, Act::Reset.title());
            let done = s.l.t("reset-done");
            page(StatusCode::OK, s, Act::Reset, String::new(), done, Filled::default())
        }
        Err(problem) => again(&request, Act::Reset, &problem, form),
    }
}

/// The form once more, with what was wrong in words; nothing that was typed is lost but the password.
fn again(request: &HttpRequest, act: Act, problem: &Problem, form: Filled) -> Result<HttpResponse, Problem> {
    let s = Shell::new(request, Place::Nowhere, act.title());
    let code = problem.errors().first().map(|error| error.code.replace('_', "-"));
    let (status, key) = match (problem.kind(), code) {
        (Kind::Unprocessable, Some(code)) => (StatusCode::UNPROCESSABLE_ENTITY, format!("wrong-{code}")),
        (Kind::NotFound, _) => (StatusCode::NOT_FOUND, "wrong-code".to_owned()),
        (Kind::Conflict, _) => (StatusCode::CONFLICT, "wrong-has-account".to_owned()),
        (Kind::TooMany, _) => (StatusCode::TOO_MANY_REQUESTS, "sign-in-slow".to_owned()),
        _ => return Err(problem.clone()),
    };
    let wrong = s.l.or(&key, problem.detail());
    page(status, s, act, wrong, String::new(), form)
}

fn page(status: StatusCode, s: Shell, act: Act, wrong: String, done: String, form: Filled) -> Result<HttpResponse, Problem> {
    html(
        status,
        &WelcomePage {
            s,
            act,
            wrong,
            email: form.email,
            name: form.name,
            code: form.code,
            done,
        },
    )
}

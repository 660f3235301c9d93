//! Your account: name and password, where you are signed in, and the second step of signing in.

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use secrecy::SecretString;
use serde::Deserialize;
use trunkline_stores::postgres::PostgresError;
use trunkline_stores::postgres::config::second_factor::{Proof, Proved};
use uuid::Uuid;

use crate::configure::{profile, refused};
use crate::error::{Kind, Problem};
use crate::identity::session::now;
use crate::identity::{Caller, Person, second_factor, second_step, sign_in};
use crate::pages::settings::{Done, Wrong, go};
use crate::pages::shell::{Place, Shell};
use crate::pages::{device, format, frame, html};
use crate::state::AppState;

struct Device {
    id: String,
    words: String,
    source: String,
    since: String,
    seen_machine: String,
    seen: String,
    current: bool,
}

/// What the page shows of an app that is being set up.
struct SetUp {
    picture: String,
    secret: String,
}

/// The page.
#[derive(Template)]
#[template(path = "account.html")]
pub struct AccountPage {
    s: Shell,
    email: String,
    devices: Vec<Device>,
    others: bool,
    /// A second factor is in use.
    on: bool,
    /// Since when, and how many recovery codes are left, in words.
    about: String,
    /// The organisation demands one and there is none.
    demanded: bool,
    set_up: Option<SetUp>,
    /// Recovery codes, shown this once.
    codes: Vec<String>,
    /// What was wrong with the form of the second factor, in words.
    wrong: String,
    /// What was changed, in words.
    done: String,
    /// The name as typed.
    name: String,
    /// What was wrong with name or password, by field.
    refused: Wrong,
}

/// What the forms carry.
#[derive(Deserialize)]
pub struct Filled {
    #[serde(default)]
    form_token: String,
    #[serde(default)]
    code: String,
    #[serde(default)]
    password: SecretString,
    #[serde(default)]
    name: String,
    #[serde(default)]
    current_password: SecretString,
    #[serde(default)]
    new_password: SecretString,
}

/// What a page shows beside what is stored.
#[derive(Default)]
struct Shown {
    wrong: &'static str,
    codes: Vec<String>,
    set_up: bool,
    done: Done,
    name: Option<String>,
    refused: Option<Problem>,
}

/// `GET /account`.
pub async fn show(
    caller: Caller,
    request: HttpRequest,
    state: web::Data<AppState>,
    done: web::Query<Done>,
) -> Result<HttpResponse, Problem> {
    let shown = Shown {
        done: done.into_inner(),
        ..Shown::default()
    };
    page(&caller, &request, &state, shown).await
}

/// `POST /account/name`.
pub async fn rename(
    caller: Caller,
    request: HttpRequest,
    state: web::Data<AppState>,
    form: web::Form<Filled>,
) -> Result<HttpResponse, Problem> {
    allowed(&caller, &form)?;
    let asked = profile::rename(&state, &caller, &form.name).await.map(drop);
    told(&caller, &request, &state, asked, "name-saved", Some(form.name.clone())).await
}

/// `POST /account/password`: for the one in force, since whoever finds an open screen must not be able to do it (S-117).
pub async fn change_password(
    caller: Caller,
    request: HttpRequest,
    state: web::Data<AppState>,
    form: web::Form<Filled>,
) -> Result<HttpResponse, Problem> {
    allowed(&caller, &form)?;
    let Filled {
        current_password,
        new_password,
        ..
    } = form.into_inner();
    let asked = profile::change_password(&state, &caller, current_password, new_password).await;
    let asked = asked.map_err(|problem| match problem.kind() {
        Kind::FreshSignIn => Problem::field("/current_password", "password_wrong", problem.detail()),
        _ => problem,
    });
    told(&caller, &request, &state, asked, "password-saved", None).await
}

/// What became of a form about oneself: the page anew, or with what was wrong.
async fn told(
    caller: &Caller,
    request: &HttpRequest,
    state: &AppState,
    asked: Result<(), Problem>,
    done: &str,
    name: Option<String>,
) -> Result<HttpResponse, Problem> {
    match asked {
        Ok(()) => Ok(go(&format!("/account?done={done}"))),
        Err(problem) if problem.kind() == Kind::Unprocessable => {
            let shown = Shown {
                name,
                refused: Some(problem),
                ..Shown::default()
            };
            page(caller, request, state, shown).await
        }
        Err(problem) => Err(problem),
    }
}

/// `POST /account/sessions/{id}/end`.
pub async fn end_one(
    caller: Caller,
    state: web::Data<AppState>,
    path: web::Path<String>,
    form: web::Form<Filled>,
) -> Result<HttpResponse, Problem> {
    let person = allowed(&caller, &form)?;
    let id: Uuid = path.parse().map_err(|_| Problem::not_found())?;
    let ended = state.config.end_one_session(person.home, &caller.by(), person.user, id).await;
    ended.map_err(|error| refused("end a session", error))?;
    Ok(back())
}

/// `POST /account/sessions/end-others`.
pub async fn end_others(caller: Caller, state: web::Data<AppState>, form: web::Form<Filled>) -> Result<HttpResponse, Problem> {
    let person = allowed(&caller, &form)?;
    let kept = person.session.hash();
    let ended = state.config.end_other_sessions(person.home, &caller.by(), person.user, &kept).await;
    ended.map_err(|error| refused("end sessions", error))?;
    Ok(back())
}

/// `POST /account/second-factor`: begins to set an app up.
pub async fn begin(
    caller: Caller,
    request: HttpRequest,
    state: web::Data<AppState>,
    form: web::Form<Filled>,
) -> Result<HttpResponse, Problem> {
    let person = allowed(&caller, &form)?;
    let secret = second_factor::fresh();
    let begun = state.config.begin_second_factor(person.home, person.user, &secret, now()).await;
    begun.map_err(|error| refused("begin a second factor", error))?;
    let shown = Shown {
        set_up: true,
        ..Shown::default()
    };
    page(&caller, &request, &state, shown).await
}

/// `POST /account/second-factor/confirm`: the first code of the app. The answer shows the recovery codes, this once.
pub async fn confirm(
    caller: Caller,
    request: HttpRequest,
    state: web::Data<AppState>,
    form: web::Form<Filled>,
) -> Result<HttpResponse, Problem> {
    let person = allowed(&caller, &form)?;
    let (codes, hashes): (Vec<_>, Vec<_>) = second_factor::recovery_codes().into_iter().unzip();
    let at = now();
    let check = |secret: &SecretString| second_factor::step_of(secret, &form.code, at);
    let proved = state
        .config
        .confirm_second_factor(person.home, (&caller.by(), person.user), &Proof::Code(&check), &hashes, at)
        .await
        .map_err(|error| refused("confirm a second factor", error))?;
    let shown = match proved {
        Proved::Yes => Shown { codes, ..Shown::default() },
        Proved::Gone => return Ok(back()),
        Proved::Wrong => Shown {
            wrong: "code-wrong",
            set_up: true,
            ..Shown::default()
        },
        Proved::Wait(_) => return Err(second_step::refusal(proved)),
    };
    page(&caller, &request, &state, shown).await
}

/// `POST /account/second-factor/end`: with the password, since whoever finds an open screen must not be able to do it (S-117).
pub async fn end(
    caller: Caller,
    request: HttpRequest,
    state: web::Data<AppState>,
    form: web::Form<Filled>,
) -> Result<HttpResponse, Problem> {
    let person = allowed(&caller, &form)?;
    match sign_in::prove_again(&state, &caller, person, &form.password).await {
        Ok(()) => {}
        Err(problem) if problem.kind() == Kind::FreshSignIn => {
            let shown = Shown {
                wrong: "password-wrong",
                ..Shown::default()
            };
            return page(&caller, &request, &state, shown).await;
        }
        Err(problem) => return Err(problem),
    }
    let ended = state.config.end_second_factor(person.home, &caller.by(), person.user).await;
    match ended {
        Ok(()) | Err(PostgresError::Missing { .. }) => Ok(back()),
        Err(error) => Err(refused("take a second factor away", error)),
    }
}

fn allowed<'a>(caller: &'a Caller, form: &Filled) -> Result<&'a Person, Problem> {
    caller.check_form(&form.form_token)?;
    caller.person().ok_or_else(Problem::not_found)
}

fn back() -> HttpResponse {
    HttpResponse::SeeOther().insert_header((header::LOCATION, "/account")).finish()
}

async fn page(caller: &Caller, request: &HttpRequest, state: &AppState, shown: Shown) -> Result<HttpResponse, Problem> {
    let person = caller.person().ok_or_else(Problem::not_found)?;
    let mut s = frame::shell(request, state, caller, Place::Nowhere, "account", "")?;
    "/account".clone_into(&mut s.here);
    s.businesses.clear();
    let hash = person.session.hash();
    let (sessions, factor) = futures::join!(
        state.config.sessions_of(person.home, person.user, now(), &hash),
        state.config.second_factor(person.home, person.user),
    );
    let sessions = sessions.map_err(|error| refused("list sessions", error))?;
    let factor = factor.map_err(|error| refused("read a second factor", error))?;
    let in_use = factor.as_ref().filter(|factor| factor.confirmed);
    let about = in_use.map(|factor| {
        let since = format::full(factor.created_at, &s.zone);
        s.l.t2("factor-about", ("time", since), ("n", factor.codes_left.to_string()))
    });
    let set_up = match factor.as_ref().filter(|factor| shown.set_up && !factor.confirmed) {
        Some(factor) => Some(SetUp {
            picture: second_factor::picture(&factor.secret, &person.email).map_err(|error| Problem::internal("draw a QR code", error))?,
            secret: second_factor::in_groups(&factor.secret),
        }),
        None => None,
    };
    let devices: Vec<Device> = sessions
        .into_iter()
        .map(|session| Device {
            id: session.id.to_string(),
            words: match session.api {
                true => s.l.t1("device-api", "name", device::words(&session.device, s.l)),
                false => device::words(&session.device, s.l),
            },
            source: session.source,
            since: format::full(session.created_at, &s.zone),
            seen_machine: format::machine(session.seen_at),
            seen: format::full(session.seen_at, &s.zone),
            current: session.current,
        })
        .collect();
    let refused = shown.refused.as_ref().map(|problem| Wrong::of(problem, &s)).unwrap_or_default();
    let status = if shown.wrong.is_empty() && !refused.any() {
        StatusCode::OK
    } else {
        StatusCode::UNPROCESSABLE_ENTITY
    };
    html(
        status,
        &AccountPage {
            email: person.email.clone(),
            done: shown.done.said(&s),
            name: shown.name.unwrap_or_else(|| person.name.clone()),
            refused,
            others: devices.len() > 1,
            devices,
            on: in_use.is_some(),
            about: about.unwrap_or_default(),
            demanded: person.must_enrol && in_use.is_none(),
            set_up,
            codes: shown.codes,
            wrong: if shown.wrong.is_empty() {
                String::new()
            } else {
                s.l.t(shown.wrong)
            },
            s,
        },
    )
}

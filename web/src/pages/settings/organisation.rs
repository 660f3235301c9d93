//! `/settings/organisation`: who has to have a second factor. For owners.

use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use serde::Deserialize;
use trunkline_core::access::Permission;
use trunkline_stores::postgres::config::second_factor::Whom;

use super::{Done, SideItem, Wrong, go, shell, side};
use crate::configure::organisation;
use crate::error::{Kind, Problem};
use crate::identity::Caller;
use crate::pages::html;
use crate::pages::shell::Shell;
use crate::state::AppState;

const HERE: &str = "/settings/organisation";

struct Choice {
    value: &'static str,
    label: String,
    chosen: bool,
}

/// The page.
#[derive(Template)]
#[template(path = "settings/organisation.html")]
pub struct OrganisationPage {
    s: Shell,
    side: Vec<SideItem>,
    done: String,
    wrong: Wrong,
    name: String,
    /// The rule in force, which the form was filled in against.
    before: &'static str,
    choices: Vec<Choice>,
}

/// What the form carries.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Filled {
    form_token: String,
    before: String,
    second_factor: String,
}

/// `GET /settings/organisation`.
pub async fn show(
    caller: Caller,
    request: HttpRequest,
    state: web::Data<AppState>,
    done: web::Query<Done>,
) -> Result<HttpResponse, Problem> {
    caller.needs(Permission::Organisation)?;
    let s = shell(&request, &state, &caller, "set-organisation", HERE)?;
    let done = done.said(&s);
    page(&state, &caller, s, done, Wrong::default()).await
}

/// `POST /settings/organisation`.
pub async fn save(
    caller: Caller,
    request: HttpRequest,
    state: web::Data<AppState>,
    form: web::Form<Filled>,
) -> Result<HttpResponse, Problem> {
    caller.needs(Permission::Organisation)?;
    caller.check_form(&form.form_token)?;
    let asked = async {
        let read = |text: &str| {
            text.parse::<Whom>()
                .map_err(|error| Problem::field("/second_factor", "unknown_value", format!("{error}.")))
        };
        organisation::require(&state, &caller, read(&form.before)?, read(&form.second_factor)?).await
    };
    match asked.await {
        Ok(()) => Ok(go(&format!("{HERE}?done=organisation-saved"))),
        Err(problem) if matches!(problem.kind(), Kind::Unprocessable | Kind::Precondition) => {
            let s = shell(&request, &state, &caller, "set-organisation", HERE)?;
            let wrong = Wrong::of(&problem, &s);
            page(&state, &caller, s, String::new(), wrong).await
        }
        Err(problem) => Err(problem),
    }
}

async fn page(state: &AppState, caller: &Caller, s: Shell, done: String, wrong: Wrong) -> Result<HttpResponse, Problem> {
    let (name, rule) = organisation::rule(state, caller).await?;
    let choices = Whom::ALL.map(|whom| Choice {
        value: whom.as_str(),
        label: s.l.t(&format!("factor-for-{}", whom.as_str())),
        chosen: whom == rule,
    });
    html(
        wrong.status(),
        &OrganisationPage {
            side: side(&s),
            done,
            wrong,
            name,
            before: rule.as_str(),
            choices: choices.into(),
            s,
        },
    )
}

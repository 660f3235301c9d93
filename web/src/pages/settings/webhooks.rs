//! `/settings/webhooks`: whom we tell of calls, with secrets that are shown once.

use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use trunkline_core::access::Permission;
use trunkline_core::announcement::Topic;
use trunkline_stores::postgres::config::webhooks::WebhookEndpoint;

use super::{Done, SideItem, Wrong, go, shell, side};
use crate::configure::endpoint::{self, Draft};
use crate::error::Problem;
use crate::identity::Caller;
use crate::pages::shell::Shell;
use crate::pages::{format, frame, html};
use crate::state::AppState;

const HERE: &str = "/settings/webhooks";

struct Line {
    id: String,
    url: String,
    events: String,
    business: String,
    enabled: bool,
    reason: String,
    failing: String,
}

struct Tick {
    name: &'static str,
    ticked: bool,
}

struct Choice {
    id: String,
    name: String,
    selected: bool,
}

/// The page.
#[derive(Template)]
#[template(path = "settings/webhooks.html")]
pub struct WebhooksPage {
    s: Shell,
    side: Vec<SideItem>,
    done: String,
    wrong: Wrong,
    lines: Vec<Line>,
    url: String,
    events: Vec<Tick>,
    businesses: Vec<Choice>,
    /// A secret that was just made: shown in this answer and never again.
    secret: String,
    /// Where it belongs to.
    secret_of: String,
}

/// What the form carries; `events` may come several times, so the pairs are kept as they are.
type Filled = web::Form<Vec<(String, String)>>;

/// What a form at an endpoint carries.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Acting {
    form_token: String,
}

/// `GET /settings/webhooks`.
pub async fn show(
    caller: Caller,
    request: HttpRequest,
    state: web::Data<AppState>,
    done: web::Query<Done>,
) -> Result<HttpResponse, Problem> {
    let s = shell(&request, &state, &caller, "set-webhooks", HERE)?;
    let said = done.said(&s);
    let all = Topic::ALL.map(|topic| topic.as_str().to_owned()).to_vec();
    let blank = Draft {
        url: String::new(),
        events: all,
        business: None,
        enabled: true,
    };
    page(
        &state,
        &caller,
        s,
        Told {
            done: said,
            ..Told::default()
        },
        &blank,
    )
    .await
}

/// `POST /settings/webhooks`.
pub async fn create(caller: Caller, request: HttpRequest, state: web::Data<AppState>, form: Filled) -> Result<HttpResponse, Problem> {
    caller.needs(Permission::Webhooks)?;
    let value = |name: &str| {
        form.iter()
            .find(|(field, _)| field == name)
            .map(|(_, value)| value.trim().to_owned())
    };
    caller.check_form(&value("form_token").unwrap_or_default())?;
    let draft = Draft {
        url: value("url").unwrap_or_default(),
        events: form
            .iter()
            .filter(|(field, _)| field == "events")
            .map(|(_, event)| event.clone())
            .collect(),
        business: value("business").filter(|id| !id.is_empty()),
        enabled: true,
    };
    let s = shell(&request, &state, &caller, "set-webhooks", HERE)?;
    match endpoint::create(&state, &caller, &draft).await {
        Ok((made, secret)) => {
            let said = s.l.t("done-webhook-made");
            let blank = Draft {
                url: String::new(),
                ..draft
            };
            page(
                &state,
                &caller,
                s,
                Told {
                    done: said,
                    fresh: Some((made.url, secret)),
                    ..Told::default()
                },
                &blank,
            )
            .await
        }
        Err(problem) => {
            let wrong = Wrong::of(&problem, &s);
            page(&state, &caller, s, Told { wrong, ..Told::default() }, &draft).await
        }
    }
}

/// `POST /settings/webhooks/{id}/{act}`.
pub async fn act(
    caller: Caller,
    request: HttpRequest,
    state: web::Data<AppState>,
    path: web::Path<(String, String)>,
    form: web::Form<Acting>,
) -> Result<HttpResponse, Problem> {
    caller.needs(Permission::Webhooks)?;
    caller.check_form(&form.form_token)?;
    let found = endpoint::find(&state, &caller, &path.0).await?;
    let word = match path.1.as_str() {
        "enable" | "disable" => {
            let enabled = path.1 == "enable";
            let draft = Draft {
                url: found.url,
                events: found.events,
                business: None,
                enabled,
            };
            endpoint::change(&state, &caller, found.id, &draft).await?;
            if enabled { "webhook-enabled" } else { "webhook-disabled" }
        }
        "delete" => {
            endpoint::remove(&state, &caller, found.id).await?;
            "webhook-deleted"
        }
        "rotate" => {
            let secret = endpoint::rotate(&state, &caller, found.id).await?;
            let s = shell(&request, &state, &caller, "set-webhooks", HERE)?;
            let said = s.l.t("done-webhook-rotated");
            let blank = Draft {
                url: String::new(),
                events: Topic::ALL.map(|topic| topic.as_str().to_owned()).to_vec(),
                business: None,
                enabled: true,
            };
            return page(
                &state,
                &caller,
                s,
                Told {
                    done: said,
                    fresh: Some((found.url, secret)),
                    ..Told::default()
                },
                &blank,
            )
            .await;
        }
        _ => return Err(Problem::not_found()),
    };
    Ok(go(&format!("{HERE}?done={word}")))
}

/// What stands on the page beside the endpoints.
#[derive(Default)]
struct Told {
    done: String,
    wrong: Wrong,
    /// Address and secret that were just made.
    fresh: Option<(String, SecretString)>,
}

async fn page(state: &AppState, caller: &Caller, s: Shell, told: Told, typed: &Draft) -> Result<HttpResponse, Problem> {
    let Told { done, wrong, fresh } = told;
    let found = endpoint::all(state, caller).await?;
    let lines = found.into_iter().map(|endpoint| Line::of(endpoint, state, &s)).collect();
    let directory = state.directory.borrow().clone();
    let own = directory.businesses.iter().filter(|(_, entry)| entry.tenant == caller.tenant);
    let mut businesses: Vec<Choice> = own
        .map(|(id, entry)| Choice {
            id: id.to_string(),
            name: entry.name.clone(),
            selected: typed.business.as_deref() == Some(&id.to_string()),
        })
        .collect();
    businesses.sort_by_key(|choice| choice.name.to_lowercase());
    let status = wrong.status();
    let (secret_of, secret) = fresh
        .map(|(url, secret)| (url, secret.expose_secret().to_owned()))
        .unwrap_or_default();
    html(
        status,
        &WebhooksPage {
            side: side(&s),
            done,
            wrong,
            lines,
            url: typed.url.clone(),
            events: Topic::ALL
                .map(|topic| Tick {
                    name: topic.as_str(),
                    ticked: typed.events.iter().any(|event| event == topic.as_str()),
                })
                .into(),
            businesses,
            secret,
            secret_of,
            s,
        },
    )
}

impl Line {
    fn of(endpoint: WebhookEndpoint, state: &AppState, s: &Shell) -> Line {
        let business = endpoint.business.and_then(|id| frame::business_name(state, id));
        Line {
            id: endpoint.id.to_string(),
            url: endpoint.url,
            events: endpoint.events.join(", "),
            business: business.unwrap_or_else(|| s.l.t("scope-all-businesses")),
            enabled: endpoint.disabled_at.is_none(),
            reason: endpoint.disabled_reason,
            failing: endpoint.failing_since.map(|at| format::full(at, &s.zone)).unwrap_or_default(),
        }
    }
}

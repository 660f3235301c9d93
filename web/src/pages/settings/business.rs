//! `/settings/businesses/{id}`: name, time zone, day, limit and targets of one business.

use std::collections::HashMap;

use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use serde_json::{Map, Value, json};
use trunkline_core::access::Permission;
use trunkline_core::metric::{CATALOGUE, Definition, Good, Targets, Unit};
use trunkline_stores::postgres::row::{Business, NewBusiness};

use super::{Done, SideItem, Wrong, go, number, shell, side, zones};
use crate::configure::business;
use crate::error::{Kind, Problem};
use crate::identity::Caller;
use crate::pages::html;
use crate::pages::shell::Shell;
use crate::state::AppState;

/// What a form of a business carries: its fields, and two for each metric that can have a target.
type Filled = HashMap<String, String>;

struct TargetLine {
    id: &'static str,
    name: String,
    unit: String,
    target: String,
    watch: String,
    default_target: String,
    default_watch: String,
    off: bool,
}

/// The page.
#[derive(Template)]
#[template(path = "settings/business.html")]
pub struct BusinessPage {
    s: Shell,
    side: Vec<SideItem>,
    done: String,
    wrong: Wrong,
    may_change: bool,
    zones: Vec<String>,
    heading: String,
    revision: String,
    name: String,
    time_zone: String,
    day_start: String,
    limit: String,
    targets: Vec<TargetLine>,
    board: String,
}

/// `GET /settings/businesses/{id}`.
pub async fn show(
    caller: Caller,
    request: HttpRequest,
    state: web::Data<AppState>,
    path: web::Path<String>,
    done: web::Query<Done>,
) -> Result<HttpResponse, Problem> {
    caller.sight(Permission::Businesses)?;
    let found = found(&state, &caller, &path).await?;
    let s = shell(&request, &state, &caller, "set-businesses", &address(&found))?;
    let said = done.said(&s);
    page(&caller, s, &found, &written(&found), said, Wrong::default())
}

/// `POST /settings/businesses/{id}`.
pub async fn save(
    caller: Caller,
    request: HttpRequest,
    state: web::Data<AppState>,
    path: web::Path<String>,
    form: web::Form<Filled>,
) -> Result<HttpResponse, Problem> {
    let before = found(&state, &caller, &path).await?;
    caller.needs_in(Permission::Businesses, before.id)?;
    caller.check_form(form.get("form_token").map(String::as_str).unwrap_or_default())?;
    let s = shell(&request, &state, &caller, "set-businesses", &address(&before))?;
    let asked = async {
        // The form was filled in against this state; another one would be overwritten unseen.
        if form.get("revision").is_none_or(|revision| *revision != revision_of(&before)) {
            return Err(Problem::new(Kind::Precondition, "It was changed meanwhile."));
        }
        business::change(&state, &caller, &before, read(&form, &before)?).await
    };
    match asked.await {
        Ok(_) => Ok(go(&format!("{}?done=business-saved", address(&before)))),
        Err(problem) => {
            let wrong = Wrong::of(&problem, &s);
            page(&caller, s, &before, &form, String::new(), wrong)
        }
    }
}

async fn found(state: &AppState, caller: &Caller, id: &str) -> Result<Business, Problem> {
    business::find(state, caller, id.parse().map_err(|_| Problem::not_found())?).await
}

fn address(business: &Business) -> String {
    format!("/settings/businesses/{}", business.id)
}

/// A name of the state, for the form: equal exactly when nothing has changed.
fn revision_of(business: &Business) -> String {
    use sha2::{Digest as _, Sha256};
    hex::encode(&Sha256::digest(json!(business).to_string())[..8])
}

fn page(caller: &Caller, s: Shell, business: &Business, filled: &Filled, done: String, wrong: Wrong) -> Result<HttpResponse, Problem> {
    let value = |field: &str| filled.get(field).cloned().unwrap_or_default();
    let status = wrong.status();
    let targets = aimed().map(|definition| TargetLine::of(definition, filled, &s)).collect();
    html(
        status,
        &BusinessPage {
            side: side(&s),
            done,
            wrong,
            may_change: caller.access.may_in(Permission::Businesses, business.id),
            zones: zones(),
            heading: business.name.clone(),
            revision: revision_of(business),
            name: value("name"),
            time_zone: value("time_zone"),
            day_start: value("day_start"),
            limit: value("concurrency_limit"),
            targets,
            board: format!("/wall?business={}", business.id),
            s,
        },
    )
}

/// Metrics whose targets are set here: those that have one, and those that stand on the board and can be good or bad.
fn aimed() -> impl Iterator<Item = &'static Definition> {
    let on_board = |definition: &Definition| definition.tile && definition.good != Good::Neither;
    CATALOGUE
        .iter()
        .filter(move |definition| definition.target.is_some() || on_board(definition))
}

/// The form of a business as it is kept.
fn written(business: &Business) -> Filled {
    let mut filled = Filled::from([
        ("name".to_owned(), business.name.clone()),
        ("time_zone".to_owned(), business.zone.clone()),
        (
            "day_start".to_owned(),
            format!("{:02}:{:02}", business.day_start_minute / 60, business.day_start_minute % 60),
        ),
        (
            "concurrency_limit".to_owned(),
            business.concurrency_limit.map(|limit| limit.to_string()).unwrap_or_default(),
        ),
    ]);
    for definition in aimed() {
        let id = definition.metric.id();
        match business.targets.get(id) {
            Some(Value::Null) => {
                filled.insert(format!("off.{id}"), "1".to_owned());
            }
            Some(set) => {
                for part in ["target", "watch"] {
                    if let Some(value) = set[part].as_f64() {
                        filled.insert(format!("{part}.{id}"), plain(shown(definition.unit, value)));
                    }
                }
            }
            None => {}
        }
    }
    filled
}

/// What the form asks for. Targets of metrics that the form does not show stay.
fn read(filled: &Filled, before: &Business) -> Result<NewBusiness, Problem> {
    let value = |field: &str| filled.get(field).map(|text| text.trim()).unwrap_or_default();
    let (hours, minutes) = value("day_start").split_once(':').unwrap_or(("", ""));
    let day_start = match (hours.parse::<u16>(), minutes.parse::<u16>()) {
        (Ok(hours), Ok(minutes)) if hours < 24 && minutes < 60 => hours * 60 + minutes,
        _ => {
            return Err(Problem::field(
                "/day_start_minute",
                "out_of_range",
                "Write a time of day, such as 04:00.",
            ));
        }
    };
    let mut targets: Map<String, Value> = before.targets.as_object().cloned().unwrap_or_default();
    for definition in aimed() {
        let id = definition.metric.id();
        targets.remove(id);
        if filled.contains_key(&format!("off.{id}")) {
            targets.insert(id.to_owned(), Value::Null);
            continue;
        }
        let part = |name: &str| -> Result<Option<f64>, Problem> {
            let text = value(&format!("{name}.{id}")).replace(',', ".");
            if text.is_empty() {
                return Ok(None);
            }
            let read: Result<f64, _> = text.parse();
            let read = read.ok().filter(|value| value.is_finite());
            read.map(|value| Some(stored(definition.unit, value)))
                .ok_or_else(|| Problem::field(&format!("/targets/{id}"), "no_number", "Write a number, or leave it empty."))
        };
        match (part("target")?, part("watch")?) {
            (Some(target), watch) => {
                let set = match watch {
                    Some(watch) => json!({ "target": target, "watch": watch }),
                    None => json!({ "target": target }),
                };
                // Said at the metric that it is about, not at all of them.
                if let Err(error) = Targets::read(&json!({ id: set })) {
                    return Err(Problem::field(&format!("/targets/{id}"), "bad_target", format!("{error}.")));
                }
                targets.insert(id.to_owned(), set);
            }
            (None, Some(_)) => {
                return Err(Problem::field(
                    &format!("/targets/{id}"),
                    "watch_alone",
                    "A watch limit needs a target.",
                ));
            }
            (None, None) => {}
        }
    }
    Ok(NewBusiness {
        name: value("name").to_owned(),
        zone: value("time_zone").to_owned(),
        day_start_minute: day_start,
        concurrency_limit: number(value("concurrency_limit"), "concurrency_limit")?,
        targets: Value::Object(targets),
    })
}

/// What people write, in the metric's own unit: shares of per cent, milliseconds of seconds, cents of dollars.
fn stored(unit: Unit, shown: f64) -> f64 {
    match unit {
        // Divided, so that 82.5 % is 0.825 and not a little more.
        Unit::Share => shown / 100.0,
        Unit::Ms => shown * 1_000.0,
        Unit::Cents | Unit::CentsPerMinute => shown * 100.0,
        Unit::Calls | Unit::Chats | Unit::Transfers | Unit::CallsPerHour => shown,
    }
}

/// The other way round.
fn shown(unit: Unit, stored: f64) -> f64 {
    match unit {
        Unit::Share => stored * 100.0,
        Unit::Ms => stored / 1_000.0,
        Unit::Cents | Unit::CentsPerMinute => stored / 100.0,
        Unit::Calls | Unit::Chats | Unit::Transfers | Unit::CallsPerHour => stored,
    }
}

/// At most four decimals, none without need.
fn plain(value: f64) -> String {
    let text = format!("{value:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

impl TargetLine {
    fn of(definition: &'static Definition, filled: &Filled, s: &Shell) -> TargetLine {
        let id = definition.metric.id();
        let value = |name: &str| filled.get(&format!("{name}.{id}")).cloned().unwrap_or_default();
        let default = |value: Option<f64>| value.map(|value| plain(shown(definition.unit, value))).unwrap_or_default();
        let unit = match definition.unit {
            Unit::Share => "%",
            Unit::Ms => "s",
            Unit::Cents => "$",
            Unit::CentsPerMinute => "$/min",
            Unit::CallsPerHour => "1/h",
            Unit::Calls | Unit::Chats | Unit::Transfers => "",
        };
        let sign = if definition.good == Good::Up { "≥" } else { "≤" };
        TargetLine {
            id,
            name: s.l.or(&format!("metric-{}", id.replace('_', "-")), definition.name),
            unit: format!("{sign} {unit}"),
            target: value("target"),
            watch: value("watch"),
            default_target: default(definition.target.map(|target| target.target)),
            default_watch: default(definition.target.and_then(|target| target.watch)),
            off: filled.contains_key(&format!("off.{id}")),
        }
    }
}

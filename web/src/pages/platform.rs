//! `/platform`: for those who run it: which organisations there are, how they are, how the engine runs. Nothing of anybody's calls.

pub mod organisation;

use actix_web::http::{StatusCode, header};
use actix_web::middleware::from_fn;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use serde::Deserialize;
use trunkline_core::instant::Millis;
use trunkline_core::platform::PlatformPermission;
use trunkline_stores::clickhouse::Turning;
use trunkline_stores::postgres::config::deeds::{DeedFilter, Deeded};
use trunkline_stores::postgres::row::OrganisationState;

use super::operator::{Figure, Figures};
use super::settings::{Done, Wrong, go, number};
use super::shell::{Place, Shell};
use super::{format, frame, html, problem};
use crate::configure::platform::{self, Draft, Overview, Seen};
use crate::configure::refused;
use crate::error::Problem;
use crate::identity::Caller;
use crate::state::AppState;

/// The page's address.
const HERE: &str = "/platform";

/// Deeds shown; the API has them all.
const DEEDS_SHOWN: u32 = 15;

/// Seconds of the minute that events are counted over.
const MINUTE_SECONDS: f64 = 60.0;

/// An organisation in the list.
pub struct Line {
    href: String,
    name: String,
    plan: String,
    problems: Vec<String>,
    suspended: bool,
    people: String,
    businesses: String,
    workspaces: String,
    live: String,
    rate: String,
    day: String,
    last_machine: String,
    last: String,
}

/// A deed in the list.
pub struct DeedLine {
    machine: String,
    at: String,
    who: String,
    action: String,
    what: String,
    more: String,
}

/// The page.
#[derive(Template)]
#[template(path = "platform/overview.html")]
pub struct PlatformPage {
    s: Shell,
    done: String,
    wrong: Wrong,
    figures: Vec<Figure>,
    lines: Vec<Line>,
    deeds: Vec<DeedLine>,
    groups: Figures,
    form: Filled,
    /// The owner's invitation to pass on, shown this once.
    link: String,
}

/// What the form of a new organisation carries.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Filled {
    form_token: String,
    name: String,
    plan: String,
    email: String,
    owner_name: String,
    intake_per_second: String,
    concurrent_calls: String,
    api_keys_max: String,
}

/// Adds the routes.
pub fn configure(config: &mut web::ServiceConfig) {
    let page = |path: &str| web::resource(path.to_owned()).wrap(from_fn(problem::as_page));
    config
        .service(page("/platform").route(web::get().to(show)).route(web::post().to(create)))
        .service(page("/platform/close").route(web::post().to(close)))
        .service(
            page("/platform/organisations/{id}")
                .route(web::get().to(organisation::show))
                .route(web::post().to(organisation::save)),
        )
        .service(page("/platform/organisations/{id}/{act}").route(web::post().to(organisation::act)));
}

/// `GET /platform`.
pub async fn show(
    caller: Caller,
    request: HttpRequest,
    state: web::Data<AppState>,
    done: web::Query<Done>,
) -> Result<HttpResponse, Problem> {
    caller.needs_platform(PlatformPermission::Overview)?;
    let s = shell(&request, &state, &caller, HERE)?;
    let done = done.said(&s);
    page(&state, &caller, &request, s, Told { done, ..Told::default() }).await
}

/// `POST /platform`: makes an organisation.
pub async fn create(
    caller: Caller,
    request: HttpRequest,
    state: web::Data<AppState>,
    form: web::Form<Filled>,
) -> Result<HttpResponse, Problem> {
    caller.needs_platform(PlatformPermission::Organisations)?;
    caller.check_form(&form.form_token)?;
    let s = shell(&request, &state, &caller, HERE)?;
    let asked = async {
        let draft = Draft {
            state: OrganisationState {
                name: form.name.clone(),
                plan: form.plan.clone(),
                suspended_at: None,
                suspended_why: String::new(),
                intake_per_second: number(&form.intake_per_second, "intake_per_second")?,
                concurrency_limit: number(&form.concurrent_calls, "concurrent_calls")?,
                api_keys_max: number(&form.api_keys_max, "api_keys_max")?,
            },
            email: form.email.clone(),
            owner: form.owner_name.clone(),
            lang: s.l.lang.to_owned(),
        };
        platform::create(&state, &caller, draft).await
    };
    let told = match asked.await {
        Ok((_, link)) => Told {
            done: s.l.t("done-organisation-made"),
            link: link.unwrap_or_default(),
            ..Told::default()
        },
        Err(problem) => Told {
            wrong: Wrong::of(&problem, &s),
            form: form.into_inner(),
            ..Told::default()
        },
    };
    page(&state, &caller, &request, s, told).await
}

/// What a form with nothing but its token carries.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Token {
    form_token: String,
}

/// `POST /platform/close`: closes what this session has open.
pub async fn close(caller: Caller, state: web::Data<AppState>, form: web::Form<Token>) -> Result<HttpResponse, Problem> {
    caller.needs_platform(PlatformPermission::Open)?;
    caller.check_form(&form.form_token)?;
    platform::close(&state, &caller).await?;
    Ok(go("/platform?done=closed"))
}

/// The frame of a page of the platform; its figures are of all organisations together, so the line about one has no meaning here.
fn shell(request: &HttpRequest, state: &AppState, caller: &Caller, here: &str) -> Result<Shell, Problem> {
    let mut s = frame::shell(request, state, caller, Place::Platform, "nav-platform", "")?;
    here.clone_into(&mut s.here);
    s.businesses.clear();
    Ok(s)
}

/// What stands on the page beside what is stored.
#[derive(Default)]
struct Told {
    done: String,
    wrong: Wrong,
    form: Filled,
    link: String,
}

async fn page(state: &AppState, caller: &Caller, request: &HttpRequest, s: Shell, told: Told) -> Result<HttpResponse, Problem> {
    let home = caller.needs_platform(PlatformPermission::Overview)?.home;
    let found = platform::overview(state, caller).await?;
    let deeds = state
        .config
        .deeds(home, &DeedFilter::default(), &Turning::First, DEEDS_SHOWN)
        .await
        .map_err(|error| refused("read the record of deeds", error))?;
    let groups = Figures::of(
        shell(request, state, caller, HERE)?,
        &found.completeness,
        &state.live.partitions(),
        &state.live.role_states(),
        &state.facts.state(),
        state.keeper.as_ref().map(|keeper| keeper.spool()).as_ref(),
    );
    let Told { done, wrong, form, link } = told;
    let status = wrong.status();
    let mut response = html(
        status,
        &PlatformPage {
            done,
            wrong,
            figures: figures(&found, &s),
            deeds: deeds.entries.iter().map(|deed| DeedLine::of(deed, &s)).collect(),
            lines: found.organisations.iter().map(|seen| Line::of(seen, &s)).collect(),
            groups,
            form,
            link,
            s,
        },
    )?;
    if status != StatusCode::OK {
        response.headers_mut().remove(header::ETAG);
    }
    Ok(response)
}

fn figures(found: &Overview, s: &Shell) -> Vec<Figure> {
    let l = s.l;
    let all = &found.organisations;
    let sum = |of: fn(&Seen) -> u64| format::count(all.iter().map(of).sum());
    let arrived = |of: fn(&trunkline_stores::clickhouse::Arrived) -> u64| -> Option<u64> {
        all.iter().map(|seen| seen.arrived.as_ref().map(of)).sum()
    };
    let figure = |key: &str, value: String, note: String| Figure {
        name: l.t(key),
        value,
        state: "",
        note,
    };
    let troubled = all.iter().filter(|seen| !seen.problems.is_empty()).count();
    let rate = arrived(|arrived| arrived.last_minute).map(per_second);
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| format::DASH.to_owned());
    vec![
        Figure {
            state: if troubled == 0 { "ok" } else { "watch" },
            ..figure(
                "platform-organisations",
                format::count(all.len() as u64),
                l.t1("platform-with-problems", "n", format::count(troubled as u64)),
            )
        },
        figure("platform-people", sum(|seen| seen.listed.people), String::new()),
        figure(
            "platform-businesses",
            sum(|seen| seen.listed.businesses),
            l.t1("platform-workspaces-n", "n", sum(|seen| seen.listed.workspaces)),
        ),
        figure("platform-live", sum(|seen| seen.live_calls), String::new()),
        figure(
            "platform-rate",
            or_dash(rate),
            l.t1(
                "platform-day-n",
                "n",
                or_dash(arrived(|arrived| arrived.records).map(format::count)),
            ),
        ),
        figure(
            "platform-stored",
            or_dash(found.stored_bytes.map(megabytes)),
            l.t("platform-stored-note"),
        ),
    ]
}

fn per_second(last_minute: u64) -> String {
    format::decimal(last_minute as f64 / MINUTE_SECONDS, 1)
}

fn megabytes(bytes: u64) -> String {
    format!("{} MB", format::decimal(bytes as f64 / 1_000_000.0, 1))
}

impl Line {
    fn of(seen: &Seen, s: &Shell) -> Line {
        let (listed, l) = (&seen.listed, s.l);
        let last = seen
            .arrived
            .filter(|arrived| arrived.records > 0)
            .map(|arrived| Millis(arrived.last_at));
        let live = format::count(seen.live_calls);
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| format::DASH.to_owned());
        Line {
            href: format!("/platform/organisations/{}", listed.id),
            name: listed.state.name.clone(),
            plan: listed.state.plan.clone(),
            problems: words(&seen.problems, s),
            suspended: listed.state.suspended_at.is_some(),
            people: format::count(listed.people),
            businesses: format::count(listed.businesses),
            workspaces: format::count(listed.workspaces),
            live: match listed.state.concurrency_limit {
                Some(limit) => l.t2("platform-live-of", ("n", live), ("total", format::count(u64::from(limit)))),
                None => live,
            },
            rate: or_dash(seen.arrived.map(|arrived| per_second(arrived.last_minute))),
            day: or_dash(seen.arrived.map(|arrived| format::count(arrived.records))),
            last_machine: last.map(format::machine).unwrap_or_default(),
            last: or_dash(last.map(|at| format::full(at, &s.zone))),
        }
    }
}

/// Problems in the reader's words.
fn words(problems: &[&str], s: &Shell) -> Vec<String> {
    problems
        .iter()
        .map(|word| s.l.t(&format!("trouble-{}", word.replace('_', "-"))))
        .collect()
}

impl DeedLine {
    fn of(deed: &Deeded, s: &Shell) -> DeedLine {
        let entry = &deed.entry;
        let word = s.l.t(&format!("actor-{}", entry.actor));
        DeedLine {
            machine: format::machine(entry.at),
            at: format::full(entry.at, &s.zone),
            who: if entry.actor_name.is_empty() {
                word
            } else {
                format!("{} · {word}", entry.actor_name)
            },
            action: entry.action.clone(),
            what: entry.object_id.clone(),
            more: entry.after.clone(),
        }
    }
}

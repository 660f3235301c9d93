//! The operator's page of jobs: what is to be delivered, what was, what could not be; and how far the effects group is.

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use serde::Deserialize;
use trunkline_core::id::JobId;
use trunkline_stores::postgres::jobs::{JobState, ListedJob};

use crate::configure::refused;
use crate::error::Problem;
use crate::identity::Caller;
use crate::identity::session::now;
use crate::pages::shell::{Place, Shell};
use crate::pages::{format, frame, html};
use crate::state::AppState;
use trunkline_core::access::Permission;

/// Jobs on the page: newest first, one look.
const SHOWN: u32 = 200;

/// What the address says.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct JobsQuery {
    state: String,
}

/// What a person does with a job.
#[derive(Debug, Deserialize)]
pub struct JobForm {
    #[serde(default)]
    form_token: String,
}

struct Choice {
    name: String,
    href: String,
    selected: bool,
}

struct JobLine {
    id: String,
    machine: String,
    created: String,
    topic: String,
    to: String,
    state: String,
    mark: &'static str,
    tries: u32,
    due: String,
    error: String,
    may_retry: bool,
    may_cancel: bool,
}

struct PartitionLine {
    partition: u32,
    cells: Vec<String>,
}

/// The page.
#[derive(Template)]
#[template(path = "jobs.html")]
pub struct JobsPage {
    s: Shell,
    choices: Vec<Choice>,
    jobs: Vec<JobLine>,
    partitions: Vec<PartitionLine>,
    waits_for: String,
}

/// `GET /operator/jobs`.
pub async fn jobs(
    caller: Caller,
    request: HttpRequest,
    state: web::Data<AppState>,
    query: web::Query<JobsQuery>,
) -> Result<HttpResponse, Problem> {
    caller.needs(Permission::Operate)?;
    let asked = JobState::parse(&query.state);
    let (jobs, counts, endpoints, offsets) = futures::join!(
        state.config.jobs(caller.tenant, asked, SHOWN),
        state.config.job_counts(caller.tenant),
        state.config.webhooks(caller.tenant, None),
        state.ledger.offsets(),
    );
    let jobs = jobs.map_err(|error| refused("list jobs", error))?;
    let counts = counts.map_err(|error| refused("count jobs", error))?;
    let endpoints = endpoints.map_err(|error| refused("list webhook endpoints", error))?;
    let offsets = offsets.map_err(|error| refused("read how far the effects group is", error))?;
    let s = frame::shell(&request, &state, &caller, Place::Operator, "jobs", "")?;
    let own = state.effects.as_ref().map(|effects| effects.state()).unwrap_or_default();
    let line = |job: ListedJob| {
        let to = endpoints.iter().find(|endpoint| endpoint.id == job.endpoint);
        let to = to.and_then(|endpoint| trunkline_connectors::webhook::host(&endpoint.url));
        JobLine::of(job, to.unwrap_or_default(), &s)
    };
    let jobs = jobs.into_iter().map(line).collect();
    let mut partitions = Vec::with_capacity(offsets.len());
    for at in offsets {
        let end = match own.partitions.get(&at.partition) {
            Some(known) => Some(known.end),
            None => state.log.span(at.partition).await.ok().map(|(_, end)| end),
        };
        let count = |value: i64| format::count(value.max(0).unsigned_abs());
        let clock = |at| format::clock(at, &s.zone);
        partitions.push(PartitionLine {
            partition: at.partition,
            cells: vec![
                at.next.to_string(),
                end.map_or_else(|| format::DASH.to_owned(), |end| count(end - at.next)),
                at.committed_at.map_or_else(|| format::DASH.to_owned(), clock),
                at.epoch.to_string(),
            ],
        });
    }
    let total: u64 = counts.iter().map(|(_, count)| count).sum();
    let mut choices = vec![Choice {
        name: format!("{} {}", s.l.t("jobs-all"), format::count(total)),
        href: "/operator/jobs".to_owned(),
        selected: asked.is_none(),
    }];
    choices.extend(JobState::ALL.map(|state| {
        let count = counts
            .iter()
            .find(|(name, _)| name == state.as_str())
            .map_or(0, |(_, count)| *count);
        Choice {
            name: format!("{} {}", s.l.t(state_key(state)), format::count(count)),
            href: format!("/operator/jobs?state={}", state.as_str()),
            selected: asked == Some(state),
        }
    }));
    let waits_for = own.waits_for.unwrap_or_default();
    html(
        StatusCode::OK,
        &JobsPage {
            s,
            choices,
            jobs,
            partitions,
            waits_for,
        },
    )
}

/// `POST /operator/jobs/{id}/retry`.
pub async fn retry(
    caller: Caller,
    state: web::Data<AppState>,
    path: web::Path<String>,
    form: web::Form<JobForm>,
) -> Result<HttpResponse, Problem> {
    let id = allowed(&caller, &path, &form)?;
    let done = state.config.retry_job(caller.tenant, &caller.by(), id, now()).await;
    done.map_err(|error| refused("try a job again", error))?;
    Ok(back())
}

/// `POST /operator/jobs/{id}/cancel`.
pub async fn cancel(
    caller: Caller,
    state: web::Data<AppState>,
    path: web::Path<String>,
    form: web::Form<JobForm>,
) -> Result<HttpResponse, Problem> {
    let id = allowed(&caller, &path, &form)?;
    let done = state.config.cancel_job(caller.tenant, &caller.by(), id, now()).await;
    done.map_err(|error| refused("cancel a job", error))?;
    Ok(back())
}

fn allowed(caller: &Caller, path: &str, form: &JobForm) -> Result<JobId, Problem> {
    caller.needs(Permission::Repair)?;
    caller.check_form(&form.form_token)?;
    path.parse().map_err(|_| Problem::not_found())
}

fn back() -> HttpResponse {
    HttpResponse::SeeOther()
        .insert_header((header::LOCATION, "/operator/jobs"))
        .finish()
}

fn state_key(state: JobState) -> &'static str {
    match state {
        JobState::Queued => "job-queued",
        JobState::Running => "job-running",
        JobState::Done => "job-done",
        JobState::Dead => "job-dead",
        JobState::Cancelled => "job-cancelled",
    }
}

impl JobLine {
    fn of(job: ListedJob, to: String, s: &Shell) -> JobLine {
        let state = JobState::parse(&job.state);
        let waits = state == Some(JobState::Queued);
        JobLine {
            id: job.id.to_string(),
            machine: format::machine(job.created_at),
            created: format::full(job.created_at, &s.zone),
            topic: job.topic,
            to: if to.is_empty() { format::DASH.to_owned() } else { to },
            state: state.map_or(job.state.clone(), |state| s.l.t(state_key(state))),
            mark: match state {
                Some(JobState::Done) => "ok",
                Some(JobState::Dead) => "breach",
                Some(JobState::Queued) if job.tries > 0 => "watch",
                _ => "",
            },
            tries: job.tries,
            due: if waits {
                format::full(job.due_at, &s.zone)
            } else {
                format::DASH.to_owned()
            },
            error: job.error,
            may_retry: matches!(state, Some(JobState::Dead | JobState::Cancelled)) || (waits && job.tries > 0),
            may_cancel: waits,
        }
    }
}

//! The admin port: is it alive, is it ready, what do its metrics say.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::json;
use trunkline_actors::{FactsWatcher, Live};
use trunkline_stores::log::EventLog;
use trunkline_stores::spool::SpoolState;

use crate::error::{Kind, Problem};
use crate::identity::session;
use crate::intake::Intake;
use crate::shutdown::{Lifecycle, Phase};
use crate::state::BUILD;
use crate::stream::Streams;

/// The log has to answer a check within this time; probes wait a second or two.
const LOG_WAIT: Duration = Duration::from_secs(1);

/// What this port can tell of; a process has what its roles need.
pub struct Operation {
    /// Starting, ready, leaving.
    pub lifecycle: Lifecycle,
    /// The event log.
    pub log: Arc<dyn EventLog>,
    /// Live figures.
    pub live: Option<Live>,
    /// The facts group of this process.
    pub facts: Option<FactsWatcher>,
    /// Open streams.
    pub streams: Option<Arc<Streams>>,
    /// The intake.
    pub intake: Option<web::Data<Intake>>,
}

/// The process can answer; no dependencies.
pub async fn alive() -> HttpResponse {
    HttpResponse::Ok().body("ok\n")
}

/// Start-up has finished.
pub async fn started(operation: web::Data<Operation>) -> Result<HttpResponse, Problem> {
    match operation.lifecycle.phase() {
        Phase::Starting => Err(Problem::new(Kind::Unavailable, "Starting.")),
        _ => Ok(HttpResponse::Ok().body("ok\n")),
    }
}

/// Events can be taken: started, not leaving, and the log takes them or else the spool does. ClickHouse being away never makes intake
/// unready. `?verbose` lists the checks.
pub async fn ready(request: HttpRequest, operation: web::Data<Operation>) -> Result<HttpResponse, Problem> {
    let phase = match operation.lifecycle.phase() {
        Phase::Ready => None,
        Phase::Starting => Some("Starting."),
        Phase::Draining | Phase::Closing => Some("Leaving."),
    };
    let log = match tokio::time::timeout(LOG_WAIT, operation.log.healthy()).await {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(_) => Some("the event log does not answer".to_owned()),
    };
    let spool = operation.intake.as_ref().map(|intake| intake.keeper.spool());
    let lost = log.as_ref().filter(|_| spool.as_ref().is_none_or(SpoolState::is_unusable));
    let refusal = phase.map(str::to_owned).or(lost.cloned());
    if request.query_string() == "verbose" {
        let mut checks = json!({
            "ready": refusal.is_none(), "phase": phase.unwrap_or("ready"), "log": log.unwrap_or_else(|| "ok".to_owned()),
        });
        if let Some(intake) = &operation.intake {
            let (requests, bytes) = intake.caps.in_flight();
            // A wrong clock refuses every webhook, but another node with the same clock would too (RX-08).
            let doubtful = intake.meters.clock_is_doubtful();
            checks["clock"] = if doubtful {
                "doubtful: many signatures are outside their time"
            } else {
                "ok"
            }
            .into();
            checks["requests_in_flight"] = requests.into();
            checks["bytes_in_flight"] = bytes.into();
        }
        if let Some(spool) = &spool {
            checks["spool"] = spool_words(spool).into();
            checks["spool_records"] = spool.records.into();
            checks["spool_bytes"] = spool.bytes.into();
            checks["spool_age_ms"] = spool.age_ms(session::now()).into();
        }
        if let Some(live) = &operation.live {
            checks["rebuilding"] = live.completeness_of_all().rebuilding.into();
        }
        if let Some(facts) = &operation.facts {
            checks["facts_behind_records"] = facts.state().behind_records.into();
        }
        if let Some(streams) = &operation.streams {
            checks["streams"] = streams.open().into();
        }
        let mut response = if refusal.is_none() {
            HttpResponse::Ok()
        } else {
            HttpResponse::ServiceUnavailable()
        };
        return Ok(response.json(checks));
    }
    match refusal {
        None => Ok(HttpResponse::Ok().body("ok\n")),
        Some(sentence) => Err(Problem::new(Kind::Unavailable, sentence)),
    }
}

fn spool_words(spool: &SpoolState) -> String {
    match &spool.trouble {
        _ if spool.bytes_max == 0 => "off".to_owned(),
        Some(trouble) => format!("its disk refuses: {trouble}"),
        None if spool.is_unusable() => "full".to_owned(),
        None if spool.log_away => "the event log is away; events wait in the spool".to_owned(),
        None if spool.records > 0 => "being handed to the event log".to_owned(),
        None => "ok".to_owned(),
    }
}

/// Prometheus text. The spool's figures are read here, because its age moves with time alone.
pub async fn metrics(handle: web::Data<PrometheusHandle>, operation: web::Data<Operation>) -> HttpResponse {
    if let Some(intake) = &operation.intake {
        let spool = intake.keeper.spool();
        metrics::gauge!("trunkline_spool_records").set(spool.records as f64);
        metrics::gauge!("trunkline_spool_bytes").set(spool.bytes as f64);
        metrics::gauge!("trunkline_spool_age_seconds").set(spool.age_ms(session::now()) as f64 / 1_000.0);
        metrics::gauge!("trunkline_log_away").set(if spool.log_away { 1.0 } else { 0.0 });
    }
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "text/plain; version=0.0.4"))
        .body(handle.render())
}

/// Which build.
pub async fn version() -> HttpResponse {
    HttpResponse::Ok().json(json!(BUILD))
}

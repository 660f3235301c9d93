//! The admin port: is it alive, is it ready, what do its metrics say.

use std::time::Duration;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::json;
use trunkline_stores::spool::SpoolState;

use crate::error::{Kind, Problem};
use crate::identity::session;
use crate::intake::Intake;
use crate::shutdown::Phase;
use crate::state::{AppState, BUILD};

/// The log has to answer a check within this time; probes wait a second or two.
const LOG_WAIT: Duration = Duration::from_secs(1);

/// The process can answer; no dependencies.
pub async fn alive() -> HttpResponse {
    HttpResponse::Ok().body("ok\n")
}

/// Start-up has finished.
pub async fn started(state: web::Data<AppState>) -> Result<HttpResponse, Problem> {
    match state.lifecycle.phase() {
        Phase::Starting => Err(Problem::new(Kind::Unavailable, "Starting.")),
        _ => Ok(HttpResponse::Ok().body("ok\n")),
    }
}

/// Events can be taken: started, not leaving, and the log takes them or else the spool does. ClickHouse being away never makes intake
/// unready. `?verbose` lists the checks.
pub async fn ready(request: HttpRequest, state: web::Data<AppState>, intake: web::Data<Intake>) -> Result<HttpResponse, Problem> {
    let phase = match state.lifecycle.phase() {
        Phase::Ready => None,
        Phase::Starting => Some("Starting."),
        Phase::Draining | Phase::Closing => Some("Leaving."),
    };
    let log = match tokio::time::timeout(LOG_WAIT, state.log.healthy()).await {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(_) => Some("the event log does not answer".to_owned()),
    };
    let spool = intake.keeper.spool();
    let lost = log.as_ref().filter(|_| spool.is_unusable());
    let refusal = phase.map(str::to_owned).or(lost.cloned());
    if request.query_string() == "verbose" {
        let (requests, bytes) = intake.caps.in_flight();
        let checks = json!({
            "ready": refusal.is_none(), "phase": phase.unwrap_or("ready"), "log": log.unwrap_or_else(|| "ok".to_owned()),
            // A wrong clock refuses every webhook, but another node with the same clock would too (RX-08).
            "clock": if intake.meters.clock_is_doubtful() { "doubtful: many signatures are outside their time" } else { "ok" },
            "rebuilding": state.live.completeness_of_all().rebuilding, "facts_behind_records": state.facts.state().behind_records,
            "spool_records": spool.records, "spool_bytes": spool.bytes, "spool_age_ms": spool.age_ms(session::now()),
            "spool": spool_words(&spool), "requests_in_flight": requests, "bytes_in_flight": bytes, "streams": state.streams.open(),
        });
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
pub async fn metrics(handle: web::Data<PrometheusHandle>, intake: web::Data<Intake>) -> HttpResponse {
    let spool = intake.keeper.spool();
    metrics::gauge!("trunkline_spool_records").set(spool.records as f64);
    metrics::gauge!("trunkline_spool_bytes").set(spool.bytes as f64);
    metrics::gauge!("trunkline_spool_age_seconds").set(spool.age_ms(session::now()) as f64 / 1_000.0);
    metrics::gauge!("trunkline_log_away").set(if spool.log_away { 1.0 } else { 0.0 });
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "text/plain; version=0.0.4"))
        .body(handle.render())
}

/// Which build.
pub async fn version() -> HttpResponse {
    HttpResponse::Ok().json(json!(BUILD))
}

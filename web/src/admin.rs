//! The admin port: is it alive, is it ready, what do its metrics say.

use actix_web::http::header;
use actix_web::{HttpResponse, web};
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::json;

use crate::error::{Kind, Problem};
use crate::shutdown::Phase;
use crate::state::{AppState, BUILD};

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

/// Events can be taken: started, not leaving, log reachable.
pub async fn ready(state: web::Data<AppState>) -> Result<HttpResponse, Problem> {
    match state.lifecycle.phase() {
        Phase::Ready => Ok(HttpResponse::Ok().body("ok\n")),
        Phase::Starting => Err(Problem::new(Kind::Unavailable, "Starting.")),
        Phase::Draining | Phase::Closing => Err(Problem::new(Kind::Unavailable, "Leaving.")),
    }
}

/// Prometheus text.
pub async fn metrics(handle: web::Data<PrometheusHandle>) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "text/plain; version=0.0.4"))
        .body(handle.render())
}

/// Which build.
pub async fn version() -> HttpResponse {
    HttpResponse::Ok().json(json!(BUILD))
}

//! Serves the stand-in for Retell's REST API on a socket: calls and agents of the simulated workspace, and what goes wrong with such an API.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::middleware::{Next, from_fn};
use actix_web::{App, Error, HttpRequest, HttpResponse, HttpServer, web};
use serde::Deserialize;
use trunkline_connectors::simulator::StandIn;
use trunkline_connectors::simulator::standin::Answer;
use trunkline_core::instant::Millis;

/// How the API behaves; may be changed while it is served.
#[derive(Debug, Default)]
pub struct Behaviour {
    /// Of 100 requests so many are answered 429.
    busy_percent: AtomicU32,
    /// The only key that is taken; `None`: any.
    key: Mutex<Option<String>>,
    asked: AtomicU64,
}

impl Behaviour {
    /// Answers so many of 100 requests 429.
    pub fn be_busy(&self, percent: u32) {
        self.busy_percent.store(percent.min(100), Ordering::Relaxed);
    }

    /// Takes this key and no other.
    pub fn take_only(&self, key: &str) {
        *self.key.lock().unwrap_or_else(PoisonError::into_inner) = Some(key.to_owned());
    }

    /// Requests so far, refused ones included.
    pub fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    /// Why a request is refused before it is read: Retell refuses those without a good bearer key, and too many of them.
    fn refusal(&self, request: &HttpRequest) -> Option<Answer> {
        let number = self.asked.fetch_add(1, Ordering::Relaxed);
        let header = request.headers().get("authorization").and_then(|value| value.to_str().ok());
        let given = header
            .and_then(|value| value.strip_prefix("Bearer "))
            .map(str::trim)
            .unwrap_or_default();
        let wanted = self.key.lock().unwrap_or_else(PoisonError::into_inner);
        // Keys of Retell's begin with key_; one that begins like this is known there and may do nothing.
        if given.starts_with("key_without_access") {
            return Some(error(403, "Forbidden"));
        }
        if given.is_empty() || given.starts_with("wrong_") || wanted.as_ref().is_some_and(|wanted| wanted != given) {
            return Some(error(401, "API key is missing or invalid."));
        }
        // Spread over the hundred, so that repeats of a request fare differently.
        let busy = u64::from(self.busy_percent.load(Ordering::Relaxed));
        (number * 37 % 100 < busy).then(|| error(429, "Account rate limited, please throttle your requests."))
    }
}

/// Starts serving at `address`; returns where it really listens (port 0 picks one).
pub fn serve(stand_in: StandIn, behaviour: Arc<Behaviour>, address: SocketAddr) -> std::io::Result<SocketAddr> {
    let server = HttpServer::new(move || {
        App::new()
            .app_data(web::Data::new(stand_in.clone()))
            .app_data(web::Data::from(behaviour.clone()))
            .wrap(from_fn(refuse))
            .route("/v2/get-call/{id}", web::get().to(get_call))
            .route("/v3/list-calls", web::post().to(list_calls))
            .route("/v2/list-agents", web::post().to(list_agents))
            .route("/get-agent/{id}", web::get().to(get_agent))
            .route("/get-api-key-info", web::get().to(key_info))
            .default_service(web::to(unknown))
    })
    .workers(1)
    .disable_signals()
    .bind(address)?;
    let served = server.addrs().first().copied().unwrap_or(address);
    tokio::spawn(server.run());
    Ok(served)
}

async fn refuse(request: ServiceRequest, next: Next<BoxBody>) -> Result<ServiceResponse<BoxBody>, Error> {
    let behaviour = request.app_data::<web::Data<Behaviour>>().cloned();
    match behaviour.and_then(|behaviour| behaviour.refusal(request.request())) {
        Some(answer) => Ok(request.into_response(written(answer))),
        None => next.call(request).await,
    }
}

async fn get_call(stand_in: web::Data<StandIn>, id: web::Path<String>) -> HttpResponse {
    written(stand_in.get_call(&id, now()).await)
}

async fn list_calls(stand_in: web::Data<StandIn>, body: web::Json<serde_json::Value>) -> HttpResponse {
    written(stand_in.list_calls(&body, now()).await)
}

/// Paging of list-agents: in the query.
#[derive(Debug, Deserialize)]
struct Paging {
    limit: Option<usize>,
    pagination_key: Option<String>,
}

async fn list_agents(stand_in: web::Data<StandIn>, paging: web::Query<Paging>) -> HttpResponse {
    written(stand_in.list_agents(paging.limit, paging.pagination_key.as_deref()))
}

/// Which version of an agent.
#[derive(Debug, Deserialize)]
struct Version {
    version: Option<u32>,
}

async fn get_agent(stand_in: web::Data<StandIn>, id: web::Path<String>, version: web::Query<Version>) -> HttpResponse {
    written(stand_in.get_agent(&id, version.version))
}

async fn key_info() -> HttpResponse {
    written(StandIn::key_info())
}

async fn unknown() -> HttpResponse {
    written(error(404, "Not found"))
}

fn error(status: u16, message: &str) -> Answer {
    Answer {
        status,
        body: serde_json::json!({"status": "error", "message": message}),
    }
}

fn written(answer: Answer) -> HttpResponse {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::build(status);
    if status == StatusCode::TOO_MANY_REQUESTS {
        response.insert_header(("retry-after", "1"));
    }
    response.json(answer.body)
}

fn now() -> Millis {
    Millis(
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_millis() as i64),
    )
}

//! `Idempotency-Key`: a POST that is sent twice is done once. The one mechanism for every POST of `/v1` (S-095).

use actix_web::body::{BoxBody, MessageBody, to_bytes};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{CONTENT_TYPE, HeaderName, HeaderValue, LOCATION};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{Error, HttpResponse, error, web};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use trunkline_stores::postgres::config::idempotency::{Answer, Asked, Begun, Known};
use uuid::Uuid;

use crate::configure::refused;
use crate::error::{Kind, Problem};
use crate::identity::session::now;
use crate::identity::{Caller, Who};
use crate::request;
use crate::state::AppState;

/// Longest key, as convention has it.
const KEY_CHARS: usize = 255;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Where tokens are given out nobody is known yet whose requests could be told apart, and a refresh token has its own rule for repeats.
const WITHOUT: &str = "/v1/tokens";

/// Middleware over pages and API: only POSTs to `/v1` with a key are held up by it.
pub async fn once(request: ServiceRequest, next: Next<impl MessageBody + 'static>) -> Result<ServiceResponse<BoxBody>, Error> {
    let key = request.headers().get(IDEMPOTENCY_KEY).cloned();
    match key.filter(|_| *request.method() == Method::POST && request.path().starts_with("/v1/") && !request.path().starts_with(WITHOUT)) {
        Some(key) => guarded(request, next, &key).await,
        None => next.call(request).await.map(ServiceResponse::map_into_boxed_body),
    }
}

async fn guarded(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
    key: &HeaderValue,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let caller = request.extract::<Caller>().await?;
    let body = request.extract::<web::Bytes>().await?;
    let state = request.extract::<web::Data<AppState>>().await?;
    let asked = asked(&caller, &request, key, &body)?;
    let begun = match state.config.begin_request(&asked, now()).await {
        Ok(Known::Fresh(begun)) => begun,
        Ok(Known::Running) => {
            let detail = "This request is being worked on; ask again in a moment.";
            return Err(Problem::new(Kind::Conflict, detail).retry_after(1).into());
        }
        Ok(Known::Other) => {
            tracing::info!(target: "audit", event = "idem.mismatch", tenant = %caller.tenant, request_id = %request::current_id(), "refused");
            let detail = "This Idempotency-Key was used for another request; each request has its own.";
            return Err(Problem::field("Idempotency-Key", "used_otherwise", detail).into());
        }
        Ok(Known::Answered(answer)) => return Ok(request.into_response(replayed(&answer))),
        Err(error) => return Err(refused("begin a request", error).into()),
    };
    request.set_payload(body.into());
    // On a task of its own: when the caller goes away in the middle, what was done and what is remembered of it stay together.
    let work = async move {
        match next.call(request).await {
            Ok(response) => keep(&state, begun, response).await,
            Err(error) => {
                release(&state, begun).await;
                Err(error)
            }
        }
    };
    let task = actix_web::rt::spawn(request::carrying(request::current_id(), work));
    task.await.map_err(error::ErrorInternalServerError)?
}

fn asked(caller: &Caller, request: &ServiceRequest, key: &HeaderValue, body: &[u8]) -> Result<Asked, Problem> {
    let text = key.to_str().ok().filter(|text| !text.is_empty() && text.len() <= KEY_CHARS);
    let Some(text) = text else {
        let detail = format!("An Idempotency-Key has 1 to {KEY_CHARS} visible ASCII characters.");
        return Err(Problem::field("Idempotency-Key", "unreadable", detail));
    };
    let actor: Uuid = match &caller.who {
        Who::Person(person) => person.user.0,
        Who::Program { key, .. } => key.0,
        Who::Screen { link, .. } => link.0,
    };
    let mut hasher = Sha256::new();
    for part in [request.path().as_bytes(), request.query_string().as_bytes(), body] {
        // The length keeps the parts apart.
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    Ok(Asked {
        tenant: caller.tenant,
        actor,
        key: Sha256::digest(text.as_bytes()).into(),
        request: hasher.finalize().into(),
    })
}

/// Remembers a success; what was refused may be tried again.
async fn keep(
    state: &AppState,
    begun: Begun,
    response: ServiceResponse<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    if !response.status().is_success() {
        release(state, begun).await;
        return Ok(response.map_into_boxed_body());
    }
    let (request, response) = response.into_parts();
    let (head, body) = response.into_parts();
    let bytes = to_bytes(body)
        .await
        .map_err(|cause| error::ErrorInternalServerError(cause.into()))?;
    let location = head.headers().get(LOCATION).and_then(|value| value.to_str().ok());
    let answer = Answer {
        status: head.status().as_u16(),
        location: location.map(str::to_owned),
        body: SecretString::from(String::from_utf8_lossy(&bytes).into_owned()),
    };
    if let Err(error) = state.config.answer_request(begun, &answer).await {
        // It is done; only a repeat within the next minute will be told to wait.
        tracing::warn!(request_id = %request::current_id(), %error, "an answer could not be kept");
    }
    Ok(ServiceResponse::new(request, head.set_body(bytes).map_into_boxed_body()))
}

async fn release(state: &AppState, begun: Begun) {
    if let Err(error) = state.config.release_request(begun).await {
        tracing::warn!(request_id = %request::current_id(), %error, "a request could not be given back");
    }
}

fn replayed(answer: &Answer) -> HttpResponse {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let mut response = HttpResponse::build(status);
    response.insert_header((IDEMPOTENCY_REPLAYED, "true"));
    if let Some(location) = &answer.location {
        response.insert_header((LOCATION, location.as_str()));
    }
    match answer.body.expose_secret() {
        "" => response.finish(),
        body => response.insert_header((CONTENT_TYPE, "application/json")).body(body.to_owned()),
    }
}

//! What every request of pages and API gets: an id, a log line, a duration, protective headers.

mod host;

use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::time::Instant;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage as _, HttpRequest, HttpResponse, web};
use futures::FutureExt as _;
use ipnet::IpNet;
use trunkline_core::id::TenantId;
use uuid::Uuid;

use crate::error::Problem;
use crate::identity::session;
use crate::state::AppState;

tokio::task_local! {
    static REQUEST_ID: String;
}

/// Longest id taken from a caller; longer or odd ones are replaced.
const CALLER_ID_CHARS: usize = 64;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// No inline script or style, nothing from elsewhere, never in a frame.
const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; base-uri 'none'; object-src 'none'; form-action 'self'; \
     frame-ancestors 'none'; img-src 'self' data:; connect-src 'self'";

/// Id of the request being served; empty outside one.
pub fn current_id() -> String {
    REQUEST_ID.try_with(Clone::clone).unwrap_or_default()
}

/// Work on a task of its own that still belongs to a request.
pub async fn carrying<T>(id: String, work: impl Future<Output = T>) -> T {
    REQUEST_ID.scope(id, work).await
}

/// Who made a request, for its line in the log; told by whoever finds out.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Whose things they see.
    pub tenant: TenantId,
    /// Person, key or screen, by id.
    pub actor: String,
}

/// Middleware: names the request, times it, notes it in one line, and sets headers on its answer. A handler that panics costs its own
/// request only.
pub async fn wrap(request: ServiceRequest, next: Next<impl MessageBody>) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let started = Instant::now();
    let id = caller_id(&request).unwrap_or_else(|| Uuid::now_v7().simple().to_string());
    let settings = request.app_data::<web::Data<AppState>>().map(|state| state.settings.clone());
    let secure = settings.as_ref().is_some_and(|settings| settings.server.secure());
    let trusted = settings
        .as_ref()
        .map(|settings| settings.server.trusted_proxies.as_slice())
        .unwrap_or_default();
    let source = client_address(request.request(), trusted);
    let method = request.method().clone();
    let answer = REQUEST_ID.scope(id.clone(), async {
        let caught = match host::refusal(request.request(), settings.as_deref()) {
            Some(problem) => Ok(Err(problem.into())),
            None => AssertUnwindSafe(next.call(request)).catch_unwind().await,
        };
        caught.unwrap_or_else(|_| Err(Problem::internal("answer a request", "a panic; its place is in the log").into()))
    });
    let noted = Noted {
        id: &id,
        method: &method,
        source,
        took: started,
    };
    match answer.await {
        Ok(mut response) => {
            noted.write(response.response(), Some(response.request()));
            let next = response.request().extensions().get::<session::Next>().cloned();
            if let Some(next) = next
                && let Err(error) = next.tell(response.response_mut())
            {
                tracing::error!(request_id = %id, %error, "a browser could not be told its next cookie");
            }
            protect(response.headers_mut(), &id, secure);
            Ok(response)
        }
        // A middleware's refusal has left the request behind; its answer is made here, so that it is protected like any other.
        Err(error) => {
            let mut response = REQUEST_ID.sync_scope(id.clone(), || HttpResponse::from_error(error));
            noted.write(&response, None);
            protect(response.headers_mut(), &id, secure);
            Err(InternalError::from_response("refused", response).into())
        }
    }
}

/// What the log is told of a request.
struct Noted<'a> {
    id: &'a str,
    method: &'a Method,
    source: Option<IpAddr>,
    took: Instant,
}

impl Noted<'_> {
    /// One line and one sample. Of a refusal it holds who was refused what, and from where.
    fn write<B>(&self, response: &HttpResponse<B>, request: Option<&HttpRequest>) {
        let route = request
            .and_then(HttpRequest::match_pattern)
            .unwrap_or_else(|| "unmatched".to_owned());
        let status = response.status();
        let duration = self.took.elapsed();
        let class = ["1xx", "2xx", "3xx", "4xx", "5xx"][usize::from(status.as_u16() / 100).clamp(1, 5) - 1];
        metrics::histogram!("trunkline_http_request_duration_seconds", "method" => method_word(self.method), "route" => route.clone(), "status_class" => class)
            .record(duration.as_secs_f64());
        let (id, method, status, duration_ms) = (self.id, self.method, status.as_u16(), duration.as_millis() as u64);
        if !(400..500).contains(&status) {
            tracing::info!(request_id = %id, %method, route, status, duration_ms, "request");
            return;
        }
        let asked = request.and_then(|request| request.extensions().get::<Asked>().cloned());
        let code = response
            .error()
            .and_then(|error| error.as_error::<Problem>())
            .map(|problem| problem.kind().code());
        let actor = asked.as_ref().map_or("nobody", |asked| asked.actor.as_str());
        let tenant = asked.as_ref().map(|asked| asked.tenant.to_string()).unwrap_or_default();
        metrics::counter!("trunkline_http_refused_total", "status" => status.to_string()).increment(1);
        tracing::info!(request_id = %id, %method, route, status, duration_ms, actor, tenant, source = self.source.map(tracing::field::display),
            code = code.unwrap_or_default(), decision = "refused", "request");
    }
}

/// Methods are free text, and each word of a label costs memory for ever.
fn method_word(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

/// The caller's address: the socket's, or, when that is a trusted proxy, the last address in `X-Forwarded-For` that is none.
pub fn client_address(request: &HttpRequest, trusted: &[IpNet]) -> Option<IpAddr> {
    let peer = request.peer_addr()?.ip().to_canonical();
    let is_trusted = |address: &IpAddr| trusted.iter().any(|network| network.contains(address));
    if !is_trusted(&peer) {
        return Some(peer);
    }
    // All headers of the name form one list; read from the end, because only what trusted proxies added can be believed.
    let hops: Vec<&str> = request
        .headers()
        .get_all(header::X_FORWARDED_FOR)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .collect();
    let mut nearest = peer;
    for hop in hops.into_iter().rev() {
        // What cannot be read ends the chain: before it nothing is certain.
        let Ok(address) = hop.parse::<IpAddr>().map(|address| address.to_canonical()) else {
            break;
        };
        nearest = address;
        if !is_trusted(&address) {
            break;
        }
    }
    Some(nearest)
}

fn protect(headers: &mut header::HeaderMap, id: &str, secure: bool) {
    let mut set = |name: HeaderName, value: &'static str| {
        if !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    };
    set(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY);
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::REFERRER_POLICY, "same-origin");
    set(HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    set(HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    set(
        HeaderName::from_static("permissions-policy"),
        "camera=(), microphone=(), geolocation=()",
    );
    // Everything here may be private; static files set their own.
    set(header::CACHE_CONTROL, "no-store");
    if secure {
        set(header::STRICT_TRANSPORT_SECURITY, "max-age=31536000; includeSubDomains");
    }
    if let Ok(value) = HeaderValue::from_str(id) {
        headers.insert(X_REQUEST_ID, value);
    }
}

fn caller_id(request: &ServiceRequest) -> Option<String> {
    let text = request.headers().get(X_REQUEST_ID)?.to_str().ok()?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    (!text.is_empty() && text.len() <= CALLER_ID_CHARS && text.chars().all(plain)).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use actix_web::http::StatusCode;
    use actix_web::middleware::from_fn;
    use actix_web::{App, test};

    use super::*;

    async fn fails() -> HttpResponse {
        panic!("as if a handler were wrong")
    }

    #[actix_rt::test]
    async fn s146_a_handler_that_panics_costs_its_own_request_only() {
        let app = App::new()
            .wrap(from_fn(wrap))
            .route("/fails", web::get().to(fails))
            .route("/works", web::get().to(async || "works"));
        let app = test::init_service(app).await;
        for _ in 0..3 {
            let request = test::TestRequest::get()
                .uri("/fails")
                .insert_header(("host", "a"))
                .insert_header(("x-request-id", "mine-1"));
            let error = test::try_call_service(&app, request.to_request()).await.err().expect("a refusal");
            let answer = error.as_response_error().error_response();
            assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
            assert_eq!(
                answer.headers().get("x-request-id").map(HeaderValue::as_bytes),
                Some(b"mine-1".as_slice())
            );
            assert!(answer.headers().contains_key("content-security-policy"));
            let request = test::TestRequest::get().uri("/works").insert_header(("host", "a"));
            assert_eq!(test::call_service(&app, request.to_request()).await.status(), StatusCode::OK);
        }
    }
}

//! What every request of pages and API gets: an id, a log line, a duration, protective headers.

use std::net::IpAddr;
use std::time::Instant;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpRequest, web};
use ipnet::IpNet;
use uuid::Uuid;

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

/// Middleware: names the request, times it, and sets headers on its answer.
pub async fn wrap(request: ServiceRequest, next: Next<impl MessageBody>) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let started = Instant::now();
    let id = caller_id(&request).unwrap_or_else(|| Uuid::now_v7().simple().to_string());
    let secure = request
        .app_data::<web::Data<AppState>>()
        .is_some_and(|state| state.settings.server.secure());
    let mut response = REQUEST_ID.scope(id.clone(), next.call(request)).await?;
    let route = response.request().match_pattern().unwrap_or_else(|| "unmatched".to_owned());
    let method = response.request().method().clone();
    let status = response.status();
    let duration = started.elapsed();
    let class = ["1xx", "2xx", "3xx", "4xx", "5xx"][usize::from(status.as_u16() / 100).clamp(1, 5) - 1];
    metrics::histogram!("trunkline_http_request_duration_seconds", "method" => method.to_string(), "route" => route.clone(), "status_class" => class)
        .record(duration.as_secs_f64());
    tracing::info!(request_id = %id, %method, route, status = status.as_u16(), duration_ms = duration.as_millis() as u64, "request");
    protect(response.headers_mut(), &id, secure);
    Ok(response)
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

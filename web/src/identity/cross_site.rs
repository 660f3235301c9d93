//! Refuses changes that another site makes a browser send (CSRF): by what the browser says of where the request comes from.

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap};
use actix_web::middleware::Next;

use crate::error::{Kind, Problem};

/// Middleware over pages and API: unsafe methods only. Programs with an API key are no browsers and pass.
pub async fn refuse(request: ServiceRequest, next: Next<impl MessageBody>) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let headers = request.headers();
    if !request.method().is_safe() && !headers.contains_key(header::AUTHORIZATION) && is_foreign(headers) {
        tracing::warn!(target: "audit", event = "csrf.reject", request_id = %crate::request::current_id(), "refused");
        return Err(Problem::new(Kind::CrossSite, "This change was asked for by another site.").into());
    }
    next.call(request).await
}

/// Browsers say where a request comes from; what says nothing (old browsers, programs) still needs the form's token.
fn is_foreign(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if text("sec-fetch-site").is_some_and(|site| site != "same-origin" && site != "none") {
        return true;
    }
    let Some(origin) = headers.get(header::ORIGIN) else { return false };
    // The host a browser asked for is the one its Origin names, whatever name we are known by.
    let host = origin
        .to_str()
        .ok()
        .and_then(|origin| origin.split_once("://"))
        .map(|(_, host)| host);
    host.is_none() || host != text("host")
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn only_our_own_pages_may_change_things() {
        assert!(!is_foreign(&headers(&[
            ("host", "a:1"),
            ("origin", "http://a:1"),
            ("sec-fetch-site", "same-origin")
        ])));
        assert!(!is_foreign(&headers(&[("host", "a:1")])));
        assert!(is_foreign(&headers(&[("host", "a:1"), ("sec-fetch-site", "cross-site")])));
        assert!(is_foreign(&headers(&[("host", "a:1"), ("sec-fetch-site", "same-site")])));
        assert!(is_foreign(&headers(&[("host", "a:1"), ("origin", "http://evil")])));
        assert!(is_foreign(&headers(&[("host", "a:1"), ("origin", "null")])));
    }
}

//! Bodies of `/v1` are JSON and say so: what a form of another site can send without asking (text/plain and the like) is refused (S-018).
//! One that is too large, or does not come whole, is refused like everything else.

use actix_web::Error;
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::PayloadError;
use actix_web::http::header::{self, HeaderMap};
use actix_web::middleware::Next;

use trunkline_core::limit::API_BODY_BYTES;

use crate::error::{Kind, Problem};

/// Middleware over pages and API: looks at `/v1` only.
pub async fn json_only(request: ServiceRequest, next: Next<impl MessageBody + 'static>) -> Result<ServiceResponse<BoxBody>, Error> {
    if !request.method().is_safe() && request.path().starts_with("/v1/") && has_body(request.headers()) && !is_json(request.headers()) {
        return Err(Problem::new(Kind::MediaType, "Send JSON, with Content-Type: application/json.").into());
    }
    let response = next.call(request).await?;
    let refused = response.response().error().and_then(|error| error.as_error::<PayloadError>());
    let Some(problem) = refused.map(unread) else {
        return Ok(response.map_into_boxed_body());
    };
    Ok(response.error_response(problem))
}

/// A body that was not taken, in our own words and not the framework's.
fn unread(error: &PayloadError) -> Problem {
    match error {
        PayloadError::Overflow => {
            let detail = format!("The body has more than {API_BODY_BYTES} bytes; nothing here is that large.");
            Problem::new(Kind::TooLarge, detail).closing()
        }
        _ => Problem::new(Kind::BadRequest, "The body did not come whole; send it again.").closing(),
    }
}

fn has_body(headers: &HeaderMap) -> bool {
    let length = headers.get(header::CONTENT_LENGTH).is_some_and(|length| length != "0");
    length || headers.contains_key(header::TRANSFER_ENCODING)
}

/// `application/json`, with or without parameters. No coding: nothing here is large enough to need one, and a small one can hide a large body.
fn is_json(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = text(header::CONTENT_TYPE).split(';').next().unwrap_or_default().trim();
    let coding = text(header::CONTENT_ENCODING);
    essence.eq_ignore_ascii_case("application/json") && (coding.is_empty() || coding.eq_ignore_ascii_case("identity"))
}

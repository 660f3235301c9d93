//! Conditional reads: an answer that the caller has already is not sent again.

use actix_web::body::{BodySize, BoxBody, MessageBody, to_bytes};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{ETAG, HeaderValue, IF_NONE_MATCH};
use actix_web::middleware::Next;
use actix_web::{Error, error};
use sha2::{Digest, Sha256};

/// Hex digits of a tag: 128 bits never meet by chance.
const TAG_DIGITS: usize = 32;

/// Middleware of reads whose answers change seldom: names the answer by its content (`ETag`), and says 304 to who has that one.
pub async fn conditional(request: ServiceRequest, next: Next<impl MessageBody + 'static>) -> Result<ServiceResponse<BoxBody>, Error> {
    let known: Vec<HeaderValue> = request.headers().get_all(IF_NONE_MATCH).cloned().collect();
    let (request, response) = next.call(request).await?.into_parts();
    let (mut head, body) = response.into_parts();
    if head.status() != StatusCode::OK || !matches!(body.size(), BodySize::Sized(_)) {
        return Ok(ServiceResponse::new(request, head.set_body(body).map_into_boxed_body()));
    }
    let bytes = to_bytes(body)
        .await
        .map_err(|cause| error::ErrorInternalServerError(cause.into()))?;
    let tag = format!("\"{}\"", &hex::encode(Sha256::digest(&bytes))[..TAG_DIGITS]);
    let same = known.iter().filter_map(|value| value.to_str().ok()).any(|list| names(list, &tag));
    if let Ok(value) = HeaderValue::from_str(&tag) {
        head.headers_mut().insert(ETAG, value);
    }
    if same {
        *head.status_mut() = StatusCode::NOT_MODIFIED;
        return Ok(ServiceResponse::new(request, head.set_body(()).map_into_boxed_body()));
    }
    Ok(ServiceResponse::new(request, head.set_body(bytes).map_into_boxed_body()))
}

/// Whether a list of tags has this one; marks of weak tags do not matter for reads (RFC 9110, 13.1.2).
fn names(list: &str, tag: &str) -> bool {
    list.split(',')
        .map(str::trim)
        .any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag)
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn a_tag_is_found_in_a_list_weak_or_strong() {
        for list in ["\"a\"", "W/\"a\"", "\"x\", \"a\"", "*"] {
            assert!(names(list, "\"a\""), "{list}");
        }
        assert!(!names("\"ab\", a", "\"a\""));
    }
}

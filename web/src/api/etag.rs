//! Conditional reads: an answer that the caller has already is not sent again.

use actix_web::body::{BodySize, BoxBody, MessageBody, to_bytes};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{ETAG, HeaderValue, IF_MATCH, IF_NONE_MATCH};
use actix_web::middleware::Next;
use actix_web::{Error, HttpRequest, error};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::error::{Kind, Problem};

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
    let tag = tag(&bytes);
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

/// The name of an answer with this body.
fn tag(body: &[u8]) -> String {
    format!("\"{}\"", &hex::encode(Sha256::digest(body))[..TAG_DIGITS])
}

/// The name of a state: what [`conditional`] gives to an answer that is `form` and nothing else.
pub fn name_of(form: &impl Serialize) -> Result<String, Problem> {
    let body = serde_json::to_vec(form).map_err(|error| Problem::internal("name a state", error))?;
    Ok(tag(&body))
}

/// Refuses a change that does not say, in `If-Match`, that it is meant for the present state: the tag that a read of `form` has.
pub fn must_match(request: &HttpRequest, form: &impl Serialize) -> Result<(), Problem> {
    let mut lists = request.headers().get_all(IF_MATCH).peekable();
    if lists.peek().is_none() {
        let detail = "Read it first and send the ETag of the answer as If-Match, so that nobody's change is lost.";
        return Err(Problem::new(Kind::Unconditional, detail));
    }
    let tag = name_of(form)?;
    // Strong comparison (RFC 9110, 13.1.1): a weak tag never matches.
    let strong = |list: &str| list.split(',').map(str::trim).any(|one| one == "*" || one == tag);
    if lists.filter_map(|value| value.to_str().ok()).any(strong) {
        Ok(())
    } else {
        let detail = "It was changed meanwhile; read it again and repeat the change.";
        Err(Problem::new(Kind::Precondition, detail))
    }
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

//! What a refused request gets: problem details (RFC 9457). The only file that knows status codes.

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use utoipa::ToSchema;

use crate::request;

/// Kinds of refusal: each has one status, one stable code and one title.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Broken syntax.
    BadRequest,
    /// No, broken, expired or revoked credential.
    Unauthenticated,
    /// Webhook signature missing, wrong or expired.
    Signature,
    /// The password was right, the code of the second step is missing or wrong.
    SecondFactor,
    /// Known caller without the right.
    Forbidden,
    /// A second factor has to be set up first.
    EnrolFirst,
    /// The password has to be typed again for this.
    FreshSignIn,
    /// The caller's organisation is suspended by whoever runs the platform.
    Suspended,
    /// The organisation lets people in by its own provider only.
    CompanySignIn,
    /// A form sent from another site, or without its token.
    CrossSite,
    /// The sender's address is not on the workspace's list.
    SourceAddress,
    /// Not there, or somebody else's: the same answer.
    NotFound,
    /// Method not offered here.
    Method,
    /// The body did not arrive in time.
    Slow,
    /// Body over the limit.
    TooLarge,
    /// Media type or content coding not taken.
    MediaType,
    /// Well-formed, but not allowed.
    Unprocessable,
    /// It does not fit to what there is at this moment.
    Conflict,
    /// `If-Match` is missing where a change needs it.
    Unconditional,
    /// `If-Match` names another state than the present one.
    Precondition,
    /// A cursor that we did not sign for this list.
    Cursor,
    /// A limit of rate.
    TooMany,
    /// Our bug; the details are in the log under the request id.
    Internal,
    /// A dependency is away or we are full; try again.
    Unavailable,
}

/// All kinds, for the page that explains them.
pub const ALL_KINDS: [Kind; 24] = [
    Kind::BadRequest,
    Kind::Unauthenticated,
    Kind::Signature,
    Kind::SecondFactor,
    Kind::Forbidden,
    Kind::EnrolFirst,
    Kind::FreshSignIn,
    Kind::Suspended,
    Kind::CompanySignIn,
    Kind::CrossSite,
    Kind::SourceAddress,
    Kind::NotFound,
    Kind::Method,
    Kind::Slow,
    Kind::TooLarge,
    Kind::MediaType,
    Kind::Unprocessable,
    Kind::Conflict,
    Kind::Unconditional,
    Kind::Precondition,
    Kind::Cursor,
    Kind::TooMany,
    Kind::Internal,
    Kind::Unavailable,
];

impl Kind {
    /// The HTTP status.
    pub fn status(self) -> StatusCode {
        match self {
            Kind::BadRequest => StatusCode::BAD_REQUEST,
            Kind::Unauthenticated | Kind::Signature | Kind::SecondFactor => StatusCode::UNAUTHORIZED,
            Kind::Forbidden
            | Kind::CrossSite
            | Kind::SourceAddress
            | Kind::EnrolFirst
            | Kind::FreshSignIn
            | Kind::Suspended
            | Kind::CompanySignIn => StatusCode::FORBIDDEN,
            Kind::NotFound => StatusCode::NOT_FOUND,
            Kind::Method => StatusCode::METHOD_NOT_ALLOWED,
            Kind::Slow => StatusCode::REQUEST_TIMEOUT,
            Kind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Kind::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Kind::Unprocessable | Kind::Cursor => StatusCode::UNPROCESSABLE_ENTITY,
            Kind::Conflict => StatusCode::CONFLICT,
            Kind::Unconditional => StatusCode::PRECONDITION_REQUIRED,
            Kind::Precondition => StatusCode::PRECONDITION_FAILED,
            Kind::TooMany => StatusCode::TOO_MANY_REQUESTS,
            Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The stable word that programs test.
    pub fn code(self) -> &'static str {
        match self {
            Kind::BadRequest => "bad_request",
            Kind::Unauthenticated => "unauthenticated",
            Kind::Signature => "signature_refused",
            Kind::SecondFactor => "mfa_required",
            Kind::Forbidden => "forbidden",
            Kind::EnrolFirst => "mfa_enrolment_required",
            Kind::FreshSignIn => "reauth_required",
            Kind::Suspended => "organisation_suspended",
            Kind::CompanySignIn => "company_sign_in_required",
            Kind::CrossSite => "cross_site",
            Kind::SourceAddress => "source_address",
            Kind::NotFound => "not_found",
            Kind::Method => "method_not_allowed",
            Kind::Slow => "too_slow",
            Kind::TooLarge => "too_large",
            Kind::MediaType => "unsupported_media_type",
            Kind::Unprocessable => "unprocessable",
            Kind::Cursor => "bad_cursor",
            Kind::Conflict => "conflict",
            Kind::Unconditional => "precondition_required",
            Kind::Precondition => "precondition_failed",
            Kind::TooMany => "too_many_requests",
            Kind::Internal => "internal",
            Kind::Unavailable => "unavailable",
        }
    }

    /// A title for people.
    pub fn title(self) -> &'static str {
        match self {
            Kind::BadRequest => "The request cannot be read",
            Kind::Unauthenticated => "Sign in first",
            Kind::Signature => "The webhook signature was refused",
            Kind::SecondFactor => "The second step of signing in is missing",
            Kind::Forbidden => "Not allowed",
            Kind::EnrolFirst => "Set up a second factor first",
            Kind::FreshSignIn => "Type your password again",
            Kind::Suspended => "The organisation is suspended",
            Kind::CompanySignIn => "Sign in with your company",
            Kind::CrossSite => "The request came from another site",
            Kind::SourceAddress => "Not taken from this address",
            Kind::NotFound => "Not found",
            Kind::Method => "Method not allowed",
            Kind::Slow => "The body did not arrive in time",
            Kind::TooLarge => "The body is too large",
            Kind::MediaType => "Media type not taken",
            Kind::Unprocessable => "The request asks for something that is not allowed",
            Kind::Cursor => "The cursor is not valid for this list",
            Kind::Conflict => "Not possible as things are",
            Kind::Unconditional => "Say which state is to be changed",
            Kind::Precondition => "It was changed meanwhile",
            Kind::TooMany => "Too many requests",
            Kind::Internal => "Something went wrong on our side",
            Kind::Unavailable => "Not available at this moment",
        }
    }
}

/// One field that was refused.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct FieldError {
    /// JSON pointer, or the name of the query parameter.
    pub pointer: String,
    /// Stable word.
    pub code: String,
    /// Sentence for people.
    pub detail: String,
}

/// A refusal on its way out.
#[derive(Debug, Clone)]
pub struct Problem {
    kind: Kind,
    detail: String,
    errors: Vec<FieldError>,
    retry_after: Option<u32>,
    allow: Option<&'static str>,
    close: bool,
}

/// A refusal as sent: `application/problem+json`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct Written {
    /// Page that explains the code.
    #[serde(rename = "type")]
    pub kind: String,
    /// Title for people.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// What went wrong this time.
    pub detail: String,
    /// Stable word that programs test.
    pub code: String,
    /// Quote this when you ask for help.
    pub request_id: String,
    /// Refused fields.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
}

impl Problem {
    /// A refusal of `kind` with a sentence.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Problem {
        Problem {
            kind,
            detail: detail.into(),
            errors: Vec::new(),
            retry_after: None,
            allow: None,
            close: false,
        }
    }

    /// Not there, or not the caller's.
    pub fn not_found() -> Problem {
        Problem::new(Kind::NotFound, "There is nothing at this address that you can see.")
    }

    /// A failure that the caller cannot help: logged here, once, with its cause; the answer holds the request id only.
    pub fn internal(attempted: &'static str, error: impl fmt::Display) -> Problem {
        tracing::error!(request_id = %request::current_id(), attempted, %error, "request failed");
        Problem::new(Kind::Internal, "The failure is in the log under this request id.")
    }

    /// A store that is away: logged here, once.
    pub fn unavailable(attempted: &'static str, error: impl fmt::Display) -> Problem {
        tracing::warn!(request_id = %request::current_id(), attempted, %error, "dependency away");
        Problem::new(Kind::Unavailable, "A store does not answer at this moment; try again.").retry_after(1)
    }

    /// A refused field or parameter.
    pub fn field(pointer: &str, code: &str, detail: impl Into<String>) -> Problem {
        let detail = detail.into();
        let mut problem = Problem::new(Kind::Unprocessable, detail.clone());
        problem.errors.push(FieldError {
            pointer: pointer.to_owned(),
            code: code.to_owned(),
            detail,
        });
        problem
    }

    /// Refused fields of a form, all of them at once.
    pub fn fields(errors: Vec<FieldError>) -> Problem {
        let detail: Vec<&str> = errors.iter().map(|error| error.detail.as_str()).collect();
        let mut problem = Problem::new(Kind::Unprocessable, detail.join(" "));
        problem.errors = errors;
        problem
    }

    /// The refused fields.
    pub fn errors(&self) -> &[FieldError] {
        &self.errors
    }

    /// Adds `Retry-After`.
    pub fn retry_after(mut self, seconds: u32) -> Problem {
        self.retry_after = Some(seconds);
        self
    }

    /// After how many seconds to try again, where that is known.
    pub fn seconds(&self) -> Option<u32> {
        self.retry_after
    }

    /// Adds `Allow`.
    pub fn allow(mut self, methods: &'static str) -> Problem {
        self.allow = Some(methods);
        self
    }

    /// Closes the connection afterwards: the rest of the body is not wanted.
    pub fn closing(mut self) -> Problem {
        self.close = true;
        self
    }

    /// Which kind.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The sentence.
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.code(), self.detail)
    }
}

impl std::error::Error for Problem {}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.kind.status()
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.kind.status());
        if let Some(seconds) = self.retry_after {
            response.insert_header((header::RETRY_AFTER, HeaderValue::from(seconds)));
        }
        if let Some(methods) = self.allow {
            response.insert_header((header::ALLOW, methods));
        }
        if self.kind == Kind::Unauthenticated {
            response.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
        }
        if self.close {
            response.force_close();
        }
        let written = Written {
            kind: format!("/docs/errors#{}", self.kind.code()),
            title: self.kind.title().to_owned(),
            status: self.kind.status().as_u16(),
            detail: self.detail.clone(),
            code: self.kind.code().to_owned(),
            request_id: request::current_id(),
            errors: self.errors.clone(),
        };
        let body = serde_json::to_vec(&written).expect("texts and numbers always serialise");
        response
            .insert_header((header::CONTENT_TYPE, "application/problem+json"))
            .body(body)
    }
}

#[cfg(test)]
mod tests {
    use actix_web::body::to_bytes;

    use super::*;

    #[actix_rt::test]
    async fn s041_a_failure_of_ours_tells_its_request_and_nothing_of_its_cause() {
        let cause = "relation \"users\" does not exist at /srv/trunkline/src/x.rs:12: SELECT password_hash FROM users";
        for problem in [Problem::internal("read users", cause), Problem::unavailable("read users", cause)] {
            let answer = crate::request::carrying("request-7".to_owned(), async { problem.error_response() }).await;
            assert!(answer.status().is_server_error());
            let body = to_bytes(answer.into_body()).await.expect("a body in memory");
            let text = String::from_utf8_lossy(&body);
            assert!(text.contains("request-7"), "{text}");
            for part in ["SELECT", "users", "/srv", ".rs", BUILD_VERSION] {
                assert!(!text.contains(part), "{text}");
            }
        }
    }

    const BUILD_VERSION: &str = env!("CARGO_PKG_VERSION");
}

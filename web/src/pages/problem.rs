//! Refusals as pages: what happened, what is safe, what to do. Programs keep getting problem details.

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::{Method, StatusCode, header};
use actix_web::middleware::Next;
use actix_web::{Error, HttpRequest, HttpResponse};
use askama::Template;

use crate::error::{Kind, Problem};
use crate::identity::screen;
use crate::pages::format;
use crate::pages::shell::{Place, Shell};
use crate::request;

/// The page.
#[derive(Template)]
#[template(path = "problem.html")]
pub struct ProblemPage {
    s: Shell,
    heading: String,
    words: String,
    safe: String,
    request_id: String,
    action: (String, String),
    retry: bool,
}

impl ProblemPage {
    /// The words for a status, or those that are named.
    pub fn of(mut s: Shell, status: StatusCode, words: Option<&'static str>, request_id: String) -> ProblemPage {
        let l = s.l;
        let key = words.unwrap_or(match status {
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => "problem-not-found",
            StatusCode::FORBIDDEN => "problem-forbidden",
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => "problem-unavailable",
            status if status.is_client_error() => "problem-bad",
            _ => "problem-internal",
        });
        s.title = l.t(key);
        ProblemPage {
            heading: l.t(key),
            words: l.t(&format!("{key}-words")),
            safe: String::new(),
            request_id: if status == StatusCode::NOT_FOUND {
                String::new()
            } else {
                request_id
            },
            action: ("/wall".to_owned(), l.t("to-wall")),
            retry: status.is_server_error(),
            s,
        }
    }
}

/// Middleware of the pages: turns a refusal into a page, and a missing session into the way to sign in.
pub async fn as_page(request: ServiceRequest, next: Next<impl MessageBody + 'static>) -> Result<ServiceResponse<BoxBody>, Error> {
    let asked = request.request().clone();
    let response = match next.call(request).await {
        Ok(response) => response.map_into_boxed_body(),
        Err(error) => ServiceResponse::new(asked.clone(), HttpResponse::from_error(error)),
    };
    let status = response.status();
    if !(status.is_client_error() || status.is_server_error()) || is_html(response.response()) {
        return Ok(response);
    }
    let enrol = response.response().error().and_then(|error| error.as_error::<Problem>());
    let page = match enrol.map(Problem::kind) {
        Some(Kind::Suspended) => page_of(&asked, status, Some("problem-suspended")),
        Some(Kind::EnrolFirst) => HttpResponse::SeeOther().insert_header((header::LOCATION, "/account")).finish(),
        _ => refusal(&asked, status),
    };
    Ok(ServiceResponse::new(asked, page))
}

/// The page, or the way to sign in, for a refused request.
pub fn refusal(request: &HttpRequest, status: StatusCode) -> HttpResponse {
    if status == StatusCode::UNAUTHORIZED {
        return to_sign_in(request);
    }
    page_of(request, status, None)
}

fn page_of(request: &HttpRequest, status: StatusCode, words: Option<&'static str>) -> HttpResponse {
    let s = Shell::new(request, Place::Nowhere, "problem-internal");
    let page = ProblemPage::of(s, status, words, request::current_id());
    match page.render() {
        Ok(body) => HttpResponse::build(status).content_type("text/html; charset=utf-8").body(body),
        Err(_) => HttpResponse::build(status).finish(),
    }
}

fn to_sign_in(request: &HttpRequest) -> HttpResponse {
    // Nobody types a password on a television: one whose link was taken back asks to be paired again.
    if request.path() == "/wall" && request.query_string().contains("tv=1") && screen::carries_a_link(request) {
        return HttpResponse::SeeOther().insert_header((header::LOCATION, "/tv")).finish();
    }
    let wanted = request.uri().path_and_query().map_or("/", |wanted| wanted.as_str());
    let back = request.method() == Method::GET && wanted != "/" && wanted.len() < 2_000;
    let address = if back {
        format!("/signin?next={}", format::path_segment(wanted))
    } else {
        "/signin".to_owned()
    };
    let mut response = HttpResponse::SeeOther();
    if request.headers().contains_key("hx-request") {
        // A fragment must not be replaced by a whole sign-in page.
        response = HttpResponse::NoContent();
        response.insert_header(("hx-redirect", address.clone()));
    }
    response.insert_header((header::LOCATION, address)).finish()
}

/// True when a browser navigates: programs and scripts ask for something else.
pub fn wants_page(request: &HttpRequest) -> bool {
    let accept = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html")) && !request.path().starts_with("/v1/")
}

fn is_html(response: &HttpResponse<BoxBody>) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("text/html"))
}

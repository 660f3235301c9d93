//! Every route of every listener, one table each.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

use crate::error::{Kind, Problem};
use crate::{admin, api, intake, pages, stream};

/// Pages and API (`server.bind`).
pub fn site(config: &mut web::ServiceConfig) {
    config
        .configure(api::configure)
        .service(stream::stream)
        .configure(pages::configure)
        .default_service(web::to(unknown));
}

/// Retell's webhooks (`intake.bind`). One kind of address: `/v1/retell/{token}`. It is not written as a pattern, because actix matches
/// patterns by a regular expression, which costs more than half as much as the signature of an event of 2 kB.
pub fn intake(config: &mut web::ServiceConfig) {
    config.default_service(web::to(events));
}

async fn events(request: HttpRequest, payload: web::Payload, intake: web::Data<intake::Intake>) -> Result<HttpResponse, Problem> {
    match request.path().strip_prefix("/v1/retell/") {
        Some(token) if !token.contains('/') => Ok(intake::receive(&request, token, payload, &intake).await),
        _ => unknown(request).await,
    }
}

/// Health and metrics (`admin.bind`).
pub fn admin(config: &mut web::ServiceConfig) {
    config
        .route("/livez", web::get().to(admin::alive))
        .route("/readyz", web::get().to(admin::ready))
        .route("/startupz", web::get().to(admin::started))
        .route("/metrics", web::get().to(admin::metrics))
        .route("/version", web::get().to(admin::version))
        .default_service(web::to(unknown));
}

async fn unknown(request: HttpRequest) -> Result<HttpResponse, Problem> {
    if let Some(methods) = api::documents::methods(request.path()) {
        return Err(Problem::new(Kind::Method, format!("This address takes {methods}.")).allow(methods));
    }
    if pages::problem::wants_page(&request) {
        return Ok(pages::problem::refusal(&request, StatusCode::NOT_FOUND));
    }
    Err(Problem::new(Kind::NotFound, "There is nothing at this address that you can see."))
}

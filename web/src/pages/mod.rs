//! The screens: server-rendered pages over the same functions as the API.

use actix_web::http::StatusCode;
use actix_web::middleware::from_fn;
use actix_web::{HttpResponse, web};
use askama::Template;

use crate::error::Problem;

pub mod alert;
pub mod assets;
pub mod call;
pub mod capacity;
pub mod csv;
pub mod detail;
pub mod format;
pub mod frame;
pub mod handlers;
pub mod jobs;
pub mod live;
pub mod log;
pub mod now;
pub mod operator;
pub mod problem;
pub mod query;
pub mod raw;
pub mod reconciler;
pub mod row;
pub mod settings;
pub mod shell;
pub mod signin;
pub mod spark;
pub mod talk;
pub mod tile;
pub mod usage;
pub mod wall;

#[cfg(test)]
mod tests;

/// Adds the pages' routes.
pub fn configure(config: &mut web::ServiceConfig) {
    config.route("/assets/{hash}/{path:.*}", web::get().to(assets::serve));
    let page = |path: &str| web::resource(path.to_owned()).wrap(from_fn(problem::as_page));
    config
        .service(page("/").route(web::get().to(handlers::home)))
        .service(page("/wall").route(web::get().to(handlers::wall)))
        .service(page("/live").route(web::get().to(handlers::live)))
        .service(page("/calls").route(web::get().to(handlers::calls)))
        .service(page("/calls/news").route(web::get().to(handlers::news)))
        .service(page("/calls/{kind}/{id}").route(web::get().to(handlers::call)))
        .service(page("/calls/{kind}/{id}/raw").route(web::get().to(handlers::raw)))
        .service(page("/usage").route(web::get().to(usage::usage)))
        .service(page("/usage.csv").route(web::get().to(usage::file)))
        .service(page("/operator").route(web::get().to(handlers::operator)))
        .service(page("/operator/figures").route(web::get().to(handlers::operator_figures)))
        .service(page("/operator/jobs").route(web::get().to(jobs::jobs)))
        .service(page("/operator/jobs/{id}/retry").route(web::post().to(jobs::retry)))
        .service(page("/operator/jobs/{id}/cancel").route(web::post().to(jobs::cancel)))
        .service(page("/operator/reconciler").route(web::get().to(reconciler::reconciler)))
        .service(page("/operator/raw").route(web::get().to(handlers::operator_raw)))
        .service(
            page("/signin")
                .route(web::get().to(signin::show))
                .route(web::post().to(signin::enter)),
        )
        .configure(settings::configure)
        .service(page("/language").route(web::get().to(signin::language)))
        .service(page("/signout").route(web::post().to(signin::leave)));
}

/// A rendered page.
pub fn html(status: StatusCode, page: &impl Template) -> Result<HttpResponse, Problem> {
    let body = page.render().map_err(|error| Problem::internal("render a page", error))?;
    Ok(HttpResponse::build(status).content_type("text/html; charset=utf-8").body(body))
}

//! The screens: server-rendered pages over the same functions as the API.

use actix_web::http::StatusCode;
use actix_web::middleware::from_fn;
use actix_web::{HttpResponse, web};
use askama::Template;

use crate::error::Problem;

pub mod account;
pub mod alert;
pub mod assets;
pub mod auditor;
pub mod call;
pub mod capacity;
pub mod company;
pub mod csv;
pub mod detail;
pub mod device;
mod findings;
pub mod format;
pub mod frame;
pub mod handlers;
pub mod jobs;
pub mod live;
pub mod log;
pub mod now;
pub mod operator;
pub mod platform;
pub mod problem;
pub mod query;
pub mod raw;
pub mod reconciler;
pub mod row;
pub mod second_step;
pub mod settings;
pub mod shell;
pub mod signin;
pub mod spark;
pub mod talk;
pub mod tile;
pub mod tv;
pub mod usage;
pub mod wall;
pub mod welcome;

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
        .service(page("/operator/auditor").route(web::get().to(auditor::auditor)))
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
        .service(
            page("/invitation")
                .route(web::get().to(welcome::show))
                .route(web::post().to(welcome::accept)),
        )
        .service(
            page("/forgot")
                .route(web::get().to(welcome::show))
                .route(web::post().to(welcome::forgot)),
        )
        .service(
            page("/reset")
                .route(web::get().to(welcome::show))
                .route(web::post().to(welcome::reset)),
        )
        .configure(settings::configure)
        .configure(platform::configure)
        .service(
            page("/signin/code")
                .route(web::get().to(second_step::show))
                .route(web::post().to(second_step::enter)),
        )
        .service(
            page("/signin/company")
                .route(web::get().to(company::show))
                .route(web::post().to(company::find)),
        )
        .service(page(crate::identity::company::RETURN).route(web::get().to(company::finish)))
        .service(page("/signin/company/{organisation}").route(web::get().to(company::begin)))
        .service(page("/tv").route(web::get().to(tv::pair)))
        .service(page("/tv/wait").route(web::get().to(tv::wait)))
        .service(page("/tv/{token}").route(web::get().to(tv::open)))
        .service(page("/account").route(web::get().to(account::show)))
        .service(page("/account/name").route(web::post().to(account::rename)))
        .service(page("/account/password").route(web::post().to(account::change_password)))
        .service(page("/account/sessions/end-others").route(web::post().to(account::end_others)))
        .service(page("/account/sessions/{id}/end").route(web::post().to(account::end_one)))
        .service(page("/account/second-factor").route(web::post().to(account::begin)))
        .service(page("/account/second-factor/confirm").route(web::post().to(account::confirm)))
        .service(page("/account/second-factor/end").route(web::post().to(account::end)))
        .service(page("/language").route(web::get().to(signin::language)))
        .service(page("/signout").route(web::post().to(signin::leave)));
}

/// A rendered page.
pub fn html(status: StatusCode, page: &impl Template) -> Result<HttpResponse, Problem> {
    let body = page.render().map_err(|error| Problem::internal("render a page", error))?;
    Ok(HttpResponse::build(status).content_type("text/html; charset=utf-8").body(body))
}

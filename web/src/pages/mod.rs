//! The screens: server-rendered pages over the same functions as the API.

use actix_web::web;

pub mod alert;
pub mod assets;
pub mod format;
pub mod row;
pub mod shell;
pub mod spark;
pub mod wall;

#[cfg(test)]
mod tests;

/// Adds the pages' routes.
pub fn configure(config: &mut web::ServiceConfig) {
    config.route("/assets/{hash}/{path:.*}", web::get().to(assets::serve));
}

//! The screens: server-rendered pages over the same functions as the API.

use actix_web::web;

/// Adds the pages' routes.
pub fn configure(_: &mut web::ServiceConfig) {}

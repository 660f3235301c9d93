//! The whole product, through its own doors.

mod api;
mod app;
mod house_rules;
mod intake;
mod intake_pressure;
mod openapi;
mod stream;

//! The whole product, through its own doors.

mod api;
mod app;
mod browser;
mod command;
mod house_rules;
mod identity;
mod intake;
mod intake_pressure;
mod lifecycle;
mod openapi;
mod stream;

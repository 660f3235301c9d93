//! The whole product, through its own doors.

mod access;
mod agreement;
mod api;
mod app;
mod audit;
mod audit_log;
mod browser;
mod command;
mod demo;
mod house_rules;
mod identity;
mod intake;
mod intake_pressure;
mod kafka;
mod kill;
mod lifecycle;
mod openapi;
mod payloads;
mod process;
mod roles;
mod secrets;
mod sequences;
mod signer;
mod simulated;
mod stream;
mod webhooks;

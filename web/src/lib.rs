#![doc = include_str!("../README.md")]

pub mod admin;
pub mod api;
pub mod cli;
pub mod configure;
pub mod demo;
pub mod error;
pub mod identity;
pub mod intake;
pub mod l10n;
pub mod letters;
pub mod pages;
pub mod request;
pub mod routes;
pub mod settings;
pub mod shutdown;
pub mod simulated_retell;
pub mod startup;
pub mod state;
pub mod stream;
pub mod telemetry;

/// Damages good input and looks whether anything breaks; the core's tests have it.
#[cfg(test)]
#[path = "../../engine/core/tests/it/damage.rs"]
mod damage;

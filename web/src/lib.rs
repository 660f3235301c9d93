#![doc = include_str!("../README.md")]

pub mod admin;
pub mod cli;
pub mod demo;
pub mod error;
pub mod identity;
pub mod intake;
pub mod l10n;
pub mod pages;
pub mod request;
pub mod routes;
pub mod settings;
pub mod shutdown;
pub mod simulated_retell;
pub mod startup;
pub mod state;
pub mod telemetry;

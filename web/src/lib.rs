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

/// Nearly all memory here is small pieces that live shortly, and half of them are given back on another thread than took them: with the system's
/// allocator that was a fifth of the live group's time. Version 2 and no huge pages (see the workspace's Cargo.toml): version 3 took 400 bytes more for
/// a live call, and the kernel spent a third of the time on clearing huge pages.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Damages good input and looks whether anything breaks; the core's tests have it.
#[cfg(test)]
#[path = "../../engine/core/tests/it/damage.rs"]
mod damage;

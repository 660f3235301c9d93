#![doc = include_str!("../README.md")]

pub mod clickhouse;
pub mod keyring;
pub mod log;
pub mod postgres;
pub mod spool;
mod tls;

/// Damages good input and looks whether anything breaks; the core's tests have it.
#[cfg(test)]
#[path = "../../core/tests/it/damage.rs"]
mod damage;

#![doc = include_str!("../README.md")]

pub mod clickhouse;
pub mod keyring;
pub mod log;
pub mod postgres;
pub mod spool;
mod tls;

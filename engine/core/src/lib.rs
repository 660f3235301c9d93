#![doc = include_str!("../README.md")]

pub mod access;
pub mod announcement;
pub mod audit;
pub mod call;
pub mod checkpoint;
pub mod class;
pub mod door;
pub mod event;
pub mod facts;
pub mod id;
pub mod instant;
pub mod json;
pub mod limit;
pub mod metric;
pub mod name;
pub mod platform;
pub mod reconcile;
pub mod record;
pub mod retry;
pub mod signature;
mod transcript;
pub mod undocumented;
pub mod usage;
mod wire;

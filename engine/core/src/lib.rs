#![doc = include_str!("../README.md")]

pub mod facts;
pub mod id;
pub mod instant;
pub mod limit;
pub mod metric;
pub mod record;
pub mod signature;

#![doc = include_str!("../README.md")]

pub mod board;
pub mod chaos;
pub mod child;
pub mod consume;
pub mod cpu;
pub mod directory;
pub mod door;
pub mod guarantees;
pub mod load;
pub mod members;
pub mod memory;
pub mod outage;
#[path = "../../engine/stores/tests/it/ports.rs"]
mod ports;
pub mod restart;
pub mod sample;
pub mod sign_ins;
pub mod topic;

/// The middle one of the rates of all rounds.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

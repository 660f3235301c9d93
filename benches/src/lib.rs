#![doc = include_str!("../README.md")]

pub mod child;
pub mod cpu;
pub mod door;
pub mod load;
pub mod sample;

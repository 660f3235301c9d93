#![doc = include_str!("../README.md")]

pub mod retell;
pub mod simulator;
pub mod webhook;

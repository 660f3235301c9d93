#![doc = include_str!("../README.md")]

pub mod mail;
pub mod retell;
pub mod simulator;
pub mod webhook;

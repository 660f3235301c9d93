#![doc = include_str!("../README.md")]

pub mod dns;
pub mod jose;
pub mod mail;
pub mod oidc;
pub mod retell;
pub mod simulator;
pub mod webhook;

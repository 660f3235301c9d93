//! One binary for all integration tests of the stores.

mod analytics;
mod door;
mod door_durability;
mod engine;

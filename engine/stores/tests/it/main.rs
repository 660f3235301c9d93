//! One binary for all integration tests of the stores.

mod door;
mod door_durability;
mod engine;

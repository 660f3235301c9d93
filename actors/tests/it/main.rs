//! One binary for all integration tests of the actors.

mod audit;
mod auditor;
mod effects;
mod facts;
mod facts_faults;
mod facts_house;
mod facts_intents;
mod harness;
mod live_checkpoints;
mod live_faults;
mod live_figures;
mod live_life;
mod live_postgres;
mod live_restart;
mod memory_log;
mod memory_topic;

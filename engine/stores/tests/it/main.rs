//! One binary for all integration tests of the stores.

mod analytics;
mod analytics_given;
mod analytics_list;
mod analytics_tls;
mod broker;
mod compacted_suite;
mod config;
mod deeds;
mod door;
mod door_durability;
mod embedded;
mod engine;
mod log_kafka;
mod log_kafka_away;
mod log_kafka_names;
mod log_postgres;
mod log_suite;
mod people;
mod ports;
mod schema;
mod secrets;
mod server;
mod sessions;
mod spool;
mod tls;
mod tokens;

//! Tests of the pure core, by subject.

mod call;
mod checkpoint;
mod damage;
mod door;
mod fuzz;
mod fuzz_targets;
mod given;
mod json;
mod metric;
mod payloads;
mod reconcile;
mod record;
mod signature;
mod undocumented;
mod usage;

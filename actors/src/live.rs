//! The live group: from the log to the figures on the wallboard.

mod board_cache;
mod business_actor;
mod call_actor;
mod completeness;
mod engine;
mod faults;
mod gather;
mod glance;
mod homing;
mod hub;
mod lag;
mod limits;
mod partition;
mod reader;
mod reaper;
mod rebuild;
mod residue;
mod set_aside;
mod shared;
mod subscriber;
mod trail;
mod window;

pub use board_cache::BoardScope;
pub use completeness::{Completeness, Gap, PartitionState};
pub use engine::{Engine, EngineError, EngineOptions};
pub use faults::{Faults, Point};
pub use hub::LiveCall;
pub use limits::Limits;
pub use reaper::{CallLookup, Lookup, PRESUMED_ENDED};
pub use set_aside::SetAsideNote;
pub use window::{CallScope, Changes, Footprint, Live};

#![doc = include_str!("../README.md")]

pub mod live;
pub mod system;

pub use live::{
    BoardScope, CallLookup, CallScope, Changes, Completeness, Engine, EngineError, EngineOptions, Gap, Limits, Live, LiveCall, Lookup,
    PartitionState, SetAsideNote, Unknown, UnknownKind,
};
pub use system::{Clock, Hand, Health, Role, RoleState, Roles};

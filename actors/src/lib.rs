#![doc = include_str!("../README.md")]

pub mod live;
pub mod system;

pub use live::{
    BoardScope, CallScope, Changes, Completeness, Gap, Limits, Live, LiveCall, PartitionState, SetAsideNote, Unknown, UnknownKind,
};
pub use system::{Clock, Hand, Health, Role, RoleState, Roles};

#![doc = include_str!("../README.md")]

pub mod audit;
pub mod effects;
pub mod facts;
pub mod jobs;
pub mod live;
pub mod post;
pub mod reconciler;
pub mod system;

pub use audit::{AuditSummary, Auditor, AuditorOptions};
pub use effects::{Effects, EffectsOptions, EffectsState, EffectsWatcher};
pub use facts::{Facts, FactsOptions, FactsState, FactsWatcher};
pub use jobs::{Jobs, JobsOptions};
pub use live::{
    BoardScope, CallLookup, CallScope, Changes, Checkpointed, Completeness, Engine, EngineError, EngineOptions, Gap, Limits, Live,
    LiveCall, Lookup, PartitionState, Rebuild, SetAsideNote,
};
pub use reconciler::{Reconciler, ReconcilerOptions};
pub use system::{Clock, FailureHook, Hand, Health, Role, RoleState, Roles};

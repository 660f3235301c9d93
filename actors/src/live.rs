//! The live group: from the log to the figures on the wallboard.

mod board_cache;
mod completeness;
mod hub;
mod lag;
mod limits;
mod set_aside;
mod unknown;
mod window;

pub use board_cache::BoardScope;
pub use completeness::{Completeness, Gap, PartitionState};
pub use hub::LiveCall;
pub use limits::Limits;
pub use set_aside::SetAsideNote;
pub use unknown::{Unknown, UnknownKind};
pub use window::{CallScope, Changes, Live};

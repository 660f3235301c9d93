//! What every role stands on: bounded delivery, guardians, the pulse, and a state that can be looked at.

mod arbiters;
mod deliver;
mod guardian;
mod lean;
mod member;
mod pulse;
mod role;

pub(crate) use arbiters::Arbiters;
pub(crate) use deliver::{Line, Mailbox, ask, ask_all, deliver};
pub use guardian::FailureHook;
pub(crate) use guardian::{Bound, Deaths, Guardian, Lifeline, Verdict};
pub(crate) use lean::Lean;
pub(crate) use member::{keep_joined, sleep_until};
pub use pulse::{Clock, Hand};
pub(crate) use pulse::{beat, now, wall_clock};
pub use role::{Health, Role, RoleState, Roles};

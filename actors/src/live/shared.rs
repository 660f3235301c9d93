//! What all parts of the live group hold together.

use std::sync::Arc;

use trunkline_core::metric::Rules;
use trunkline_stores::log::EventLog;

use super::faults::Faults;
use super::hub::Hub;
use super::limits::Limits;
use crate::system::{Clock, FailureHook, Role, Roles};

/// Handles of the live group.
pub(crate) struct Shared {
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) roles: Roles,
    pub(crate) call_role: Arc<Role>,
    pub(crate) business_role: Arc<Role>,
    pub(crate) clock: Clock,
    pub(crate) limits: Limits,
    pub(crate) rules: Rules,
    pub(crate) failure: FailureHook,
    pub(crate) faults: Option<Faults>,
}

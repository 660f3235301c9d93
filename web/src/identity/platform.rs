//! Those who run the platform: what they may do there, and the organisation whose data they have opened for a while.

use trunkline_core::access::Access;
use trunkline_core::platform::{PlatformPermission, PlatformPermissions, opened};
use trunkline_stores::postgres::PostgresError;

use super::session::now;
use super::{Caller, Person, Who};
use crate::error::{Kind, Problem};
use crate::state::AppState;

/// The caller of a session as the platform sees them. Whoever belongs to the platform's own organisation has no right in any other, but for
/// reading what they have open; everybody else stays as they are.
pub(super) async fn seen(state: &AppState, mut caller: Caller) -> Result<Caller, PostgresError> {
    if state.directory.borrow().platform != Some(caller.tenant) {
        return Ok(caller);
    }
    let Who::Person(person) = &caller.who else { return Ok(caller) };
    let session = person.session.hash();
    caller.platform = PlatformPermissions::all();
    caller.access = Default::default();
    if let Some(opening) = state.config.opening_of(&session, now()).await? {
        caller.tenant = opening.tenant;
        caller.access = opened();
        caller.opening = Some(opening);
    }
    Ok(caller)
}

/// What a session of the API may do while what it has open stays open; `None` when it was closed.
pub(super) async fn still_open(state: &AppState, caller: &Caller, person: &Person) -> Result<Option<Access>, PostgresError> {
    let opening = state.config.opening_of(&person.session.hash(), now()).await?;
    Ok((opening == caller.opening).then(|| caller.access.clone()))
}

impl Caller {
    /// Refuses unless the caller runs the platform and may do this there.
    pub fn needs_platform(&self, permission: PlatformPermission) -> Result<&Person, Problem> {
        match &self.who {
            Who::Person(person) if self.platform.has(permission) => Ok(person),
            _ => {
                tracing::info!(target: "audit", event = "authz.role", tenant = %self.tenant, permission = permission.as_str(),
                    request_id = %crate::request::current_id(), "refused");
                Err(Problem::new(Kind::Forbidden, "This is for those who run the platform."))
            }
        }
    }

    /// Refuses while the caller's organisation is suspended. Those of the platform look into one also then.
    pub(super) fn check_suspended(&self, state: &AppState) -> Result<(), Problem> {
        if self.opening.is_none() && state.directory.borrow().is_suspended(self.tenant) {
            return Err(suspended());
        }
        Ok(())
    }
}

/// What everybody of a suspended organisation is told.
pub(super) fn suspended() -> Problem {
    let detail = "Your organisation is suspended. Its calls are kept; ask whoever runs this platform.";
    Problem::new(Kind::Suspended, detail)
}

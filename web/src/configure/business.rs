//! Businesses: name, time zone, day, limit and targets.

use jiff::tz::TimeZone;
use trunkline_core::access::Permission;
use trunkline_core::id::BusinessId;
use trunkline_core::metric::Targets;
use trunkline_stores::postgres::row::{Business, NewBusiness};

use super::{Wrong, refused, until_known};
use crate::error::Problem;
use crate::identity::Caller;
use crate::state::AppState;

/// Most calls at once that a business may be said to have: what the whole engine is planned for.
const LIMIT_MAX: u32 = 1_000_000;

/// Last minute of a day.
const MINUTE_MAX: u16 = 1_439;

/// A business that the caller may see; others do not exist for them.
pub async fn find(state: &AppState, caller: &Caller, id: BusinessId) -> Result<Business, Problem> {
    if caller.sight(Permission::Live)?.agents(id).is_none() {
        return Err(Problem::not_found());
    }
    let found = state.config.businesses(caller.tenant, Some(id)).await;
    let found = found.map_err(|error| refused("read a business", error))?;
    found.into_iter().next().ok_or_else(Problem::not_found)
}

/// Makes a business.
pub async fn create(state: &AppState, caller: &Caller, new: NewBusiness) -> Result<Business, Problem> {
    caller.needs(Permission::Businesses)?;
    let new = checked(new)?;
    let id = state
        .config
        .create_business(caller.tenant, &caller.by(), &new)
        .await
        .map_err(|error| refused("make a business", error))?;
    until_known(state, |directory| directory.businesses.contains_key(&id)).await;
    Ok(as_kept(id, new))
}

/// Changes a business that is still as `before` says.
pub async fn change(state: &AppState, caller: &Caller, before: &Business, new: NewBusiness) -> Result<Business, Problem> {
    caller.needs_in(Permission::Businesses, before.id)?;
    let new = checked(new)?;
    state
        .config
        .change_business(caller.tenant, &caller.by(), before, &new)
        .await
        .map_err(|error| refused("change a business", error))?;
    Ok(as_kept(before.id, new))
}

/// The form, checked; everything that is wrong is said at once.
fn checked(mut new: NewBusiness) -> Result<NewBusiness, Problem> {
    let mut wrong = Wrong::default();
    new.name = wrong.name("/name", &new.name);
    new.zone = new.zone.trim().to_owned();
    if TimeZone::get(&new.zone).is_err() {
        wrong.field(
            "/time_zone",
            "unknown_zone",
            "There is no such time zone; write an IANA name such as Europe/Madrid.",
        );
    }
    if new.day_start_minute > MINUTE_MAX {
        wrong.field("/day_start_minute", "out_of_range", format!("A day has minutes 0 to {MINUTE_MAX}."));
    }
    if new.concurrency_limit.is_some_and(|limit| !(1..=LIMIT_MAX).contains(&limit)) {
        wrong.field(
            "/concurrency_limit",
            "out_of_range",
            format!("Write 1 to {LIMIT_MAX}, or leave it out."),
        );
    }
    if let Err(error) = Targets::read(&new.targets) {
        wrong.field("/targets", "bad_target", format!("{error}."));
    }
    if new.targets.is_null() {
        new.targets = serde_json::json!({});
    }
    wrong.end().map(|()| new)
}

fn as_kept(id: BusinessId, new: NewBusiness) -> Business {
    Business {
        id,
        name: new.name,
        zone: new.zone,
        day_start_minute: new.day_start_minute,
        concurrency_limit: new.concurrency_limit,
        targets: new.targets,
    }
}

//! What the platform's operations take and give.

use serde::{Deserialize, Serialize};
use trunkline_core::instant::Millis;
use trunkline_stores::clickhouse::Arrived;
use trunkline_stores::postgres::row::{Opening, OrganisationState};
use utoipa::ToSchema;

use crate::api::form::{given, moment};
use crate::configure::platform::{Overview, Seen};

/// The platform at one moment.
#[derive(Debug, Serialize, ToSchema)]
pub struct PlatformOverview {
    /// Always `platform_overview`.
    pub object: &'static str,
    /// When.
    pub as_of: Option<String>,
    /// Organisations, the suspended ones included.
    pub organisations: u64,
    /// Suspended organisations.
    pub suspended: u64,
    /// People who may sign in.
    pub people: u64,
    /// Businesses.
    pub businesses: u64,
    /// Workspaces that take events.
    pub workspaces: u64,
    /// Calls in progress.
    pub live_calls: u64,
    /// Events of the last minute; null when the analytics store did not say.
    pub events_last_minute: Option<u64>,
    /// Events of the last 24 hours; null when the analytics store did not say.
    pub events_last_day: Option<u64>,
    /// Bytes on disk of the analytics store; null when it did not say.
    pub stored_bytes: Option<u64>,
    /// Everything up to this moment is on the boards; null until every partition of the log has begun.
    pub complete_to: Option<String>,
    /// How far boards are behind, in ms.
    pub lag_ms: Option<i64>,
    /// Runs of events that should be in the log and were not delivered.
    pub gaps: u64,
    /// The log cannot be reached at this moment.
    pub log_away: bool,
    /// Boards are still being rebuilt.
    pub rebuilding: bool,
    /// Events in the log that are not yet in the analytics store.
    pub facts_behind: u64,
}

/// All organisations.
#[derive(Debug, Serialize, ToSchema)]
pub struct Organisations {
    /// By name.
    pub data: Vec<OrganisationForm>,
}

/// An organisation as the platform sees it.
#[derive(Debug, Serialize, ToSchema)]
pub struct OrganisationForm {
    /// Always `organisation`.
    pub object: &'static str,
    /// Its id.
    pub id: String,
    /// What can be changed of it.
    #[serde(flatten)]
    pub state: StateForm,
    /// When it was made.
    pub created_at: Option<String>,
    /// People who may sign in.
    pub people: u64,
    /// Businesses, those of unassigned calls included.
    pub businesses: u64,
    /// Workspaces that take events.
    pub workspaces: u64,
    /// API keys that are accepted.
    pub api_keys: u64,
    /// Calls in progress.
    pub live_calls: u64,
    /// Events of the last minute; null when the analytics store did not say.
    pub events_last_minute: Option<u64>,
    /// Events of the last 24 hours; null when the analytics store did not say.
    pub events_last_day: Option<u64>,
    /// When the last of them came; null when there was none, or the analytics store did not say.
    pub last_event_at: Option<String>,
    /// What somebody should look at: `suspended`, `over_concurrency`, `no_workspace`, `silent` (no event within 24 hours), `set_aside`,
    /// `webhooks_failing`.
    pub problems: Vec<&'static str>,
}

/// What of an organisation the platform may change; also what its ETag names.
#[derive(Debug, Serialize, ToSchema)]
pub struct StateForm {
    /// Its name.
    pub name: String,
    /// What was agreed on, in the platform's words.
    pub plan: String,
    /// Since when nobody of it is let in; its events are kept all the same.
    pub suspended_at: Option<String>,
    /// Why.
    pub suspended_reason: Option<String>,
    /// Events a second of all its workspaces together; what is beyond is refused at the door, and Retell tries only three times. Null: no
    /// limit.
    pub intake_per_second: Option<u32>,
    /// Calls at once that were agreed on; more are shown as a problem, since only Retell can refuse a call. Null: no limit.
    pub concurrent_calls: Option<u32>,
    /// API keys that are accepted at the same time. Null: no limit.
    pub api_keys_max: Option<u32>,
}

/// An organisation to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OrganisationDraft {
    /// Its name.
    pub name: String,
    /// What was agreed on.
    #[serde(default)]
    pub plan: String,
    /// Address of its first owner, who is invited.
    pub email: String,
    /// Their name.
    pub owner_name: String,
    /// Language of the mail (BCP 47); `en` unless given.
    #[serde(default)]
    pub language: Option<String>,
    /// Events a second of all its workspaces together.
    #[serde(default)]
    pub intake_per_second: Option<u32>,
    /// Calls at once that were agreed on.
    #[serde(default)]
    pub concurrent_calls: Option<u32>,
    /// API keys that are accepted at the same time.
    #[serde(default)]
    pub api_keys_max: Option<u32>,
}

/// An organisation that was made.
#[derive(Debug, Serialize, ToSchema)]
pub struct OrganisationMade {
    /// The organisation.
    #[serde(flatten)]
    pub organisation: OrganisationForm,
    /// The owner's invitation to pass on: in this answer and in no other, and only where no mail server is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
}

/// What is to be changed; what is not named stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OrganisationChange {
    /// Another name.
    #[serde(default)]
    pub name: Option<String>,
    /// Another plan.
    #[serde(default)]
    pub plan: Option<String>,
    /// Suspends it for this reason: nobody of it is let in, and open streams end within five seconds. Null: resumes it.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub suspended_reason: Option<Option<String>>,
    /// Events a second of all its workspaces together; null: no limit.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u32>)]
    pub intake_per_second: Option<Option<u32>>,
    /// Calls at once that were agreed on; null: no limit.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u32>)]
    pub concurrent_calls: Option<Option<u32>>,
    /// API keys that are accepted at the same time; null: no limit.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u32>)]
    pub api_keys_max: Option<Option<u32>>,
}

/// Why an organisation's data is to be opened, and the proof.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OpeningDraft {
    /// Why, in 10 to 500 characters; the organisation reads it.
    #[serde(default)]
    pub reason: String,
    /// A code of the authenticator app that was not used yet.
    #[serde(default)]
    pub code: String,
}

/// An organisation's data, open to the session that asked.
#[derive(Debug, Serialize, ToSchema)]
pub struct OpeningForm {
    /// Always `opening`.
    pub object: &'static str,
    /// Its id.
    pub id: String,
    /// Whose data.
    pub organisation_id: String,
    /// Why.
    pub reason: String,
    /// Since when.
    pub created_at: Option<String>,
    /// Until when.
    pub expires_at: Option<String>,
}

impl PlatformOverview {
    /// As it was found; with how far the analytics store is behind.
    pub fn of(found: &Overview, behind: i64) -> PlatformOverview {
        let all = &found.organisations;
        let sum = |of: fn(&Seen) -> u64| all.iter().map(of).sum();
        let arrived = |of: fn(&Arrived) -> u64| all.iter().map(|seen| seen.arrived.as_ref().map(of)).sum();
        PlatformOverview {
            object: "platform_overview",
            as_of: moment(found.as_of),
            organisations: all.len() as u64,
            suspended: sum(|seen| u64::from(seen.listed.state.suspended_at.is_some())),
            people: sum(|seen| seen.listed.people),
            businesses: sum(|seen| seen.listed.businesses),
            workspaces: sum(|seen| seen.listed.workspaces),
            live_calls: sum(|seen| seen.live_calls),
            events_last_minute: arrived(|arrived| arrived.last_minute),
            events_last_day: arrived(|arrived| arrived.records),
            stored_bytes: found.stored_bytes,
            complete_to: found.completeness.complete_to.and_then(moment),
            lag_ms: found.completeness.lag_ms,
            gaps: found.completeness.gaps.len() as u64,
            log_away: found.completeness.log_away,
            rebuilding: found.completeness.rebuilding,
            facts_behind: u64::try_from(behind).unwrap_or_default(),
        }
    }
}

impl StateForm {
    /// As it is kept.
    pub fn of(state: &OrganisationState) -> StateForm {
        StateForm {
            name: state.name.clone(),
            plan: state.plan.clone(),
            suspended_at: state.suspended_at.and_then(moment),
            suspended_reason: state.suspended_at.map(|_| state.suspended_why.clone()),
            intake_per_second: state.intake_per_second,
            concurrent_calls: state.concurrency_limit,
            api_keys_max: state.api_keys_max,
        }
    }
}

impl OrganisationForm {
    /// As it was found.
    pub fn of(seen: Seen) -> OrganisationForm {
        let Seen {
            listed,
            live_calls,
            arrived,
            problems,
        } = seen;
        let last = arrived.filter(|arrived| arrived.records > 0);
        OrganisationForm {
            object: "organisation",
            id: listed.id.to_string(),
            state: StateForm::of(&listed.state),
            created_at: moment(listed.created_at),
            people: listed.people,
            businesses: listed.businesses,
            workspaces: listed.workspaces,
            api_keys: listed.api_keys,
            live_calls,
            events_last_minute: arrived.map(|arrived| arrived.last_minute),
            events_last_day: arrived.map(|arrived| arrived.records),
            last_event_at: last.and_then(|arrived| moment(Millis(arrived.last_at))),
            problems,
        }
    }
}

impl OpeningForm {
    /// As it is in force.
    pub fn of(opening: &Opening) -> OpeningForm {
        OpeningForm {
            object: "opening",
            id: opening.id.to_string(),
            organisation_id: opening.tenant.to_string(),
            reason: opening.reason.clone(),
            created_at: moment(opening.created_at),
            expires_at: moment(opening.expires_at),
        }
    }
}

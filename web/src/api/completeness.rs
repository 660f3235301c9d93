//! `GET /v1/completeness`: up to which moment everything is there, and what is missing.

use std::collections::BTreeMap;

use actix_web::{get, web};
use serde::Serialize;
use trunkline_actors::Completeness;
use trunkline_core::access::Permission;
use utoipa::ToSchema;

use crate::error::{Problem, Written};
use crate::identity::Caller;
use crate::state::AppState;

/// How complete the live figures of the organisation are. Moments are ms since the epoch, as on the board.
#[derive(Debug, Serialize, ToSchema)]
pub struct CompletenessForm {
    /// When this was asked.
    pub as_of: i64,
    /// Everything that the log took up to here is on the boards; null until the first figures are there.
    pub complete_to: Option<i64>,
    /// Boards are being rebuilt from the log: figures are too low, or of before that began.
    pub rebuilding: bool,
    /// The log cannot be reached at this moment.
    pub log_away: bool,
    /// Partitions of the log.
    pub partitions: u32,
    /// Partitions that this process reads.
    pub assigned: u32,
    /// `as_of` minus `complete_to`.
    pub lag_ms: Option<i64>,
    /// 95th percentile from receipt at our door to the boards, last minute.
    pub lag_p95_ms: Option<i64>,
    /// 95th percentile from receipt at our door to the log, last minute.
    pub intake_lag_p95_ms: Option<i64>,
    /// Offsets that should be in the log and were not delivered, or that the auditor found wrong and could not repair.
    pub gaps: Vec<GapForm>,
    /// Calls in progress that have been silent for longer than usual: their end may be missing.
    pub open_without_end: u64,
    /// Calls that were presumed to have ended.
    pub presumed_ended: u64,
    /// Events that could not be read, by reason, within the last 26 hours.
    pub set_aside: BTreeMap<String, u64>,
    /// How calls compare with Retell's own list; null without an API key for Retell.
    pub reconciled: Option<ReconciledForm>,
    /// How log, stored calls and usage ledger compare; null until that is known.
    pub audited: Option<AuditedForm>,
}

/// A run of missing offsets.
#[derive(Debug, Serialize, ToSchema)]
pub struct GapForm {
    /// Partition of the log.
    pub partition: u32,
    /// First missing offset.
    pub first: i64,
    /// Last missing offset.
    pub last: i64,
}

/// What the reconciler has done.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReconciledForm {
    /// Calls that ended before this were compared, of all workspaces; null while one of them never was.
    pub to: Option<i64>,
    /// Differences filled in within the last 24 hours.
    pub healed: u64,
    /// Differences that are not.
    pub open: u64,
    /// Workspaces whose last comparison failed.
    pub waiting: u64,
}

/// What the auditor has found.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditedForm {
    /// What the log took before this was compared, of all partitions; null while one of them never was.
    pub to: Option<i64>,
    /// Differences repaired within the last 24 hours.
    pub repaired: u64,
    /// Differences that are not; where they are stands among the gaps.
    pub open: u64,
}

impl From<Completeness> for CompletenessForm {
    fn from(of: Completeness) -> Self {
        let gap = |gap: trunkline_actors::Gap| GapForm {
            partition: gap.partition,
            first: gap.first,
            last: gap.last,
        };
        CompletenessForm {
            as_of: of.as_of.0,
            complete_to: of.complete_to.map(|at| at.0),
            rebuilding: of.rebuilding,
            log_away: of.log_away,
            partitions: of.partitions,
            assigned: of.assigned,
            lag_ms: of.lag_ms,
            lag_p95_ms: of.lag_p95_ms,
            intake_lag_p95_ms: of.intake_lag_p95_ms,
            gaps: of.gaps.into_iter().map(gap).collect(),
            open_without_end: of.open_without_end,
            presumed_ended: of.presumed_ended,
            set_aside: of.set_aside.into_iter().map(|(reason, count)| (reason.to_owned(), count)).collect(),
            reconciled: of.reconciled.map(|reconciled| ReconciledForm {
                to: reconciled.to.map(|at| at.0),
                healed: reconciled.healed,
                open: reconciled.open,
                waiting: reconciled.waiting,
            }),
            audited: of.audited.map(|audited| AuditedForm {
                to: audited.to.map(|at| at.0),
                repaired: audited.repaired,
                open: audited.open,
            }),
        }
    }
}

/// How complete the live figures are: "complete to 14:03:05", lag, gaps, calls whose end may be missing, and what was filled in from
/// Retell's own list of calls.
#[utoipa::path(tag = "live", operation_id = "getCompleteness", responses((status = 200, description = "Completeness", body = CompletenessForm),
    (status = 401, description = "No credential", body = Written)))]
#[get("/v1/completeness")]
pub async fn completeness(caller: Caller, state: web::Data<AppState>) -> Result<web::Json<CompletenessForm>, Problem> {
    caller.sight(Permission::Live)?;
    Ok(web::Json(state.live.completeness(caller.tenant).into()))
}

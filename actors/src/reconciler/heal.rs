//! What is done about a difference: noted first, then filled in, then settled. A death between these leaves a finding open, and the next
//! pass looks at it again.

use std::collections::HashSet;

use trunkline_connectors::retell::{Client, RetellError, events_of, is_over, listed};
use trunkline_core::door;
use trunkline_core::instant::Millis;
use trunkline_core::reconcile::{Difference, Gap, Listed};
use trunkline_core::record::Source;
use trunkline_stores::postgres::WorkspaceEntry;
use trunkline_stores::postgres::reconciler::{FindingsFilter, NewFinding, Turn};

use super::pass::{Found, Passed, differing};
use super::{Ground, PassError};
use crate::system::wall_clock;

/// Times that the events of one finding are filled in: if Retell then still says otherwise, more of the same will not help.
const FILLED_MAX: u32 = 3;
/// Open findings looked at again in one pass: each is a request.
const OPEN_MAX: u32 = 100;
/// Older open findings are looked at by deep passes only.
const OPEN_YOUNG_MS: i64 = 86_400_000;
/// Healed findings are kept this long, for those who ask what was filled in.
const KEPT_MS: i64 = 90 * 86_400_000;

/// What healing needs.
pub(super) struct Healing<'a> {
    pub ground: &'a Ground,
    pub entry: &'a WorkspaceEntry,
    pub client: &'a Client,
    pub turn: &'a Turn,
}

/// Fills in what is missing of a call; `None` when a second look finds nothing wrong.
pub(super) async fn heal(healing: &Healing<'_>, call: &Listed, gap: Gap) -> Result<Option<Found>, PassError> {
    let Healing {
        ground,
        entry,
        client,
        turn,
    } = healing;
    // Between the list and our own books time passes: a call that has ended meanwhile is no contradiction.
    if gap.difference == Difference::StillRunning && client.get_call(&call.call_id).await.is_ok_and(|now| is_over(&now)) {
        return Ok(None);
    }
    if !turn.holds() {
        return Err(PassError::Turn);
    }
    let (tenant, workspace) = (entry.tenant, entry.workspace);
    let new = NewFinding {
        call_id: &call.call_id,
        difference: gap.difference,
        agent_id: &call.agent_id,
        ended_at: call.ended_at,
    };
    let noted = ground.config.note_finding(tenant, workspace, &new, wall_clock()).await?;
    metrics::counter!("trunkline_reconciler_findings_total", "kind" => gap.difference.as_str()).increment(1);
    let filled = match noted.tries >= FILLED_MAX {
        true => Err("what Retell sends for it was filled in several times, and its list still says otherwise".to_owned()),
        false => fill(healing, call, &gap).await?,
    };
    let (names, settled) = match &filled {
        Ok(names) => (names.as_slice(), Ok(wall_clock())),
        Err(problem) => (&[][..], Err(problem.as_str())),
    };
    ground.config.settle_finding(tenant, workspace, noted.id, names, settled).await?;
    if filled.is_ok() {
        metrics::counter!("trunkline_reconciler_healed_total", "kind" => gap.difference.as_str()).increment(1);
    }
    tracing::info!(%workspace, call = %call.call_id, found = gap.difference.as_str(), healed = filled.is_ok(), "Retell's list differs from what was heard");
    Ok(Some(Found {
        call_id: call.call_id.to_string(),
        difference: gap.difference,
        problem: filled.as_ref().err().cloned(),
        filled: filled.unwrap_or_default(),
    }))
}

/// Fetches the call and appends its missing events; gives their names, or why nothing can be filled in.
async fn fill(healing: &Healing<'_>, call: &Listed, gap: &Gap) -> Result<Result<Vec<&'static str>, String>, PassError> {
    let Healing { ground, entry, client, .. } = healing;
    if gap.missing.is_empty() {
        return Ok(Err("an end was received, and Retell says that the call runs".to_owned()));
    }
    let object = match client.get_call(&call.call_id).await {
        Ok(object) => object,
        Err(RetellError::NotFound) => return Ok(Err("Retell lists it and does not give it out".to_owned())),
        Err(error) => return Err(error.into()),
    };
    if listed(&object).is_none_or(|found| found.call_id != call.call_id) {
        return Ok(Err("Retell answered with another call".to_owned()));
    }
    let mut names = Vec::new();
    for (name, body) in events_of(&object, &gap.missing) {
        let (routed, body) = door::route(body.into());
        if let Some(reason) = routed.set_aside {
            return Ok(Err(format!("what Retell answered cannot be read as an event: {}", reason.as_str())));
        }
        let record = door::record(routed, body, wall_clock(), entry.tenant, entry.workspace, Source::Backfill);
        ground.log.append(&record.header.key, record.encode()).await?;
        names.push(name.as_str());
    }
    Ok(Ok(names))
}

/// Looks again at what was found before and not healed, and was not met in this pass: the real event may have come, Retell may answer now.
pub(super) async fn look_at_open(healing: &Healing<'_>, all: bool, seen: &HashSet<Box<str>>, passed: &mut Passed) -> Result<(), PassError> {
    let Healing { ground, entry, client, .. } = healing;
    let filter = FindingsFilter {
        workspace: Some(entry.workspace),
        open: true,
        before: None,
    };
    let young = wall_clock().plus(-OPEN_YOUNG_MS);
    let open = ground.config.findings(entry.tenant, &filter, OPEN_MAX).await?;
    for finding in open.into_iter().filter(|finding| all || finding.found_at > young) {
        if seen.contains(finding.call_id.as_str()) {
            continue;
        }
        let object = match client.get_call(&finding.call_id).await {
            Ok(object) => object,
            Err(RetellError::NotFound) => continue,
            Err(error) => return Err(error.into()),
        };
        let Some(call) = listed(&object) else { continue };
        let mut uncounted = Passed::default();
        let gap = differing(ground, entry.tenant, vec![call], &mut uncounted).await?.pop();
        let still = gap.as_ref().is_some_and(|(_, gap)| Some(gap.difference) == finding.difference);
        if !still {
            let settled = Ok(wall_clock());
            ground
                .config
                .settle_finding(entry.tenant, entry.workspace, finding.id, &[], settled)
                .await?;
        }
        if let Some((call, gap)) = gap {
            passed.found.extend(heal(healing, &call, gap).await?);
        }
    }
    Ok(())
}

/// Forgets what was healed long ago.
pub(super) async fn forget(ground: &Ground, entry: &WorkspaceEntry, now: Millis) -> Result<(), PassError> {
    Ok(ground.config.forget_findings(entry.tenant, now.plus(-KEPT_MS)).await?)
}

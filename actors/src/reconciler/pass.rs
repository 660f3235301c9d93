//! One pass over a workspace: what Retell lists, against what the usage ledger has heard.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use serde::Serialize;
use trunkline_connectors::retell::{Client, ListCalls, PAGES_MAX, RetellError, listed};
use trunkline_core::id::{CallKey, Kind, TenantId};
use trunkline_core::instant::Millis;
use trunkline_core::reconcile::{Difference, Gap, Heard, Listed, compare};
use trunkline_core::usage::Evidence;
use trunkline_stores::postgres::WorkspaceEntry;
use trunkline_stores::postgres::reconciler::{Progress, Turn};

use super::heal::{Healing, heal, look_at_open};
use super::{Ground, PassError, millis};
use crate::system::wall_clock;

/// A pass looks this far behind the end of the one before: an analysis comes minutes after the end, and Retell's list may show a call late.
const OVERLAP_MS: i64 = 15 * 60_000;
/// How often a pass looks as far back as the first one: for what Retell changed or listed very late.
const DEEP_EVERY_MS: i64 = 6 * 3_600_000;
/// A pass that has much to do notes how far it is after each such span of ends; where there is little, spans double.
const STRIDE_MS: i64 = 6 * 3_600_000;
/// Calls of one page: what is held at once, and how many the ledger is asked for.
const PAGE: u32 = 500;
/// How long the usage ledger may take to read what the log had when a page was listed.
const LEDGER_WAIT: Duration = Duration::from_secs(30);
/// How often it is looked whether it has.
const LEDGER_LOOK: Duration = Duration::from_millis(200);

/// A difference, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Found {
    /// Which call.
    pub call_id: String,
    /// What was wrong with it.
    pub difference: Difference,
    /// Events that were filled in.
    pub filled: Vec<&'static str>,
    /// Why it is not healed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// What a pass did.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Passed {
    /// Calls that ended from here on were compared...
    pub from: Millis,
    /// ...to before here.
    pub to: Millis,
    /// Calls that Retell listed.
    pub listed: u64,
    /// What differed.
    pub found: Vec<Found>,
    /// Ended calls by agent, and how many of them had not been heard of.
    #[serde(skip)]
    pub(super) by_agent: HashMap<String, (u64, u64)>,
}

/// Compares, from `since` if it is given, else from where the last pass ended. Progress is noted on the way.
pub async fn pass(
    ground: &Ground,
    entry: &WorkspaceEntry,
    client: &Client,
    turn: &Turn,
    progress: &mut Progress,
    since: Option<Millis>,
) -> Result<Passed, PassError> {
    let now = wall_clock();
    let back = now.plus(-millis(ground.options.back));
    let is_deep = progress.deep_at.is_none_or(|deep_at| now.since(deep_at) >= DEEP_EVERY_MS);
    let usual = match progress.to.map(|to| to.plus(-OVERLAP_MS)) {
        Some(from) if is_deep => from.min(back),
        Some(from) => from,
        None => back,
    };
    let from = since.unwrap_or(usual);
    let to = now.plus(-millis(ground.options.grace)).max(from);
    let mut passed = Passed {
        from,
        to,
        ..Passed::default()
    };
    let healing = Healing {
        ground,
        entry,
        client,
        turn,
    };
    let mut seen = HashSet::new();
    let (mut at, mut stride) = (from, STRIDE_MS);
    while at < to {
        let end = at.plus(stride).min(to);
        let before = passed.listed;
        page_by_page(&healing, ListCalls::ended_between(at, end), &mut seen, &mut passed).await?;
        stride = match passed.listed - before < u64::from(PAGE) / 2 {
            true => stride.saturating_mul(2),
            false => STRIDE_MS,
        };
        at = end;
        // A pass by hand that begins late must not hide what lies before it.
        if since.is_none() || progress.to.is_some_and(|known| from <= known) {
            progress.to = progress.to.max(Some(end));
            ground.config.put_reconciled(entry.tenant, entry.workspace, progress).await?;
        }
    }
    page_by_page(&healing, ListCalls::running(), &mut seen, &mut passed).await?;
    look_at_open(&healing, is_deep, &seen, &mut passed).await?;
    if is_deep && since.is_none() {
        progress.deep_at = Some(now);
        super::heal::forget(ground, entry, now).await?;
    }
    Ok(passed)
}

/// Compares what a list gives, a page at a time.
async fn page_by_page(healing: &Healing<'_>, list: ListCalls, seen: &mut HashSet<Box<str>>, passed: &mut Passed) -> Result<(), PassError> {
    let mut page = None;
    for _ in 0..PAGES_MAX {
        let found = healing.client.list_calls(&list.clone().paged(PAGE).at(page.take())).await?;
        page = found.next();
        let calls: Vec<Listed> = found.items.iter().filter_map(listed).collect();
        drop(found);
        passed.listed += calls.len() as u64;
        for (call, gap) in differing(healing.ground, healing.entry.tenant, calls, passed).await? {
            seen.insert(call.call_id.clone());
            passed.found.extend(heal(healing, &call, gap).await?);
        }
        if page.is_none() {
            return Ok(());
        }
    }
    Err(RetellError::endless("calls").into())
}

/// Which of these calls differ from what we heard, and how.
pub(super) async fn differing(
    ground: &Ground,
    tenant: TenantId,
    calls: Vec<Listed>,
    passed: &mut Passed,
) -> Result<Vec<(Listed, Gap)>, PassError> {
    if calls.is_empty() {
        return Ok(Vec::new());
    }
    until_ledger_has_read(ground).await?;
    let key = |call: &Listed| CallKey {
        tenant,
        kind: Kind::Call,
        id: (&*call.call_id).into(),
    };
    let keys: Vec<CallKey> = calls.iter().map(key).collect();
    let known = ground.ledger.calls(&keys).await?;
    let young = wall_clock().plus(-millis(ground.options.grace));
    let mut differing = Vec::new();
    for (key, call) in keys.iter().zip(calls) {
        // What began a moment ago may be on its way; what ended a moment ago is not in the list.
        if !call.over && call.started_at.is_none_or(|started_at| started_at > young) {
            continue;
        }
        let evidence = known.get(key).map(|known| Evidence::decode(&known.evidence)).transpose()?;
        let facts = evidence.as_ref().and_then(|evidence| evidence.facts(key));
        let heard = evidence
            .as_ref()
            .zip(facts.as_ref())
            .map(|(evidence, facts)| Heard { evidence, facts });
        let gap = compare(&call, heard);
        if call.over {
            let count = passed.by_agent.entry(call.agent_id.to_string()).or_default();
            count.0 += 1;
            count.1 += u64::from(gap.as_ref().is_some_and(|gap| gap.difference == Difference::Unheard));
        }
        if let Some(gap) = gap {
            differing.push((call, gap));
        }
    }
    Ok(differing)
}

/// Waits until the ledger has taken in everything that the log has now: what it lacks then was not in the log when Retell listed it.
async fn until_ledger_has_read(ground: &Ground) -> Result<(), PassError> {
    let mut ends = Vec::new();
    for partition in 0..ground.log.partitions() {
        let (begins, end) = ground.log.span(partition).await?;
        if end > begins {
            ends.push((partition, end));
        }
    }
    let begun = Instant::now();
    loop {
        let read = ground.ledger.offsets().await?;
        let has = |(partition, end): &(u32, i64)| read.iter().any(|at| at.partition == *partition && at.next >= *end);
        if ends.iter().all(has) {
            return Ok(());
        }
        if begun.elapsed() >= LEDGER_WAIT {
            return Err(PassError::LedgerBehind);
        }
        tokio::time::sleep(LEDGER_LOOK).await;
    }
}

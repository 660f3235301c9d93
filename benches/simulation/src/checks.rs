//! The invariants, each with its number (reliability.md 3.6). They hold in the quiet after a run.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use trunkline_core::id::{BusinessId, CallKey};
use trunkline_core::record::Record;
use trunkline_core::usage::Usage;
use trunkline_stores::postgres::Directory;

use crate::house::{TENANTS, brand, tenant};
use crate::oracle::Oracle;
use crate::outcome::Acked;
use crate::tables::which_of;
use crate::trace::print;
use crate::world::State;

/// Everything that is wrong.
#[derive(Default)]
pub struct Found(pub Vec<String>);

impl Found {
    pub(crate) fn note(&mut self, invariant: &str, what: impl std::fmt::Display) {
        self.0.push(format!("{invariant}: {what}"));
    }
}

/// I1: what was acknowledged is in the log.
pub fn acknowledged(state: &State, acked: &[Acked], found: &mut Found) {
    let mut logged: BTreeSet<u64> = BTreeSet::new();
    for stored in state.log.records() {
        if let Ok(record) = Record::decode(&stored.bytes) {
            let of = format!("{:?} {:?}", record.header.tenant, record.header.workspace);
            logged.insert(print(&[of.as_bytes(), &record.body].concat()));
        }
    }
    for acked in acked {
        if !logged.contains(&acked.print) {
            found.note("I1", format_args!("acknowledged and not in the log: {}", acked.words));
        }
    }
}

/// I2: the tables hold every record once.
pub fn facts(state: &State, oracle: &Oracle, found: &mut Found) {
    let tables = &state.tables;
    let mut rows: BTreeMap<(u32, i64), usize> = BTreeMap::new();
    for (_, partition, offset) in tables.events.keys() {
        *rows.entry((*partition, *offset)).or_default() += 1;
    }
    for stored in state.log.records() {
        let at = (stored.position.partition, stored.position.offset);
        match (rows.remove(&at), tables.stored.get(&at)) {
            (Some(1), Some(1)) => {}
            (seen, stored) => found.note(
                "I2",
                format_args!("record {at:?} is in the table {seen:?} times, and was stored {stored:?} times"),
            ),
        }
    }
    for (at, _) in rows {
        found.note("I2", format_args!("a row of a record that is not in the log: {at:?}"));
    }
    for (which, partition, offset) in tables.events.keys() {
        let row = &tables.events[&(which.clone(), *partition, *offset)];
        let is_aside = oracle.aside.contains(&(*partition, *offset));
        if is_aside != row.call_id.is_empty() {
            found.note(
                "I2",
                format_args!("record {partition}:{offset} is read otherwise: call {:?}", row.call_id),
            );
        }
    }
}

/// I2: the tables hold every call once, as its records make it, where it belongs.
pub fn standing(state: &State, oracle: &Oracle, directory: &Directory, found: &mut Found) {
    let tables = &state.tables;
    let (mut standing, mut spoken) = (tables.standing(), tables.spoken());
    for (key, truth) in oracle.existing() {
        let home = oracle.home(key, directory);
        let expected = truth.call.facts();
        match standing.remove(&which_of(key)).as_deref() {
            Some([row]) => {
                if row.business != home.0 || row.opened_at != expected.opened_at().0 {
                    found.note("I2", format_args!("call {key:?} stands in the wrong place"));
                }
                let expected = serde_json::to_string(&expected).unwrap_or_default();
                if row.facts != expected {
                    found.note(
                        "I2",
                        format_args!(
                            "call {key:?} is stored otherwise than its records say\n  stored {}\n  folded {expected}",
                            row.facts
                        ),
                    );
                }
            }
            other => found.note("I2", format_args!("call {key:?} has {} live rows", other.map_or(0, <[_]>::len))),
        }
        let words: Vec<Arc<str>> = truth.call.transcript().iter().map(|item| item.content.clone()).collect();
        match spoken.remove(&which_of(key)).as_deref() {
            Some([row]) if row.content == words => {}
            other => found.note(
                "I2",
                format_args!(
                    "call {key:?} has another transcript: {:?} for {words:?}",
                    other.map(|rows| rows.iter().map(|row| &row.content).collect::<Vec<_>>())
                ),
            ),
        }
    }
    for which in standing.keys().chain(spoken.keys()) {
        found.note("I2", format_args!("a call that is not in the log: {which:?}"));
    }
}

/// I3: the bill is the sum of its calls.
pub fn ledger(state: &State, oracle: &Oracle, directory: &Directory, found: &mut Found) {
    let mut expected = oracle.days(directory);
    for (day, usage) in state.ledger.days.iter().filter(|(_, usage)| **usage != Usage::default()) {
        let wanted = expected.remove(day);
        if wanted != Some(*usage) {
            found.note("I3", format_args!("{day:?} is billed {usage:?}, and its calls used {wanted:?}"));
        }
    }
    for (day, usage) in expected {
        found.note("I3", format_args!("{day:?} is not billed, and its calls used {usage:?}"));
    }
}

/// I4: each thing is told as often as it must be.
pub fn outbox(state: &State, oracle: &Oracle, found: &mut Found) {
    let mut told: BTreeMap<(CallKey, &'static str), usize> = BTreeMap::new();
    for job in &state.ledger.jobs {
        let body: serde_json::Value = serde_json::from_str(&job.announcement.body).unwrap_or_default();
        let kind = serde_json::from_value(body["data"]["kind"].clone());
        let (Ok(kind), Some(id)) = (kind, body["data"]["id"].as_str()) else {
            found.note("I4", format_args!("a job that names no call: {}", job.announcement.body));
            continue;
        };
        let key = CallKey {
            tenant: job.announcement.tenant,
            kind,
            id: id.into(),
        };
        *told.entry((key, job.announcement.topic.as_str())).or_default() += 1;
    }
    for (what, (least, most)) in oracle.told() {
        let times = told.remove(&what).unwrap_or(0);
        if !(least..=most).contains(&times) {
            found.note("I4", format_args!("{what:?} is told {times} times instead of {least} to {most}"));
        }
    }
    for (what, times) in told {
        // An end may have been presumed and taken back by a later word of the call.
        found.note("I4", format_args!("{what:?} is told {times} times, and did not happen"));
    }
}

/// I6: nothing of one organisation stands with another.
pub fn apart(state: &State, directory: &Directory, found: &mut Found) {
    for of in 0..TENANTS {
        let others: Vec<&str> = (0..TENANTS).filter(|other| *other != of).map(brand).collect();
        let id = tenant(of);
        let strange = |text: &str| others.iter().any(|other| text.contains(other));
        for row in tables_of(state, of) {
            if strange(&row) {
                found.note("I6", format_args!("a row of {} has words of another organisation", brand(of)));
            }
        }
        for row in state.tables.standing().into_values().flatten().filter(|row| row.tenant == id.0) {
            let business = directory.businesses.get(&BusinessId(row.business));
            if business.is_some_and(|business| business.tenant != id) {
                found.note(
                    "I6",
                    format_args!("call {} of {} stands with another organisation", row.call_id, brand(of)),
                );
            }
        }
        for (key, call) in state.ledger.calls.iter().filter(|(key, _)| key.tenant == id) {
            let business = directory.businesses.get(&call.standing.business);
            if business.is_some_and(|business| business.tenant != id) {
                found.note("I6", format_args!("call {key:?} is billed to another organisation"));
            }
        }
        for job in state.ledger.jobs.iter().filter(|job| job.announcement.tenant == id) {
            let business = directory.businesses.get(&job.announcement.business);
            if business.is_some_and(|business| business.tenant != id) || strange(&job.announcement.body) {
                found.note("I6", format_args!("an announcement of {} tells of another organisation", brand(of)));
            }
        }
    }
}

fn tables_of(state: &State, of: usize) -> Vec<String> {
    let id = tenant(of).0;
    let tables = &state.tables;
    let events = tables.events.values().filter(|row| row.tenant == id);
    let events = events.map(|row| String::from_utf8_lossy(&row.body.0).into_owned());
    let calls = tables.standing().into_values().flatten().filter(|row| row.tenant == id);
    let calls = calls.map(|row| row.facts.clone()).collect::<Vec<_>>();
    let spoken = tables.spoken().into_values().flatten().filter(|row| row.tenant == id);
    let spoken = spoken.map(|row| row.content.join(" ")).collect::<Vec<_>>();
    events.chain(calls).chain(spoken).collect()
}

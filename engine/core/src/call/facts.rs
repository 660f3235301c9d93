//! Settles what is remembered of a call into plain fields.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Call;
use super::receipts::{Order, Receipts};
use super::state::{self, End};
use crate::class;
use crate::event::field::{Field, Time};
use crate::facts::{CallFacts, Channel, EventNote};
use crate::id::Kind;
use crate::instant::Millis;
use crate::limit::DAY_MS;
use crate::name::{NAMES, Name};

/// Names of fields with the number of receipts in which they were there but unreadable.
type Unreadable = BTreeMap<&'static str, u32>;

/// The call in plain fields.
pub(super) fn of(call: &Call) -> CallFacts {
    let mut facts = CallFacts::blank(call.key.clone(), call.workspace, call.receipts.first());
    if facts.key.kind == Kind::Chat {
        facts.channel = Channel::Chat;
    }
    facts.last_received_at = call.receipts.last_known();
    let mut unreadable = Unreadable::new();
    let mut moments = Moments::default();
    for shelf in call.shelves.iter() {
        for (order, version) in call.in_order(shelf) {
            for field in shelf.common.iter().chain(&version.own) {
                put(&mut facts, &mut moments, field, order.received_at);
            }
        }
        count_unreadable(call, shelf, &mut unreadable);
    }
    facts.unreadable = unreadable.into_iter().map(|(name, count)| (Arc::from(name), count)).collect();
    moments.settle(&mut facts);
    facts.reason_class = facts.reason.as_deref().map(class::reason);
    facts.analysis.sentiment = facts.analysis.sentiment_raw.as_deref().and_then(class::sentiment);
    facts.owner_agent = call.receipts.first_agent().cloned();
    facts.transfers = call.transfers.list(&call.receipts);
    say(call, &mut facts);
    count_events(&call.receipts, &mut facts);
    facts.state = state::of(call);
    facts.presumed_ended = state::end(call) == End::Presumed;
    facts.end_inferred = state::end(call) == End::Proved && facts.ended_event_at.is_none();
    facts.connected = state::is_connected(call, &facts);
    facts
}

/// The moments of a call, each as `Some((moment, repaired))`, and the duration that Retell gives.
#[derive(Default)]
struct Moments {
    start: Option<(Millis, bool)>,
    end: Option<(Millis, bool)>,
    transfer_end: Option<(Millis, bool)>,
    duration: Option<i64>,
}

impl Moments {
    /// Rule B9.
    fn settle(&self, facts: &mut CallFacts) {
        let at = |moment: Option<(Millis, bool)>| moment.map(|(at, _)| at);
        (facts.started_at, facts.ended_at, facts.transfer_ended_at) = (at(self.start), at(self.end), at(self.transfer_end));
        facts.repaired = [self.start, self.end, self.transfer_end]
            .into_iter()
            .flatten()
            .any(|(_, repaired)| repaired);
        let spanned = facts.started_at.zip(facts.ended_at).map(|(start, end)| end.since(start));
        facts.duration_ms = self.duration.or(spanned.filter(|ms| (0..=DAY_MS).contains(ms)));
    }
}

/// Writes one field; called in the order of rank and stamp, so the last writer is the one that counts.
fn put(facts: &mut CallFacts, moments: &mut Moments, field: &Field, received_at: Millis) {
    let analysis = &mut facts.analysis;
    let usable = |time: &Time| time.usable(received_at).map(|at| (at, time.repaired));
    match field {
        Field::AgentId(text) => facts.agent_id = Some(text.clone()),
        Field::AgentVersion(version) => facts.agent_version = Some(*version),
        Field::AgentName(text) => facts.agent_name = Some(text.clone()),
        Field::AgentTag(text) => facts.agent_tag = Some(text.clone()),
        Field::Channel(channel) => facts.channel = *channel,
        Field::Direction(direction) => facts.direction = *direction,
        Field::From(text) => facts.from_number = Some(text.clone()),
        Field::To(text) => facts.to_number = Some(text.clone()),
        Field::Status(text) => facts.status_raw = Some(text.clone()),
        Field::Reason(text) => facts.reason = Some(text.clone()),
        Field::TransferDestination(text) => facts.transfer_destination = Some(text.clone()),
        Field::Start(time) => moments.start = usable(time).or(moments.start),
        Field::End(time) => moments.end = usable(time).or(moments.end),
        Field::TransferEnd(time) => moments.transfer_end = usable(time).or(moments.transfer_end),
        Field::Duration(ms) => moments.duration = Some(*ms),
        Field::Recording(text) => facts.recording_url = Some(text.clone()),
        Field::Summary(text) => analysis.summary = Some(text.clone()),
        Field::Successful(yes) => analysis.successful = Some(*yes),
        Field::Sentiment(text) => analysis.sentiment_raw = Some(text.clone()),
        Field::InVoicemail(yes) => analysis.in_voicemail = Some(*yes),
        Field::Custom(map) => merge(&mut analysis.custom, map),
        Field::Metadata(map) => merge(&mut facts.metadata, map),
        Field::Variables(map) => merge(&mut facts.variables, map),
        Field::Collected(map) => merge(&mut facts.collected, map),
        Field::Cost(cost) => facts.cost = Some((**cost).clone()),
        Field::Latency(stages) => facts.latency = stages.to_vec(),
    }
    // Content makes a call analysed, from whichever event (rule B5).
    facts.analysed |= matches!(
        field,
        Field::Summary(_) | Field::Successful(_) | Field::Sentiment(_) | Field::InVoicemail(_) | Field::Custom(_)
    );
}

fn merge(pairs: &mut Vec<(Arc<str>, Arc<str>)>, newer: &[(Arc<str>, Arc<str>)]) {
    if pairs.is_empty() {
        pairs.extend_from_slice(newer);
        return;
    }
    for (name, value) in newer {
        // Sorted by name on both sides.
        match pairs.binary_search_by(|(known, _)| known.cmp(name)) {
            Ok(place) => pairs[place].1 = value.clone(),
            Err(place) => pairs.insert(place, (name.clone(), value.clone())),
        }
    }
}

fn count_unreadable(call: &Call, shelf: &super::shelf::Shelf, unreadable: &mut Unreadable) {
    let suspicious = |time: &Time| time.usable(call.receipts.first()).is_none();
    let has_late = |fields: &[Field]| fields.iter().filter_map(Field::time).any(|(_, time)| suspicious(&time));
    let any_late = has_late(&shelf.common) || shelf.versions.iter().any(|version| has_late(&version.own));
    if !any_late && shelf.versions.iter().all(|version| version.unreadable.is_empty()) {
        return;
    }
    for (_, receipt) in call.receipts.known().filter(|(name, _)| name.rank() == shelf.rank) {
        let version = &shelf.versions[usize::from(receipt.version)];
        for name in &version.unreadable {
            *unreadable.entry(name).or_default() += 1;
        }
        let times = shelf.common.iter().chain(&version.own).filter_map(Field::time);
        for (name, _) in times.filter(|(_, time)| time.usable(receipt.order().received_at).is_none()) {
            *unreadable.entry(name).or_default() += 1;
        }
    }
}

fn say(call: &Call, facts: &mut CallFacts) {
    let Some(transcript) = call.voice.winner(&call.receipts) else {
        return;
    };
    facts.speech = transcript.speech();
    facts.tool_calls = transcript.tool_calls;
    facts.tool_failures = transcript.tool_failures;
    facts.language = transcript.language.map(|code| Arc::from(*code));
    facts.last_said = transcript.last_said();
    facts.last_said_at = call.voice.last_growth(&call.receipts);
}

/// What is counted of the events (rule B2), without putting all of them in order.
fn count_events(receipts: &Receipts, facts: &mut CallFacts) {
    let mut first: [Option<Order>; NAMES.len()] = [None; NAMES.len()];
    for (name, receipt) in receipts.known().filter(|(name, _)| name.is_once_only()) {
        let order = receipt.order();
        let first = &mut first[name as usize];
        facts.revisions += u32::from(first.is_some());
        *first = Some(first.map_or(order, |first| first.min(order)));
    }
    let at = |one: Name, other: Name| first[one as usize].max(first[other as usize]).map(|first| first.received_at);
    facts.ended_event_at = at(Name::CallEnded, Name::ChatEnded);
    facts.analysis_event_at = at(Name::CallAnalyzed, Name::ChatAnalyzed);
    (facts.records, facts.repeats) = receipts.counts();
}

/// The call's own list of events in the order of their stamps.
pub(super) fn events(receipts: &Receipts) -> Vec<EventNote> {
    let mut seen: Vec<Name> = Vec::new();
    let note = |(order, event, known, repeats): (Order, Arc<str>, Option<Name>, u32)| {
        let once = known.filter(|name| name.is_once_only());
        let revision = once.is_some_and(|name| seen.contains(&name));
        seen.extend(once.filter(|_| !revision));
        EventNote {
            event,
            received_at: order.received_at,
            repeats,
            revision,
            unknown: known.is_none(),
        }
    };
    receipts.in_order().into_iter().map(note).collect()
}

//! Where a call stands, by evidence and never backwards (rule B4), and whether anybody spoke with the agent (part C).

use smallvec::SmallVec;

use super::receipts::Order;
use super::shelf::{Shelf, Version};
use super::{Call, NEVER};
use crate::class;
use crate::event::field::{Field, Time};
use crate::facts::{CallFacts, CallState, ReasonClass};
use crate::id::Kind;
use crate::instant::Millis;

/// Whether the call is over, and how we know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Not over.
    No,
    /// By evidence.
    Proved,
    /// By the reaper, and nothing came since.
    Presumed,
}

/// The end of a call.
pub(super) fn end(call: &Call) -> End {
    let by_name = call.receipts.known().any(|(name, _)| name.ends());
    if by_name || call.has_usable_end() {
        End::Proved
    } else if call.presumed_at != NEVER && call.presumed_at >= call.receipts.last_known() {
        End::Presumed
    } else {
        End::No
    }
}

/// The state of a call.
pub(super) fn of(call: &Call) -> CallState {
    match end(call) {
        End::Proved | End::Presumed => CallState::Ended,
        End::No if call.voice.ongoing_seen => CallState::Ongoing,
        End::No => CallState::Registered,
    }
}

/// *Connected* (part C); said of calls, not of chats.
pub(super) fn is_connected(call: &Call, facts: &CallFacts) -> bool {
    if facts.key.kind == Kind::Chat {
        return false;
    }
    let status_allows = !matches!(facts.status_raw.as_deref(), Some("registered" | "not_connected"));
    let reason = facts.reason.as_deref().map(class::reason);
    let reason_allows = !matches!(reason, Some(ReasonClass::NotJoined | ReasonClass::Callee | ReasonClass::Route));
    call.voice.ongoing_seen || (facts.started_at.is_some() && status_allows && reason_allows) || facts.speech.user_turns > 0
}

impl Call {
    /// The versions of a shelf with their latest stamp, ascending; none that no receipt stands for any more.
    pub(super) fn in_order<'a>(&self, shelf: &'a Shelf) -> SmallVec<[(Order, &'a Version); 4]> {
        let mut latest: SmallVec<[Option<Order>; 4]> = SmallVec::from_elem(None, shelf.versions.len());
        for (_, receipt) in self.receipts.known().filter(|(name, _)| name.rank() == shelf.rank) {
            let place = usize::from(receipt.version);
            latest[place] = latest[place].max(Some(receipt.order()));
        }
        let stamped = latest.into_iter().zip(&shelf.versions);
        let mut versions: SmallVec<[_; 4]> = stamped.filter_map(|(order, version)| Some((order?, version))).collect();
        versions.sort_unstable_by_key(|(order, _)| *order);
        versions
    }

    /// Any event with a usable `end_timestamp` ends a call (rule B4).
    fn has_usable_end(&self) -> bool {
        self.shelves.iter().any(|shelf| {
            let ends = shelf
                .common
                .iter()
                .chain(shelf.versions.iter().flat_map(|version| version.own.iter()));
            let mut ends = ends.filter(|field| matches!(field, Field::End(_))).peekable();
            ends.peek().is_some()
                && self
                    .in_order(shelf)
                    .iter()
                    .any(|(order, version)| self.usable_end(shelf, version, order.received_at))
        })
    }

    fn usable_end(&self, shelf: &Shelf, version: &Version, received_at: Millis) -> bool {
        let usable = |time: &Time| time.usable(received_at).is_some();
        shelf
            .common
            .iter()
            .chain(&version.own)
            .any(|field| matches!(field, Field::End(time) if usable(time)))
    }
}

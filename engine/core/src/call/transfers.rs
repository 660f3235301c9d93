//! Attempts to pass the caller on, paired from their events (rule B7).

use std::collections::BTreeMap;

use super::receipts::{Order, Receipts};
use super::seldom::Seldom;
use crate::event::TransferTo;
use crate::facts::Transfer;
use crate::name::Name;

/// One transfer event, repeats removed.
#[derive(Debug, Clone)]
pub(super) struct Attempt {
    pub receipt: u32,
    pub name: Name,
    pub to: TransferTo,
}

/// All transfer events of a call; most calls have none.
#[derive(Debug, Clone, Default)]
pub(super) struct Transfers {
    pub(super) events: Seldom<Attempt>,
}

/// A transfer while it is put together.
#[derive(Debug, Clone)]
struct Pair<'a> {
    to: &'a TransferTo,
    started: Option<Order>,
    outcome: Option<(Order, Name)>,
    ended: Option<Order>,
    inferred: bool,
}

impl Pair<'_> {
    fn is_bridged(&self) -> bool {
        matches!(self.outcome, Some((_, Name::TransferBridged)))
    }

    /// Listed by the outcome's stamp, else the start's.
    fn place(&self) -> Option<Order> {
        self.outcome.map(|(order, _)| order).or(self.started)
    }

    fn transfer(&self) -> Transfer {
        let at = |name| {
            self.outcome
                .filter(|(_, outcome)| *outcome == name)
                .map(|(order, _)| order.received_at)
        };
        let waited = self
            .started
            .zip(self.outcome)
            .map(|(started, (outcome, _))| outcome.received_at.since(started.received_at));
        Transfer {
            destination: self.to.number.clone(),
            extension: self.to.extension.clone(),
            started_at: self.started.map(|order| order.received_at),
            bridged_at: at(Name::TransferBridged),
            cancelled_at: at(Name::TransferCancelled),
            ended_at: self.ended.map(|order| order.received_at),
            bridged_inferred: self.inferred,
            waited_ms: waited.filter(|ms| *ms >= 0),
        }
    }
}

impl Transfers {
    /// Notes one transfer event.
    pub fn note(&mut self, receipt: u32, name: Name, to: &TransferTo) {
        let known = self.events.iter().find(|known| known.to == *to);
        let to = known.map_or_else(|| to.clone(), |known| known.to.clone());
        self.events.push(Attempt { receipt, name, to });
    }

    /// The transfers of the call.
    pub fn list(&self, receipts: &Receipts) -> Vec<Transfer> {
        if self.events.is_empty() {
            return Vec::new();
        }
        let mut events: Vec<(Order, &Attempt)> = self.events.iter().map(|event| (receipts.order(event.receipt), event)).collect();
        events.sort_unstable_by_key(|(order, _)| *order);
        let mut pairs = pair(&events);
        for (order, _) in events.iter().filter(|(_, event)| event.name == Name::TransferEnded) {
            close(&mut pairs, *order);
        }
        pairs.sort_by_key(Pair::place);
        pairs.iter().map(Pair::transfer).collect()
    }

    pub fn heap_bytes(&self) -> usize {
        let text = |to: &TransferTo| 32 + to.number.len() + to.extension.as_ref().map_or(0, |text| 16 + text.len());
        self.events.heap_bytes() + self.events.iter().map(|event| text(&event.to)).sum::<usize>()
    }
}

/// Per destination the k-th start pairs with the k-th outcome; either may be missing.
fn pair<'a>(events: &[(Order, &'a Attempt)]) -> Vec<Pair<'a>> {
    type Sides = (Vec<Order>, Vec<(Order, Name)>);
    let mut destinations: BTreeMap<&TransferTo, Sides> = BTreeMap::new();
    for (order, event) in events {
        match event.name {
            Name::TransferStarted => destinations.entry(&event.to).or_default().0.push(*order),
            Name::TransferBridged | Name::TransferCancelled => {
                destinations.entry(&event.to).or_default().1.push((*order, event.name));
            }
            _ => {}
        }
    }
    let mut pairs = Vec::new();
    for (to, (starts, outcomes)) in destinations {
        for place in 0..starts.len().max(outcomes.len()) {
            let (started, outcome) = (starts.get(place).copied(), outcomes.get(place).copied());
            pairs.push(Pair {
                to,
                started,
                outcome,
                ended: None,
                inferred: false,
            });
        }
    }
    pairs
}

/// `transfer_ended` closes the latest bridged transfer before it; if the records came in another order, the latest bridged one; with
/// none bridged the latest open one, which then must have bridged (a cold transfer by SIP REFER).
fn close(pairs: &mut [Pair<'_>], ended: Order) {
    let latest = |wanted: &dyn Fn(&Pair<'_>) -> bool| {
        let candidates = pairs.iter().enumerate().filter(|(_, pair)| pair.ended.is_none() && wanted(pair));
        candidates.max_by_key(|(_, pair)| pair.place()).map(|(place, _)| place)
    };
    let before = |pair: &Pair<'_>| pair.place().is_some_and(|place| place < ended);
    let is_open = |pair: &Pair<'_>| pair.outcome.is_none();
    let chosen = latest(&|pair| pair.is_bridged() && before(pair))
        .or_else(|| latest(&|pair| pair.is_bridged()))
        .or_else(|| latest(&|pair| is_open(pair) && before(pair)))
        .or_else(|| latest(&is_open));
    if let Some(place) = chosen {
        pairs[place].ended = Some(ended);
        pairs[place].inferred = pairs[place].outcome.is_none();
    }
}

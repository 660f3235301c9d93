//! Which records of a call have come, so that nothing counts twice (rules B1, B2).

use std::sync::Arc;

use smallvec::SmallVec;

use super::seldom::Seldom;
use crate::event::{Echo, Event, Stamp, word};
use crate::instant::Millis;
use crate::limit::{AGENTS_PER_CALL, RECORDS_PER_CALL, UNKNOWN_NAMES_PER_CALL};
use crate::name::{NAMES, Name};

/// Room that the list of receipts grows by: a live call is copied whenever it is shown, so doubling would not stay.
const SPARE: usize = 2;

/// The order of records within a call, by their stamps. Of the hashes 8 and 4 bytes are kept: among the records of one call (at most
/// [`RECORDS_PER_CALL`]) two different contents meet with a chance of 1 in 10^10, at a usual hundred 1 in 10^15; and two equal ones
/// received in the same millisecond that differ in the agent alone are taken for one with a chance of 1 in 10^9.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Order {
    pub received_at: Millis,
    content: u64,
    whole: u32,
}

impl Order {
    fn of(stamp: &Stamp) -> Order {
        Order {
            received_at: stamp.received_at,
            content: u64::from_be_bytes(stamp.content[..8].try_into().expect("eight bytes")),
            whole: u32::from_be_bytes(stamp.whole[..4].try_into().expect("four bytes")),
        }
    }
}

/// One content at its earliest stamp. 24 bytes, because a call may have many.
#[derive(Debug, Clone, Copy)]
pub(super) struct Receipt {
    pub received_at: Millis,
    pub content: u64,
    pub whole: u32,
    /// Version on the shelf of the event's rank.
    pub version: u16,
    /// Place among the documented names, or behind them that of an undocumented one.
    pub name: u8,
    /// Place among the agents of this call, from 1; 0 when it names none.
    pub agent: u8,
}

const _: () = assert!(size_of::<Receipt>() == 24);

impl Receipt {
    pub fn order(&self) -> Order {
        Order {
            received_at: self.received_at,
            content: self.content,
            whole: self.whole,
        }
    }

    /// The documented name.
    pub fn known(&self) -> Option<Name> {
        NAMES.get(usize::from(self.name)).map(|(_, name)| *name)
    }
}

/// Content that came again later.
#[derive(Debug, Clone, Copy)]
pub(super) struct Repeat {
    pub of: u32,
    pub received_at: Millis,
    pub whole: u32,
}

/// Whether a record was known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// Content that did not come before.
    New,
    /// Known content at another moment; `earlier` than all others so far.
    Repeat { earlier: bool },
    /// The very same record, or one too many (limit).
    Same,
}

/// All receipts of a call.
#[derive(Debug, Clone, Default)]
pub(super) struct Receipts {
    pub(super) all: Vec<Receipt>,
    pub(super) repeats: Seldom<Repeat>,
    pub(super) unknown: Seldom<Arc<str>>,
    /// Nearly always one.
    pub(super) agents: SmallVec<[Arc<str>; 1]>,
}

impl Receipts {
    /// Makes room for so many.
    pub fn expect(&mut self, more: usize) {
        if self.all.capacity() - self.all.len() < more {
            self.all.reserve_exact(more + SPARE);
        }
    }

    /// Notes that `event` came; gives the place of its content.
    pub fn take(&mut self, event: &Event) -> (u32, Seen) {
        self.note(Order::of(event.stamp()), event)
    }

    /// Notes that an echo of `event` came; gives the place of its content.
    pub fn take_echo(&mut self, event: &Event, echo: &Echo) -> (u32, Seen) {
        self.note(Order::of(&echo.stamp()), event)
    }

    fn note(&mut self, order: Order, event: &Event) -> (u32, Seen) {
        let Some(place) = self.all.iter().rposition(|receipt| receipt.content == order.content) else {
            if self.all.len() == RECORDS_PER_CALL {
                return (0, Seen::Same);
            }
            let name = self.name(event);
            let Order {
                received_at,
                content,
                whole,
            } = order;
            if self.all.len() == self.all.capacity() {
                self.all.reserve_exact(SPARE);
            }
            self.all.push(Receipt {
                received_at,
                content,
                whole,
                version: 0,
                name,
                agent: 0,
            });
            return (self.all.len() as u32 - 1, Seen::New);
        };
        let of = place as u32;
        let receipt = &mut self.all[place];
        let is_same = |repeat: &Repeat| repeat.of == of && repeat.received_at == order.received_at && repeat.whole == order.whole;
        if receipt.order() == order || self.repeats.len() == RECORDS_PER_CALL || self.repeats.iter().any(is_same) {
            return (of, Seen::Same);
        }
        let earlier = order < receipt.order();
        let mut repeat = Repeat {
            of,
            received_at: order.received_at,
            whole: order.whole,
        };
        if earlier {
            std::mem::swap(&mut repeat.received_at, &mut receipt.received_at);
            std::mem::swap(&mut repeat.whole, &mut receipt.whole);
        }
        self.repeats.push(repeat);
        (of, Seen::Repeat { earlier })
    }

    fn name(&mut self, event: &Event) -> u8 {
        if let Some(name) = event.known() {
            return name as u8;
        }
        let place = self.unknown.iter().position(|name| **name == *event.name()).unwrap_or_else(|| {
            if self.unknown.len() < UNKNOWN_NAMES_PER_CALL {
                self.unknown.push(event.spelled().clone());
            }
            self.unknown.len() - 1
        });
        (NAMES.len() + place) as u8
    }

    /// The place of an agent, from 1; 0 when there are too many.
    pub fn agent(&mut self, agent: &Arc<str>) -> u8 {
        let known = self.agents.iter().position(|known| known == agent);
        let place = known.or_else(|| {
            self.agents.push(agent.clone());
            (self.agents.len() <= AGENTS_PER_CALL).then(|| self.agents.len() - 1)
        });
        self.agents.truncate(AGENTS_PER_CALL);
        place.map_or(0, |place| place as u8 + 1)
    }

    /// Notes which version of the fields and which agent a receipt stands for.
    pub fn set(&mut self, place: u32, version: u16, agent: u8) {
        let receipt = &mut self.all[place as usize];
        (receipt.version, receipt.agent) = (version, agent);
    }

    /// Which version of the fields and which agent the receipt of this content stands for.
    pub fn shelved(&self, stamp: &Stamp) -> Option<(u16, u8)> {
        let content = Order::of(stamp).content;
        let receipt = self.all.iter().rfind(|receipt| receipt.content == content)?;
        Some((receipt.version, receipt.agent))
    }

    /// A receipt's order.
    pub fn order(&self, place: u32) -> Order {
        self.all[place as usize].order()
    }

    /// Receipts of documented events.
    pub fn known(&self) -> impl Iterator<Item = (Name, &Receipt)> {
        self.all.iter().filter_map(|receipt| Some((receipt.known()?, receipt)))
    }

    /// Whether any documented event came.
    pub fn has_known(&self) -> bool {
        self.known().next().is_some()
    }

    /// True when nothing that came is earlier.
    pub fn is_earliest(&self, stamp: &Stamp) -> bool {
        let order = Order::of(stamp);
        self.all.iter().all(|receipt| order <= receipt.order())
    }

    /// First receipt of a documented event, else of any.
    pub fn first(&self) -> Millis {
        let any = self.all.iter().map(|receipt| receipt.received_at).min();
        self.known()
            .map(|(_, receipt)| receipt.received_at)
            .min()
            .or(any)
            .unwrap_or_default()
    }

    /// Last receipt of a documented event, else of any.
    pub fn last_known(&self) -> Millis {
        let any = self.all.iter().map(|receipt| receipt.received_at).max();
        self.known()
            .map(|(_, receipt)| receipt.received_at)
            .max()
            .or(any)
            .unwrap_or_default()
    }

    /// The agent of the earliest receipt that names one (rule A13).
    pub fn first_agent(&self) -> Option<&Arc<str>> {
        let named = self.known().filter(|(_, receipt)| receipt.agent > 0);
        let (_, first) = named.min_by_key(|(_, receipt)| receipt.order())?;
        self.agents.get(usize::from(first.agent) - 1)
    }

    /// Every receipt in order with its spelled name, the documented one, and how often it came again.
    pub fn in_order(&self) -> Vec<(Order, Arc<str>, Option<Name>, u32)> {
        let mut repeats = vec![0; self.all.len()];
        for repeat in self.repeats.iter() {
            repeats[repeat.of as usize] += 1;
        }
        let spelled = |receipt: &Receipt| match receipt.known() {
            Some(name) => word::name(name),
            None => self.unknown[usize::from(receipt.name) - NAMES.len()].clone(),
        };
        let listed = self.all.iter().zip(repeats);
        let mut list: Vec<_> = listed
            .map(|(receipt, times)| (receipt.order(), spelled(receipt), receipt.known(), times))
            .collect();
        list.sort_unstable_by_key(|(order, ..)| *order);
        list
    }

    /// Records that came: receipts and repeats.
    pub fn counts(&self) -> (u32, u32) {
        ((self.all.len() + self.repeats.len()) as u32, self.repeats.len() as u32)
    }

    pub fn shrink(&mut self) {
        self.all.shrink_to_fit();
        self.repeats.shrink_to_fit();
    }

    pub fn heap_bytes(&self) -> usize {
        let texts = |texts: &[Arc<str>]| texts.iter().map(|text| 32 + text.len()).sum::<usize>();
        self.all.capacity() * size_of::<Receipt>()
            + self.repeats.heap_bytes()
            + self.unknown.heap_bytes()
            + texts(&self.unknown)
            + texts(&self.agents)
    }
}

//! The fields that usage and announcements need, and no other.

use std::sync::Arc;

use crate::event::field::{Field, Time};
use crate::facts::{Channel, Cost, Direction};
use crate::instant::Millis;

/// A field that is kept, in the form it is stored in.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kept {
    Agent(Arc<str>),
    Channel(Channel),
    Direction(Direction),
    Status(Arc<str>),
    Reason(Arc<str>),
    Start {
        at: Millis,
        repaired: bool,
    },
    End {
        at: Millis,
        repaired: bool,
    },
    Duration(i64),
    /// There is analysis content (rule B5); which words it has is not kept.
    Analysed,
    Successful(bool),
    Sentiment(Arc<str>),
    InVoicemail(bool),
    Cost {
        combined: Option<f64>,
        parts: Option<f64>,
        transfer_legs: Option<f64>,
    },
}

/// The size of a transcript: as much as decides which version counts and whether a caller spoke (rule B6, part C).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Said {
    pub turns: u32,
    pub characters: u64,
    pub user_turns: u32,
}

fn moment(time: &Time) -> Millis {
    // Usable against the end of all days: the moment itself. Against the record's own moment the merge looks later.
    time.usable(Millis(i64::MAX)).unwrap_or_default()
}

fn time(at: Millis, repaired: bool) -> Option<Time> {
    if repaired {
        Time::read(None, Some(at.0))
    } else {
        Time::read(Some(at.0), None)
    }
}

/// What is kept of an event's fields.
pub(super) fn kept(fields: &[Field]) -> Vec<Kept> {
    let mut kept: Vec<Kept> = fields.iter().filter_map(Kept::of).collect();
    let mut analysed = false;
    kept.retain(|field| *field != Kept::Analysed || !std::mem::replace(&mut analysed, true));
    kept
}

impl Kept {
    fn of(field: &Field) -> Option<Kept> {
        Some(match field {
            Field::AgentId(text) => Kept::Agent(text.clone()),
            Field::Channel(channel) => Kept::Channel(*channel),
            Field::Direction(direction) => Kept::Direction(*direction),
            Field::Status(text) => Kept::Status(text.clone()),
            Field::Reason(text) => Kept::Reason(text.clone()),
            Field::Start(time) => Kept::Start {
                at: moment(time),
                repaired: time.repaired,
            },
            Field::End(time) => Kept::End {
                at: moment(time),
                repaired: time.repaired,
            },
            Field::Duration(ms) => Kept::Duration(*ms),
            Field::Summary(_) | Field::Custom(_) => Kept::Analysed,
            Field::Successful(yes) => Kept::Successful(*yes),
            Field::Sentiment(text) => Kept::Sentiment(text.clone()),
            Field::InVoicemail(yes) => Kept::InVoicemail(*yes),
            Field::Cost(cost) => Kept::Cost {
                combined: cost.combined_cents,
                parts: cost.parts_cents,
                transfer_legs: cost.transfer_leg_cents,
            },
            Field::AgentVersion(_)
            | Field::AgentName(_)
            | Field::AgentTag(_)
            | Field::From(_)
            | Field::To(_)
            | Field::TransferDestination(_)
            | Field::TransferEnd(_)
            | Field::Recording(_)
            | Field::Metadata(_)
            | Field::Variables(_)
            | Field::Collected(_)
            | Field::Latency(_) => return None,
        })
    }

    /// The field as the merge takes it.
    pub fn field(&self) -> Field {
        // Kept moments were read by the same rule, so they are readable; the fallback would be a moment that is never usable.
        let never = || Time::read(Some(i64::MAX), None).expect("the end of all days is after 2015");
        match self {
            Kept::Agent(text) => Field::AgentId(text.clone()),
            Kept::Channel(channel) => Field::Channel(*channel),
            Kept::Direction(direction) => Field::Direction(*direction),
            Kept::Status(text) => Field::Status(text.clone()),
            Kept::Reason(text) => Field::Reason(text.clone()),
            Kept::Start { at, repaired } => Field::Start(time(*at, *repaired).unwrap_or_else(never)),
            Kept::End { at, repaired } => Field::End(time(*at, *repaired).unwrap_or_else(never)),
            Kept::Duration(ms) => Field::Duration(*ms),
            Kept::Analysed => Field::Summary(Arc::from("")),
            Kept::Successful(yes) => Field::Successful(*yes),
            Kept::Sentiment(text) => Field::Sentiment(text.clone()),
            Kept::InVoicemail(yes) => Field::InVoicemail(*yes),
            Kept::Cost {
                combined,
                parts,
                transfer_legs,
            } => Field::Cost(Arc::new(Cost {
                combined_cents: *combined,
                parts_cents: *parts,
                transfer_leg_cents: *transfer_legs,
                ..Cost::default()
            })),
        }
    }
}

//! One readable field of a call: what the merge keeps instead of bodies.

use std::sync::Arc;

use crate::facts::{Channel, Cost, Direction, Stage};
use crate::instant::Millis;
use crate::limit::DAY_MS;

/// 2015-01-01T00:00:00Z: nothing of ours is older (rule B9).
const FIRST_MS: i64 = 1_420_070_400_000;

/// Names and values as JSON text.
pub(crate) type Map = Arc<[(Arc<str>, Arc<str>)]>;

/// Latency samples by stage.
pub(crate) type Latency = Arc<[(Stage, Arc<[f64]>)]>;

/// A moment as read from a body. Whether it is usable depends on when the record came, so the merge decides that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Time {
    pub at: Millis,
    /// Written in seconds (rule B9).
    pub repaired: bool,
}

impl Time {
    /// From a number as it is and a thousand times it; `None` when both lie before 2015.
    pub fn read(as_ms: Option<i64>, thousandfold: Option<i64>) -> Option<Time> {
        let since_first = |ms: &i64| *ms >= FIRST_MS;
        let plain = as_ms.filter(since_first).map(|ms| Time {
            at: Millis(ms),
            repaired: false,
        });
        plain.or_else(|| {
            thousandfold.filter(since_first).map(|ms| Time {
                at: Millis(ms),
                repaired: true,
            })
        })
    }

    /// The moment, if it is not more than a day after `received_at`.
    pub fn usable(self, received_at: Millis) -> Option<Millis> {
        (self.at.since(received_at) <= DAY_MS).then_some(self.at)
    }
}

/// A field with its value. Each is its own register (rule B3).
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Field {
    AgentId(Arc<str>),
    AgentVersion(i64),
    AgentName(Arc<str>),
    AgentTag(Arc<str>),
    Channel(Channel),
    Direction(Direction),
    From(Arc<str>),
    To(Arc<str>),
    Status(Arc<str>),
    Reason(Arc<str>),
    TransferDestination(Arc<str>),
    Start(Time),
    End(Time),
    TransferEnd(Time),
    Duration(i64),
    Recording(Arc<str>),
    Summary(Arc<str>),
    Successful(bool),
    Sentiment(Arc<str>),
    InVoicemail(bool),
    Custom(Map),
    Metadata(Map),
    Variables(Map),
    Collected(Map),
    Cost(Arc<Cost>),
    Latency(Latency),
}

impl Field {
    /// Whether both are the same field, of whatever value.
    pub fn is_same_field(&self, other: &Field) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }

    /// Left out of the content of transfer events (rule B1).
    pub fn is_of_agent(&self) -> bool {
        matches!(
            self,
            Field::AgentId(_) | Field::AgentVersion(_) | Field::AgentName(_) | Field::AgentTag(_)
        )
    }

    /// Merged by key (rule B3).
    pub fn is_map(&self) -> bool {
        matches!(
            self,
            Field::Custom(_) | Field::Metadata(_) | Field::Variables(_) | Field::Collected(_)
        )
    }

    /// The moment in it, with the name Retell gives it.
    pub fn time(&self) -> Option<(&'static str, Time)> {
        match self {
            Field::Start(time) => Some(("start_timestamp", *time)),
            Field::End(time) => Some(("end_timestamp", *time)),
            Field::TransferEnd(time) => Some(("transfer_end_timestamp", *time)),
            _ => None,
        }
    }

    /// Bytes held outside of the field itself, counting shared ones once per holder.
    pub fn heap_bytes(&self) -> usize {
        const COUNTS: usize = 16;
        let map = |map: &Map| {
            COUNTS
                + map
                    .iter()
                    .map(|(name, value)| 32 + 2 * COUNTS + name.len() + value.len())
                    .sum::<usize>()
        };
        match self {
            Field::AgentId(text)
            | Field::AgentName(text)
            | Field::AgentTag(text)
            | Field::From(text)
            | Field::To(text)
            | Field::TransferDestination(text)
            | Field::Recording(text)
            | Field::Summary(text)
            | Field::Sentiment(text) => COUNTS + text.len(),
            Field::Custom(values) | Field::Metadata(values) | Field::Variables(values) | Field::Collected(values) => map(values),
            Field::Cost(cost) => COUNTS + size_of::<Cost>() + cost.parts.iter().map(|(name, _)| 40 + name.len()).sum::<usize>(),
            Field::Latency(stages) => COUNTS + stages.iter().map(|(_, values)| 40 + values.len() * 8).sum::<usize>(),
            _ => 0,
        }
    }
}

//! A contribution in one small buffer: very many are kept beside their calls until they are taken back.
//!
//! Flags, cut, moments, then each list with its length. Part of the checkpoints' stored form: a change here is a new version there.

use super::contribution::{Contribution, Entry, Sampling, Slice};
use super::definition::Sampled;
use super::name::Metric;
use crate::facts::{CHANNELS, DIRECTIONS};
use crate::wire::{In, Out, place};

const IN_STATE: u8 = 1;
const CLOSED: u8 = 2;
const AGENT: u8 = 4;
const REASON: u8 = 8;

/// Room that most contributions fit in while they are packed.
const USUAL_BYTES: usize = 256;

/// A [`Contribution`] that takes little room. Equal ones are equal contributions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackedContribution(Box<[u8]>);

impl Contribution {
    /// The same in little room.
    pub fn pack(&self) -> PackedContribution {
        let mut out = Out(Vec::with_capacity(USUAL_BYTES));
        let flag = |flag: u8, on: bool| if on { flag } else { 0 };
        out.byte(
            flag(IN_STATE, self.in_state)
                | flag(CLOSED, self.closed_at.is_some())
                | flag(AGENT, self.slice.agent.is_some())
                | flag(REASON, self.reason.is_some()),
        );
        out.byte(place(&DIRECTIONS, &self.slice.direction));
        out.byte(place(&CHANNELS, &self.slice.channel));
        out.moment(self.opened_at);
        if let Some(closed_at) = self.closed_at {
            out.moment(closed_at);
        }
        for text in [&self.slice.agent, &self.reason].into_iter().flatten() {
            out.text(text);
        }
        for entries in [&self.now, &self.arrival, &self.completion] {
            out.list(entries.iter(), |out, entry| {
                out.byte(entry.metric as u8);
                out.count(u64::from(entry.den));
                out.number(entry.num);
            });
        }
        out.list(self.samples.iter(), |out, sample| {
            out.byte(sample.of as u8);
            out.count(u64::from(sample.bucket));
            out.count(u64::from(sample.count));
        });
        out.list(self.waits.iter(), |out, wait| out.moment(*wait));
        PackedContribution(out.0.into_boxed_slice())
    }
}

impl PackedContribution {
    /// What was packed.
    pub fn unpack(&self) -> Contribution {
        read(&self.0).expect("only what was packed is in it")
    }

    /// The bytes to store.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Takes stored bytes; `None` if they are no contribution.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<PackedContribution> {
        read(bytes)?;
        Some(PackedContribution(bytes.into()))
    }

    /// Memory held beyond the struct itself.
    pub fn memory_bytes(&self) -> usize {
        self.0.len()
    }
}

fn read(bytes: &[u8]) -> Option<Contribution> {
    let mut from = In(bytes);
    let flags = from.byte()?;
    let has = |flag| flags & flag != 0;
    let direction = *DIRECTIONS.get(usize::from(from.byte()?))?;
    let channel = *CHANNELS.get(usize::from(from.byte()?))?;
    let opened_at = from.moment()?;
    let closed_at = if has(CLOSED) { Some(from.moment()?) } else { None };
    let agent = if has(AGENT) { Some(from.text()?) } else { None };
    let reason = if has(REASON) { Some(from.text()?) } else { None };
    let contribution = Contribution {
        slice: Slice { agent, direction, channel },
        opened_at,
        closed_at,
        in_state: has(IN_STATE),
        now: from.list(entry)?.into(),
        arrival: from.list(entry)?.into(),
        completion: from.list(entry)?.into(),
        samples: from.list(sampling)?.into(),
        waits: from.list(In::moment)?.into(),
        reason,
    };
    from.is_empty().then_some(contribution)
}

fn entry(from: &mut In<'_>) -> Option<Entry> {
    Some(Entry {
        metric: *Metric::ALL.get(usize::from(from.byte()?))?,
        den: from.small()?,
        num: from.number()?,
    })
}

fn sampling(from: &mut In<'_>) -> Option<Sampling> {
    Some(Sampling {
        of: *Sampled::ALL.get(usize::from(from.byte()?))?,
        bucket: from.small()?,
        count: from.small()?,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::facts::{Channel, Direction};
    use crate::instant::Millis;

    #[test]
    fn a_packed_contribution_comes_back_whole() {
        let entry = |metric, den, num| Entry { metric, den, num };
        let full = Contribution {
            slice: Slice {
                agent: Some(Arc::from("agent_ä")),
                direction: Direction::Outbound,
                channel: Channel::Web,
            },
            opened_at: Millis(1_700_000_000_123),
            closed_at: Some(Millis(1_700_000_900_000)),
            in_state: true,
            now: [entry(Metric::CallsInProgress, 0, 1)].into(),
            arrival: [entry(Metric::AnswerRate, 1, 0), entry(Metric::AsaAi, u32::MAX, i64::MAX)].into(),
            completion: [entry(Metric::TransferSuccess, 300, 1 << 40)].into(),
            samples: [Sampling {
                of: Sampled::AnalysisDelay,
                bucket: 1_382,
                count: 70_000,
            }]
            .into(),
            waits: [Millis(-5), Millis(1_700_000_000_999)].into(),
            reason: Some(Arc::from("user_hangup")),
        };
        let bare = Contribution {
            slice: Slice {
                agent: None,
                direction: Direction::None,
                channel: Channel::Other,
            },
            opened_at: Millis(i64::MIN),
            closed_at: None,
            in_state: false,
            now: Box::default(),
            arrival: Box::default(),
            completion: Box::default(),
            samples: Box::default(),
            waits: Box::default(),
            reason: None,
        };
        for contribution in [full, bare] {
            let packed = contribution.pack();
            assert_eq!(packed.unpack(), contribution);
            assert!(packed.memory_bytes() < 160, "{}", packed.memory_bytes());
        }
    }
}

//! A contribution in one small buffer: very many are kept beside their calls until they are taken back.
//!
//! Flags, cut, moments, then each list with its length. Numbers are LEB128, texts are length and UTF-8. Never stored: only this
//! process reads what it packed.

use std::sync::Arc;

use super::contribution::{Contribution, Entry, Sampling, Slice};
use super::definition::Sampled;
use super::name::Metric;
use crate::facts::{Channel, Direction};
use crate::instant::Millis;

const IN_STATE: u8 = 1;
const CLOSED: u8 = 2;
const AGENT: u8 = 4;
const REASON: u8 = 8;

const DIRECTIONS: [Direction; 3] = [Direction::Inbound, Direction::Outbound, Direction::None];
const CHANNELS: [Channel; 4] = [Channel::Phone, Channel::Web, Channel::Chat, Channel::Other];

/// Room that most contributions fit in while they are packed.
const USUAL_BYTES: usize = 256;

/// A [`Contribution`] that takes little room. Equal ones are equal contributions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackedContribution(Box<[u8]>);

impl Contribution {
    /// The same in little room.
    pub fn pack(&self) -> PackedContribution {
        let mut out = Writer(Vec::with_capacity(USUAL_BYTES));
        let flag = |flag: u8, on: bool| if on { flag } else { 0 };
        out.0.push(
            flag(IN_STATE, self.in_state)
                | flag(CLOSED, self.closed_at.is_some())
                | flag(AGENT, self.slice.agent.is_some())
                | flag(REASON, self.reason.is_some()),
        );
        out.0.extend_from_slice(&[self.slice.direction as u8, self.slice.channel as u8]);
        out.signed(self.opened_at.0);
        if let Some(closed_at) = self.closed_at {
            out.signed(closed_at.0);
        }
        for text in [&self.slice.agent, &self.reason].into_iter().flatten() {
            out.text(text);
        }
        for entries in [&self.now, &self.arrival, &self.completion] {
            out.number(entries.len() as u64);
            for entry in entries {
                out.0.push(entry.metric as u8);
                out.number(u64::from(entry.den));
                out.signed(entry.num);
            }
        }
        out.number(self.samples.len() as u64);
        for sample in &self.samples {
            out.0.push(sample.of as u8);
            out.number(u64::from(sample.bucket));
            out.number(u64::from(sample.count));
        }
        out.number(self.waits.len() as u64);
        for wait in &self.waits {
            out.signed(wait.0);
        }
        PackedContribution(out.0.into_boxed_slice())
    }
}

impl PackedContribution {
    /// What was packed.
    pub fn unpack(&self) -> Contribution {
        let mut from = Reader(&self.0);
        let (flags, direction, channel) = (from.byte(), from.byte(), from.byte());
        let has = |flag| flags & flag != 0;
        let opened_at = Millis(from.signed());
        let closed_at = has(CLOSED).then(|| Millis(from.signed()));
        let agent = has(AGENT).then(|| from.text());
        let reason = has(REASON).then(|| from.text());
        let now = from.entries();
        let arrival = from.entries();
        let completion = from.entries();
        let samples = (0..from.number())
            .map(|_| Sampling {
                of: Sampled::ALL[usize::from(from.byte())],
                bucket: from.number() as u16,
                count: from.number() as u32,
            })
            .collect();
        let waits = (0..from.number()).map(|_| Millis(from.signed())).collect();
        Contribution {
            slice: Slice {
                agent,
                direction: DIRECTIONS[usize::from(direction)],
                channel: CHANNELS[usize::from(channel)],
            },
            opened_at,
            closed_at,
            in_state: has(IN_STATE),
            now,
            arrival,
            completion,
            samples,
            waits,
            reason,
        }
    }

    /// Memory held beyond the struct itself.
    pub fn memory_bytes(&self) -> usize {
        self.0.len()
    }
}

struct Writer(Vec<u8>);

impl Writer {
    fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    /// Small numbers of either sign stay small.
    fn signed(&mut self, number: i64) {
        self.number(((number << 1) ^ (number >> 63)) as u64);
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.0.extend_from_slice(text.as_bytes());
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().expect("packed to its end");
        self.0 = rest;
        *first
    }

    fn number(&mut self) -> u64 {
        let (mut number, mut shift) = (0, 0);
        loop {
            let byte = self.byte();
            number |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                return number;
            }
            shift += 7;
        }
    }

    fn signed(&mut self) -> i64 {
        let number = self.number();
        (number >> 1) as i64 ^ -((number & 1) as i64)
    }

    fn text(&mut self) -> Arc<str> {
        let length = self.number() as usize;
        let (text, rest) = self.0.split_at(length);
        self.0 = rest;
        Arc::from(std::str::from_utf8(text).expect("packed from a text"))
    }

    fn entries(&mut self) -> Box<[Entry]> {
        (0..self.number())
            .map(|_| Entry {
                metric: Metric::ALL[usize::from(self.byte())],
                den: self.number() as u32,
                num: self.signed(),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_in_the_order_of_the_numbers() {
        for (place, direction) in DIRECTIONS.iter().enumerate() {
            assert_eq!(*direction as usize, place);
        }
        for (place, channel) in CHANNELS.iter().enumerate() {
            assert_eq!(*channel as usize, place);
        }
    }

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

//! What one call adds to every metric, in a form that can be kept, compared and taken back.

use std::sync::Arc;

use super::definition::Sampled;
use super::name::Metric;
use super::rules::Rules;
use super::sheet::Sheet;
use crate::facts::{CallFacts, Channel, Direction};
use crate::id::Kind;
use crate::instant::Millis;

/// The cut of figures a call belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slice {
    /// Agent by the merge rules.
    pub agent: Option<Arc<str>>,
    /// Inbound, outbound.
    pub direction: Direction,
    /// Phone, web, chat.
    pub channel: Channel,
}

/// Numerator and denominator for one metric, never both 0 and never negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub metric: Metric,
    pub den: u32,
    pub num: i64,
}

/// Samples of one bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Sampling {
    pub of: Sampled,
    pub bucket: u16,
    pub count: u32,
}

impl Sampling {
    /// Which distribution and bucket, in one number that sorts as they do.
    pub(super) fn key(&self) -> u32 {
        (self.of as u32) << 16 | u32::from(self.bucket)
    }
}

/// What one call adds. Compact: it is kept beside every call so that it can be taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contribution {
    pub(super) slice: Slice,
    pub(super) opened_at: Millis,
    pub(super) closed_at: Option<Millis>,
    /// Counts for concurrency: a connected voice call.
    pub(super) in_state: bool,
    pub(super) now: Box<[Entry]>,
    pub(super) arrival: Box<[Entry]>,
    pub(super) completion: Box<[Entry]>,
    pub(super) samples: Box<[Sampling]>,
    pub(super) waits: Box<[Millis]>,
    pub(super) reason: Option<Arc<str>>,
}

/// What the call of these facts adds under these rules.
pub fn contribution(facts: &CallFacts, rules: &Rules) -> Contribution {
    let mut sheet = Sheet::for_call(facts);
    match facts.key.kind {
        Kind::Call => sheet.voice(facts, rules),
        Kind::Chat => sheet.chat(facts),
    }
    sheet.finish(facts)
}

impl Contribution {
    /// The stored form: numerators and denominators of all metrics in catalogue order, whole numbers in stored units.
    pub fn measures(&self) -> (Vec<f64>, Vec<f64>) {
        let mut num = vec![0.0; Metric::COUNT];
        let mut den = vec![0.0; Metric::COUNT];
        for entry in self.now.iter().chain(&self.arrival).chain(&self.completion) {
            num[entry.metric.index()] = entry.num as f64;
            den[entry.metric.index()] = f64::from(entry.den);
        }
        if let (true, Some(closed_at)) = (self.in_state, self.closed_at) {
            num[Metric::ConcurrencyMean.index()] = closed_at.since(self.opened_at) as f64;
        }
        (num, den)
    }

    /// Which cut it belongs to.
    pub fn slice(&self) -> &Slice {
        &self.slice
    }

    /// The same without what is only true now: for a call that leaves memory while its figures stay.
    pub fn settled(&self) -> Contribution {
        Contribution {
            now: Box::default(),
            waits: Box::default(),
            ..self.clone()
        }
    }

    /// Memory held beyond the struct itself; texts are shared with the call and not counted.
    pub fn memory_bytes(&self) -> usize {
        let entries = self.now.len() + self.arrival.len() + self.completion.len();
        entries * size_of::<Entry>() + self.samples.len() * size_of::<Sampling>() + self.waits.len() * size_of::<Millis>()
    }
}

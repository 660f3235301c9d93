//! Percentiles that merge and subtract exactly: logarithmic buckets with whole counts.
//!
//! The same idea as DDSketch: bucket `k` holds values from γ^(k-1) to γ^k, so the value given for a bucket is off by at most
//! [`RELATIVE_ERROR`]. Counts are whole numbers, so merging is addition, removal is exact, and a replay gives the same figure bit for bit.

use super::contribution::Sampling;

/// Largest error of a percentile, relative to the exact one.
pub const RELATIVE_ERROR: f64 = 0.01;

const GAMMA: f64 = (1.0 + RELATIVE_ERROR) / (1.0 - RELATIVE_ERROR);

/// Milliseconds at and below which a value counts as 0: a microsecond, finer than Retell's figures.
const SMALLEST_MS: f64 = 0.001;

/// Last bucket: about 11 days, longer than any stage or call. Larger values are counted there.
const LAST_BUCKET: u16 = 1_382;

/// The bucket of a value in milliseconds; `None` for what is no span (negative, not finite).
pub fn bucket(value_ms: f64) -> Option<u16> {
    if !value_ms.is_finite() || value_ms < 0.0 {
        return None;
    }
    if value_ms <= SMALLEST_MS {
        return Some(0);
    }
    let place = ((value_ms / SMALLEST_MS).ln() / GAMMA.ln()).ceil();
    Some(place.clamp(1.0, f64::from(LAST_BUCKET)) as u16)
}

/// The value that stands for all values of a bucket, in milliseconds.
pub fn bucket_value(bucket: u16) -> f64 {
    if bucket == 0 {
        return 0.0;
    }
    SMALLEST_MS * GAMMA.powi(i32::from(bucket)) * 2.0 / (GAMMA + 1.0)
}

/// One distribution, ready to be asked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sketch {
    counts: Vec<u64>,
    total: u64,
}

impl Sketch {
    /// Counts `count` samples of a bucket.
    pub fn add(&mut self, bucket: u16, count: u64) {
        let at = usize::from(bucket);
        if at >= self.counts.len() {
            self.counts.resize(at + 1, 0);
        }
        self.counts[at] += count;
        self.total += count;
    }

    /// Adds another distribution.
    pub fn merge(&mut self, other: &Sketch) {
        for (bucket, count) in other.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            self.add(bucket as u16, *count);
        }
    }

    /// Number of samples.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The value with a share `q` (0 to 1) of the samples at or below it (nearest rank); `None` without samples.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        if self.total == 0 {
            return None;
        }
        let rank = ((q * self.total as f64).ceil() as u64).clamp(1, self.total);
        let mut seen = 0;
        let found = self.counts.iter().position(|count| {
            seen += count;
            seen >= rank
        });
        found.map(|bucket| bucket_value(bucket as u16))
    }
}

/// Bucket counts of several distributions in one sorted list: small when few samples came.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Buckets {
    counts: Vec<(u32, u32)>,
}

impl Buckets {
    /// Counts samples, which are sorted and distinct.
    pub(super) fn add(&mut self, samples: &[Sampling]) {
        let held = self.counts.len();
        let mut from = 0;
        for sample in samples {
            match self.counts[from..held].binary_search_by_key(&sample.key(), |(key, _)| *key) {
                Ok(at) => {
                    from += at;
                    self.counts[from].1 = self.counts[from].1.saturating_add(sample.count);
                }
                Err(at) => {
                    from += at;
                    self.counts.push((sample.key(), sample.count));
                }
            }
        }
        if self.counts.len() > held {
            // Two sorted stretches: the stable sort merges them in one pass.
            self.counts.sort();
        }
    }

    /// Takes samples out that were counted.
    pub(super) fn remove(&mut self, samples: &[Sampling]) {
        let mut emptied = false;
        for sample in samples {
            if let Ok(at) = self.counts.binary_search_by_key(&sample.key(), |(key, _)| *key) {
                self.counts[at].1 = self.counts[at].1.saturating_sub(sample.count);
                emptied |= self.counts[at].1 == 0;
            }
        }
        if emptied {
            self.counts.retain(|(_, count)| *count > 0);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.counts.capacity() * size_of::<(u32, u32)>()
    }

    /// All counts: which distribution, bucket, count.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, u16, u64)> {
        self.counts
            .iter()
            .map(|(key, count)| ((key >> 16) as usize, *key as u16, u64::from(*count)))
    }
}

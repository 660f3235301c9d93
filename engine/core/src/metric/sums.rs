//! Sums over intervals, slices and partitions, and the values they give.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::definition::{Kind, Sampled};
use super::figures::{Cells, Interval};
use super::name::Metric;
use super::sketch::Sketch;

/// Numerators, denominators and samples of any number of intervals.
#[derive(Debug, Clone)]
pub(super) struct Sums {
    pairs: [(i128, i128); Metric::COUNT],
    sketches: [Sketch; Sampled::ALL.len()],
    pub reasons: BTreeMap<Arc<str>, i64>,
}

impl Default for Sums {
    fn default() -> Self {
        Self {
            pairs: [(0, 0); Metric::COUNT],
            sketches: Default::default(),
            reasons: BTreeMap::new(),
        }
    }
}

impl Sums {
    pub(super) fn add_cells(&mut self, cells: &Cells) {
        for cell in cells.iter() {
            let pair = &mut self.pairs[cell.metric.index()];
            pair.0 += i128::from(cell.num);
            pair.1 += i128::from(cell.den);
        }
    }

    pub(super) fn add(&mut self, interval: &Interval) {
        self.add_cells(&interval.cells);
        for (of, bucket, count) in interval.buckets.iter() {
            self.sketches[of].add(bucket, count);
        }
        for (reason, count) in &interval.reasons {
            *self.reasons.entry(reason.clone()).or_default() += count;
        }
    }

    /// Only what a trend needs: sums, and the samples of metrics that are percentiles on a tile.
    pub(super) fn add_for_trend(&mut self, interval: &Interval) {
        self.add_cells(&interval.cells);
        for (of, bucket, count) in interval.buckets.iter().filter(|(of, ..)| *of == Sampled::E2e as usize) {
            self.sketches[of].add(bucket, count);
        }
    }

    pub(super) fn pair(&self, metric: Metric) -> (i128, i128) {
        self.pairs[metric.index()]
    }

    pub(super) fn sketch(&self, of: Sampled) -> &Sketch {
        &self.sketches[of as usize]
    }

    pub(super) fn count(&self, metric: Metric) -> u64 {
        u64::try_from(self.pair(metric).0).unwrap_or(0)
    }

    /// The shown value; of percentiles the 95th.
    pub(super) fn value(&self, metric: Metric) -> Option<f64> {
        let definition = metric.definition();
        match (definition.kind, definition.sampled) {
            (Kind::Percentile, Some(of)) => self.sketch(of).quantile(0.95),
            _ => {
                let (num, den) = self.pair(metric);
                definition.value(num, den)
            }
        }
    }
}

//! A sliding minute of delays, for the p95 shown beside the board.

use std::collections::VecDeque;

use trunkline_core::instant::Millis;

/// Upper ends of the buckets in ms; the answer is the upper end of the bucket that holds the percentile.
const ENDS_MS: [i64; 17] = [
    5,
    10,
    20,
    50,
    100,
    200,
    300,
    500,
    1_000,
    2_000,
    5_000,
    10_000,
    30_000,
    60_000,
    300_000,
    3_600_000,
    i64::MAX,
];

/// Width of one slice and how many are kept: one minute.
const SLICE_MS: i64 = 10_000;
const SLICES: usize = 6;

/// Delays of the last minute.
#[derive(Debug, Default, Clone)]
pub(crate) struct LagWindow {
    slices: VecDeque<(Millis, [u32; ENDS_MS.len()])>,
}

impl LagWindow {
    /// Notes a delay seen at `now`.
    pub(crate) fn note(&mut self, now: Millis, delay_ms: i64) {
        let slice = now.floor(SLICE_MS);
        if self.slices.back().is_none_or(|(at, _)| *at != slice) {
            self.slices.push_back((slice, [0; ENDS_MS.len()]));
            if self.slices.len() > SLICES {
                self.slices.pop_front();
            }
        }
        let bucket = ENDS_MS.partition_point(|end| *end < delay_ms);
        if let Some((_, counts)) = self.slices.back_mut() {
            counts[bucket] += 1;
        }
    }

    /// Adds what is still fresh at `now` to `sum`.
    pub(crate) fn add_to(&self, now: Millis, sum: &mut LagSum) {
        for (at, counts) in &self.slices {
            if now.since(*at) < SLICE_MS * SLICES as i64 {
                for (total, count) in sum.0.iter_mut().zip(counts) {
                    *total += u64::from(*count);
                }
            }
        }
    }
}

/// Delays of several windows together.
#[derive(Debug, Default)]
pub(crate) struct LagSum([u64; ENDS_MS.len()]);

impl LagSum {
    /// The 95th percentile; `None` without a sample.
    pub(crate) fn p95_ms(&self) -> Option<i64> {
        let total: u64 = self.0.iter().sum();
        let rank = (total * 95).div_ceil(100);
        let mut seen = 0;
        for (count, end) in self.0.iter().zip(ENDS_MS) {
            seen += count;
            if total > 0 && seen >= rank {
                return Some(end);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_p95_is_of_the_last_minute_and_empty_is_not_zero() {
        let p95 = |window: &LagWindow, now| {
            let mut sum = LagSum::default();
            window.add_to(Millis(now), &mut sum);
            sum.p95_ms()
        };
        let mut window = LagWindow::default();
        assert_eq!(p95(&window, 0), None);
        for n in 0..94 {
            window.note(Millis(n), 3);
        }
        for n in 0..6 {
            window.note(Millis(n), 900);
        }
        assert_eq!(p95(&window, 1_000), Some(1_000), "six of a hundred are slow");
        window.note(Millis(2), 4);
        for n in 0..20 {
            window.note(Millis(n), 2);
        }
        assert_eq!(
            p95(&window, 1_000),
            Some(5),
            "six of 121 are not among the slowest twentieth's edge"
        );
        assert_eq!(p95(&window, 60_000), None, "a minute later nothing is left");
    }
}

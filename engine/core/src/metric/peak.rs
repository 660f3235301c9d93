//! Concurrency of a window: peak, mean and time at the limit, swept from comings and goings.
//!
//! Seconds are swept only in intervals that can matter: the bound *running at the start + all that came* decides.

use super::figures::{Figures, number};
use super::partial::INTERVAL_MS;
use crate::instant::Millis;

const SECONDS: usize = (INTERVAL_MS / 1_000) as usize;

/// Concurrency of a window.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Load {
    pub peak: i64,
    pub peak_at: Option<Millis>,
    pub mean: Option<f64>,
    /// Missing without a limit.
    pub at_limit_ms: Option<i64>,
}

struct Stretch {
    index: i64,
    running: i64,
    opens: i64,
}

/// Sweeps the window from `from` (start of an interval) to `now`.
pub(super) fn load(cut: &[&Figures], from: Millis, now: Millis, limit: Option<u32>) -> Load {
    let stretches = stretches(cut, number(from), number(now));
    let mut result = Load {
        at_limit_ms: limit.map(|_| 0),
        ..Load::default()
    };
    let mut area = 0;
    for stretch in &stretches {
        area += covered_ms(cut, stretch, now);
    }
    let width = now.since(Millis(number(from) * INTERVAL_MS));
    result.mean = (width > 0).then(|| area as f64 / width as f64);

    let mut by_bound: Vec<&Stretch> = stretches.iter().collect();
    by_bound.sort_by_key(|stretch| (-(stretch.running + stretch.opens), stretch.index));
    let limit = limit.map(i64::from);
    for stretch in by_bound {
        let bound = stretch.running + stretch.opens;
        let may_touch_limit = limit.is_some_and(|limit| bound >= limit);
        if bound <= result.peak && !may_touch_limit {
            break;
        }
        sweep(cut, stretch, now, limit, &mut result);
    }
    result
}

/// Every interval of the window with the calls running at its start.
fn stretches(cut: &[&Figures], first: i64, last: i64) -> Vec<Stretch> {
    let mut running: i64 = cut.iter().map(|figures| figures.carried).sum();
    for figures in cut {
        running += figures
            .intervals
            .range(..first)
            .map(|(_, interval)| interval.moves.opens - interval.moves.closes)
            .sum::<i64>();
    }
    let mut stretches = Vec::new();
    for index in first..=last {
        let moves = cut
            .iter()
            .filter_map(|figures| figures.intervals.get(&index))
            .map(|interval| &interval.moves);
        let (opens, closes) = moves.fold((0, 0), |(opens, closes), m| (opens + m.opens, closes + m.closes));
        stretches.push(Stretch { index, running, opens });
        running += opens - closes;
    }
    stretches
}

/// Time in progress of all calls within the stretch: those running stay its whole length, each that came or went counts from
/// its place on.
fn covered_ms(cut: &[&Figures], stretch: &Stretch, now: Millis) -> i64 {
    let start = stretch.index * INTERVAL_MS;
    let length = (now.0 - start).clamp(0, INTERVAL_MS);
    let moves = cut
        .iter()
        .filter_map(|figures| figures.intervals.get(&stretch.index))
        .map(|interval| &interval.moves);
    let came: i64 = moves
        .map(|m| (m.opens * length - m.open_ms) - (m.closes * length - m.close_ms))
        .sum();
    stretch.running * length + came
}

fn sweep(cut: &[&Figures], stretch: &Stretch, now: Millis, limit: Option<i64>, result: &mut Load) {
    let mut opens = [0_i64; SECONDS];
    let mut closes = [0_i64; SECONDS];
    for figures in cut {
        let Some(interval) = figures.intervals.get(&stretch.index) else {
            continue;
        };
        for step in &interval.moves.seconds {
            opens[usize::from(step.second)] += i64::from(step.opens);
            closes[usize::from(step.second)] += i64::from(step.closes);
        }
    }
    let start = stretch.index * INTERVAL_MS;
    let mut running = stretch.running;
    for second in 0..SECONDS {
        let at = Millis(start + second as i64 * 1_000);
        if at > now {
            break;
        }
        let most = running + opens[second];
        if most > result.peak {
            result.peak = most;
            result.peak_at = Some(at);
        }
        if let (Some(limit), Some(total)) = (limit, result.at_limit_ms.as_mut())
            && most >= limit
        {
            *total += now.since(at).min(1_000);
        }
        running = most - closes[second];
    }
}

//! Makes a board: merges partials by cut and window, values, targets, trends.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::HashMap;

use super::board::*;
use super::definition::{Kind, Sampled};
use super::figures::{Figures, number};
use super::name::Metric;
use super::partial::{INTERVAL_MS, Scope, Seen};
use super::peak;
use super::rules::Rules;
use super::sketch::Sketch;
use super::sums::Sums;
use super::target::{Targets, state, words};
use crate::facts::{Channel, Direction, STAGES};
use crate::instant::Millis;

/// Longest window of a board: the longest legal day and an hour of grace. More would let one request sweep without end.
const WINDOW_MS_MAX: i64 = 26 * 3_600_000;

/// Windows up to this long have trends in five-minute steps, longer ones in quarters.
const FINE_TREND_MS: i64 = 4 * 3_600_000;

const QUARTER_MS: i64 = 900_000;

/// Rows of the agents table: more do not fit a screen, and a list page exists.
const AGENT_ROWS: usize = 200;

/// Below this share of analysed calls, figures that need the analysis are preliminary.
const ANALYSED_ENOUGH: f64 = 0.99;

/// What a board is asked to show.
#[derive(Debug, Clone)]
pub struct View<'a> {
    /// Which cut.
    pub scope: &'a Scope,
    /// Now.
    pub now: Millis,
    /// The last daily reset of the business; rounded down to an interval.
    pub day_start: Millis,
    /// Which span.
    pub window: Window,
    /// What should be reached.
    pub targets: &'a Targets,
    /// The rules by which the contributions were made; for the words of the targets.
    pub rules: &'a Rules,
    /// Lines of the business, if known.
    pub concurrency_limit: Option<u32>,
    /// Fill [`Board::figures`].
    pub all_figures: bool,
}

impl View<'_> {
    fn from(&self) -> Millis {
        let earliest = self.now.plus(-WINDOW_MS_MAX);
        let start = match self.window {
            Window::Day => self.day_start,
            Window::Minutes(minutes) => self.now.plus(-i64::from(minutes) * 60_000),
        };
        start.max(earliest).min(self.now).floor(INTERVAL_MS)
    }
}

/// The board of the partials of one business (or of several, for all businesses of an organisation).
pub fn board<'a, P: Into<Seen<'a>> + Copy>(partials: &[P], view: &View<'_>) -> Board {
    let partials: Vec<Seen<'_>> = partials.iter().map(|partial| (*partial).into()).collect();
    let partials = partials.as_slice();
    let cut: Vec<&Figures> = partials.iter().flat_map(|partial| partial.cut(view.scope)).collect();
    let from = view.from();
    let interval_ms = if view.now.since(from) <= FINE_TREND_MS {
        INTERVAL_MS
    } else {
        QUARTER_MS
    };
    let mut total = Sums::default();
    let steps = (view.now.since(from) / interval_ms) as usize + 1;
    let mut bins = vec![Sums::default(); steps];
    for figures in &cut {
        for (index, interval) in figures.intervals.range(number(from)..=number(view.now)) {
            total.add(interval);
            let step = (index * INTERVAL_MS - from.0) / interval_ms;
            bins[step as usize].add_for_trend(interval);
        }
        total.add_cells(&figures.now);
    }
    let load = peak::load(&cut, from, view.now, view.concurrency_limit);
    let waiting_since = cut.iter().filter_map(|figures| figures.waits.keys().next().copied()).min();
    let pace = pace(&cut, view.now);
    let now = now(partials, &total, view, load, waiting_since);

    let sheet = Sheet {
        view,
        total: &total,
        bins: &bins,
        pace,
        load,
        waiting_since,
    };
    Board {
        as_of: view.now,
        day_start: view.day_start,
        window: view.window,
        from,
        interval_ms,
        complete_to: None,
        gaps: 0,
        lag_ms: None,
        now,
        offered: offered(&total, &bins, pace),
        tiles: Metric::ALL
            .iter()
            .filter(|metric| metric.definition().tile)
            .map(|metric| sheet.tile(*metric))
            .collect(),
        ended: ended(&total),
        reasons: reasons(&total),
        agents: agents(partials, view, from),
        sentiment: Mood {
            positive: total.count(Metric::SentimentPositiveCount),
            neutral: total.count(Metric::SentimentNeutralCount),
            negative: total.count(Metric::SentimentNegativeCount),
            unknown: total.count(Metric::SentimentUnknownCount),
            other: total.count(Metric::SentimentOtherCount),
        },
        latency: latency(&total),
        figures: if view.all_figures { sheet.figures() } else { Vec::new() },
    }
}

/// Calls in an hour at the pace of the last quarter: whole intervals and the open one.
fn pace(cut: &[&Figures], now: Millis) -> (i64, i64) {
    let start = now.plus(-QUARTER_MS).floor(INTERVAL_MS);
    let intervals = cut.iter().flat_map(|figures| figures.intervals.range(number(start)..=number(now)));
    let calls = intervals.map(|(_, interval)| interval.cells.get(Metric::ArrivalRate).0).sum();
    (calls, now.since(start))
}

fn now(partials: &[Seen<'_>], total: &Sums, view: &View<'_>, load: peak::Load, waiting_since: Option<Millis>) -> Now {
    let mut by_direction = Direct::default();
    for (slice, figures) in partials.iter().flat_map(|partial| partial.slices(view.scope)) {
        let calls = u64::try_from(figures.now.get(Metric::CallsInProgress).0).unwrap_or(0);
        match (slice.channel, slice.direction) {
            (Channel::Web, _) => by_direction.web += calls,
            (_, Direction::Inbound) => by_direction.inbound += calls,
            (_, Direction::Outbound) => by_direction.outbound += calls,
            _ => by_direction.other += calls,
        }
    }
    let used = total.count(Metric::ConcurrencyUsed);
    let limit = view.concurrency_limit;
    Now {
        in_progress: total.count(Metric::CallsInProgress),
        by_state: OpenCalls {
            dialling: total.count(Metric::CallsDialling),
            talking: total.count(Metric::CallsTalking),
            transferring: total.count(Metric::CallsTransferring),
            with_person: total.count(Metric::CallsWithPerson),
        },
        by_direction,
        chats: total.count(Metric::ChatsInProgress),
        open_transfers: total.count(Metric::TransfersOpen),
        longest_wait_ms: waiting_since.map(|since| view.now.since(since).max(0)),
        longest_wait_since: waiting_since,
        concurrency: Concurrency {
            used,
            limit,
            share: limit.filter(|limit| *limit > 0).map(|limit| used as f64 / f64::from(limit)),
            peak: u64::try_from(load.peak).unwrap_or(0).max(used),
            peak_at: load.peak_at,
            mean: load.mean,
            at_limit_ms: load.at_limit_ms,
        },
    }
}

fn offered(total: &Sums, bins: &[Sums], pace: (i64, i64)) -> Offered {
    let series = |metric| bins.iter().map(|bin| bin.count(metric)).collect();
    let (calls, width_ms) = pace;
    Offered {
        total: total.count(Metric::CallsOffered),
        answered: total.count(Metric::CallsAnswered),
        answer_rate: total.value(Metric::AnswerRate),
        blocked: total.count(Metric::CallsBlocked),
        pace_per_hour: Metric::ArrivalRate.definition().value(i128::from(calls), i128::from(width_ms)),
        series: series(Metric::CallsOffered),
        answered_series: series(Metric::CallsAnswered),
        spend_cents: total.value(Metric::Cost),
        spend_series: bins.iter().map(|bin| bin.value(Metric::Cost)).collect(),
        transfers: total.count(Metric::TransfersStarted),
        transfers_bridged: total.count(Metric::TransferSuccess),
        chats: total.count(Metric::ChatsStarted),
    }
}

fn ended(total: &Sums) -> Vec<EndedClass> {
    let classes = || Metric::ALL.iter().copied().filter(|metric| metric.is_ended_class());
    let all: u64 = classes().map(|metric| total.count(metric)).sum();
    let mut rows: Vec<EndedClass> = classes()
        .map(|metric| {
            let count = total.count(metric);
            let name = Cow::Borrowed(metric.definition().name);
            EndedClass {
                metric,
                name,
                count,
                share: if all == 0 { 0.0 } else { count as f64 / all as f64 },
            }
        })
        .filter(|row| row.count > 0)
        .collect();
    rows.sort_by_key(|row| (Reverse(row.count), row.metric));
    rows
}

fn reasons(total: &Sums) -> Vec<CountedReason> {
    let counted = total.reasons.iter().filter(|(_, count)| **count > 0);
    let mut rows: Vec<CountedReason> = counted
        .map(|(reason, count)| CountedReason {
            reason: reason.to_string(),
            count: count.unsigned_abs(),
        })
        .collect();
    rows.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.reason.cmp(&b.reason)));
    rows
}

fn agents(partials: &[Seen<'_>], view: &View<'_>, from: Millis) -> Vec<AgentRow> {
    #[derive(Default, Clone, Copy)]
    struct Tally {
        live: i64,
        offered: i64,
        success: (i64, i64),
        aht: (i64, i64),
        cost: (i64, i64),
    }
    fn plus(sum: &mut (i64, i64), pair: (i64, i64)) {
        sum.0 += pair.0;
        sum.1 += pair.1;
    }
    let mut tallies: HashMap<Option<&str>, Tally> = HashMap::new();
    for (slice, figures) in partials.iter().flat_map(|partial| partial.slices(view.scope)) {
        let tally = tallies.entry(slice.agent.as_deref()).or_default();
        tally.live += figures.now.get(Metric::CallsInProgress).0;
        for (_, interval) in figures.intervals.range(number(from)..=number(view.now)) {
            tally.offered += interval.cells.get(Metric::CallsOffered).0;
            plus(&mut tally.success, interval.cells.get(Metric::SuccessRate));
            plus(&mut tally.aht, interval.cells.get(Metric::AhtAi));
            plus(&mut tally.cost, interval.cells.get(Metric::CostPerMinute));
        }
    }
    let value = |metric: Metric, (num, den): (i64, i64)| metric.definition().value(i128::from(num), i128::from(den));
    let mut rows: Vec<AgentRow> = tallies
        .into_iter()
        .filter(|(_, tally)| tally.live > 0 || tally.offered > 0 || tally.aht.1 > 0)
        .map(|(agent, tally)| AgentRow {
            agent: agent.map(str::to_owned),
            name: None,
            live: tally.live.unsigned_abs(),
            offered: tally.offered.unsigned_abs(),
            handled: tally.aht.1.unsigned_abs(),
            success: value(Metric::SuccessRate, tally.success),
            aht_ms: value(Metric::AhtAi, tally.aht),
            cents_per_minute: value(Metric::CostPerMinute, tally.cost),
        })
        .collect();
    rows.sort_by(|a, b| (b.live, b.offered).cmp(&(a.live, a.offered)).then_with(|| a.agent.cmp(&b.agent)));
    rows.truncate(AGENT_ROWS);
    rows
}

fn latency(total: &Sums) -> Vec<LatencyRow> {
    let row = |stage| {
        let (of, metric) = Sampled::of_stage(stage);
        percentiles(total.sketch(of)).map(|percentiles| LatencyRow {
            metric,
            stage: Cow::Borrowed(stage.as_str()),
            percentiles,
        })
    };
    STAGES.into_iter().filter_map(row).collect()
}

fn percentiles(sketch: &Sketch) -> Option<Percentiles> {
    Some(Percentiles {
        samples: sketch.total(),
        p50: sketch.quantile(0.50)?,
        p90: sketch.quantile(0.90)?,
        p95: sketch.quantile(0.95)?,
        p99: sketch.quantile(0.99)?,
    })
}

/// Everything that tiles and figures are read from.
struct Sheet<'a> {
    view: &'a View<'a>,
    total: &'a Sums,
    bins: &'a [Sums],
    pace: (i64, i64),
    load: peak::Load,
    waiting_since: Option<Millis>,
}

impl Sheet<'_> {
    /// Values that need more than sums are made here, all others by their definition.
    fn value(&self, metric: Metric) -> Option<f64> {
        match metric {
            Metric::ConcurrencyPeak => Some(self.load.peak as f64),
            Metric::ConcurrencyMean => self.load.mean,
            Metric::TimeAtLimit => self.load.at_limit_ms.map(|ms| ms as f64),
            Metric::LongestWait => self.waiting_since.map(|since| self.view.now.since(since).max(0) as f64),
            Metric::ArrivalRate => metric.definition().value(i128::from(self.pace.0), i128::from(self.pace.1)),
            _ => self.total.value(metric),
        }
    }

    fn tile(&self, metric: Metric) -> Tile {
        let definition = metric.definition();
        let value = self.value(metric);
        let target = self.view.targets.of(metric);
        let (num, den) = self.total.pair(metric);
        let sampled = definition.kind == Kind::Percentile;
        let analysed = self.total.value(Metric::AnalysedShare);
        Tile {
            metric,
            name: Cow::Borrowed(definition.name),
            value,
            numerator: (!sampled).then(|| num as f64 / definition.scale as f64),
            denominator: Some(den as f64 / definition.den_scale as f64),
            unit: definition.unit,
            good: definition.good,
            target,
            target_words: target.map(|target| Cow::Owned(words(definition, target, self.view.rules))),
            state: state(definition.good, value, target),
            trend: self.bins.iter().map(|bin| bin.value(metric)).collect(),
            estimator: definition.estimator.map(Cow::Borrowed),
            provisional: definition.needs_analysis && analysed.is_none_or(|share| share < ANALYSED_ENOUGH),
            percentiles: definition.sampled.and_then(|of| percentiles(self.total.sketch(of))),
        }
    }

    fn figures(&self) -> Vec<Figure> {
        let narrow = |wide: i128| i64::try_from(wide).unwrap_or(i64::MAX);
        let figure = |metric: &Metric| {
            let (num, den) = self.total.pair(*metric);
            Figure {
                metric: *metric,
                value: self.value(*metric),
                num: narrow(num),
                den: narrow(den),
            }
        };
        Metric::ALL.iter().map(figure).collect()
    }
}

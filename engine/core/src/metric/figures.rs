//! Sums of one cut of calls by five-minute interval, which contributions enter and leave without a trace.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::contribution::{Contribution, Entry};
use super::name::Metric;
use super::partial::INTERVAL_MS;
use super::sketch::Buckets;
use crate::instant::Millis;

/// Sums of one metric. Wrapping arithmetic keeps removal exact even beyond the type's range, which takes 90 billion dollars in
/// one interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cell {
    pub metric: Metric,
    pub num: i64,
    pub den: i64,
}

/// Sums by metric, only those that are not 0. Entries are never negative, so a cell is 0 exactly when nothing is in it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Cells(Vec<Cell>);

impl Cells {
    fn shift(&mut self, metric: Metric, num: i64, den: i64) {
        match self.0.binary_search_by_key(&metric, |cell| cell.metric) {
            Ok(at) => {
                let cell = &mut self.0[at];
                cell.num = cell.num.wrapping_add(num);
                cell.den = cell.den.wrapping_add(den);
                if cell.num == 0 && cell.den == 0 {
                    self.0.remove(at);
                }
            }
            Err(at) => self.0.insert(at, Cell { metric, num, den }),
        }
    }

    /// Takes `old` out and puts `new` in; both are sorted by metric, equal entries are not touched.
    fn replace(&mut self, old: &[Entry], new: &[Entry]) {
        let (mut o, mut n) = (0, 0);
        while o < old.len() || n < new.len() {
            match (old.get(o), new.get(n)) {
                (Some(was), Some(is)) if was.metric == is.metric => {
                    if was != is {
                        self.shift(is.metric, is.num - was.num, i64::from(is.den) - i64::from(was.den));
                    }
                    o += 1;
                    n += 1;
                }
                (Some(was), is) if is.is_none_or(|is| was.metric < is.metric) => {
                    self.shift(was.metric, -was.num, -i64::from(was.den));
                    o += 1;
                }
                (_, Some(is)) => {
                    self.shift(is.metric, is.num, i64::from(is.den));
                    n += 1;
                }
                (_, None) => break,
            }
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Cell> {
        self.0.iter()
    }

    pub(super) fn get(&self, metric: Metric) -> (i64, i64) {
        let found = self.0.binary_search_by_key(&metric, |cell| cell.metric);
        found.map_or((0, 0), |at| (self.0[at].num, self.0[at].den))
    }
}

/// Calls that became or ceased to be in progress within one second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Move {
    /// Second of the interval.
    pub second: u16,
    pub opens: u32,
    pub closes: u32,
}

/// Comings and goings of one interval.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Moves {
    pub opens: i64,
    pub closes: i64,
    /// Sum of the places of the opens in the interval.
    pub open_ms: i64,
    pub close_ms: i64,
    /// By second, sorted.
    pub seconds: Vec<Move>,
}

impl Moves {
    fn shift(&mut self, at: Millis, opens: i64, closes: i64) {
        let place = at.0.rem_euclid(INTERVAL_MS);
        self.opens += opens;
        self.closes += closes;
        self.open_ms += opens * place;
        self.close_ms += closes * place;
        let second = (place / 1_000) as u16;
        let at = match self.seconds.binary_search_by_key(&second, |m| m.second) {
            Ok(at) => at,
            Err(at) => {
                self.seconds.insert(
                    at,
                    Move {
                        second,
                        opens: 0,
                        closes: 0,
                    },
                );
                at
            }
        };
        let entry = &mut self.seconds[at];
        entry.opens = entry.opens.wrapping_add_signed(opens as i32);
        entry.closes = entry.closes.wrapping_add_signed(closes as i32);
        if entry.opens == 0 && entry.closes == 0 {
            self.seconds.remove(at);
        }
    }
}

/// What belongs to one interval, each metric by its own base.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Interval {
    pub cells: Cells,
    pub buckets: Buckets,
    pub moves: Moves,
    pub reasons: Vec<(Arc<str>, i64)>,
}

impl Interval {
    fn shift_reason(&mut self, reason: &Arc<str>, by: i64) {
        match self.reasons.binary_search_by(|(held, _)| held.cmp(reason)) {
            Ok(at) => {
                self.reasons[at].1 += by;
                if self.reasons[at].1 == 0 {
                    self.reasons.remove(at);
                }
            }
            Err(at) => self.reasons.insert(at, (reason.clone(), by)),
        }
    }

    fn is_empty(&self) -> bool {
        self.cells.0.is_empty() && self.buckets.is_empty() && self.moves.seconds.is_empty() && self.reasons.is_empty()
    }
}

/// Everything summed for one cut.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Figures {
    /// What holds right now.
    pub now: Cells,
    /// Starts of open transfers and how many began then.
    pub waits: BTreeMap<Millis, u32>,
    /// By number of the interval since the epoch. Shared, so that a copy for readers costs a pointer for each.
    pub intervals: BTreeMap<i64, Arc<Interval>>,
    /// Calls that came in forgotten intervals and have not gone in one.
    pub carried: i64,
}

impl Figures {
    /// Takes `old` out and puts `new` in. Intervals before `kept_from` are gone and stay so.
    pub(super) fn replace(&mut self, old: Option<&Contribution>, new: Option<&Contribution>, kept_from: i64) {
        self.now.replace(old.map_or(&[], |c| &c.now), new.map_or(&[], |c| &c.now));
        let waits = (old.map_or(&[][..], |c| &c.waits), new.map_or(&[][..], |c| &c.waits));
        if waits.0 != waits.1 {
            self.shift_waits(waits.0, -1);
            self.shift_waits(waits.1, 1);
        }
        let same_interval = |at: fn(&Contribution) -> Option<i64>| matches!((old, new), (Some(o), Some(n)) if at(o) == at(n));
        if same_interval(arrived_in) {
            self.arrival(old, new, kept_from);
        } else {
            self.arrival(old, None, kept_from);
            self.arrival(None, new, kept_from);
        }
        if same_interval(completed_in) {
            self.completion(old, new, kept_from);
        } else {
            self.completion(old, None, kept_from);
            self.completion(None, new, kept_from);
        }
        let stay = |c: Option<&Contribution>| c.filter(|c| c.in_state).map(|c| (c.opened_at, c.closed_at));
        if stay(old) != stay(new) {
            self.shift_stay(stay(old), -1, kept_from);
            self.shift_stay(stay(new), 1, kept_from);
        }
    }

    fn shift_waits(&mut self, starts: &[Millis], by: i32) {
        for start in starts {
            let count = self.waits.entry(*start).or_default();
            *count = count.wrapping_add_signed(by);
            if *count == 0 {
                self.waits.remove(start);
            }
        }
    }

    fn arrival(&mut self, old: Option<&Contribution>, new: Option<&Contribution>, kept_from: i64) {
        let entries = (old.map_or(&[][..], |c| &c.arrival), new.map_or(&[][..], |c| &c.arrival));
        if entries.0 == entries.1 {
            return;
        }
        let at = new.or(old).and_then(arrived_in);
        self.in_interval(at, kept_from, |interval| interval.cells.replace(entries.0, entries.1));
    }

    fn completion(&mut self, old: Option<&Contribution>, new: Option<&Contribution>, kept_from: i64) {
        let entries = (old.map_or(&[][..], |c| &c.completion), new.map_or(&[][..], |c| &c.completion));
        let samples = (old.map_or(&[][..], |c| &c.samples), new.map_or(&[][..], |c| &c.samples));
        let reasons = (old.and_then(|c| c.reason.as_ref()), new.and_then(|c| c.reason.as_ref()));
        if entries.0 == entries.1 && samples.0 == samples.1 && reasons.0 == reasons.1 {
            return;
        }
        let at = new.or(old).and_then(completed_in);
        self.in_interval(at, kept_from, |interval| {
            interval.cells.replace(entries.0, entries.1);
            if samples.0 != samples.1 {
                interval.buckets.remove(samples.0);
                interval.buckets.add(samples.1);
            }
            if reasons.0 != reasons.1 {
                reasons.0.into_iter().for_each(|reason| interval.shift_reason(reason, -1));
                reasons.1.into_iter().for_each(|reason| interval.shift_reason(reason, 1));
            }
        });
    }

    fn shift_stay(&mut self, stay: Option<(Millis, Option<Millis>)>, by: i64, kept_from: i64) {
        let Some((opened, closed)) = stay else { return };
        self.shift_move(opened, by, 0, kept_from);
        if let Some(closed) = closed {
            self.shift_move(closed, 0, by, kept_from);
        }
    }

    fn shift_move(&mut self, at: Millis, opens: i64, closes: i64, kept_from: i64) {
        let index = number(at);
        if index < kept_from {
            self.carried += opens - closes;
        } else {
            self.in_interval(Some(index), kept_from, |interval| interval.moves.shift(at, opens, closes));
        }
    }

    fn in_interval(&mut self, index: Option<i64>, kept_from: i64, change: impl FnOnce(&mut Interval)) {
        let Some(index) = index.filter(|index| *index >= kept_from) else {
            return;
        };
        let interval = Arc::make_mut(self.intervals.entry(index).or_default());
        change(interval);
        if interval.is_empty() {
            self.intervals.remove(&index);
        }
    }

    /// Drops intervals before `kept_from`; calls still in progress from there are carried.
    pub(super) fn forget(&mut self, kept_from: i64) {
        let kept = self.intervals.split_off(&kept_from);
        let dropped = std::mem::replace(&mut self.intervals, kept);
        self.carried += dropped
            .values()
            .map(|interval| interval.moves.opens - interval.moves.closes)
            .sum::<i64>();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.now.0.is_empty() && self.waits.is_empty() && self.intervals.is_empty() && self.carried == 0
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let of_interval = |interval: &Interval| {
            size_of::<(i64, Interval)>()
                + interval.cells.0.capacity() * size_of::<Cell>()
                + interval.buckets.memory_bytes()
                + interval.moves.seconds.capacity() * size_of::<Move>()
                + interval.reasons.capacity() * size_of::<(Arc<str>, i64)>()
        };
        let now = self.now.0.capacity() * size_of::<Cell>() + self.waits.len() * size_of::<(Millis, u32)>();
        now + self.intervals.values().map(|interval| of_interval(interval)).sum::<usize>()
    }
}

/// The number of the interval that holds `at`.
pub(super) fn number(at: Millis) -> i64 {
    at.0.div_euclid(INTERVAL_MS)
}

fn arrived_in(contribution: &Contribution) -> Option<i64> {
    Some(number(contribution.opened_at))
}

fn completed_in(contribution: &Contribution) -> Option<i64> {
    contribution.closed_at.map(number)
}

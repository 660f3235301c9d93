//! Concurrency: peak, mean, time at the limit; against a sweep of every second by hand.

use super::fixture::*;
use proptest::prelude::*;
use trunkline_core::facts::*;
use trunkline_core::metric::*;

fn stay(from_s: i64, to_s: Option<i64>) -> CallFacts {
    let mut call = if to_s.is_some() { call() } else { running() };
    call.started_at = Some(TEN.plus(from_s * 1_000));
    call.ended_at = to_s.map(|s| TEN.plus(s * 1_000));
    call
}

fn load_at(calls: &[CallFacts], now_s: i64, limit: u32) -> Concurrency {
    board_at(&[&partial(calls)], TEN.plus(now_s * 1_000), &Scope::default(), Some(limit))
        .now
        .concurrency
}

#[test]
fn peak_mean_and_time_at_limit_by_hand() {
    // 0-100 s, 50-400 s, 60 s till now; now is 500 s: three at once from 60 to 100 s.
    let calls = [stay(0, Some(100)), stay(50, Some(400)), stay(60, None)];
    let load = load_at(&calls, 500, 2);
    assert_eq!((load.used, load.limit, load.share), (1, Some(2), Some(0.5)));
    assert_eq!((load.peak, load.peak_at), (3, Some(TEN.plus(60_000))));
    assert_eq!(load.mean, Some((100.0 + 350.0 + 440.0) / 500.0));
    // Two or more from 50 to 400 s; the second in which one leaves still counts.
    assert_eq!(load.at_limit_ms, Some(351_000));
}

#[test]
fn a_call_from_before_the_day_counts_until_it_ends() {
    let calls = [stay(-4_000, Some(60)), stay(30, Some(90))];
    let load = load_at(&calls, 600, 5);
    assert_eq!((load.peak, load.peak_at), (2, Some(TEN.plus(30_000))));
    assert_eq!(load.mean, Some(0.2));
}

#[test]
fn a_call_whose_start_is_forgotten_is_still_in_progress() {
    let mut partial = partial(&[stay(-4_000, None), stay(-4_000, Some(60)), stay(30, Some(90))]);
    partial.forget(TEN);
    let load = board_at(&[&partial], TEN.plus(600_000), &Scope::default(), Some(5)).now.concurrency;
    assert_eq!((load.peak, load.used), (3, 1));
    assert_eq!(load.mean, Some(1.2));
}

#[test]
fn a_dial_that_never_connected_takes_no_line() {
    let load = load_at(&[dial("dial_no_answer", ReasonClass::Callee)], 600, 5);
    assert_eq!((load.used, load.peak, load.mean), (0, 0, Some(0.0)));
}

#[test]
fn a_call_that_ends_before_it_begins_takes_no_time() {
    let load = load_at(&[stay(100, Some(40))], 600, 5);
    assert_eq!(load.mean, Some(0.0));
}

proptest! {
    #[test]
    fn the_sweep_equals_counting_every_second(
        stays in prop::collection::vec((-1_000i64..2_000, prop::option::of(0i64..900)), 0..40),
        now_s in 1i64..2_400,
        limit in 1u32..8,
    ) {
        let stays: Vec<(i64, Option<i64>)> = stays.into_iter().map(|(from, lasted)| (from, lasted.map(|l| from + l))).collect();
        let stays: Vec<_> = stays.into_iter().filter(|(from, to)| *from <= now_s && to.is_none_or(|to| to <= now_s)).collect();
        let calls: Vec<CallFacts> = stays.iter().map(|(from, to)| stay(*from, *to)).collect();
        let load = load_at(&calls, now_s, limit);
        // In whole seconds a call is there from its first to its last second, both counted.
        let at = |second: i64| stays.iter().filter(|(from, to)| *from <= second && to.is_none_or(|to| second <= to)).count() as u64;
        let most = (0..=now_s).map(at).max().unwrap_or(0);
        prop_assert_eq!(load.peak, most);
        let full = (0..now_s).filter(|second| at(*second) >= u64::from(limit)).count() as i64;
        prop_assert_eq!(load.at_limit_ms, Some(full * 1_000));
        let area: i64 = stays.iter().map(|(from, to)| (to.unwrap_or(now_s).max(0) - (*from).max(0)).max(0)).sum();
        let mean = load.mean.unwrap();
        prop_assert!((mean - area as f64 / now_s as f64).abs() < 1e-9, "{mean}");
    }
}

#[test]
fn time_in_progress_is_stored_with_the_call() {
    let (num, den) = contribution(&stay(0, Some(100)), &Rules::default()).measures();
    assert_eq!(
        (num[Metric::ConcurrencyMean.index()], den[Metric::ConcurrencyMean.index()]),
        (100_000.0, 0.0)
    );
}

//! What must hold of any calls: exact removal, order-free sums, merge of any split, the same numbers in stored arrays.

use super::fixture::*;
use proptest::prelude::*;
use std::sync::Arc;
use trunkline_core::facts::*;
use trunkline_core::metric::*;

/// Any call around ten o'clock, in any state, with any subset of what can be known.
fn any_call() -> impl Strategy<Value = CallFacts> {
    let who = (0..3u8, 0..3u8, 0..4u8, 0..13u8, any::<bool>());
    let when = (-90i64..90, prop::option::of(0i64..1_500_000), 0i64..20_000);
    let speech = (0..5u32, 0..5u32, prop::option::of(0i64..9_000), prop::option::of(0i64..90_000));
    let verdict = (
        prop::option::of(any::<bool>()),
        0..6u8,
        prop::option::of(0.0f64..400.0),
        prop::option::of(1.0f64..900.0),
    );
    let samples = prop::collection::vec(0.0f64..5_000.0, 0..6);
    let transfers = prop::collection::vec((0..4u8, 0i64..60_000), 0..3);
    (who, when, speech, verdict, samples, transfers).prop_map(|(who, when, speech, verdict, samples, transfers)| {
        let (agent, direction, state, class, connected) = who;
        call_with(|f| {
            f.agent_id = [None, Some("agent_a".into()), Some("agent_b".into())][agent as usize].clone();
            f.direction = [Direction::Inbound, Direction::Outbound, Direction::None][direction as usize];
            f.state = [CallState::Registered, CallState::Ongoing, CallState::Ended, CallState::Ended][state as usize];
            f.connected = connected;
            (f.reason, f.reason_class) = reason(class);
            f.started_at = Some(TEN.plus(when.0 * MINUTE + when.2));
            f.duration_ms = when.1;
            f.ended_at = when.1.map(|lasted| f.opened_at().plus(lasted));
            f.ended_event_at = f.ended_at.map(|at| at.plus(when.2));
            f.analysis_event_at = f.ended_event_at.map(|at| at.plus(when.2 * 3));
            f.speech = Speech {
                turns: speech.0 + speech.1,
                agent_turns: speech.0,
                user_turns: speech.1,
                first_agent_word_ms: speech.2,
                agent_talk_ms: speech.3,
                user_talk_ms: speech.3.map(|ms| ms / 2),
                ..Speech::default()
            };
            f.analysis.successful = verdict.0;
            f.analysis.sentiment = [
                None,
                Some(Sentiment::Positive),
                Some(Sentiment::Neutral),
                Some(Sentiment::Negative),
                Some(Sentiment::Unknown),
                Some(Sentiment::Other),
            ][verdict.1 as usize];
            f.cost = verdict.2.map(|cents| Cost {
                combined_cents: Some(cents),
                total_seconds: verdict.3,
                ..Cost::default()
            });
            f.latency = vec![(Stage::E2e, Arc::from(samples.clone())), (Stage::Llm, Arc::from(samples))];
            f.transfers = transfers
                .into_iter()
                .map(|(kind, waited)| match kind {
                    0 => transfer(waited),
                    1 => bridged(waited, waited / 2),
                    2 => cancelled(waited, waited / 2),
                    _ => Transfer {
                        bridged_inferred: true,
                        ..transfer(waited)
                    },
                })
                .collect();
        })
    })
}

fn reason(class: u8) -> (Option<Arc<str>>, Option<ReasonClass>) {
    use ReasonClass::*;
    let classes = [
        ("user_hangup", Normal),
        ("call_take_over", Intervened),
        ("voicemail_reached", Machine),
        ("inactivity", Limit),
        ("registered_call_timeout", NotJoined),
        ("dial_busy", Callee),
        ("dial_failed", Route),
        ("scam_detected", Blocked),
        ("error_llm_websocket_open", FaultOwnModel),
        ("error_asr", FaultProvider),
        ("transfer_cancelled", TransferNotDone),
        ("call_transfer", Normal),
    ];
    classes
        .get(class as usize)
        .map_or((None, None), |(word, class)| (Some(Arc::from(*word)), Some(*class)))
}

fn read(facts: &CallFacts) -> Contribution {
    contribution(facts, &Rules::default())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn what_went_in_comes_out_without_a_trace(calls in prop::collection::vec(any_call(), 0..20), order in any::<prop::sample::Index>()) {
        let mut sums = partial(&calls);
        let turn = if calls.is_empty() { 0 } else { order.index(calls.len()) };
        for facts in calls[turn..].iter().chain(&calls[..turn]) {
            sums.subtract(&read(facts));
        }
        prop_assert_eq!(&sums, &Partial::default());
        prop_assert!(sums.is_empty());
    }

    #[test]
    fn growing_facts_end_where_the_last_facts_would(histories in prop::collection::vec(prop::collection::vec(any_call(), 1..5), 0..12)) {
        let mut grown = Partial::default();
        let mut held: Vec<Option<Contribution>> = vec![None; histories.len()];
        for step in 0..5 {
            for (call, history) in histories.iter().enumerate() {
                let Some(facts) = history.get(step) else { continue };
                let new = read(facts);
                match held[call].take() {
                    Some(old) => _ = grown.replace(&old, &new),
                    None => grown.add(&new),
                }
                held[call] = Some(new);
            }
        }
        let last: Vec<CallFacts> = histories.iter().rev().map(|history| history.last().unwrap().clone()).collect();
        prop_assert_eq!(grown, partial(&last));
    }

    #[test]
    fn any_split_over_partitions_gives_the_same_board(calls in prop::collection::vec((any_call(), 0..4usize), 0..25), agent in any::<bool>()) {
        let scope = if agent { Scope { agent: Some("agent_a".into()), ..Scope::default() } } else { Scope::default() };
        let mut parts = [(); 4].map(|()| Partial::default());
        for (facts, part) in &calls {
            parts[*part].add(&read(facts));
        }
        let whole: Vec<CallFacts> = calls.into_iter().map(|(facts, _)| facts).collect();
        let now = TEN.plus(45 * MINUTE);
        let split = board_at(&[&parts[2], &parts[0], &parts[3], &parts[1]], now, &scope, Some(3));
        prop_assert_eq!(split, board_at(&[&partial(&whole)], now, &scope, Some(3)));
    }

    #[test]
    fn stored_arrays_sum_to_the_figures_of_the_board(calls in prop::collection::vec(any_call(), 0..25)) {
        let inside: Vec<CallFacts> = calls.into_iter().filter(|f| f.opened_at() >= TEN).collect();
        let mut sums = vec![(0.0, 0.0); Metric::COUNT];
        for facts in &inside {
            let (num, den) = read(facts).measures();
            for (sum, pair) in sums.iter_mut().zip(num.into_iter().zip(den)) {
                *sum = (sum.0 + pair.0, sum.1 + pair.1);
            }
        }
        let board = board_at(&[&partial(&inside)], TEN.plus(300 * MINUTE), &Scope::default(), None);
        for figure in board.figures.iter().filter(|figure| figure.metric != Metric::ConcurrencyMean) {
            prop_assert_eq!((figure.num as f64, figure.den as f64), sums[figure.metric.index()], "{}", figure.metric);
        }
    }

    #[test]
    fn forgetting_early_or_late_is_the_same(calls in prop::collection::vec(any_call(), 0..20), minute in -60i64..120) {
        let at = TEN.plus(minute * MINUTE);
        let mut early = Partial::default();
        early.forget(at);
        calls.iter().for_each(|facts| early.add(&read(facts)));
        let mut late = partial(&calls);
        late.forget(at);
        prop_assert_eq!(&early, &late);
        calls.iter().for_each(|facts| late.subtract(&read(facts)));
        prop_assert!(late.is_empty(), "{late:?}");
    }

    #[test]
    fn a_settled_call_keeps_its_figures_and_leaves_the_floor(facts in any_call()) {
        let whole = read(&facts);
        let settled = whole.settled();
        let mut sums = Partial::default();
        sums.add(&whole);
        sums.replace(&whole, &settled);
        sums.subtract(&settled);
        prop_assert!(sums.is_empty());
        sums.add(&settled);
        prop_assert_eq!(board_at(&[&sums], TEN.plus(300 * MINUTE), &Scope::default(), None).now.in_progress, 0);
    }
}

#[test]
fn a_replacement_by_the_same_changes_nothing() {
    let contribution = read(&call());
    let mut sums = Partial::default();
    sums.add(&contribution);
    assert!(!sums.replace(&contribution, &contribution.clone()));
    assert_eq!(sums, partial(&[call()]));
}

#[test]
fn a_clone_for_readers_does_not_change_with_the_original() {
    let mut sums = partial(&[call()]);
    let picture = sums.clone();
    sums.add(&read(&running()));
    sums.subtract(&read(&call()));
    assert_eq!(picture, partial(&[call()]));
    assert_eq!(sums, partial(&[running()]));
}

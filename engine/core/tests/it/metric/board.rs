//! The board as a whole: windows, cuts, states, trends, agents.

use super::fixture::*;
use trunkline_core::facts::*;
use trunkline_core::instant::Millis;
use trunkline_core::metric::*;

fn at(minute: i64) -> CallFacts {
    call_with(|f| {
        f.started_at = Some(TEN.plus(minute * MINUTE));
        f.ended_at = Some(TEN.plus((minute + 2) * MINUTE));
    })
}

fn tile(board: &Board, metric: Metric) -> &Tile {
    board.tiles.iter().find(|tile| tile.metric == metric).unwrap()
}

#[test]
fn an_empty_board_has_no_values_rather_than_zeros() {
    let board = board_of(&[]);
    assert_eq!(board.tiles.len(), 10);
    for tile in &board.tiles {
        assert_eq!((tile.value, tile.state), (None, StateWord::NoData), "{}", tile.metric);
        assert!(tile.trend.iter().all(Option::is_none));
    }
    assert_eq!(
        (board.offered.total, board.offered.spend_cents, board.offered.answer_rate),
        (0, None, None)
    );
    assert_eq!(
        board.now,
        Now {
            concurrency: Concurrency {
                mean: Some(0.0),
                ..Concurrency::default()
            },
            ..Now::default()
        }
    );
}

#[test]
fn yesterdays_calls_are_not_in_todays_figures() {
    let board = board_of(&[at(-1), at(0), at(20), at(-9)]);
    assert_eq!(board.offered.total, 2);
    let handled = tile(&board, Metric::AhtAi).denominator;
    assert_eq!(
        handled,
        Some(3.0),
        "the call from before the reset that ended after it: completion base"
    );
}

#[test]
fn arrival_and_completion_have_their_own_intervals() {
    // From 10:04 to 10:06: offered in the first interval, handled in the second.
    let board = board_of(&[at(4)]);
    assert_eq!(board.interval_ms, 300_000);
    assert_eq!(&board.offered.series[..3], [1, 0, 0]);
    assert_eq!(tile(&board, Metric::AhtAi).trend[..3], [None, Some(120_000.0), None]);
}

#[test]
fn a_long_day_has_quarters_and_a_rolling_window_fine_steps() {
    let (targets, rules, scope) = (Targets::default(), Rules::default(), Scope::default());
    let partial = partial(&[at(0), at(14), at(400)]);
    let mut view = View {
        scope: &scope,
        now: TEN.plus(410 * MINUTE),
        day_start: TEN,
        window: Window::Day,
        targets: &targets,
        rules: &rules,
        concurrency_limit: None,
        all_figures: false,
    };
    let day = board(&[&partial], &view);
    assert_eq!((day.interval_ms, day.offered.series.len(), day.offered.series[0]), (900_000, 28, 2));
    view.window = Window::Minutes(30);
    let half_hour = board(&[&partial], &view);
    assert_eq!(
        (half_hour.interval_ms, half_hour.offered.total, half_hour.offered.series.len()),
        (300_000, 1, 7)
    );
    assert_eq!(half_hour.from, TEN.plus(380 * MINUTE));
    view.window = Window::Day;
    view.day_start = Millis(0);
    assert_eq!(
        board(&[&partial], &view).offered.series.len(),
        105,
        "no board sweeps more than 26 hours"
    );
    view.now = Millis(-1_000);
    assert_eq!(board(&[&partial], &view).offered.total, 0);
}

#[test]
fn a_cut_shows_only_its_calls() {
    let other_agent = call_with(|f| f.agent_id = Some("agent_b".into()));
    let web = call_with(|f| (f.channel, f.direction) = (Channel::Web, Direction::None));
    let partial = partial(&[call(), other_agent, web, running()]);
    let total = |scope: Scope| board_at(&[&partial], TEN.plus(30 * MINUTE), &scope, None).offered.total;
    assert_eq!(total(Scope::default()), 4);
    assert_eq!(
        total(Scope {
            agent: Some("agent_a".into()),
            ..Scope::default()
        }),
        3
    );
    assert_eq!(
        total(Scope {
            direction: Some(Direction::Inbound),
            ..Scope::default()
        }),
        3
    );
    assert_eq!(
        total(Scope {
            channel: Some(Channel::Web),
            ..Scope::default()
        }),
        1
    );
    assert_eq!(
        total(Scope {
            agent: Some("agent_b".into()),
            direction: Some(Direction::Outbound),
            channel: None
        }),
        0
    );
}

#[test]
fn a_tile_says_how_it_stands_against_its_target() {
    let greeted = |ms| call_with(|f| f.speech.first_agent_word_ms = Some(ms));
    let stand = |good: usize, late: usize| {
        let calls: Vec<CallFacts> = (0..good).map(|_| greeted(900)).chain((0..late).map(|_| greeted(9_000))).collect();
        let board = board_of(&calls);
        let tile = tile(&board, Metric::ServiceLevelAi);
        (tile.state, tile.target_words.clone().unwrap().into_owned())
    };
    let words = "≥ 95 % in 3 s".to_owned();
    assert_eq!(stand(95, 5), (StateWord::Ok, words.clone()));
    assert_eq!(stand(90, 10), (StateWord::Watch, words.clone()));
    assert_eq!(stand(89, 11), (StateWord::Breach, words));
    let board = board_of(&[call()]);
    let target = |metric| tile(&board, metric).target_words.clone().unwrap();
    assert_eq!(target(Metric::AhtAi), "≤ 3:00");
    assert_eq!(target(Metric::LatencyE2e), "≤ 1.4 s");
    assert_eq!(target(Metric::CostPerMinute), "≤ $ 0.120");
    assert_eq!(target(Metric::AbandonmentAi), "≤ 2 %");
}

#[test]
fn agents_are_listed_busiest_first() {
    let of = |agent: &str, mut facts: CallFacts| {
        facts.agent_id = Some(agent.into());
        facts
    };
    let won = |mut facts: CallFacts| {
        facts.analysis.successful = Some(true);
        facts
    };
    let calls = [
        of("quiet", won(call())),
        of("busy", running()),
        of("busy", won(call())),
        of("busy", call()),
    ];
    let rows = board_of(&calls).agents;
    let shown: Vec<_> = rows
        .iter()
        .map(|r| (r.agent.as_deref().unwrap(), r.live, r.offered, r.handled, r.success, r.aht_ms))
        .collect();
    assert_eq!(
        shown,
        [
            ("busy", 1, 3, 2, Some(1.0), Some(120_000.0)),
            ("quiet", 0, 1, 1, Some(1.0), Some(120_000.0))
        ]
    );
}

#[test]
fn a_board_survives_its_own_json() {
    // At 10:32 the mean concurrency has a short binary form, which the JSON reader keeps to the last digit.
    let board = board_at(&[&partial(&[call(), running()])], TEN.plus(32 * MINUTE), &Scope::default(), None);
    let json = serde_json::to_string(&board).unwrap();
    assert_eq!(serde_json::from_str::<Board>(&json).unwrap(), board);
}

//! One test for each metric beyond waiting and load; values computed by hand.

use super::fixture::*;
use std::sync::Arc;
use trunkline_core::facts::*;
use trunkline_core::id::Kind;
use trunkline_core::metric::*;

#[test]
fn calls_in_progress_by_state_and_origin() {
    let mut web = running();
    (web.channel, web.direction) = (Channel::Web, Direction::None);
    let mut transferring = running();
    transferring.transfers = vec![transfer(1_000)];
    let mut with_person = running();
    with_person.transfers = vec![bridged(1_000, 2_000)];
    let mut beyond = call();
    beyond.transfers = vec![bridged(1_000, 2_000)];
    let mut dialling = dial("", ReasonClass::New);
    (dialling.state, dialling.reason, dialling.reason_class) = (CallState::Registered, None, None);
    let calls = [running(), web, transferring, with_person, beyond, dialling, call()];
    let now = board_of(&calls).now;
    assert_eq!(now.in_progress, 4);
    assert_eq!(
        now.by_state,
        OpenCalls {
            dialling: 1,
            talking: 2,
            transferring: 1,
            with_person: 2
        }
    );
    assert_eq!(
        now.by_direction,
        Direct {
            inbound: 3,
            outbound: 0,
            web: 1,
            other: 0
        }
    );
}

#[test]
fn calls_with_person_leave_when_the_transferred_leg_ends() {
    let mut over = call();
    over.transfers = vec![Transfer {
        ended_at: Some(TEN.plus(60_000)),
        ..bridged(1_000, 2_000)
    }];
    let mut told_by_the_call = call();
    told_by_the_call.transfers = vec![bridged(1_000, 2_000)];
    told_by_the_call.transfer_ended_at = Some(TEN.plus(60_000));
    let mut presumed = call();
    presumed.transfers = vec![bridged(1_000, 2_000)];
    presumed.presumed_ended = true;
    assert_eq!(board_of(&[over, told_by_the_call, presumed]).now.by_state.with_person, 0);
}

#[test]
fn calls_offered_answered_and_blocked() {
    let mut dialling = dial("", ReasonClass::New);
    dialling.state = CallState::Registered;
    dialling.reason_class = None;
    let blocked = dial("no_valid_payment", ReasonClass::Blocked);
    let calls = [call(), running(), dial("dial_busy", ReasonClass::Callee), blocked, dialling];
    assert_eq!(figure(Metric::CallsOffered, &calls), (5, 0, Some(5.0)));
    assert_eq!(figure(Metric::CallsAnswered, &calls), (2, 0, Some(2.0)));
    assert_eq!(
        figure(Metric::AnswerRate, &calls),
        (2, 4, Some(0.5)),
        "a dialling call waits for its outcome"
    );
    assert_eq!(figure(Metric::CallsBlocked, &calls), (1, 0, Some(1.0)));
    assert_eq!(figure(Metric::BlockingRate, &calls), (1, 5, Some(0.2)));
}

#[test]
fn arrival_rate_is_the_pace_of_the_last_quarter() {
    // At 10:32 the quarter's intervals are 10:15 to now, 17 minutes; two of the three calls came in them.
    let at = |minute| call_with(|f| f.started_at = Some(TEN.plus(minute * MINUTE)));
    let board = board_at(
        &[&partial(&[at(14), at(15), at(31)])],
        TEN.plus(32 * MINUTE),
        &Scope::default(),
        None,
    );
    assert_eq!(board.offered.pace_per_hour, Some(2.0 * 60.0 / 17.0));
    assert_eq!(board.offered.total, 3);
    assert_eq!(board.offered.series, [0, 0, 1, 1, 0, 0, 1]);
}

#[test]
fn transfer_rate_is_of_engaged_calls() {
    let transferred = call_with(|f| f.transfers = vec![cancelled(1_000, 1_000), bridged(9_000, 1_000)]);
    let silent = call_with(|f| f.speech.user_turns = 0);
    assert_eq!(
        figure(Metric::TransferRate, &[transferred, call(), call(), silent]),
        (1, 3, Some(1.0 / 3.0))
    );
}

#[test]
fn aht_ai_and_aht_call_leave_unknown_ends_out() {
    let lasted = |ms| call_with(|f| f.duration_ms = ms);
    let mut bridged_call = call_with(|f| f.transfers = vec![bridged(90_000, 10_000)]);
    let unknown_end = bridged_call.clone();
    bridged_call.transfer_ended_at = Some(TEN.plus(300_000));
    let calls = [lasted(Some(60_000)), lasted(None), bridged_call, unknown_end, running()];
    assert_eq!(figure(Metric::AhtAi, &calls), (300_000, 3, Some(100_000.0)));
    assert_eq!(figure(Metric::AhtCall, &calls), (360_000, 2, Some(180_000.0)));
    assert_eq!(figure(Metric::DurationKnown, &calls), (3, 4, Some(0.75)));
    let board = board_of(&calls);
    let tile = board.tiles.iter().find(|tile| tile.metric == Metric::AhtAi).unwrap();
    let median = tile.percentiles.unwrap();
    assert_eq!(median.samples, 3);
    assert!((median.p50 - 120_000.0).abs() <= 1_200.0, "{}", median.p50);
}

#[test]
fn talk_and_silence_shares_of_the_duration() {
    let spoken = call_with(|f| {
        f.speech.agent_talk_ms = Some(60_000);
        f.speech.user_talk_ms = Some(36_000);
        f.speech.overtalk_ms = Some(6_000);
    });
    let calls = [spoken, call()];
    assert_eq!(figure(Metric::AgentTalkShare, &calls), (60_000, 120_000, Some(0.5)));
    assert_eq!(figure(Metric::UserTalkShare, &calls), (36_000, 120_000, Some(0.3)));
    assert_eq!(figure(Metric::OvertalkShare, &calls), (6_000, 120_000, Some(0.05)));
    assert_eq!(figure(Metric::SilenceShare, &calls), (30_000, 120_000, Some(0.25)));
}

#[test]
fn interruption_rate_is_of_agent_turns() {
    let interrupted = call_with(|f| (f.speech.interruptions, f.speech.agent_turns) = (3, 10));
    assert_eq!(figure(Metric::InterruptionRate, &[interrupted, call()]), (3, 12, Some(0.25)));
}

#[test]
fn containment_counts_inbound_calls_of_live_people() {
    let bridged_call = call_with(|f| f.transfers = vec![bridged(1_000, 1_000)]);
    let not_reached = call_with(|f| f.transfers = vec![cancelled(1_000, 1_000)]);
    let taken_over = ended_by("call_take_over", ReasonClass::Intervened);
    let voicemail = ended_by("voicemail_reached", ReasonClass::Machine);
    let detected = call_with(|f| f.analysis.in_voicemail = Some(true));
    let outbound = call_with(|f| f.direction = Direction::Outbound);
    let calls = [
        call(),
        bridged_call,
        not_reached,
        taken_over,
        voicemail,
        detected,
        outbound,
        running(),
    ];
    assert_eq!(figure(Metric::Containment, &calls), (2, 4, Some(0.5)));
}

fn analysed(successful: Option<bool>, sentiment: Option<Sentiment>) -> CallFacts {
    call_with(|f| {
        f.analysed = true;
        f.analysis.successful = successful;
        f.analysis.sentiment = sentiment;
    })
}

#[test]
fn success_rate_is_of_calls_with_a_verdict() {
    let calls = [
        analysed(Some(true), None),
        analysed(Some(true), None),
        analysed(Some(false), None),
        analysed(None, None),
        call(),
    ];
    assert_eq!(figure(Metric::SuccessRate, &calls), (2, 3, Some(2.0 / 3.0)));
    assert_eq!(figure(Metric::AnalysedShare, &calls), (4, 5, Some(0.8)));
    let tiles = board_of(&calls).tiles;
    let provisional: Vec<Metric> = tiles.iter().filter(|tile| tile.provisional).map(|tile| tile.metric).collect();
    assert_eq!(provisional, [Metric::SuccessRate, Metric::SentimentNegative]);
}

#[test]
fn sentiment_unknown_is_not_neutral() {
    use Sentiment::{Negative, Neutral, Other, Positive, Unknown};
    let calls: Vec<CallFacts> = [Negative, Positive, Neutral, Positive, Unknown, Other, Unknown]
        .into_iter()
        .map(|mood| analysed(None, Some(mood)))
        .collect();
    assert_eq!(figure(Metric::SentimentNegative, &calls), (1, 4, Some(0.25)));
    assert_eq!(
        board_of(&calls).sentiment,
        Mood {
            positive: 2,
            neutral: 1,
            negative: 1,
            unknown: 2,
            other: 1
        }
    );
}

#[test]
fn latency_percentiles_come_from_turns_not_from_calls() {
    // One call of 99 quick turns, one of a single slow turn: the mean of percentiles would be 5 s.
    let turns = |values: Vec<f64>| call_with(|f| f.latency = vec![(Stage::E2e, Arc::from(values))]);
    let calls = [turns(vec![800.0; 99]), turns(vec![9_000.0])];
    let board = board_of(&calls);
    let row = &board.latency[0];
    assert_eq!((row.metric, row.percentiles.samples), (Metric::LatencyE2e, 100));
    let near = |shown: f64, exact: f64| (shown - exact).abs() <= exact * RELATIVE_ERROR;
    assert!(near(row.percentiles.p50, 800.0) && near(row.percentiles.p99, 800.0), "{row:?}");
    assert_eq!(
        figure(Metric::LatencyE2e, &calls).0,
        99 * 800_000 + 9_000_000,
        "the stored sum, in microseconds"
    );
    assert_eq!(figure(Metric::LatencyE2e, &calls).1, 100);
}

#[test]
fn latency_is_kept_apart_by_stage() {
    let stages: Vec<(Stage, Arc<[f64]>)> = STAGES.iter().map(|stage| (*stage, Arc::from(vec![100.0]))).collect();
    let board = board_of(&[call_with(|f| f.latency = stages)]);
    let shown: Vec<&str> = board.latency.iter().map(|row| row.stage.as_ref()).collect();
    assert_eq!(shown, STAGES.map(Stage::as_str));
    assert!(board.latency.iter().all(|row| row.percentiles.samples == 1));
}

#[test]
fn dial_results_are_of_dialled_calls() {
    let talked = call_with(|f| f.direction = Direction::Outbound);
    let mut voicemail = ended_by("voicemail_reached", ReasonClass::Machine);
    voicemail.direction = Direction::Outbound;
    let silent = call_with(|f| {
        f.direction = Direction::Outbound;
        f.speech.first_agent_word_ms = Some(2_001);
    });
    let calls = [
        talked,
        voicemail,
        silent,
        dial("dial_busy", ReasonClass::Callee),
        dial("marked_as_spam", ReasonClass::Route),
        dial("concurrency_limit_reached", ReasonClass::Blocked),
        call(),
    ];
    assert_eq!(figure(Metric::ConnectRate, &calls), (3, 5, Some(0.6)));
    assert_eq!(figure(Metric::ContactRate, &calls), (2, 5, Some(0.4)));
    assert_eq!(figure(Metric::VoicemailRate, &calls), (1, 3, Some(1.0 / 3.0)));
    assert_eq!(figure(Metric::DialRefused, &calls), (1, 5, Some(0.2)));
    assert_eq!(figure(Metric::DialRouteFailed, &calls), (1, 5, Some(0.2)));
    assert_eq!(figure(Metric::SilentConnectRate, &calls), (1, 2, Some(0.5)));
}

#[test]
fn error_rate_by_class_of_calls_that_are_over() {
    let calls = [
        ended_by("error_llm_websocket_open", ReasonClass::FaultOwnModel),
        ended_by("error_asr", ReasonClass::FaultProvider),
        dial("sip_routing_error", ReasonClass::Route),
        call(),
        running(),
    ];
    assert_eq!(figure(Metric::ErrorRate, &calls), (2, 4, Some(0.5)));
    assert_eq!(figure(Metric::ErrorOwnModel, &calls), (1, 4, Some(0.25)));
    assert_eq!(figure(Metric::ErrorProvider, &calls), (1, 4, Some(0.25)));
    assert_eq!(figure(Metric::ErrorRoute, &calls), (1, 4, Some(0.25)));
}

#[test]
fn tool_failure_rate_is_of_tool_calls() {
    let tools = call_with(|f| (f.tool_calls, f.tool_failures) = (8, 1));
    assert_eq!(figure(Metric::ToolFailureRate, &[tools, call()]), (1, 8, Some(0.125)));
}

fn costing(cents: Option<f64>, seconds: Option<f64>) -> CallFacts {
    call_with(|f| {
        f.cost = Some(Cost {
            combined_cents: cents,
            total_seconds: seconds,
            ..Cost::default()
        })
    })
}

#[test]
fn cost_and_cost_per_minute_leave_missing_costs_out() {
    let calls = [
        costing(Some(30.0), Some(120.0)),
        costing(Some(10.5), Some(60.0)),
        costing(Some(1.5), None),
        costing(None, Some(60.0)),
    ];
    assert_eq!(figure(Metric::Cost, &calls), (42_000_000, 3, Some(42.0)));
    assert_eq!(figure(Metric::CostPerCall, &calls), (42_000_000, 3, Some(14.0)));
    assert_eq!(figure(Metric::CostPerMinute, &calls), (40_500_000, 180_000, Some(13.5)));
    assert_eq!(figure(Metric::Cost, &[call()]), (0, 0, None));
}

#[test]
fn a_free_call_costs_nothing_which_is_a_value() {
    assert_eq!(figure(Metric::Cost, &[costing(Some(0.0), None)]), (0, 1, Some(0.0)));
}

#[test]
fn intake_lag_and_analysis_delay() {
    let told = |lag: i64, delay: i64| {
        call_with(|f| {
            f.ended_event_at = Some(f.ended_at.unwrap().plus(lag));
            f.analysis_event_at = f.ended_event_at.map(|at| at.plus(delay));
        })
    };
    let calls = [told(400, 9_000), told(-50, 11_000), call()];
    assert_eq!(
        figure(Metric::IntakeLag, &calls).0,
        400_000,
        "a clock ahead of ours counts as no lag"
    );
    assert_eq!(figure(Metric::IntakeLag, &calls).1, 2);
    let (num, den, p95) = figure(Metric::AnalysisDelay, &calls);
    assert_eq!((num, den), (20_000_000, 2));
    assert!((p95.unwrap() - 11_000.0).abs() <= 110.0);
}

#[test]
fn endings_are_counted_by_class_and_by_word() {
    let calls = [
        call(),
        call(),
        ended_by("agent_hangup", ReasonClass::Normal),
        ended_by("brand_new_reason", ReasonClass::New),
        call_with(|f| (f.reason, f.reason_class) = (None, None)),
        running(),
    ];
    let board = board_of(&calls);
    let classes: Vec<(Metric, u64, f64)> = board.ended.iter().map(|row| (row.metric, row.count, row.share)).collect();
    assert_eq!(
        classes,
        [
            (Metric::EndedNormal, 3, 0.6),
            (Metric::EndedNew, 1, 0.2),
            (Metric::EndedNoReason, 1, 0.2)
        ]
    );
    let words: Vec<(&str, u64)> = board.reasons.iter().map(|row| (row.reason.as_str(), row.count)).collect();
    assert_eq!(words, [("user_hangup", 2), ("agent_hangup", 1), ("brand_new_reason", 1)]);
}

#[test]
fn chats_are_counted_apart_from_calls() {
    let mut chat = call();
    (chat.key.kind, chat.channel, chat.direction, chat.connected) = (Kind::Chat, Channel::Chat, Direction::None, false);
    chat.analysis.successful = Some(true);
    let mut open = chat.clone();
    open.state = CallState::Ongoing;
    let board = board_of(&[chat.clone(), open.clone()]);
    assert_eq!(
        (board.now.chats, board.now.in_progress, board.offered.chats, board.offered.total),
        (1, 0, 2, 0)
    );
    assert_eq!(figure(Metric::ChatSuccessRate, &[chat, open]), (1, 1, Some(1.0)));
    assert!(board.ended.is_empty());
}

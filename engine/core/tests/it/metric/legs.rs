//! Service level, speed of answer and abandonment on the AI leg and on the human leg; hand-computed.

use super::fixture::*;
use trunkline_core::facts::*;
use trunkline_core::metric::*;

fn greeted_after(ms: i64) -> CallFacts {
    call_with(|f| f.speech.first_agent_word_ms = Some(ms))
}

/// Hung up by the caller, who said nothing.
fn silent_hang_up(lasted: i64) -> CallFacts {
    call_with(|f| {
        f.speech = Speech {
            turns: 1,
            agent_turns: 1,
            first_agent_word_ms: None,
            ..Speech::default()
        };
        f.duration_ms = Some(lasted);
    })
}

fn under(rules: &Rules, metric: Metric, calls: &[CallFacts]) -> (f64, f64) {
    calls
        .iter()
        .map(|call| contribution(call, rules).measures())
        .fold((0.0, 0.0), |sum, (num, den)| {
            (sum.0 + num[metric.index()], sum.1 + den[metric.index()])
        })
}

#[test]
fn service_level_ai_counts_late_abandoned_and_blocked_against() {
    let blocked = dial("concurrency_limit_reached", ReasonClass::Blocked);
    let calls = [
        greeted_after(1_000),
        greeted_after(3_000),
        greeted_after(3_001),
        silent_hang_up(8_000),
        blocked,
        running(),
    ];
    assert_eq!(figure(Metric::ServiceLevelAi, &calls), (2, 5, Some(0.4)));
}

#[test]
fn service_level_ai_leaves_unknown_waits_and_failed_dials_out() {
    let without_words = call_with(|f| f.speech.first_agent_word_ms = None);
    assert_eq!(
        figure(Metric::ServiceLevelAi, &[without_words, dial("dial_busy", ReasonClass::Callee)]),
        (0, 0, None)
    );
}

#[test]
fn service_level_ai_counts_an_agent_that_never_spoke() {
    let never = call_with(|f| {
        f.speech = Speech {
            turns: 1,
            user_turns: 1,
            ..Speech::default()
        }
    });
    assert_eq!(figure(Metric::ServiceLevelAi, &[never]), (0, 1, Some(0.0)));
}

#[test]
fn service_level_ai_by_the_switches() {
    let calls = [greeted_after(1_000), silent_hang_up(2_000), silent_hang_up(9_000)];
    let genesys = Rules::default();
    assert_eq!(under(&genesys, Metric::ServiceLevelAi, &calls), (1.0, 3.0));
    let dropping = Rules {
        drop_short_abandons: true,
        ..Rules::default()
    };
    assert_eq!(under(&dropping, Metric::ServiceLevelAi, &calls), (1.0, 2.0));
    let amazon = Rules {
        service_level: ServiceLevel::Amazon,
        ..Rules::default()
    };
    assert_eq!(
        under(&amazon, Metric::ServiceLevelAi, &calls),
        (2.0, 3.0),
        "an abandon within the threshold helps this style"
    );
    let flex = Rules {
        service_level: ServiceLevel::Flex,
        ..Rules::default()
    };
    assert_eq!(under(&flex, Metric::ServiceLevelAi, &calls), (1.0, 2.0));
}

#[test]
fn asa_ai_is_the_mean_of_known_first_words() {
    let without_words = call_with(|f| f.speech.first_agent_word_ms = None);
    let calls = [greeted_after(1_000), greeted_after(2_500), without_words];
    assert_eq!(figure(Metric::AsaAi, &calls), (3_500, 2, Some(1_750.0)));
}

#[test]
fn abandonment_ai_is_a_hang_up_before_speech_or_within_five_seconds() {
    let quick = call_with(|f| f.duration_ms = Some(4_000));
    let no_audio = ended_by("error_no_audio_received", ReasonClass::FaultProvider);
    let calls = [
        silent_hang_up(20_000),
        quick,
        call(),
        no_audio,
        dial("dial_no_answer", ReasonClass::Callee),
    ];
    assert_eq!(figure(Metric::AbandonmentAi, &calls), (2, 5, Some(0.4)));
    assert_eq!(figure(Metric::ShortAbandonmentAi, &calls), (1, 5, Some(0.2)));
}

#[test]
fn abandonment_ai_does_not_take_a_transcript_that_was_not_kept_for_silence() {
    let bare = |lasted| call_with(|f| (f.speech, f.duration_ms) = (Speech::default(), Some(lasted)));
    assert_eq!(figure(Metric::AbandonmentAi, &[bare(30_000), bare(30_001)]), (1, 2, Some(0.5)));
}

fn with_transfers(transfers: Vec<Transfer>) -> CallFacts {
    call_with(|f| f.transfers = transfers)
}

#[test]
fn service_level_human_counts_transfers_not_calls() {
    let calls = [
        with_transfers(vec![cancelled(10_000, 15_000), bridged(40_000, 20_000)]),
        with_transfers(vec![bridged(10_000, 20_001)]),
        with_transfers(vec![bridged(10_000, 5_000)]),
    ];
    assert_eq!(figure(Metric::ServiceLevelHuman, &calls), (2, 4, Some(0.5)));
    assert_eq!(figure(Metric::TransfersStarted, &calls), (4, 0, Some(4.0)));
    assert_eq!(figure(Metric::TransferSuccess, &calls), (3, 4, Some(0.75)));
    assert_eq!(figure(Metric::AbandonmentHuman, &calls), (1, 4, Some(0.25)));
    assert_eq!(figure(Metric::AsaHuman, &calls), (45_001, 3, Some(15_000.333_333_333_334)));
}

#[test]
fn abandonment_human_counts_a_hang_up_before_the_bridge() {
    let calls = [with_transfers(vec![transfer(10_000)])];
    assert_eq!(figure(Metric::AbandonmentHuman, &calls), (1, 1, Some(1.0)));
    assert_eq!(figure(Metric::ServiceLevelHuman, &calls), (0, 1, Some(0.0)));
}

#[test]
fn transfer_unknown_holds_cold_transfers_apart() {
    let inferred = Transfer {
        bridged_inferred: true,
        ..transfer(10_000)
    };
    let mut cold = with_transfers(vec![transfer(10_000)]);
    cold.reason = Some("call_transfer".into());
    let calls = [with_transfers(vec![inferred]), cold, with_transfers(vec![bridged(10_000, 4_000)])];
    assert_eq!(figure(Metric::TransferUnknown, &calls), (2, 3, Some(2.0 / 3.0)));
    assert_eq!(figure(Metric::TransferSuccess, &calls), (2, 3, Some(2.0 / 3.0)));
    assert_eq!(
        figure(Metric::ServiceLevelHuman, &calls),
        (1, 1, Some(1.0)),
        "without a wait it cannot be in time"
    );
    assert_eq!(figure(Metric::AbandonmentHuman, &calls).0, 0);
}

#[test]
fn longest_wait_is_the_oldest_open_transfer() {
    let waiting = |started| {
        let mut call = running();
        call.transfers = vec![transfer(started)];
        call
    };
    let calls = [waiting(40_000), waiting(10_000), with_transfers(vec![bridged(0, 1_000)])];
    let board = board_at(&[&partial(&calls)], TEN.plus(70_000), &Scope::default(), None);
    assert_eq!(board.now.open_transfers, 2);
    assert_eq!(board.now.longest_wait_ms, Some(60_000));
    assert_eq!(board.now.longest_wait_since, Some(TEN.plus(10_000)));
    assert_eq!(board.figures[Metric::LongestWait.index()].value, Some(60_000.0));
    assert_eq!(board_of(&[call()]).now.longest_wait_ms, None);
}

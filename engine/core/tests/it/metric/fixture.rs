//! Calls to count: a plain inbound call that each test changes to its needs, and boards made of them.

use trunkline_core::call::Call;
use trunkline_core::facts::*;
use trunkline_core::id::{CallKey, Kind, TenantId, WorkspaceId};
use trunkline_core::instant::Millis;
use trunkline_core::metric::*;
use uuid::Uuid;

/// 2026-03-02 10:00 UTC, the start of a five-minute interval.
pub const TEN: Millis = Millis(1_772_445_600_000);
pub const MINUTE: i64 = 60_000;

/// An inbound phone call from ten o'clock that lasted two minutes: greeted after 1.2 s, both spoke, hung up by the caller.
pub fn call() -> CallFacts {
    let key = CallKey {
        tenant: TenantId(Uuid::nil()),
        kind: Kind::Call,
        id: "call_1".into(),
    };
    CallFacts {
        owner_agent: Some("agent_a".into()),
        agent_id: Some("agent_a".into()),
        channel: Channel::Phone,
        direction: Direction::Inbound,
        state: CallState::Ended,
        reason: Some("user_hangup".into()),
        reason_class: Some(ReasonClass::Normal),
        connected: true,
        first_received_at: TEN,
        last_received_at: TEN.plus(2 * MINUTE),
        started_at: Some(TEN),
        ended_at: Some(TEN.plus(2 * MINUTE)),
        duration_ms: Some(2 * MINUTE),
        speech: Speech {
            turns: 4,
            agent_turns: 2,
            user_turns: 2,
            first_agent_word_ms: Some(1_200),
            ..Speech::default()
        },
        ..Call::new(key, WorkspaceId(Uuid::nil())).facts()
    }
}

/// The same call, changed.
pub fn call_with(change: impl FnOnce(&mut CallFacts)) -> CallFacts {
    let mut facts = call();
    change(&mut facts);
    facts
}

/// A call that is connected and still running; nobody has spoken yet.
pub fn running() -> CallFacts {
    call_with(|f| {
        f.state = CallState::Ongoing;
        f.reason = None;
        f.reason_class = None;
        f.ended_at = None;
        f.duration_ms = None;
        f.speech = Speech::default();
    })
}

/// A call over for this reason.
pub fn ended_by(reason: &str, class: ReasonClass) -> CallFacts {
    call_with(|f| {
        f.reason = Some(reason.into());
        f.reason_class = Some(class);
    })
}

/// A dial that never connected.
pub fn dial(reason: &str, class: ReasonClass) -> CallFacts {
    call_with(|f| {
        f.direction = Direction::Outbound;
        f.connected = false;
        f.reason = Some(reason.into());
        f.reason_class = Some(class);
        f.duration_ms = Some(0);
        f.speech = Speech::default();
    })
}

pub fn transfer(started: i64) -> Transfer {
    Transfer {
        destination: "+15550100".into(),
        extension: None,
        started_at: Some(TEN.plus(started)),
        bridged_at: None,
        cancelled_at: None,
        ended_at: None,
        bridged_inferred: false,
        waited_ms: None,
    }
}

pub fn bridged(started: i64, waited: i64) -> Transfer {
    Transfer {
        bridged_at: Some(TEN.plus(started + waited)),
        waited_ms: Some(waited),
        ..transfer(started)
    }
}

pub fn cancelled(started: i64, waited: i64) -> Transfer {
    Transfer {
        cancelled_at: Some(TEN.plus(started + waited)),
        waited_ms: Some(waited),
        ..transfer(started)
    }
}

pub fn partial(calls: &[CallFacts]) -> Partial {
    let mut partial = Partial::default();
    for facts in calls {
        partial.add(&contribution(facts, &Rules::default()));
    }
    partial
}

/// The whole board of these calls at half past ten, day from ten o'clock.
pub fn board_of(calls: &[CallFacts]) -> Board {
    board_at(&[&partial(calls)], TEN.plus(30 * MINUTE), &Scope::default(), None)
}

pub fn board_at(partials: &[&Partial], now: Millis, scope: &Scope, limit: Option<u32>) -> Board {
    let view = View {
        scope,
        now,
        day_start: TEN,
        window: Window::Day,
        targets: &Targets::default(),
        rules: &Rules::default(),
        concurrency_limit: limit,
        all_figures: true,
    };
    board(partials, &view)
}

/// Numerator, denominator and value of one metric over these calls.
pub fn figure(metric: Metric, calls: &[CallFacts]) -> (i64, i64, Option<f64>) {
    let board = board_of(calls);
    let figure = &board.figures[metric.index()];
    assert_eq!(figure.metric, metric);
    (figure.num, figure.den, figure.value)
}

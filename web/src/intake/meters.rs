//! What the intake counts; the stale-signature alarm.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use metrics::{Counter, Gauge, Histogram};
use trunkline_core::instant::Millis;
use trunkline_core::record::SetAside;

/// Names that become labels; others are counted as `unknown`, so that a sender cannot grow our metrics.
const EVENTS: [&str; 15] = [
    "call_started",
    "call_ended",
    "call_analyzed",
    "transcript_updated",
    "transfer_started",
    "transfer_bridged",
    "transfer_cancelled",
    "transfer_ended",
    "chat_started",
    "chat_ended",
    "chat_analyzed",
    "alert_triggered",
    "alert_resolved",
    "call_inbound",
    "chat_inbound",
];

const EVENTS_TOTAL: &str = "trunkline_webhook_events_total";

/// Stale signatures above this share mean that a clock is wrong, ours or Retell's.
const STALE_SHARE_MAX: f64 = 0.01;

/// The share is judged over windows of this length...
const STALE_WINDOW: Duration = Duration::from_secs(60);

/// ...and from this many signatures on: one stale probe alone is no alarm.
const STALE_COUNT_MIN: u64 = 20;

/// Why an event was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// No enabled workspace has this token.
    UnknownToken,
    /// Not from a listed network.
    SourceAddress,
    /// Not POST.
    Method,
    /// Over the size limit.
    TooLarge,
    /// Compressed.
    ContentCoding,
    /// Full.
    Overloaded,
    /// Body too slow.
    Slow,
    /// Body ended early.
    Broken,
    /// No signature, or several.
    SignatureMissing,
    /// Not of the form.
    SignatureMalformed,
    /// Outside the time window.
    SignatureExpired,
    /// Wrong key or body.
    SignatureWrong,
    /// Over the workspace's rate.
    RateLimited,
    /// Neither log nor spool acknowledged.
    LogAway,
}

impl Outcome {
    fn label(self) -> &'static str {
        match self {
            Outcome::UnknownToken => "unknown_token",
            Outcome::SourceAddress => "source_address",
            Outcome::Method => "method",
            Outcome::TooLarge => "too_large",
            Outcome::ContentCoding => "content_coding",
            Outcome::Overloaded => "overloaded",
            Outcome::Slow => "slow",
            Outcome::Broken => "broken",
            Outcome::SignatureMissing => "signature_missing",
            Outcome::SignatureMalformed => "signature_malformed",
            Outcome::SignatureExpired => "signature_expired",
            Outcome::SignatureWrong => "signature_wrong",
            Outcome::RateLimited => "rate_limited",
            Outcome::LogAway => "log_away",
        }
    }
}

/// Handles of one event name, looked up once.
pub struct EventMeter {
    kept: Counter,
    set_aside: Counter,
    hooks: Counter,
    hooks_unrecorded: Counter,
    spooled: Counter,
    ack: Histogram,
    last: Gauge,
}

impl EventMeter {
    fn new(event: &'static str) -> EventMeter {
        let counter = |result: &'static str| metrics::counter!(EVENTS_TOTAL, "event" => event, "result" => result);
        EventMeter {
            kept: counter("kept"),
            set_aside: counter("set_aside"),
            hooks: counter("hook_answered"),
            hooks_unrecorded: counter("hook_unrecorded"),
            spooled: metrics::counter!("trunkline_webhook_events_spooled_total", "event" => event),
            ack: metrics::histogram!("trunkline_webhook_ack_duration_seconds", "event" => event),
            last: metrics::gauge!("trunkline_last_event_timestamp_seconds"),
        }
    }

    /// Durable and acknowledged.
    pub fn kept(&self, set_aside: Option<SetAside>, took: Duration, at: Millis) {
        if set_aside.is_some() {
            self.set_aside.increment(1)
        } else {
            self.kept.increment(1)
        }
        self.ack.record(took.as_secs_f64());
        self.last.set(at.0 as f64 / 1_000.0);
    }

    /// Durable in the spool; also counted as kept.
    pub fn spooled(&self) {
        self.spooled.increment(1);
    }

    /// An inbound hook got its answer.
    pub fn hook(&self, recorded: bool) {
        if recorded {
            self.hooks.increment(1)
        } else {
            self.hooks_unrecorded.increment(1)
        }
    }
}

/// All counts of the intake.
pub struct Meters {
    events: HashMap<&'static str, EventMeter>,
    unknown: EventMeter,
    clock: ClockAlarm,
}

impl Default for Meters {
    fn default() -> Self {
        Meters {
            events: EVENTS.iter().map(|name| (*name, EventMeter::new(name))).collect(),
            unknown: EventMeter::new("unknown"),
            clock: ClockAlarm::default(),
        }
    }
}

impl Meters {
    /// Counts of an event name.
    pub fn event(&self, name: &str) -> &EventMeter {
        self.events.get(name).unwrap_or(&self.unknown)
    }

    /// A refusal; the event name was not read.
    pub fn refused(&self, outcome: Outcome) {
        metrics::counter!(EVENTS_TOTAL, "event" => "unread", "result" => outcome.label()).increment(1);
    }

    /// A signature that verified.
    pub fn genuine(&self) {
        self.clock.note(false);
    }

    /// A signature outside the time window.
    pub fn stale(&self) {
        self.clock.note(true);
    }

    /// True while more signatures are stale than chance explains.
    pub fn clock_is_doubtful(&self) -> bool {
        self.clock.share() > STALE_SHARE_MAX
    }
}

/// Share of stale signatures in the current and the last window.
#[derive(Debug)]
struct ClockAlarm {
    began: Instant,
    window: AtomicI64,
    seen: AtomicU64,
    stale: AtomicU64,
    last_share_permille: AtomicU64,
}

impl Default for ClockAlarm {
    fn default() -> Self {
        ClockAlarm {
            began: Instant::now(),
            window: AtomicI64::new(0),
            seen: AtomicU64::new(0),
            stale: AtomicU64::new(0),
            last_share_permille: AtomicU64::new(0),
        }
    }
}

impl ClockAlarm {
    fn note(&self, stale: bool) {
        let window = (self.began.elapsed().as_secs() / STALE_WINDOW.as_secs()) as i64;
        if self.window.swap(window, Ordering::Relaxed) != window {
            let (seen, stale) = (self.seen.swap(0, Ordering::Relaxed), self.stale.swap(0, Ordering::Relaxed));
            let share = if seen >= STALE_COUNT_MIN { stale * 1_000 / seen } else { 0 };
            self.last_share_permille.store(share, Ordering::Relaxed);
        }
        self.seen.fetch_add(1, Ordering::Relaxed);
        if stale {
            self.stale.fetch_add(1, Ordering::Relaxed);
            metrics::counter!("trunkline_webhook_stale_signatures_total").increment(1);
            if self.share() > STALE_SHARE_MAX {
                tracing::error!("more than one webhook in a hundred has a signature outside the time window; check this machine's clock");
            }
        }
    }

    fn share(&self) -> f64 {
        let seen = self.seen.load(Ordering::Relaxed);
        let now = if seen >= STALE_COUNT_MIN {
            self.stale.load(Ordering::Relaxed) as f64 / seen as f64
        } else {
            0.0
        };
        now.max(self.last_share_permille.load(Ordering::Relaxed) as f64 / 1_000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_stale_probe_is_no_alarm_but_a_wrong_clock_is() {
        let meters = Meters::default();
        meters.stale();
        assert!(!meters.clock_is_doubtful());
        for _ in 0..30 {
            meters.genuine();
        }
        meters.stale();
        assert!(meters.clock_is_doubtful());
    }
}

//! What came out: deliveries by kind of screen, checked for completeness, as a table or as JSON.

use std::collections::HashMap;
use std::fmt::Write;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use hdrhistogram::Histogram;
use serde_json::{Value, json};

use super::post::Posted;
use super::script::{Cue, Role};
use super::watch::{Mark, Shown, View};
use crate::load::histogram;

/// Most that 99 of 100 deliveries may take, in milliseconds.
const GOAL_MS: f64 = 250.0;

/// CPU time and messages of a stretch of load.
pub struct Stretch {
    /// How long.
    pub lasted: Duration,
    /// CPU time of the product, without its Postgres.
    pub product: Duration,
    /// CPU time of this program.
    pub client: Duration,
    /// Messages with a state that screens got.
    pub frames: u64,
    /// Bytes of these.
    pub bytes: u64,
}

/// Deliveries to one kind of screen.
pub struct Delivered {
    /// Which.
    pub to: &'static str,
    /// Microseconds from when the event was due until the whole message was read.
    pub us: Histogram<u64>,
}

/// One run.
pub struct Report {
    /// The machine before and after.
    pub machine: [String; 2],
    /// Events a second.
    pub rate: f64,
    /// Seconds that count.
    pub seconds: u64,
    /// Which log.
    pub kafka: bool,
    /// Mean request.
    pub event_bytes: u64,
    /// Open streams, boards among them.
    pub streams: usize,
    /// Open boards.
    pub boards: usize,
    /// Growth of resident memory while the streams were opened.
    pub grown_bytes: u64,
    /// The load without screens.
    pub alone: Stretch,
    /// The load with screens.
    pub busy: Stretch,
    /// How the intake did with screens.
    pub posted: Posted,
    /// By kind of screen; the first is all boards.
    pub delivered: Vec<Delivered>,
}

const KINDS: [&str; 5] = [
    "all boards",
    "boards of one business",
    "boards of all businesses",
    "lists of calls",
    "followed calls",
];

fn kinds(view: &View) -> &'static [usize] {
    match view {
        View::Board { business: Some(_) } => &[0, 1],
        View::Board { business: None } => &[0, 2],
        View::Calls => &[3],
        View::Call { .. } => &[4],
    }
}

fn mark(cue: &Cue) -> Option<Mark> {
    match cue.role {
        Role::Plain => None,
        Role::Begins { business, turn } => Some(Mark::Begins { business, turn }),
        Role::Says { call, turn } => Some(Mark::Says { call, turn }),
    }
}

fn shows(view: &View, mark: &Mark) -> bool {
    match (view, mark) {
        (View::Board { business: None } | View::Calls, Mark::Begins { .. }) => true,
        (View::Board { business: Some(of) }, Mark::Begins { business, .. }) => of == business,
        (View::Call { call: of }, Mark::Says { call, .. }) => of == call,
        _ => false,
    }
}

/// Deliveries that a script leads to on these screens.
pub fn expected(cues: &[Cue], views: &[View]) -> u64 {
    let marks = cues.iter().filter_map(mark);
    marks
        .map(|mark| views.iter().filter(|view| shows(view, &mark)).count() as u64)
        .sum()
}

/// Times every delivery of the part that counts. One that is missing voids all.
pub fn deliveries(cues: &[Cue], begun: Instant, warm: Duration, shown: &[Shown]) -> Result<Vec<Delivered>> {
    let mut delivered = Vec::new();
    for to in KINDS {
        delivered.push(Delivered { to, us: histogram()? });
    }
    let marked: Vec<(Mark, Duration)> = cues.iter().filter_map(|cue| Some((mark(cue)?, cue.at))).collect();
    let (mut missing, mut wanted) = (0_u64, 0_u64);
    for screen in shown {
        let times: HashMap<Mark, Instant> = screen.deliveries.iter().copied().collect();
        ensure!(
            times.len() == screen.deliveries.len(),
            "a screen showed the same event twice as new"
        );
        let of_screen: Vec<_> = marked.iter().filter(|(mark, _)| shows(&screen.view, mark)).collect();
        ensure!(
            times.len() <= of_screen.len(),
            "a screen showed {} marked events of {} that were sent",
            times.len(),
            of_screen.len()
        );
        for (mark, at) in of_screen {
            wanted += 1;
            let Some(time) = times.get(mark) else {
                missing += 1;
                continue;
            };
            let due = begun + *at;
            ensure!(*time >= due, "a screen showed an event before it was sent");
            if *at >= warm {
                let us = (*time - due).as_micros() as u64;
                for kind in kinds(&screen.view) {
                    delivered[*kind].us.saturating_record(us);
                }
            }
        }
    }
    ensure!(missing == 0, "{missing} of {wanted} deliveries are missing");
    Ok(delivered)
}

fn ms(histogram: &Histogram<u64>, quantile: f64) -> f64 {
    histogram.value_at_quantile(quantile) as f64 / 1_000.0
}

impl Stretch {
    fn cores(&self) -> f64 {
        self.product.as_secs_f64() / self.lasted.as_secs_f64()
    }
}

impl Report {
    /// CPU microseconds of the product for each message: all of its work, and what it takes beyond the load without screens.
    fn us_per_frame(&self) -> (f64, f64) {
        let each = |cores: f64| cores * self.busy.lasted.as_secs_f64() * 1e6 / self.busy.frames as f64;
        (each(self.busy.cores()), each(self.busy.cores() - self.alone.cores()))
    }

    fn log(&self) -> &'static str {
        match self.kafka {
            true => "Kafka, acknowledged by the only replica, in its page cache",
            false => "its own Postgres, on disk",
        }
    }

    /// For people.
    pub fn table(&self) -> String {
        let mut text = String::new();
        let mut say = |line: String| {
            let _ = writeln!(text, "{line}");
        };
        say(self.machine[0].clone());
        say(format!(
            "{} events/s of {} B on average for {} s; log in {}; {} streams open, {} of them boards",
            self.rate,
            self.event_bytes,
            self.seconds,
            self.log(),
            self.streams,
            self.boards
        ));
        say(format!(
            "{:<26}{:>12}{:>10}{:>10}{:>10}{:>10}",
            "ms from due to", "deliveries", "p50", "p90", "p99", "max"
        ));
        let rows = self.delivered.iter().map(|kind| (kind.to, &kind.us));
        let ours = [
            ("acknowledgement", &self.posted.ack_us),
            ("sent (bench's lateness)", &self.posted.late_us),
        ];
        for (name, us) in rows.chain(ours).filter(|(_, us)| !us.is_empty()) {
            say(format!(
                "{name:<26}{:>12}{:>10.1}{:>10.1}{:>10.1}{:>10.1}",
                us.len(),
                ms(us, 0.5),
                ms(us, 0.9),
                ms(us, 0.99),
                us.max() as f64 / 1_000.0
            ));
        }
        let (all, beyond) = self.us_per_frame();
        say(format!(
            "product: {:.2} cores with screens, {:.2} without; {} messages of {} B; {all:.0} us of CPU time a message, {beyond:.0} beyond the load alone",
            self.busy.cores(),
            self.alone.cores(),
            self.busy.frames,
            self.busy.bytes / self.busy.frames.max(1)
        ));
        say(format!(
            "memory: {:.1} kB a stream; bench: {:.2} cores",
            self.grown_bytes as f64 / 1_000.0 / self.streams as f64,
            self.busy.client.as_secs_f64() / self.busy.lasted.as_secs_f64()
        ));
        say(format!(
            "boards p99 {:.0} ms, goal {GOAL_MS} ms; load after: {}",
            ms(&self.delivered[0].us, 0.99),
            self.machine[1]
        ));
        text.truncate(text.trim_end().len());
        text
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let times = |us: &Histogram<u64>| {
            json!({
                "count": us.len(), "p50_ms": ms(us, 0.5), "p90_ms": ms(us, 0.9), "p99_ms": ms(us, 0.99), "p999_ms": ms(us, 0.999),
                "max_ms": us.max() as f64 / 1_000.0,
            })
        };
        let delivered: HashMap<&str, Value> = self.delivered.iter().map(|kind| (kind.to, times(&kind.us))).collect();
        let (all, beyond) = self.us_per_frame();
        json!({
            "machine_before": self.machine[0], "machine_after": self.machine[1], "log": self.log(),
            "events_per_second": self.rate, "seconds": self.seconds, "request_bytes": self.event_bytes,
            "streams": self.streams, "boards": self.boards, "delivered": delivered,
            "acknowledged": times(&self.posted.ack_us), "events": self.posted.accepted, "sent_late": times(&self.posted.late_us),
            "cores_with_screens": self.busy.cores(), "cores_without": self.alone.cores(),
            "messages": self.busy.frames, "message_bytes": self.busy.bytes,
            "cpu_us_per_message": all, "cpu_us_per_message_beyond_load": beyond,
            "resident_bytes_per_stream": self.grown_bytes as f64 / self.streams as f64, "goal_p99_ms": GOAL_MS,
        })
    }
}

//! What the live group does with each record, on one thread and without actors: read, apply, count.

use std::collections::HashMap;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use trunkline_core::call::Call;
use trunkline_core::event::{Event, Reading, read};
use trunkline_core::id::CallKey;
use trunkline_core::instant::Millis;
use trunkline_core::metric::{Contribution, Metric, Partial, Rules, Scope, Targets, View, Window, board, contribution};
use trunkline_core::record::Record;

use super::{Done, null};
use crate::{sample, topic};

/// One call and what it adds right now.
struct Live {
    call: Call,
    adds: Contribution,
}

/// One partition of the log: its calls and their figures.
#[derive(Default)]
struct Part {
    calls: HashMap<CallKey, Live>,
    sums: Partial,
}

impl Part {
    fn take(&mut self, event: &Event, rules: &Rules) {
        if let Some(live) = self.calls.get_mut(event.key()) {
            if live.call.apply(event).any() {
                let adds = contribution(&live.call.facts(), rules);
                self.sums.replace(&live.adds, &adds);
                live.adds = adds;
            }
            return;
        }
        let mut call = Call::new(event.key().clone(), event.workspace());
        call.apply(event);
        let adds = contribution(&call.facts(), rules);
        self.sums.add(&adds);
        self.calls.insert(event.key().clone(), Live { call, adds });
    }
}

/// Reads the whole topic into figures.
pub fn run(brokers: &str, name: &str) -> Result<Done> {
    let rules = Rules::default();
    let mut parts: Vec<Part> = (0..topic::PARTITIONS).map(|_| Part::default()).collect();
    let (events, cpu_ms) = null::each(brokers, name, |partition, payload| {
        let record = Record::decode(&Bytes::copy_from_slice(payload)).context("decode a record")?;
        match read(&record) {
            Reading::Event(event) => parts[partition as usize].take(&event, &rules),
            other => bail!("a filled record is no event: {other:?}"),
        }
        Ok(())
    })?;
    let sums: Vec<&Partial> = parts.iter().map(|part| &part.sums).collect();
    Ok(Done {
        events,
        cpu_ms,
        offered: offered(&sums, &rules),
    })
}

/// Calls offered by the board of the last day.
pub fn offered(sums: &[&Partial], rules: &Rules) -> Option<u64> {
    let now = sample::clock();
    let view = View {
        scope: &Scope::default(),
        now,
        day_start: Millis(now.0 - 24 * 3_600_000),
        window: Window::Day,
        targets: &Targets::default(),
        rules,
        concurrency_limit: None,
        all_figures: true,
    };
    let board = board(sums, &view);
    board
        .figures
        .iter()
        .find(|figure| figure.metric == Metric::CallsOffered)
        .map(|figure| figure.num.unsigned_abs())
}

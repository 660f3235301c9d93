//! I5: lists, transcripts and figures are the fold of the log, whichever process shows them.

use std::collections::BTreeMap;
use std::sync::Arc;

use trunkline_actors::{BoardScope, CallScope, Limits};
use trunkline_core::access::Sight;
use trunkline_core::facts::{CallState, Item};
use trunkline_core::id::CallKey;
use trunkline_core::metric::{self, Scope, Seen, Targets, View};
use trunkline_stores::postgres::Directory;

use crate::checks::Found;
use crate::house::{TENANTS, brand, tenant};
use crate::oracle::Oracle;
use crate::process::Process;

/// A sweep may be this late: it comes every five seconds.
const SWEEP_MS: i64 = 5_500;

/// Lists and transcripts over all processes together.
pub fn lists(processes: &[&Process], oracle: &Oracle, directory: &Directory, limits: &Limits, skewed: bool, found: &mut Found) {
    let mut shown: BTreeMap<CallKey, Vec<String>> = BTreeMap::new();
    for process in processes {
        for of in 0..TENANTS {
            let scope = CallScope {
                with_ended: true,
                ..CallScope::whole(Sight::All)
            };
            for call in process.live.calls(tenant(of), &scope) {
                let key = call.facts.key.clone();
                shown.entry(key.clone()).or_default().push(process.node.to_string());
                if key.tenant != tenant(of) || format!("{:?}", call.facts).contains(brand(TENANTS - 1 - of)) {
                    found.note("I6", format_args!("the list of {} shows another organisation's {key:?}", brand(of)));
                }
                let home = oracle.calls.contains_key(&key).then(|| oracle.home(&key, directory));
                if call.business != home {
                    found.note("I5", format_args!("{key:?} is listed in {:?} instead of {home:?}", call.business));
                }
                let Some(truth) = oracle.calls.get(&key) else {
                    found.note("I5", format_args!("{key:?} is listed and not in the log"));
                    continue;
                };
                let expected = truth.call.facts();
                if *call.facts != expected {
                    found.note(
                        "I5",
                        format_args!(
                            "{key:?} of partition {} is listed by {} otherwise than its records say\n  listed {:?}\n  folded {expected:?}",
                            truth.partition, process.node, call.facts
                        ),
                    );
                }
                let items = process.live.call(&key, &Sight::All).map(|(_, items)| items);
                let contents = |items: &Arc<[Item]>| items.iter().map(|item| item.content.to_string()).collect::<Vec<_>>();
                let (seen, wanted) = (items.as_ref().map(contents), contents(&truth.call.transcript()));
                if seen.as_ref() != Some(&wanted) {
                    found.note(
                        "I5",
                        format_args!(
                            "{key:?} of partition {} is shown by {} with the words {seen:?} instead of {wanted:?}",
                            truth.partition, process.node
                        ),
                    );
                }
            }
        }
    }
    for (key, nodes) in shown.iter().filter(|(_, nodes)| nodes.len() > 1) {
        let partition = oracle.calls.get(key).map(|truth| truth.partition);
        found.note(
            "I5",
            format_args!("{key:?} of partition {partition:?} is listed by {}", nodes.join(" and by ")),
        );
    }
    for (key, truth) in oracle.existing() {
        let is_shown = shown.contains_key(key);
        let is_over = truth.call.state() == CallState::Ended;
        if !is_shown && !is_over {
            found.note("I5", format_args!("{key:?} is in progress and not listed"));
        }
        // Clocks that are off make calls leave sooner or later.
        let longest_ms = limits.transfer_grace_ms.max(limits.grace_ms) + SWEEP_MS;
        let now = processes.first().map(|process| process.live.now());
        if let Some(silent_ms) = now.map(|now| now.since(truth.heard_at)).filter(|_| !skewed)
            && is_shown
            && is_over
            && silent_ms > longest_ms
        {
            found.note("I5", format_args!("{key:?} is over for {silent_ms} ms and still listed"));
        }
    }
}

/// The figures of one process that has all partitions.
pub fn figures(process: &Process, oracle: &Oracle, directory: &Directory, found: &mut Found) {
    let all = Scope::default();
    for (business, entry) in &directory.businesses {
        let scope = BoardScope {
            business: Some(*business),
            all_figures: true,
            ..BoardScope::whole(Sight::All)
        };
        let board = process.live.board(entry.tenant, &scope);
        let partial = oracle.partial(*business, directory);
        let targets = Targets::read(&entry.targets).unwrap_or_default();
        let everybody = trunkline_core::access::Agents::All;
        let seen = [Seen {
            partial: &partial,
            agents: &everybody,
        }];
        let mut expected = metric::board(
            &seen,
            &View {
                scope: &all,
                now: board.as_of,
                day_start: board.day_start,
                window: scope.window,
                targets: &targets,
                rules: oracle.rules(),
                concurrency_limit: entry.concurrency_limit,
                all_figures: true,
            },
        );
        expected.complete_to = board.complete_to;
        expected.gaps = board.gaps;
        expected.lag_ms = board.lag_ms;
        for (row, shown) in expected.agents.iter_mut().zip(&board.agents) {
            row.name.clone_from(&shown.name);
        }
        if *board != expected {
            found.note(
                "I5",
                format_args!("the board of {} differs\n  shown  {board:?}\n  folded {expected:?}", entry.name),
            );
        }
        if board.gaps != 0 {
            found.note(
                "I5",
                format_args!("the board of {} says that {} records are missing", entry.name, board.gaps),
            );
        }
    }
}

//! Waits until nothing happens any more, within a bound (I7), and looks whether everything is right.

use std::rc::Rc;
use std::time::Duration;

use tokio::time::sleep;
use trunkline_actors::{effects, facts};

use crate::checks::{self, Found};
use crate::oracle::Oracle;
use crate::process::Process;
use crate::run::Stage;
use crate::{boards, world::State};

/// Everything must have settled within this time (I7): a process that is away for ten seconds, its pauses, a sweep, and room.
const BOUND_MS: i64 = 90_000;

/// Nothing may have come for this long before it counts as quiet: a sweep and the pauses after a failure.
const STILL_MS: i64 = 6_000;

/// What is not right at once may become right within this time: words are brought back when nothing else is to be done.
const GRACE_MS: i64 = 30_000;

/// Name of the live group.
const LIVE: &str = "live";

/// Waits for the quiet and checks; what is wrong.
pub async fn reach(stage: &Rc<Stage>, is_alone: bool) -> Vec<String> {
    let deadline = stage.world.elapsed_ms() + BOUND_MS;
    let (mut still_since, mut ends) = (stage.world.elapsed_ms(), Vec::new());
    let mut wrong: Vec<String> = Vec::new();
    let mut wrong_since = None;
    loop {
        sleep(Duration::from_millis(500)).await;
        // Who was about to die when faults ended is started again, as a platform does.
        stage.start_all(is_alone);
        let now = stage.world.elapsed_ms();
        let waits = waits_for(stage);
        let seen: Vec<i64> = {
            let state = stage.world.state();
            (0..state.log.count()).map(|partition| state.log.end(partition)).collect()
        };
        if waits.is_some() || seen != ends {
            (still_since, ends) = (now, seen);
        }
        if now - still_since >= STILL_MS {
            wrong = check(stage, is_alone);
            if wrong.is_empty() {
                return wrong;
            }
            let since = *wrong_since.get_or_insert(now);
            if now - since >= GRACE_MS {
                return wrong;
            }
        }
        if now >= deadline {
            if let Some(waits) = waits {
                wrong.push(format!("I7: after {BOUND_MS} ms without a fault: {waits}"));
            } else if wrong.is_empty() {
                wrong.push(format!("I7: after {BOUND_MS} ms without a fault the log still grows"));
            }
            return wrong;
        }
    }
}

/// What is not done yet.
fn waits_for(stage: &Stage) -> Option<String> {
    let processes = stage.processes.borrow();
    let state = stage.world.state();
    if *stage.open.borrow() > 0 {
        return Some(format!("{} bodies are under way", stage.open.borrow()));
    }
    if state.late > 0 {
        return Some("a late change is under way".to_owned());
    }
    drop(state);
    if let Some(process) = processes.iter().flatten().find(|process| process.spool().records > 0) {
        return Some(format!("{} has {:?} in its spool", process.node, process.spool()));
    }
    let state = stage.world.state();
    for partition in 0..state.log.count() {
        let end = state.log.end(partition);
        if let Some(waits) = stores_wait(&state, partition, end) {
            return Some(waits);
        }
        let is_shown = processes.iter().flatten().any(|process| {
            let states = process.live.partitions();
            states
                .iter()
                .any(|at| at.partition == partition && at.next == end && at.current && at.rebuilt)
        });
        if !is_shown {
            return Some(format!("no board has partition {partition} up to {end}"));
        }
    }
    None
}

fn stores_wait(state: &State, partition: u32, end: i64) -> Option<String> {
    for name in [LIVE, facts::GROUP, effects::GROUP] {
        let owner = state.log.groups.get(name).and_then(|group| group.owners[partition as usize]);
        if owner.is_none() {
            return Some(format!("nobody of {name} has partition {partition}"));
        }
    }
    let noted = state.log.groups[facts::GROUP].committed.get(&partition);
    let done = noted.is_some_and(|(next, intent)| *next == end && intent.is_none()) || noted.is_none() && end == 0;
    if !done {
        return Some(format!("facts of partition {partition} are at {noted:?} of {end}"));
    }
    let at = state.ledger.offsets.get(&partition).map_or(0, |(_, next)| *next);
    (at != end).then(|| format!("the ledger of partition {partition} is at {at} of {end}"))
}

fn check(stage: &Stage, is_anew: bool) -> Vec<String> {
    let directory = stage.directory();
    let mut found = Found::default();
    let oracle = {
        let state = stage.world.state();
        let oracle = Oracle::of(&state.log);
        checks::acknowledged(&state, &stage.acked.borrow(), &mut found);
        checks::facts(&state, &oracle, &mut found);
        // A process that was stopped and knows an old directory may have put a call where it does not belong any more, beside the place that
        // its successor gave it; the next owner looks through all calls and takes it away.
        if is_anew || stage.counts.borrow().freezes == 0 {
            checks::standing(&state, &oracle, &directory, &mut found);
        }
        checks::ledger(&state, &oracle, &directory, &mut found);
        checks::outbox(&state, &oracle, &mut found);
        checks::apart(&state, &directory, &mut found);
        oracle
    };
    let processes = stage.processes.borrow();
    let alive: Vec<&Process> = processes.iter().flatten().collect();
    let skewed = stage.world.state().skewed;
    boards::lists(&alive, &oracle, &directory, &stage.setup.limits, skewed, &mut found);
    if let [process] = alive[..] {
        boards::figures(process, &oracle, &directory, &mut found);
        let restored = process
            .live
            .partitions()
            .iter()
            .filter_map(|at| at.rebuild)
            .filter(|rebuild| rebuild.from_checkpoint)
            .count();
        stage.counts.borrow_mut().restored = restored as u64;
    }
    found.0
}

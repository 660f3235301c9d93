//! Counts what was really delivered, per class, so that a board, the API and ClickHouse can be checked against it.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use super::life::{Plan, Step};
use super::world::{Job, World};

/// What the receiver acknowledged. All figures are of distinct events unless the name says otherwise.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Tally {
    /// Requests sent, repeats and retries included.
    pub requests: u64,
    /// Requests answered 2xx, repeats included.
    pub accepted_requests: u64,
    /// Acknowledged repeats of an acknowledged event.
    pub repeats: u64,
    /// Answers other than 2xx, by status; `0` is no answer.
    pub refused: BTreeMap<u16, u64>,
    /// Events given up after all attempts.
    pub given_up: u64,
    /// Events that the settings withheld.
    pub withheld: u64,
    /// Voice calls of which nothing was sent on purpose; their events are among the withheld ones.
    pub unheard_calls: u64,
    /// Events that were sent late on purpose.
    pub delayed: u64,
    /// Distinct acknowledged events by name.
    pub events: BTreeMap<&'static str, u64>,
    /// Distinct voice calls of which at least one event was acknowledged.
    pub calls: u64,
    /// Distinct chats.
    pub chats: u64,
    /// Voice calls by direction: inbound, outbound, web.
    pub calls_by_job: BTreeMap<&'static str, u64>,
    /// Calls and chats by business.
    pub by_business: BTreeMap<&'static str, u64>,
    /// Voice calls that ended (`call_ended`, `call_analyzed` or `transfer_ended` acknowledged).
    pub calls_ended: u64,
    /// Voice calls in progress: an event of a running call acknowledged, none of its end.
    pub calls_in_progress: u64,
    /// Voice calls that ran at some time.
    pub calls_connected: u64,
    /// `disconnection_reason` of ended voice calls.
    pub reasons: BTreeMap<&'static str, u64>,
    /// Analysed voice calls that carry analysis content.
    pub analysed: u64,
    /// Of these, successful.
    pub successful: u64,
    /// Of these, by sentiment.
    pub sentiment: BTreeMap<&'static str, u64>,
    /// Transfers started, bridged, cancelled.
    pub transfers: BTreeMap<&'static str, u64>,
}

#[derive(Default)]
struct Seen {
    steps: Vec<Step>,
}

/// Gathers acknowledgements and makes the [`Tally`].
#[derive(Default)]
pub struct Counter {
    tally: Tally,
    seen: HashMap<String, Seen>,
}

impl Counter {
    /// One request went out.
    pub fn sent(&mut self) {
        self.tally.requests += 1;
    }

    /// An answer other than 2xx came, or none (0).
    pub fn refused(&mut self, status: u16) {
        *self.tally.refused.entry(status).or_default() += 1;
    }

    /// All attempts for an event failed.
    pub fn gave_up(&mut self) {
        self.tally.given_up += 1;
    }

    /// An event was withheld on purpose.
    pub fn withheld(&mut self) {
        self.tally.withheld += 1;
    }

    /// Nothing of a voice call is sent, on purpose.
    pub fn unheard(&mut self, events: usize) {
        self.tally.unheard_calls += 1;
        self.tally.withheld += events as u64;
    }

    /// An event was delayed on purpose.
    pub fn delayed(&mut self) {
        self.tally.delayed += 1;
    }

    /// The receiver acknowledged `step` of `plan`.
    pub fn accepted(&mut self, world: &World, plan: &Plan, step: Step, name: &'static str) {
        let tally = &mut self.tally;
        tally.accepted_requests += 1;
        let fresh = !self.seen.contains_key(&plan.id);
        let seen = self.seen.entry(plan.id.clone()).or_default();
        if seen.steps.contains(&step) {
            tally.repeats += 1;
            return;
        }
        *tally.events.entry(name).or_default() += 1;
        let firm = &world.businesses[plan.business];
        if fresh {
            *tally.by_business.entry(firm.name).or_default() += 1;
            if plan.is_chat() {
                tally.chats += 1;
            } else {
                tally.calls += 1;
                let job = match firm.agents[plan.agent].job {
                    Job::Inbound => "inbound",
                    Job::Outbound => "outbound",
                    Job::Web => "web",
                    Job::Chat => "chat",
                };
                *tally.calls_by_job.entry(job).or_default() += 1;
            }
        }
        if !plan.is_chat() {
            count_call(tally, plan, &seen.steps, step);
        }
        seen.steps.push(step);
    }

    /// The figures so far.
    pub fn tally(&self) -> Tally {
        self.tally.clone()
    }
}

/// Adds what `step` changes, given the steps of the call that were acknowledged before.
fn count_call(tally: &mut Tally, plan: &Plan, before: &[Step], step: Step) {
    let closes = |step: &Step| matches!(step, Step::Ended | Step::Analyzed | Step::TransferEnded);
    let was_over = before.iter().any(closes);
    let was_running = before.iter().any(|step| !closes(step));
    if closes(&step) {
        if !was_over {
            tally.calls_ended += 1;
            tally.calls_in_progress -= u64::from(was_running);
            // The reason stands on every closing event, so the first of them tells it.
            *tally.reasons.entry(plan.reason).or_default() += 1;
            if !was_running && plan.connected {
                tally.calls_connected += 1;
            }
        }
    } else if !was_running {
        tally.calls_in_progress += u64::from(!was_over);
        tally.calls_connected += u64::from(!was_over);
    }
    match step {
        // Both carry the analysis; the first of them counts.
        Step::Analyzed | Step::TransferEnded
            if plan.connected && !before.iter().any(|step| matches!(step, Step::Analyzed | Step::TransferEnded)) =>
        {
            tally.analysed += 1;
            tally.successful += u64::from(plan.successful == Some(true));
            *tally.sentiment.entry(plan.sentiment).or_default() += 1;
        }
        Step::TransferStarted => *tally.transfers.entry("started").or_default() += 1,
        Step::TransferBridged => *tally.transfers.entry("bridged").or_default() += 1,
        Step::TransferCancelled => *tally.transfers.entry("cancelled").or_default() += 1,
        _ => {}
    }
}

//! Reads the facts of one call into numerators and denominators: the formulas of the catalogue, in code.

use std::sync::Arc;

use super::contribution::{Contribution, Entry, Sampling, Slice};
use super::definition::{Base, MICRO, MICROS_PER_MS, Sampled};
use super::legs::{AiLeg, HumanLeg};
use super::name::Metric;
use super::rules::Rules;
use super::sketch;
use crate::facts::{CallFacts, CallState, Channel, Direction, ReasonClass, Sentiment};
use crate::id::Kind;
use crate::instant::Millis;

/// Longest part of a reason's text that is counted apart; Retell's longest is 44 characters.
const REASON_CHARS: usize = 64;

/// Entries of an ended outbound call with everything known; more would grow the list once.
const ENTRIES_USUAL: usize = 56;

/// Samples of a call beside its turns: handle time and two delays.
const DELAYS: usize = 3;

/// Collects entries while the facts are read.
pub(super) struct Sheet {
    entries: Vec<Entry>,
    samples: Vec<Sampling>,
    waits: Vec<Millis>,
}

impl Sheet {
    /// An empty sheet with room for what such a call usually adds.
    pub(super) fn for_call(facts: &CallFacts) -> Sheet {
        Sheet {
            entries: Vec::with_capacity(ENTRIES_USUAL),
            samples: Vec::with_capacity(facts.latency.iter().map(|(_, values)| values.len()).sum::<usize>() + DELAYS),
            waits: Vec::new(),
        }
    }

    fn add(&mut self, metric: Metric, num: i64, den: i64) {
        if num == 0 && den == 0 {
            return;
        }
        // 2^32 ms are 49 days; no denominator of one call is that long.
        let den = u32::try_from(den.max(0)).unwrap_or(u32::MAX);
        self.entries.push(Entry {
            metric,
            den,
            num: num.max(0),
        });
    }

    fn count(&mut self, metric: Metric, holds: bool) {
        self.add(metric, i64::from(holds), 0);
    }

    fn share(&mut self, metric: Metric, holds: bool) {
        self.add(metric, i64::from(holds), 1);
    }

    fn sample(&mut self, of: Sampled, value_ms: f64) -> bool {
        let Some(bucket) = sketch::bucket(value_ms) else { return false };
        self.samples.push(Sampling { of, bucket, count: 1 });
        true
    }

    pub(super) fn chat(&mut self, facts: &CallFacts) {
        self.count(Metric::ChatsStarted, true);
        if facts.state != CallState::Ended {
            self.count(Metric::ChatsInProgress, true);
            return;
        }
        if let Some(successful) = facts.analysis.successful {
            self.share(Metric::ChatSuccessRate, successful);
        }
        self.spend(facts);
    }

    pub(super) fn voice(&mut self, facts: &CallFacts, rules: &Rules) {
        let human = HumanLeg::read(facts, rules);
        self.present(facts, &human);
        self.arrival(facts, rules);
        self.human_leg(&human);
        if facts.direction == Direction::Outbound {
            self.dial(facts, rules);
        }
        if facts.state == CallState::Ended {
            self.ending(facts);
            self.handling(facts, &human);
            self.verdicts(facts);
            self.delays(facts);
            self.spend(facts);
        }
        self.waits = human.open_since;
    }

    fn present(&mut self, facts: &CallFacts, human: &HumanLeg) {
        let ongoing = facts.state == CallState::Ongoing;
        let transferring = ongoing && !human.open_since.is_empty();
        self.count(Metric::CallsInProgress, ongoing);
        self.count(Metric::ConcurrencyUsed, ongoing);
        self.count(Metric::CallsDialling, facts.state == CallState::Registered);
        self.count(Metric::CallsTransferring, transferring);
        self.count(Metric::CallsWithPerson, human.with_person && !transferring);
        self.count(Metric::CallsTalking, ongoing && !transferring && !human.with_person);
        self.add(Metric::TransfersOpen, human.open_since.len() as i64, 0);
    }

    fn arrival(&mut self, facts: &CallFacts, rules: &Rules) {
        let leg = AiLeg::read(facts, rules);
        self.count(Metric::CallsOffered, true);
        self.count(Metric::ArrivalRate, true);
        self.count(Metric::CallsAnswered, facts.connected);
        if facts.connected || facts.state == CallState::Ended {
            self.share(Metric::AnswerRate, facts.connected);
        }
        self.count(Metric::CallsBlocked, leg.blocked);
        self.share(Metric::BlockingRate, leg.blocked);
        self.share(Metric::AbandonmentAi, leg.abandoned);
        self.share(Metric::ShortAbandonmentAi, leg.short);
        let (in_time, counted) = leg.service_level(rules);
        self.add(Metric::ServiceLevelAi, in_time, counted);
        if let Some(waited) = leg.waited_ms {
            self.add(Metric::AsaAi, waited, 1);
        }
    }

    fn human_leg(&mut self, leg: &HumanLeg) {
        self.add(Metric::TransfersStarted, leg.started, 0);
        self.add(Metric::TransferSuccess, leg.bridged, leg.started);
        self.add(Metric::TransferUnknown, leg.unknown, leg.started);
        self.add(Metric::AbandonmentHuman, leg.abandoned, leg.started);
        self.add(Metric::AsaHuman, leg.waits_ms, leg.waits_known);
        self.add(Metric::ServiceLevelHuman, leg.service_level.0, leg.service_level.1);
    }

    fn dial(&mut self, facts: &CallFacts, rules: &Rules) {
        let ended = facts.state == CallState::Ended;
        if !(facts.connected || ended) || facts.reason_class == Some(ReasonClass::Blocked) {
            return;
        }
        self.share(Metric::ConnectRate, facts.connected);
        self.share(Metric::ContactRate, human_live(facts));
        self.share(Metric::DialRefused, facts.reason_class == Some(ReasonClass::Callee));
        self.share(Metric::DialRouteFailed, facts.reason_class == Some(ReasonClass::Route));
        if !(facts.connected && ended) {
            return;
        }
        self.share(Metric::VoicemailRate, machine(facts));
        if facts.speech.user_turns > 0 && !machine(facts) {
            let spoke = facts.speech.first_agent_word_ms;
            let unknown = spoke.is_none() && facts.speech.agent_turns > 0;
            let silent = spoke.is_none_or(|ms| ms > rules.silent_connect_ms);
            if !unknown {
                self.share(Metric::SilentConnectRate, silent);
            }
        }
    }

    fn ending(&mut self, facts: &CallFacts) {
        let class = facts.reason_class;
        self.count(ended_by(class), true);
        let own = class == Some(ReasonClass::FaultOwnModel);
        let provider = class == Some(ReasonClass::FaultProvider);
        self.share(Metric::ErrorRate, own || provider);
        self.share(Metric::ErrorOwnModel, own);
        self.share(Metric::ErrorProvider, provider);
        self.share(Metric::ErrorRoute, class == Some(ReasonClass::Route));
    }

    fn handling(&mut self, facts: &CallFacts, human: &HumanLeg) {
        if facts.connected {
            self.share(Metric::DurationKnown, facts.duration_ms.is_some());
            self.share(Metric::AnalysedShare, facts.analysed);
        }
        if let (true, Some(lasted)) = (facts.connected, facts.duration_ms) {
            self.add(Metric::AhtAi, lasted, 1);
            self.sample(Sampled::HandleTime, lasted as f64);
            if let Some(whole) = whole_call_ms(facts, human, lasted) {
                self.add(Metric::AhtCall, whole, 1);
            }
            self.talk(facts, lasted);
        }
        let speech = &facts.speech;
        self.add(
            Metric::InterruptionRate,
            i64::from(speech.interruptions),
            i64::from(speech.agent_turns),
        );
        if engaged(facts) {
            self.share(Metric::TransferRate, human.started > 0);
        }
        if human_live(facts) && facts.direction == Direction::Inbound {
            self.share(Metric::Containment, !human.touched);
        }
        self.add(Metric::ToolFailureRate, i64::from(facts.tool_failures), i64::from(facts.tool_calls));
        self.latency(facts);
    }

    fn talk(&mut self, facts: &CallFacts, lasted: i64) {
        let speech = &facts.speech;
        if lasted <= 0 || (speech.agent_talk_ms.is_none() && speech.user_talk_ms.is_none()) {
            return;
        }
        let agent = speech.agent_talk_ms.unwrap_or(0);
        let user = speech.user_talk_ms.unwrap_or(0);
        let both = speech.overtalk_ms.unwrap_or(0);
        self.add(Metric::AgentTalkShare, agent.min(lasted), lasted);
        self.add(Metric::UserTalkShare, user.min(lasted), lasted);
        self.add(Metric::OvertalkShare, both.min(lasted), lasted);
        self.add(Metric::SilenceShare, (lasted - (agent + user - both)).clamp(0, lasted), lasted);
    }

    fn latency(&mut self, facts: &CallFacts) {
        for (stage, values) in &facts.latency {
            let (of, metric) = Sampled::of_stage(*stage);
            let mut micros = 0;
            let mut taken = 0;
            for value in values.iter() {
                if self.sample(of, *value) {
                    micros += (*value * MICROS_PER_MS as f64).round() as i64;
                    taken += 1;
                }
            }
            self.add(metric, micros, taken);
        }
    }

    fn verdicts(&mut self, facts: &CallFacts) {
        if let Some(successful) = facts.analysis.successful {
            self.share(Metric::SuccessRate, successful);
        }
        let Some(sentiment) = facts.analysis.sentiment else { return };
        let counted = match sentiment {
            Sentiment::Positive => Metric::SentimentPositiveCount,
            Sentiment::Neutral => Metric::SentimentNeutralCount,
            Sentiment::Negative => Metric::SentimentNegativeCount,
            Sentiment::Unknown => Metric::SentimentUnknownCount,
            Sentiment::Other => Metric::SentimentOtherCount,
        };
        self.count(counted, true);
        if !matches!(sentiment, Sentiment::Unknown | Sentiment::Other) {
            self.share(Metric::SentimentNegative, sentiment == Sentiment::Negative);
        }
    }

    fn delays(&mut self, facts: &CallFacts) {
        let Some(told) = facts.ended_event_at else { return };
        if let Some(ended) = facts.ended_at {
            self.delay(Sampled::IntakeLag, Metric::IntakeLag, told.since(ended));
        }
        if let Some(analysed) = facts.analysis_event_at {
            self.delay(Sampled::AnalysisDelay, Metric::AnalysisDelay, analysed.since(told));
        }
    }

    fn delay(&mut self, of: Sampled, metric: Metric, span_ms: i64) {
        let span_ms = span_ms.max(0);
        self.sample(of, span_ms as f64);
        self.add(metric, span_ms.saturating_mul(MICROS_PER_MS), 1);
    }

    fn spend(&mut self, facts: &CallFacts) {
        let Some(cost) = &facts.cost else { return };
        let Some(cents) = cost.combined_cents.filter(|cents| cents.is_finite() && *cents >= 0.0) else {
            return;
        };
        let micros = (cents * MICRO as f64).round() as i64;
        self.add(Metric::Cost, micros, 1);
        self.add(Metric::CostPerCall, micros, 1);
        if let Some(seconds) = cost.total_seconds.filter(|seconds| *seconds > 0.0) {
            self.add(Metric::CostPerMinute, micros, (seconds * 1_000.0).round() as i64);
        }
    }

    pub(super) fn finish(mut self, facts: &CallFacts) -> Contribution {
        // By base, then by metric: each base is one stretch, copied at its exact size.
        let base = |entry: &Entry| entry.metric.definition().base;
        self.entries.sort_unstable_by_key(|entry| (base(entry), entry.metric));
        let stretch = |wanted: Base| -> Box<[Entry]> {
            let from = self.entries.partition_point(|entry| base(entry) < wanted);
            let to = self.entries.partition_point(|entry| base(entry) <= wanted);
            self.entries[from..to].into()
        };
        self.samples.sort_unstable();
        let mut samples: Vec<Sampling> = Vec::with_capacity(self.samples.len());
        for sample in self.samples {
            match samples.last_mut() {
                Some(last) if (last.of, last.bucket) == (sample.of, sample.bucket) => last.count += 1,
                _ => samples.push(sample),
            }
        }
        let opened_at = facts.opened_at();
        let ended = facts.state == CallState::Ended;
        Contribution {
            slice: Slice {
                agent: facts.agent_id.clone().or_else(|| facts.owner_agent.clone()),
                direction: facts.direction,
                channel: if facts.key.kind == Kind::Chat {
                    Channel::Chat
                } else {
                    facts.channel
                },
            },
            opened_at,
            // A clock that went back must not make a call leave before it came.
            closed_at: facts.closed_at().map(|at| at.max(opened_at)),
            in_state: facts.connected && facts.key.kind == Kind::Call,
            now: stretch(Base::Instant),
            arrival: stretch(Base::Arrival),
            completion: stretch(Base::Completion),
            samples: samples.into_boxed_slice(),
            waits: self.waits.into_boxed_slice(),
            reason: facts.reason.as_ref().filter(|_| ended).map(shortened),
        }
    }
}

fn shortened(reason: &Arc<str>) -> Arc<str> {
    match reason.char_indices().nth(REASON_CHARS) {
        Some((end, _)) => Arc::from(&reason[..end]),
        None => reason.clone(),
    }
}

/// Both sides spoke.
fn engaged(facts: &CallFacts) -> bool {
    facts.speech.user_turns > 0 && facts.speech.agent_turns > 0
}

/// A voicemail or a phone menu answered.
fn machine(facts: &CallFacts) -> bool {
    facts.analysis.in_voicemail == Some(true) || facts.reason_class == Some(ReasonClass::Machine)
}

fn human_live(facts: &CallFacts) -> bool {
    engaged(facts) && !machine(facts)
}

/// Until the transferred leg ended, where there was one; `None` while its end is not known.
fn whole_call_ms(facts: &CallFacts, human: &HumanLeg, lasted: i64) -> Option<i64> {
    if human.bridged == 0 {
        return Some(lasted);
    }
    let transfer_ended = facts
        .transfer_ended_at
        .or_else(|| facts.transfers.iter().filter_map(|t| t.ended_at).max())?;
    Some(transfer_ended.since(facts.started_at?).max(lasted))
}

fn ended_by(class: Option<ReasonClass>) -> Metric {
    match class {
        None => Metric::EndedNoReason,
        Some(ReasonClass::Normal) => Metric::EndedNormal,
        Some(ReasonClass::Intervened) => Metric::EndedIntervened,
        Some(ReasonClass::Machine) => Metric::EndedMachine,
        Some(ReasonClass::Limit) => Metric::EndedLimit,
        Some(ReasonClass::NotJoined) => Metric::EndedNotJoined,
        Some(ReasonClass::Callee) => Metric::EndedCallee,
        Some(ReasonClass::Route) => Metric::EndedRoute,
        Some(ReasonClass::Blocked) => Metric::EndedBlocked,
        Some(ReasonClass::FaultOwnModel) => Metric::EndedFaultOwnModel,
        Some(ReasonClass::FaultProvider) => Metric::EndedFaultProvider,
        Some(ReasonClass::TransferNotDone) => Metric::EndedTransferNotDone,
        Some(ReasonClass::New) => Metric::EndedNew,
    }
}

//! Reads the waiting of one call: how its AI leg began, and what became of each transfer.

use super::rules::{Rules, ServiceLevel};
use crate::facts::{CallFacts, CallState, ReasonClass, Transfer};
use crate::instant::Millis;

/// How the AI leg of a voice call went.
pub(super) struct AiLeg {
    /// Connect to the agent's first word, where known.
    pub waited_ms: Option<i64>,
    /// The caller hung up before saying a word, or within the short-abandon time.
    pub abandoned: bool,
    /// Abandoned within the short-abandon time.
    pub short: bool,
    /// Kept out by our own account or limit.
    pub blocked: bool,
    /// Over, the caller spoke, the agent never did.
    pub never_answered: bool,
    abandoned_after_ms: Option<i64>,
}

impl AiLeg {
    pub(super) fn read(facts: &CallFacts, rules: &Rules) -> AiLeg {
        let speech = &facts.speech;
        let hung_up = facts.connected && facts.reason.as_deref() == Some("user_hangup");
        let lasted = facts.duration_ms;
        let short = hung_up && lasted.is_some_and(|ms| ms <= rules.short_abandon_ms);
        let silent = if speech.turns > 0 {
            speech.user_turns == 0
        } else {
            lasted.is_some_and(|ms| ms <= rules.silent_hang_up_ms)
        };
        AiLeg {
            waited_ms: speech.first_agent_word_ms.filter(|ms| facts.connected && *ms >= 0),
            abandoned: hung_up && (silent || short),
            short,
            blocked: facts.reason_class == Some(ReasonClass::Blocked),
            never_answered: facts.connected && facts.state == CallState::Ended && speech.user_turns > 0 && speech.agent_turns == 0,
            abandoned_after_ms: lasted,
        }
    }

    /// Numerator and denominator of the service level; (0, 0) while the call is undecided.
    pub(super) fn service_level(&self, rules: &Rules) -> (i64, i64) {
        let in_time = self.waited_ms.is_some_and(|ms| ms <= rules.ai_within_ms);
        let dropped = self.short && (rules.drop_short_abandons || rules.service_level == ServiceLevel::Flex);
        let left = self.abandoned && !dropped;
        let waited = self.waited_ms.is_some() || self.blocked || self.never_answered;
        if !waited && !left {
            return (0, 0);
        }
        let left_in_time = left && self.abandoned_after_ms.is_some_and(|ms| ms <= rules.ai_within_ms);
        let good = in_time || (rules.service_level == ServiceLevel::Amazon && left_in_time);
        (i64::from(good), 1)
    }
}

/// Sums over the transfers of one call.
#[derive(Default)]
pub(super) struct HumanLeg {
    pub started: i64,
    pub bridged: i64,
    /// Waits of the bridged ones, where known.
    pub waits_ms: i64,
    pub waits_known: i64,
    pub abandoned: i64,
    /// Bridged without a known wait, or handed over without an outcome.
    pub unknown: i64,
    pub service_level: (i64, i64),
    /// Starts of those without outcome while the call runs.
    pub open_since: Vec<Millis>,
    /// A bridged leg has not ended.
    pub with_person: bool,
    /// Some person of ours was reached, or may have been.
    pub touched: bool,
}

impl HumanLeg {
    pub(super) fn read(facts: &CallFacts, rules: &Rules) -> HumanLeg {
        let mut leg = HumanLeg::default();
        for transfer in &facts.transfers {
            leg.count(transfer, facts, rules);
        }
        leg.touched |= handed_over(facts) || facts.reason.as_deref() == Some("call_take_over");
        leg
    }

    fn count(&mut self, transfer: &Transfer, facts: &CallFacts, rules: &Rules) {
        self.started += 1;
        let waited = transfer.waited_ms.filter(|ms| *ms >= 0);
        if transfer.bridged_at.is_some() || transfer.bridged_inferred {
            self.bridged += 1;
            self.touched = true;
            let over = transfer.ended_at.is_some() || facts.transfer_ended_at.is_some() || facts.presumed_ended;
            self.with_person |= !over;
            match waited {
                Some(ms) => {
                    self.waits_ms += ms;
                    self.waits_known += 1;
                    self.service_level.0 += i64::from(ms <= rules.human_within_ms);
                    self.service_level.1 += 1;
                }
                None => self.unknown += 1,
            }
        } else if transfer.cancelled_at.is_some() {
            self.leave(waited, rules);
        } else if facts.state != CallState::Ended {
            self.open_since.push(transfer.started_at.unwrap_or(facts.last_received_at));
        } else if handed_over(facts) {
            self.unknown += 1;
        } else {
            self.leave(None, rules);
        }
    }

    fn leave(&mut self, waited: Option<i64>, rules: &Rules) {
        self.abandoned += 1;
        let short = waited.is_some_and(|ms| ms <= rules.short_abandon_ms);
        if short && (rules.drop_short_abandons || rules.service_level == ServiceLevel::Flex) {
            return;
        }
        let left_in_time = waited.is_some_and(|ms| ms <= rules.human_within_ms);
        self.service_level.0 += i64::from(rules.service_level == ServiceLevel::Amazon && left_in_time);
        self.service_level.1 += 1;
    }
}

/// The call ended by being passed on: its transfer went out of Retell's sight, it was not abandoned.
fn handed_over(facts: &CallFacts) -> bool {
    matches!(facts.reason.as_deref(), Some("call_transfer" | "transfer_bridged"))
}

//! One conversation from start to analysis, planned whole before its first event is sent.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::entry::{Entry, fill, speak};
use super::script::{self, Scenario};
use super::world::{Job, SimAgent, SimBusiness, World};

/// How often each kind of conversation occurs, in parts of the whole; the rest are ordinary conversations.
#[derive(Debug, Clone)]
pub struct Mix {
    /// Share of outbound calls that a machine answers.
    pub voicemail: f64,
    /// Share of outbound calls that never connect.
    pub failed_dial: f64,
    /// Share of conversations that end by a fault.
    pub fault: f64,
    /// Share of inbound calls blocked at the concurrency limit.
    pub blocked: f64,
    /// Share of callers who hang up before they say anything.
    pub abandoned: f64,
    /// Share of tool results that fail.
    pub tool_failure: f64,
    /// Share of conversations in which the caller asks for a person, where the language has such a script.
    pub wants_person: f64,
}

impl Default for Mix {
    fn default() -> Self {
        Mix {
            voicemail: 0.22,
            failed_dial: 0.16,
            fault: 0.008,
            blocked: 0.003,
            abandoned: 0.012,
            tool_failure: 0.006,
            wants_person: 0.12,
        }
    }
}

/// What happens, in order of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// `call_started`, `chat_started`.
    Started,
    /// `transcript_updated` with the first `n` entries.
    Transcript(usize),
    /// `transfer_started`.
    TransferStarted,
    /// `transfer_bridged`.
    TransferBridged,
    /// `transfer_cancelled`.
    TransferCancelled,
    /// `call_ended`, `chat_ended`.
    Ended,
    /// `call_analyzed`, `chat_analyzed`.
    Analyzed,
    /// `transfer_ended`.
    TransferEnded,
}

/// One planned conversation.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Retell's id.
    pub id: String,
    /// Index into [`World::businesses`].
    pub business: usize,
    /// Index into the business's agents.
    pub agent: usize,
    /// The other party's number; empty for web calls and chats.
    pub party: String,
    /// Start, ms since the epoch; what `start_timestamp` says.
    pub start_ms: i64,
    /// Length of the agent's part in ms; 0 when it never connected.
    pub duration_ms: i64,
    /// False when no `call_started` ever comes.
    pub connected: bool,
    /// `disconnection_reason`.
    pub reason: &'static str,
    /// Transcript to come.
    pub entries: Vec<Entry>,
    /// Samples of end-to-end latency in ms; the other stages are shares of it.
    pub latency_ms: Vec<f64>,
    /// Steps with ms from the start, in order.
    pub steps: Vec<(i64, Step)>,
    /// Name of the scenario.
    pub scenario: String,
    /// Summary of the analysis.
    pub summary: String,
    /// Verdict of the analysis; `None` when nothing was said.
    pub successful: Option<bool>,
    /// Mood of the analysis.
    pub sentiment: &'static str,
    /// Whether a machine answered.
    pub voicemail: bool,
    /// ms from the start until the transferred leg ended, when one was bridged.
    pub transfer_end_ms: Option<i64>,
    /// Transfer destination, when there is a transfer.
    pub destination: Option<&'static str>,
}

const DESTINATIONS: [&str; 3] = ["+14155550171", "+14155550172", "sip:billing@pbx.example.invalid"];
/// Retell holds a blocked inbound call about this long before it gives up (API.md, limits).
const BLOCKED_AFTER_MS: i64 = 40_000;

impl Plan {
    /// Draws one conversation that starts at `start_ms`.
    pub fn draw(world: &World, mix: &Mix, start_ms: i64, random: &mut ChaCha8Rng) -> Plan {
        let business = weighted(world, random);
        let agent = random.random_range(0..world.businesses[business].agents.len());
        let (firm, who) = (&world.businesses[business], &world.businesses[business].agents[agent]);
        let mut plan = Plan {
            id: format!(
                "{}_{:027x}",
                if who.job == Job::Chat { "chat" } else { "call" },
                random.random::<u128>() >> 20
            ),
            business,
            agent,
            party: match who.job {
                Job::Inbound | Job::Outbound => party(firm, random),
                Job::Web | Job::Chat => String::new(),
            },
            start_ms,
            duration_ms: 0,
            connected: true,
            reason: "agent_hangup",
            entries: Vec::new(),
            latency_ms: Vec::new(),
            steps: Vec::new(),
            scenario: String::new(),
            summary: String::new(),
            successful: None,
            sentiment: "Unknown",
            voicemail: false,
            transfer_end_ms: None,
            destination: None,
        };
        let outbound = who.job == Job::Outbound;
        if outbound && random.random_bool(mix.failed_dial) {
            plan.never_connects(
                ["dial_no_answer", "dial_busy", "dial_failed", "user_declined"][random.random_range(0..4)],
                25_000,
            );
        } else if who.job == Job::Inbound && random.random_bool(mix.blocked) {
            plan.never_connects("concurrency_limit_reached", BLOCKED_AFTER_MS);
        } else if outbound && random.random_bool(mix.voicemail) {
            plan.reaches_voicemail(firm, who, random);
        } else {
            let scripts = script::language(who.language);
            let wants_person = random.random_bool(mix.wants_person);
            let fitting: Vec<&Scenario> = scripts
                .scenarios
                .iter()
                .filter(|scenario| scenario.transfer == wants_person)
                .collect();
            let fitting = if fitting.is_empty() {
                scripts.scenarios.iter().collect()
            } else {
                fitting
            };
            let scenario = fitting[random.random_range(0..fitting.len())];
            plan.converse(firm, who, scenario, mix, random);
        }
        plan
    }

    fn never_connects(&mut self, reason: &'static str, after_ms: i64) {
        self.connected = false;
        self.reason = reason;
        self.steps = vec![(after_ms, Step::Ended), (after_ms + 1_500, Step::Analyzed)];
    }

    fn reaches_voicemail(&mut self, firm: &SimBusiness, who: &SimAgent, random: &mut ChaCha8Rng) {
        let said = fill(&script::language(who.language).voicemail[0], firm, who);
        self.entries.push(speak("agent", &said, 2.2, random));
        self.latency_ms.push(random.random_range(450.0..900.0));
        self.reason = "voicemail_reached";
        self.voicemail = true;
        self.successful = Some(false);
        self.scenario = "voicemail".to_owned();
        self.summary = "An answering machine took the call; a message was left.".to_owned();
        self.close(random);
    }

    fn converse(&mut self, firm: &SimBusiness, who: &SimAgent, scenario: &Scenario, mix: &Mix, random: &mut ChaCha8Rng) {
        let mut now = random.random_range(0.4..1.6);
        let slow = random.random_bool(0.02);
        let abandoned = random.random_bool(mix.abandoned);
        let fault_at = random.random_bool(mix.fault).then(|| random.random_range(1..scenario.turns.len()));
        let mut tool_failed = false;
        for (place, turn) in scenario.turns.iter().enumerate() {
            if fault_at == Some(place) || (abandoned && turn[0] == "user") {
                break;
            }
            if turn[0] == "tool" {
                let successful = !random.random_bool(mix.tool_failure);
                tool_failed |= !successful;
                let took = random.random_range(0.12..1.4);
                let result = if successful {
                    turn[3].clone()
                } else {
                    r#"{"error":"401 token expired"}"#.to_owned()
                };
                self.entries.push(Entry::Tool {
                    name: turn[1].clone(),
                    arguments: turn[2].clone(),
                    result,
                    successful,
                    at: now,
                    took,
                });
                now += took;
                continue;
            }
            let role = if turn[0] == "agent" { "agent" } else { "user" };
            if role == "agent" {
                let wait_ms = 520.0 + 820.0 * random.random::<f64>().powi(3) + if slow { 1_300.0 } else { 0.0 };
                self.latency_ms.push((wait_ms * 100.0).round() / 100.0);
                now += wait_ms / 1_000.0;
            } else {
                now += random.random_range(0.2..1.8);
            }
            let entry = speak(role, &fill(&turn[1], firm, who), now, random);
            now = entry.end();
            self.entries.push(entry);
        }
        self.scenario.clone_from(&scenario.name);
        self.summary.clone_from(&scenario.summary);
        let happy = !tool_failed && !slow;
        self.sentiment = match random.random_range(0..100) {
            n if n < if happy { 4 } else { 35 } => "Negative",
            n if n < 60 => "Positive",
            n if n < 93 => "Neutral",
            _ => "Unknown",
        };
        self.successful = Some(!tool_failed && random.random_bool(0.93));
        self.reason = if random.random_bool(0.5) { "user_hangup" } else { "agent_hangup" };
        if fault_at.is_some() {
            self.reason = [
                "error_llm_websocket_lost_connection",
                "error_asr",
                "error_retell",
                "error_no_audio_received",
            ][random.random_range(0..4)];
            self.successful = Some(false);
        } else if abandoned {
            self.reason = "user_hangup";
            self.successful = Some(false);
            self.sentiment = "Unknown";
        } else if scenario.transfer && who.job == Job::Inbound {
            self.pass_on(random);
        }
        self.close(random);
    }

    /// A warm transfer at the end of the conversation: bridged four times in five.
    fn pass_on(&mut self, random: &mut ChaCha8Rng) {
        let begun = (self.entries.last().map_or(1.0, Entry::end) * 1_000.0) as i64 + 300;
        let waited = random.random_range(4_000..32_000);
        self.destination = Some(DESTINATIONS[random.random_range(0..DESTINATIONS.len())]);
        self.steps.push((begun, Step::TransferStarted));
        if random.random_bool(0.8) {
            self.steps.push((begun + waited, Step::TransferBridged));
            self.reason = "call_transfer";
            self.transfer_end_ms = Some(begun + waited + random.random_range(20_000..90_000));
        } else {
            self.steps.push((begun + waited, Step::TransferCancelled));
            self.reason = "user_hangup";
            self.successful = Some(false);
        }
    }

    /// Puts start, transcript growth, end and analysis round what was planned.
    fn close(&mut self, random: &mut ChaCha8Rng) {
        let mut steps = vec![(0, Step::Started)];
        for (place, entry) in self.entries.iter().enumerate() {
            if matches!(entry, Entry::Said { .. }) {
                steps.push(((entry.end() * 1_000.0) as i64 + 150, Step::Transcript(place + 1)));
            }
        }
        steps.append(&mut self.steps);
        let last = steps.last().map_or(0, |step| step.0);
        self.duration_ms = last + random.random_range(200..1_800);
        let analysed_at = self.duration_ms + random.random_range(2_000..6_000);
        steps.push((self.duration_ms, Step::Ended));
        steps.push((self.duration_ms + 60, Step::Transcript(self.entries.len())));
        steps.push((analysed_at, Step::Analyzed));
        if let Some(at) = self.transfer_end_ms {
            steps.push((at.max(self.duration_ms + 500), Step::TransferEnded));
        }
        steps.sort_by_key(|step| step.0);
        self.steps = steps;
    }

    /// True for chats.
    pub fn is_chat(&self) -> bool {
        self.id.starts_with("chat_")
    }
}

fn weighted(world: &World, random: &mut ChaCha8Rng) -> usize {
    let total: u32 = world.businesses.iter().map(|business| business.weight).sum();
    let mut draw = random.random_range(0..total);
    for (place, business) in world.businesses.iter().enumerate() {
        if draw < business.weight {
            return place;
        }
        draw -= business.weight;
    }
    0
}

/// A number in the country of the business, from the ranges kept for fiction where there is one.
fn party(firm: &SimBusiness, random: &mut ChaCha8Rng) -> String {
    if random.random_bool(0.02) {
        return "anonymous".to_owned();
    }
    let line = random.random_range(100..200);
    match firm.number.get(..3) {
        Some("+34") => format!("+3460055{:04}", line),
        Some("+81") => format!("+813555501{:02}", line % 100),
        Some("+97") => format!("+97150555{:04}", line),
        _ => format!("+1{}555{:04}", ["415", "206", "312", "646"][random.random_range(0..4)], line),
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn a_seed_gives_the_same_conversations_and_every_plan_ends() {
        let world = World::new();
        let draw = |seed| {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            (0..500)
                .map(|_| Plan::draw(&world, &Mix::default(), 1_793_541_600_000, &mut random))
                .collect::<Vec<_>>()
        };
        let (one, two) = (draw(7), draw(7));
        assert_eq!(format!("{one:?}"), format!("{two:?}"));
        assert_ne!(format!("{one:?}"), format!("{:?}", draw(8)));
        for plan in &one {
            assert!(plan.steps.windows(2).all(|pair| pair[0].0 <= pair[1].0), "steps in order of time");
            assert_eq!(plan.steps.iter().filter(|step| step.1 == Step::Ended).count(), 1);
            assert_eq!(plan.connected, plan.steps[0].1 == Step::Started, "only connected calls start");
            let end = plan.steps.iter().find(|step| step.1 == Step::Ended).expect("checked above").0;
            assert!(
                plan.entries.iter().all(|entry| entry.end() * 1_000.0 <= end as f64),
                "nothing is said after the end"
            );
        }
        assert!(one.iter().any(|plan| plan.transfer_end_ms.is_some()), "some are transferred");
        assert!(one.iter().any(|plan| plan.voicemail), "some reach a machine");
        assert!(one.iter().any(Plan::is_chat), "some are chats");
    }
}

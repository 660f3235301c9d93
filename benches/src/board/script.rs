//! All events of a stretch of load, spelled and signed beforehand: ordinary conversations of the simulator in full swing, and among
//! them marked ones whose way to the screens is timed.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use trunkline_connectors::simulator::entry::Entry;
use trunkline_connectors::simulator::life::Step;
use trunkline_connectors::simulator::world::Job;
use trunkline_connectors::simulator::{Mix, Plan, World, body};
use trunkline_core::instant::Millis;
use trunkline_core::signature::{SigningKey, sign};

use crate::sample::clock;

/// Conversations begun up to this long before are still going on when the load begins.
const BEFORE_MS: i64 = 300_000;

/// Conversations drawn to learn how many events one has.
const TRIED: usize = 2_000;

/// Drawn beyond need: chance must not leave the load short.
const SPARE: f64 = 1.15;

/// Marked calls of one business begin this far apart, in milliseconds; far beyond what a delivery may take, so that one marked call is
/// counted before the next comes. Spread, so that it does not keep step with anything that ticks.
const MARKED_APART_MS: std::ops::Range<u64> = 700..1_300;

/// Said by a followed call this far apart, in milliseconds.
const SAID_APART_MS: std::ops::Range<u64> = 300..700;

/// Turns of a followed call at most; its events carry all of them.
const TURNS_MAX: usize = 120;

/// What an event is in the script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Load.
    Plain,
    /// The `turn`-th marked call of a business begins (0, 1, ...).
    Begins { business: usize, turn: usize },
    /// A followed call has said its `turn`-th turn.
    Says { call: usize, turn: usize },
}

/// One event to post.
#[derive(Debug)]
pub struct Cue {
    /// When, from the beginning of the load.
    pub at: Duration,
    /// The whole request.
    pub request: Bytes,
    /// What it is.
    pub role: Role,
    /// The call it belongs to; of marked calls only.
    pub id: String,
}

/// How a script is to be.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Events a second, marked ones included.
    pub rate: f64,
    /// Length.
    pub lasting: Duration,
    /// Ids of followed calls; empty: no marked event at all.
    pub followed: Vec<String>,
    /// Same seed, same conversations.
    pub seed: u64,
}

/// Whose events: where they go and what signs them.
pub struct Line<'a> {
    /// Who exists.
    pub world: &'a World,
    /// `Host` of requests.
    pub host: String,
    /// Path of requests.
    pub path: String,
    /// Signs.
    pub key: SigningKey,
}

/// The agent of a business that holds its marked calls and no others: a call of it is told apart on every board.
pub fn marked_agent(world: &World, business: usize) -> usize {
    let agents = &world.businesses[business].agents;
    agents.iter().rposition(|agent| agent.job != Job::Chat).unwrap_or_default()
}

/// What the followed call `call` says in its `turn`-th turn.
pub fn said(call: usize, turn: usize) -> String {
    format!("line {call} says sentence {turn} of many.")
}

impl Line<'_> {
    /// Draws and spells everything; in order of time.
    pub fn script(&self, wanted: &Wanted) -> Result<Vec<Cue>> {
        let mut random = ChaCha8Rng::seed_from_u64(wanted.seed);
        let begun = clock();
        let mut cues = match wanted.followed.is_empty() {
            true => Vec::new(),
            false => self.marked(wanted, begun, &mut random)?,
        };
        let marked_rate = cues.len() as f64 / wanted.lasting.as_secs_f64();
        ensure!(
            marked_rate < wanted.rate,
            "{marked_rate:.0} marked events a second leave no room in {}",
            wanted.rate
        );
        let mut plain = self.plain(wanted, wanted.rate - marked_rate, begun, &mut random)?.into_iter();
        // Independent senders: the gaps between their events are exponential.
        let mut at = 0.0;
        loop {
            at += -(1.0 - random.random::<f64>()).ln() / (wanted.rate - marked_rate);
            if at >= wanted.lasting.as_secs_f64() {
                break;
            }
            let (_, body) = plain.next().context("too few conversations were drawn")?;
            cues.push(self.cue(Duration::from_secs_f64(at), &body, begun, Role::Plain, String::new()));
        }
        cues.sort_by_key(|cue| cue.at);
        Ok(cues)
    }

    /// Events of conversations in full swing, in order: (time, body).
    fn plain(&self, wanted: &Wanted, rate: f64, begun: Millis, random: &mut ChaCha8Rng) -> Result<Vec<(i64, Vec<u8>)>> {
        let steps: usize = (0..TRIED).map(|_| self.draw(begun.0, random).steps.len()).sum();
        let each_ms = 1_000.0 * steps as f64 / TRIED as f64 / (rate * SPARE);
        let end_ms = wanted.lasting.as_millis() as i64;
        let mut events = Vec::new();
        let mut start = -(BEFORE_MS as f64);
        while start < end_ms as f64 {
            let plan = self.draw(begun.0 + start as i64, random);
            for (after, step) in &plan.steps {
                let at = start as i64 + after;
                if (0..end_ms).contains(&at) {
                    events.push((at, body::event(self.world, &plan, *step).1));
                }
            }
            start += -(1.0 - random.random::<f64>()).ln() * each_ms;
        }
        events.sort_by_key(|event| event.0);
        Ok(events)
    }

    /// One conversation that is not with a marked agent.
    fn draw(&self, start_ms: i64, random: &mut ChaCha8Rng) -> Plan {
        loop {
            let plan = Plan::draw(self.world, &Mix::default(), start_ms, random);
            if plan.agent != marked_agent(self.world, plan.business) {
                return plan;
            }
        }
    }

    fn marked(&self, wanted: &Wanted, begun: Millis, random: &mut ChaCha8Rng) -> Result<Vec<Cue>> {
        let mut cues = Vec::new();
        for business in 0..self.world.businesses.len() {
            let mut at = spread(MARKED_APART_MS, random);
            for turn in 0.. {
                if at >= wanted.lasting {
                    break;
                }
                let mut plan = self.draw(begun.0 + at.as_millis() as i64, random);
                (plan.business, plan.agent) = (business, marked_agent(self.world, business));
                plan.id = format!("call_{:027x}", random.random::<u128>() >> 20);
                let body = body::event(self.world, &plan, Step::Started).1;
                cues.push(self.cue(at, &body, begun, Role::Begins { business, turn }, plan.id));
                at += spread(MARKED_APART_MS, random);
            }
        }
        for (call, id) in wanted.followed.iter().enumerate() {
            let mut plan = self.draw(begun.0, random);
            while plan.id.starts_with("chat_") || !plan.connected {
                plan = self.draw(begun.0, random);
            }
            plan.id.clone_from(id);
            plan.entries.clear();
            let mut at = spread(SAID_APART_MS, random);
            while at < wanted.lasting {
                let turn = plan.entries.len();
                ensure!(
                    turn < TURNS_MAX,
                    "a followed call would have more than {TURNS_MAX} turns; take a shorter time"
                );
                plan.entries.push(spoken(call, turn, at));
                let body = body::event(self.world, &plan, Step::Transcript(turn + 1)).1;
                cues.push(self.cue(at, &body, begun, Role::Says { call, turn }, id.clone()));
                at += spread(SAID_APART_MS, random);
            }
        }
        Ok(cues)
    }

    fn cue(&self, at: Duration, body: &[u8], begun: Millis, role: Role, id: String) -> Cue {
        // Signed for the moment it is meant for; the product takes five minutes either way.
        let signature = sign(body, &self.key, begun.plus(at.as_millis() as i64));
        let mut request = format!(
            "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nX-Retell-Signature: {signature}\r\nContent-Length: {}\r\n\r\n",
            self.path,
            self.host,
            body.len()
        )
        .into_bytes();
        request.extend_from_slice(body);
        let request = request.into();
        Cue { at, request, role, id }
    }
}

fn spoken(call: usize, turn: usize, at: Duration) -> Entry {
    let text = said(call, turn);
    let from = at.as_secs_f64();
    let words = text
        .split(' ')
        .enumerate()
        .map(|(place, word)| (format!("{word} "), from + place as f64 * 0.04, from + place as f64 * 0.04 + 0.03))
        .collect();
    let role = if turn.is_multiple_of(2) { "agent" } else { "user" };
    Entry::Said { role, text, words }
}

fn spread(apart: std::ops::Range<u64>, random: &mut ChaCha8Rng) -> Duration {
    Duration::from_millis(random.random_range(apart))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(world: &World) -> Line<'_> {
        Line {
            world,
            host: "bench".to_owned(),
            path: "/v1/retell/bench".to_owned(),
            key: SigningKey::from("key"),
        }
    }

    #[test]
    fn a_script_has_its_rate_and_marks_only_marked_agents() {
        let world = World::new();
        let wanted = Wanted {
            rate: 200.0,
            lasting: Duration::from_secs(10),
            followed: vec!["call_a".to_owned()],
            seed: 7,
        };
        let cues = line(&world).script(&wanted).unwrap();
        assert!((1_700..2_300).contains(&cues.len()), "{}", cues.len());
        assert!(cues.is_sorted_by_key(|cue| cue.at));
        let marked: Vec<String> = (0..world.businesses.len())
            .map(|business| world.businesses[business].agents[marked_agent(&world, business)].id.clone())
            .collect();
        let mut begun = 0;
        for cue in &cues {
            let text = String::from_utf8_lossy(&cue.request);
            let is_marked = marked.iter().any(|agent| text.contains(agent.as_str()));
            assert_eq!(is_marked, matches!(cue.role, Role::Begins { .. }));
            begun += usize::from(is_marked);
            assert!(text.contains(&cue.id));
        }
        assert!(begun >= 6 * 7, "{begun}");
        let last = cues.iter().rfind(|cue| cue.id == "call_a").unwrap();
        let Role::Says { call: 0, turn } = last.role else {
            panic!("{:?}", last.role)
        };
        let text = String::from_utf8_lossy(&last.request);
        assert!((0..=turn).all(|turn| text.contains(&said(0, turn))));
    }
}

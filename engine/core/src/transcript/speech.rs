//! Who spoke when and for how long, from word times; approximate, as Retell says of them.

use super::source::{Entry, Span};
use crate::facts::{Role, Speech};
use crate::wire::{In, Out};

/// Speech figures, small: every live call has them. Times in ms within a day; `NONE` where there are no word times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Figures {
    pub turns: u32,
    agent_turns: u32,
    user_turns: u32,
    first_agent_word: u32,
    first_user_word: u32,
    agent_talk: u32,
    user_talk: u32,
    overtalk: u32,
    interruptions: u32,
    last_response: u32,
    pub characters: u64,
}

const NONE: u32 = u32::MAX;

impl Figures {
    /// Figures of which only sizes are known.
    pub fn outline(turns: u32, characters: u64, user_turns: u32) -> Figures {
        Figures {
            turns,
            agent_turns: 0,
            user_turns,
            first_agent_word: NONE,
            first_user_word: NONE,
            agent_talk: NONE,
            user_talk: NONE,
            overtalk: NONE,
            interruptions: 0,
            last_response: NONE,
            characters,
        }
    }

    /// Writes them for a stored form.
    pub fn write(&self, out: &mut Out) {
        for count in [self.turns, self.agent_turns, self.user_turns, self.interruptions] {
            out.count(u64::from(count));
        }
        let times = [
            self.first_agent_word,
            self.first_user_word,
            self.agent_talk,
            self.user_talk,
            self.overtalk,
            self.last_response,
        ];
        // One more, so that none is a small number too.
        times.into_iter().for_each(|time| out.count(u64::from(time.wrapping_add(1))));
        out.count(self.characters);
    }

    /// Reads what [`Figures::write`] wrote.
    pub fn read(from: &mut In<'_>) -> Option<Figures> {
        let time = |from: &mut In<'_>| from.small::<u32>().map(|time| time.wrapping_sub(1));
        Some(Figures {
            turns: from.small()?,
            agent_turns: from.small()?,
            user_turns: from.small()?,
            interruptions: from.small()?,
            first_agent_word: time(from)?,
            first_user_word: time(from)?,
            agent_talk: time(from)?,
            user_talk: time(from)?,
            overtalk: time(from)?,
            last_response: time(from)?,
            characters: from.count()?,
        })
    }

    pub fn speech(&self) -> Speech {
        let known = |value: u32| (value != NONE).then_some(i64::from(value));
        Speech {
            turns: self.turns,
            agent_turns: self.agent_turns,
            user_turns: self.user_turns,
            first_agent_word_ms: known(self.first_agent_word),
            first_user_word_ms: known(self.first_user_word),
            agent_talk_ms: known(self.agent_talk),
            user_talk_ms: known(self.user_talk),
            overtalk_ms: known(self.overtalk),
            interruptions: self.interruptions,
            last_response_ms: known(self.last_response),
            characters: self.characters,
        }
    }
}

/// Listens to the turns of a transcript in their order.
#[derive(Debug, Default)]
pub(super) struct Listener {
    turns: u32,
    agent_turns: u32,
    user_turns: u32,
    characters: u64,
    agent: Vec<Span>,
    user: Vec<Span>,
    /// Start and end of turns with word times, and whether it is the caller's.
    timed: Vec<(i64, bool, i64)>,
    scripts: Scripts,
}

impl Listener {
    /// Hears one turn and tells it its own times.
    pub fn hear(&mut self, turn: &mut Entry<'_>) {
        self.turns += 1;
        self.characters += turn.content.chars().count() as u64;
        self.scripts.see(&turn.content);
        let spans = match turn.role {
            Role::Agent => {
                self.agent_turns += 1;
                &mut self.agent
            }
            Role::User => {
                self.user_turns += 1;
                &mut self.user
            }
            _ => return turn.spans(|_| {}),
        };
        turn.spans(|span| match spans.last_mut() {
            // Words follow each other without a gap: most turns become one span.
            Some(last) if last.start <= span.start && span.start <= last.end => last.end = last.end.max(span.end),
            _ => spans.push(span),
        });
        if let (Some(start), Some(end)) = (turn.start_ms, turn.end_ms) {
            self.timed.push((start, turn.role != Role::User, end));
        }
    }

    pub fn finish(mut self) -> (Figures, Option<&'static &'static str>) {
        let agent = union(&mut self.agent);
        let user = union(&mut self.user);
        let first = |spans: &[Span]| spans.first().map_or(NONE, |span| span.start as u32);
        let talk = |spans: &[Span]| {
            if spans.is_empty() {
                NONE
            } else {
                spans.iter().map(|span| (span.end - span.start) as u32).sum()
            }
        };
        let figures = Figures {
            turns: self.turns,
            agent_turns: self.agent_turns,
            user_turns: self.user_turns,
            first_agent_word: first(agent),
            first_user_word: first(user),
            agent_talk: talk(agent),
            user_talk: talk(user),
            overtalk: if agent.is_empty() && user.is_empty() {
                NONE
            } else {
                both(agent, user)
            },
            last_response: last_response(&self.timed),
            interruptions: interruptions(&mut self.timed),
            characters: self.characters,
        };
        (figures, self.scripts.language())
    }
}

/// Spans without overlaps, in order.
fn union(spans: &mut Vec<Span>) -> &[Span] {
    spans.sort_unstable_by_key(|span| span.start);
    spans.dedup_by(|next, last| {
        let overlaps = next.start <= last.end;
        if overlaps {
            last.end = last.end.max(next.end);
        }
        overlaps
    });
    spans
}

/// Time in which both spoke.
fn both(agent: &[Span], user: &[Span]) -> u32 {
    let (mut one, mut other, mut sum) = (0, 0, 0);
    while let (Some(a), Some(u)) = (agent.get(one), user.get(other)) {
        sum += (a.end.min(u.end) - a.start.max(u.start)).max(0);
        if a.end < u.end { one += 1 } else { other += 1 }
    }
    sum as u32
}

/// From the end of the caller's turn to the begin of the agent's, the last time that one followed the other without overlap.
fn last_response(timed: &[(i64, bool, i64)]) -> u32 {
    let gap = |pair: &[(i64, bool, i64)]| (!pair[0].1 && pair[1].1).then(|| pair[1].0 - pair[0].2).filter(|gap| *gap >= 0);
    timed.windows(2).rev().find_map(gap).map_or(NONE, |gap| gap as u32)
}

/// Turns of the caller that began before the agent's last word ended. Sorted by start; at the same moment the caller comes first and
/// interrupts nobody.
fn interruptions(timed: &mut [(i64, bool, i64)]) -> u32 {
    timed.sort_unstable();
    let (mut agent_end, mut count) = (i64::MIN, 0);
    for (start, is_agent, end) in timed {
        if *is_agent {
            agent_end = agent_end.max(*end);
        } else if *start < agent_end {
            count += 1;
        }
    }
    count
}

/// Which scripts the text is written in, by letters seen. Only scripts that tell a language are told apart.
#[derive(Debug, Default)]
struct Scripts {
    letters: u64,
    seen: [u64; 7],
}

static LANGUAGES: [&str; 7] = ["ja", "ko", "ar", "he", "th", "el", "zh"];
const CHINESE: usize = 6;

/// A language as [`Scripts`] tells it.
pub(super) fn language(code: &str) -> Option<&'static &'static str> {
    LANGUAGES.iter().find(|known| **known == code)
}

impl Scripts {
    fn see(&mut self, text: &str) {
        if text.is_ascii() {
            self.letters += text.len() as u64;
            return;
        }
        for letter in text.chars().filter(|letter| letter.is_alphabetic()) {
            self.letters += 1;
            let place = match letter {
                '\u{3040}'..='\u{30FF}' => 0,
                '\u{1100}'..='\u{11FF}' | '\u{AC00}'..='\u{D7AF}' => 1,
                '\u{0600}'..='\u{06FF}' | '\u{0750}'..='\u{077F}' => 2,
                '\u{0590}'..='\u{05FF}' => 3,
                '\u{0E00}'..='\u{0E7F}' => 4,
                '\u{0370}'..='\u{03FF}' => 5,
                '\u{4E00}'..='\u{9FFF}' => CHINESE,
                _ => continue,
            };
            self.seen[place] += 1;
        }
    }

    /// The language, when a fifth of the letters is of its script. Japanese is written with Chinese signs as well, so any kana decides.
    fn language(&self) -> Option<&'static &'static str> {
        let mut seen = self.seen;
        if seen[0] > 0 {
            seen[0] += seen[CHINESE];
            seen[CHINESE] = 0;
        }
        let (place, most) = seen.iter().enumerate().max_by_key(|(_, count)| **count)?;
        (*most > 0 && *most * 5 >= self.letters).then(|| &LANGUAGES[place])
    }
}

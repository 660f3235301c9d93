//! The entries of a simulated transcript, with the time of every word.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::world::{SimAgent, SimBusiness};

/// One entry of the transcript to come, with its place in the call.
#[derive(Debug, Clone)]
pub enum Entry {
    /// Something said.
    Said {
        /// `agent` or `user`.
        role: &'static str,
        /// The text.
        text: String,
        /// Word, start and end in seconds from the start of the call.
        words: Vec<(String, f64, f64)>,
    },
    /// A tool call and its answer.
    Tool {
        /// Name.
        name: String,
        /// JSON text.
        arguments: String,
        /// JSON text.
        result: String,
        /// What the result says.
        successful: bool,
        /// Seconds from the start.
        at: f64,
        /// Seconds it took.
        took: f64,
    },
}

impl Entry {
    /// When it is over, seconds from the start of the call.
    pub fn end(&self) -> f64 {
        match self {
            Entry::Said { words, .. } => words.last().map_or(0.0, |word| word.2),
            Entry::Tool { at, took, .. } => at + took,
        }
    }
}

/// Puts the names of business and agent into a text.
pub fn fill(text: &str, firm: &SimBusiness, who: &SimAgent) -> String {
    text.replace("{business}", firm.name).replace("{agent}", who.persona)
}

/// Gives each word its time; scripts without spaces are cut every few characters, as Retell does.
pub fn speak(role: &'static str, text: &str, start: f64, random: &mut ChaCha8Rng) -> Entry {
    let mut words = Vec::new();
    let mut now = start;
    let spaced = text.contains(' ');
    let characters: Vec<char> = text.chars().collect();
    let mut pieces: Vec<String> = Vec::new();
    if spaced {
        pieces.extend(text.split_inclusive(' ').map(str::to_owned));
    } else {
        pieces.extend(characters.chunks(3).map(|piece| piece.iter().collect()));
    }
    for piece in pieces {
        let per_character = if spaced { 0.052 } else { 0.13 };
        let took = 0.09 + per_character * piece.chars().count() as f64 * random.random_range(0.8..1.25);
        words.push((piece, round(now), round(now + took)));
        now += took;
    }
    Entry::Said {
        role,
        text: text.to_owned(),
        words,
    }
}

fn round(seconds: f64) -> f64 {
    (seconds * 1_000.0).round() / 1_000.0
}

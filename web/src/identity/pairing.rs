//! Pairing: a screen shows a short code, somebody signed in types it, and the screen has its link. Nothing is typed on the screen.
//!
//! Kept in memory: a code lives for minutes, and a screen that waits beyond a restart shows a new one.

use std::time::{Duration, Instant};

use dashmap::DashMap;
use sha2::{Digest, Sha256};

/// How long a code is shown.
pub const LASTS: Duration = Duration::from_secs(10 * 60);

/// Screens that wait at the same time; beyond, the oldest code is not kept for others.
const WAITING_MAX: usize = 1_000;

/// Letters of a code: 5 bits each, 40 together, known for ten minutes only to who sees the screen.
const CODE_CHARS: usize = 8;

/// No letter that looks like another one on a far screen.
const ALPHABET: &[u8; 32] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZ";

/// A screen that waits.
struct Waiting {
    code: String,
    since: Instant,
    /// The secret of its link, once somebody has typed the code.
    token: Option<String>,
}

/// Screens that wait, by the hash of the secret that only they have.
#[derive(Default)]
pub struct Pairings(DashMap<[u8; 32], Waiting>);

/// What became of a wait.
#[derive(Debug, PartialEq, Eq)]
pub enum Paired {
    /// Nobody has typed the code yet.
    Waits(String),
    /// The secret of the screen's link.
    Done(String),
    /// There is no such wait, or no longer.
    Gone,
}

impl Pairings {
    /// Begins to wait: the screen's secret. `None` when too many wait.
    pub fn begin(&self) -> Option<String> {
        self.0.retain(|_, waiting| waiting.since.elapsed() < LASTS);
        if self.0.len() >= WAITING_MAX {
            return None;
        }
        let secret = hex::encode(rand::random::<[u8; 32]>());
        let code = rand::random::<[u8; CODE_CHARS]>().map(|byte| char::from(ALPHABET[usize::from(byte & 31)]));
        let waiting = Waiting {
            code: code.iter().collect(),
            since: Instant::now(),
            token: None,
        };
        self.0.insert(hash(&secret), waiting);
        Some(secret)
    }

    /// What the screen with this secret has to show. Its link is given out once.
    pub fn look(&self, secret: &str) -> Paired {
        let key = hash(secret);
        let done = self.0.remove_if(&key, |_, waiting| waiting.token.is_some());
        if let Some(token) = done.and_then(|(_, waiting)| waiting.token) {
            return Paired::Done(token);
        }
        match self.0.get(&key).filter(|waiting| waiting.since.elapsed() < LASTS) {
            Some(waiting) => Paired::Waits(waiting.code.clone()),
            None => Paired::Gone,
        }
    }

    /// Whether a screen waits with this code, however it was typed.
    pub fn waits(&self, typed: &str) -> bool {
        let code = plain(typed);
        self.0
            .iter()
            .any(|waiting| waiting.code == code && waiting.token.is_none() && waiting.since.elapsed() < LASTS)
    }

    /// Gives the screen with this code its link; false when it no longer waits.
    pub fn give(&self, typed: &str, token: &str) -> bool {
        let code = plain(typed);
        let mut all = self.0.iter_mut();
        let found = all.find(|waiting| waiting.code == code && waiting.token.is_none() && waiting.since.elapsed() < LASTS);
        found.is_some_and(|mut waiting| {
            waiting.token = Some(token.to_owned());
            true
        })
    }
}

fn plain(typed: &str) -> String {
    typed.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_uppercase()
}

fn hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_gives_one_screen_one_link() {
        let pairings = Pairings::default();
        let (screen, other) = (pairings.begin().unwrap(), pairings.begin().unwrap());
        let Paired::Waits(code) = pairings.look(&screen) else {
            panic!("it waits")
        };
        let typed = format!("{}-{}", code[..4].to_lowercase(), &code[4..]);
        assert!(pairings.waits(&typed) && !pairings.waits("AAAA"));
        assert!(pairings.give(&typed, "secret"));
        assert!(!pairings.give(&typed, "another"), "once");
        assert!(matches!(pairings.look(&other), Paired::Waits(_)));
        assert_eq!(pairings.look(&screen), Paired::Done("secret".to_owned()));
        assert_eq!(pairings.look(&screen), Paired::Gone, "given out once");
        assert_eq!(pairings.look("no screen"), Paired::Gone);
    }
}

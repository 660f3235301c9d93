//! What is said: the dialogues of `scripts.json`, by language.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde::Deserialize;

/// Dialogues of one language.
#[derive(Debug, Deserialize)]
pub struct Language {
    /// What the agent says to an answering machine.
    pub voicemail: Vec<String>,
    /// Conversations.
    pub scenarios: Vec<Scenario>,
}

/// One conversation.
#[derive(Debug, Deserialize)]
pub struct Scenario {
    /// Its short name, used in analysis data.
    pub name: String,
    /// Summary that the analysis gives.
    pub summary: String,
    /// Whether the caller ends with a person.
    pub transfer: bool,
    /// Entries: `["agent"|"user", text]` or `["tool", name, arguments, result]`.
    pub turns: Vec<Vec<String>>,
}

/// The dialogues of `language`; English when it is not known.
pub fn language(tag: &str) -> &'static Language {
    static ALL: OnceLock<BTreeMap<String, Language>> = OnceLock::new();
    let all = ALL.get_or_init(|| serde_json::from_str(include_str!("scripts.json")).expect("scripts.json is part of the build and tested"));
    all.get(tag).or_else(|| all.get("en-US")).expect("scripts.json has en-US")
}

#[cfg(test)]
mod tests {
    use super::language;

    #[test]
    fn every_language_has_conversations_with_both_sides() {
        for tag in ["en-US", "es-ES", "ar-AE", "ja-JP"] {
            let language = language(tag);
            assert!(!language.voicemail.is_empty(), "{tag}");
            for scenario in &language.scenarios {
                for side in ["agent", "user"] {
                    assert!(
                        scenario.turns.iter().any(|turn| turn[0] == side && turn[1].len() > 3),
                        "{tag} {}",
                        scenario.name
                    );
                }
                assert!(
                    scenario.turns.iter().all(|turn| turn[0] != "tool" || turn.len() == 4),
                    "{tag} {}",
                    scenario.name
                );
            }
        }
    }
}

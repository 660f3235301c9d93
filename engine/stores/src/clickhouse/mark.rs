//! Marks searched words in what was said, and cuts long turns to the part round the first hit.

use serde::Serialize;
use trunkline_core::facts::Role;

use super::filter::Words;
use super::rows::role_of;

/// Characters kept before the first hit of a long turn.
const BEFORE_CHARS: usize = 60;
/// Characters of a snippet.
const SNIPPET_CHARS: usize = 240;

/// A turn in which a searched word was said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hit {
    /// Place of the item in the transcript, from 0.
    pub item: u32,
    /// Who said it.
    pub role: Role,
    /// Its text in pieces.
    pub parts: Vec<Part>,
}

/// A piece of text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Part {
    /// The text.
    pub text: String,
    /// It is a searched word.
    pub hit: bool,
}

/// The first `limit` turns in which one of the words was said.
pub(super) fn hits(roles: &[String], contents: &[String], words: &Words, limit: usize) -> Vec<Hit> {
    let mut found = Vec::new();
    for (item, (role, content)) in roles.iter().zip(contents).enumerate() {
        let role = role_of(role);
        if !role.speaks() {
            continue;
        }
        let parts = mark(content, words);
        if parts.iter().any(|part| part.hit) {
            found.push(Hit {
                item: item as u32,
                role,
                parts: snippet(parts),
            });
            if found.len() == limit {
                break;
            }
        }
    }
    found
}

/// Splits a text at the places where a word stands, whatever its letter case.
pub fn mark(text: &str, words: &Words) -> Vec<Part> {
    // Lower case can have more or fewer letters than the original; each lower letter remembers where it comes from.
    let mut lower = String::with_capacity(text.len());
    let mut origin = Vec::with_capacity(text.len() + 1);
    for (at, letter) in text.char_indices() {
        for small in letter.to_lowercase() {
            for _ in 0..small.len_utf8() {
                origin.push((at, at + letter.len_utf8()));
            }
            lower.push(small);
        }
    }
    let mut spans: Vec<(usize, usize)> = Vec::new();
    for word in words.as_slice() {
        for (at, _) in lower.match_indices(word.as_str()) {
            spans.push((origin[at].0, origin[at + word.len() - 1].1));
        }
    }
    spans.sort_unstable();
    let mut parts = Vec::new();
    let mut done = 0;
    let mut push = |from: usize, to: usize, hit: bool| {
        if from < to {
            parts.push(Part {
                text: text[from..to].to_owned(),
                hit,
            });
        }
    };
    for (from, to) in spans {
        let from = from.max(done);
        push(done, from, false);
        push(from, to, true);
        done = done.max(to);
    }
    push(done, text.len(), false);
    parts
}

/// Cuts to a readable length round the first hit.
fn snippet(parts: Vec<Part>) -> Vec<Part> {
    let mut left = SNIPPET_CHARS;
    let mut cut = Vec::new();
    for (place, part) in parts.into_iter().enumerate() {
        let count = part.text.chars().count();
        if place == 0 && !part.hit && count > BEFORE_CHARS {
            let tail: String = part.text.chars().skip(count - BEFORE_CHARS).collect();
            left -= BEFORE_CHARS;
            cut.push(Part {
                text: format!("…{tail}"),
                hit: false,
            });
        } else if count > left {
            let head: String = part.text.chars().take(left).collect();
            cut.push(Part {
                text: format!("{head}…"),
                hit: part.hit,
            });
            break;
        } else {
            left -= count;
            cut.push(part);
        }
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, words: &str) -> String {
        let parts = mark(text, &Words::typed(words));
        parts
            .iter()
            .map(|part| if part.hit { format!("[{}]", part.text) } else { part.text.clone() })
            .collect()
    }

    #[test]
    fn words_are_marked_whatever_their_case_and_language() {
        assert_eq!(shown("I want a Refund, refund!", "refund"), "I want a [Refund], [refund]!");
        assert_eq!(shown("今日は元気です", "元気"), "今日は[元気]です");
        assert_eq!(shown("İstanbul'da ÄRGER", "ärger"), "İstanbul'da [ÄRGER]");
        // Words that overlap are marked once.
        assert_eq!(shown("banana", "ana nan"), "b[ana][n]a");
        assert_eq!(shown("nothing", "else"), "nothing");
    }

    #[test]
    fn a_long_turn_is_cut_round_its_hit() {
        let text = format!("{} refund {}", "a".repeat(500), "b".repeat(500));
        let found = hits(
            &["node".into(), "user".into()],
            &["refund".into(), text],
            &Words::typed("refund"),
            3,
        );
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].item, 1);
        let length: usize = found[0].parts.iter().map(|part| part.text.chars().count()).sum();
        assert!(length <= SNIPPET_CHARS + 2, "{length}");
        assert!(found[0].parts[0].text.starts_with('…') && found[0].parts[1].hit);
    }
}

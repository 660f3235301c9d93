//! A list of turns letter by letter as Retell spells it, passed in one go: checked, counted and written in canonical form.
//!
//! Nearly all of a body is such lists, and of most of them nothing is wanted but their hash and their size. What is spelled otherwise, be it by a
//! space, is left to those who read everything.

use super::canonical::{has_only_short_escapes, is_canonical};
use super::walk::{string, word};

/// What was passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spoken {
    /// Behind its last bracket.
    pub end: usize,
    /// Turns and the characters in them; `None` when something has to be unescaped first.
    pub size: Option<(u32, u64)>,
}

const OPENING: &[u8] = b"{\"role\":\"";
const CONTENT: &[u8] = b"\",\"content\":\"";
const WORDS: &[u8] = b"\",\"words\":[";

/// Who speaks: in lists with others, such as tools, there is more to read.
const SPEAKERS: [&[u8]; 3] = [b"agent", b"user", b"transfer_target"];

/// Passes the list that begins at `at` within few open brackets, and writes it behind `out`; `None`, and nothing written, when it is spelled
/// in another way. It is what [`super::Canonical`] writes of the list.
pub(crate) fn spoken(text: &str, at: usize, out: &mut Vec<u8>) -> Option<Spoken> {
    let before = out.len();
    let passed = list(text, at, out);
    if passed.is_none() {
        out.truncate(before);
    }
    passed
}

fn list(text: &str, start: usize, out: &mut Vec<u8>) -> Option<Spoken> {
    let bytes = text.as_bytes();
    let begins = |at: usize, with: &[u8]| bytes.get(at..at + with.len()) == Some(with);
    if !begins(start, b"[") || !begins(start + 1, OPENING) {
        return None;
    }
    out.push(b'[');
    let mut size = Some((0, 0));
    let mut at = start + 1;
    loop {
        if !begins(at, OPENING) {
            return None;
        }
        let role = string(bytes, at + OPENING.len()).ok()?;
        let speaker = &bytes[role.start..role.end];
        if !SPEAKERS.contains(&speaker) || !begins(role.end, CONTENT) {
            return None;
        }
        let content = string(bytes, role.end + CONTENT.len()).ok()?;
        let said = &text[content.start..content.end];
        if !begins(content.end, WORDS) || content.escaped && !has_only_short_escapes(said.as_bytes()) {
            return None;
        }
        size = size.filter(|_| !content.escaped).map(|(turns, characters)| {
            if said.trim().is_empty() {
                (turns, characters)
            } else {
                (turns + 1, characters + said.chars().count() as u64)
            }
        });
        for part in [&b"{\"content\":\""[..], said.as_bytes(), b"\",\"role\":\"", speaker, WORDS] {
            out.extend_from_slice(part);
        }
        at = words(bytes, content.end + WORDS.len(), out)?;
        match bytes.get(at..at + 2)? {
            b"}," => at += 2,
            b"}]" => {
                out.extend_from_slice(b"}]");
                return Some(Spoken { end: at + 2, size });
            }
            _ => return None,
        }
        out.extend_from_slice(b"},");
    }
}

/// The words of a turn, from behind the opening bracket to behind the closing one.
fn words(bytes: &[u8], start: usize, out: &mut Vec<u8>) -> Option<usize> {
    let mut at = start;
    if bytes.get(at) == Some(&b']') {
        out.push(b']');
        return Some(at + 1);
    }
    loop {
        let word = word(bytes, at)?;
        let (from, to) = (&bytes[word.start.0..word.start.1], &bytes[word.end.0..word.end.1]);
        if !is_canonical(from) || !is_canonical(to) {
            return None;
        }
        let spelling = &bytes[word.spelling.start..word.spelling.end];
        for part in [&b"{\"end\":"[..], to, b",\"start\":", from, b",\"word\":\"", spelling, b"\"}"] {
            out.extend_from_slice(part);
        }
        at = word.end.1 + 1;
        let next = *bytes.get(at)?;
        out.push(next);
        at += 1;
        match next {
            b',' => {}
            b']' => return Some(at),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{Canonical, Tape};

    fn by_tape(text: &str) -> Vec<u8> {
        // Another name for the words makes it a list like any other.
        let other = text.replace("\"words\"", "\"zwords\"");
        let mut tape = Tape::default();
        tape.read(&other).unwrap();
        let text = String::from_utf8(Canonical::default().text(tape.root(&other)).to_vec()).unwrap();
        text.replace("\"zwords\"", "\"words\"").into_bytes()
    }

    #[test]
    fn it_writes_what_the_slow_way_writes_and_counts_turns() {
        let plain = r#"[{"role":"agent","content":"So, ä?","words":[{"word":"So, ","start":0.1,"end":1.25},{"word":"ä?","start":2,"end":3}]},{"role":"user","content":"  ","words":[]}]"#;
        let escaped = r#"[{"role":"user","content":"a \"b\"\n","words":[]}]"#;
        for (text, size) in [(plain, Some((1, 6))), (escaped, None)] {
            let mut out = b"before".to_vec();
            let passed = spoken(text, 0, &mut out).unwrap();
            assert_eq!((passed.end, passed.size), (text.len(), size));
            assert_eq!(&out[6..], by_tape(text));
        }
    }

    #[test]
    fn whatever_is_spelled_otherwise_is_left_alone() {
        for text in [
            "[]",
            "[ ]",
            r#"[{"role":"agent","content":"a","words":[]} ]"#,
            r#"[{"role":"agent","content":"a","words":[{"word":"a","start":1.50,"end":2}]}]"#,
            r#"[{"role":"agent","content":"a","words":[{"word":"\u0061","start":1,"end":2}]}]"#,
            r#"[{"role":"agent","content":"\u0061","words":[]}]"#,
            r#"[{"role":"agent","content":"a","words":[],"metadata":{}}]"#,
            r#"[{"content":"a","role":"agent","words":[]}]"#,
            r#"[{"role":"tool_call_result","content":"a","words":[]}]"#,
            r#"[{"role":"agent","content":"a","words":[]},{"role":"dtmf","digit":"1"}]"#,
            r#"[{"role":"agent","content":"a","words":[]}"#,
            r#"[{"role":"agent","content":"a","words":["#,
            r#"[{"role":"agent","content":"a"#,
            r#"[{"role":"agent","content":"a","words":[]},"#,
        ] {
            let mut out = b"before".to_vec();
            assert_eq!(spoken(text, 0, &mut out), None, "{text}");
            assert_eq!(out, b"before");
        }
    }
}

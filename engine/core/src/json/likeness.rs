//! A cheap number that all spellings of a value have in common: unlike numbers prove unlike values, and nothing had to be sorted.
//!
//! It is a sum over what stands in the value, so the order of members does not matter. Of what is spelled canonically but for that
//! order it is taken as it stands, of what is spelled otherwise from its canonical text.

use super::canonical::{Canonical, canonical_number, has_only_short_escapes, is_canonical};
use super::tape::{Node, Shape, Tape, Value};

/// Members that small objects have, and the most among which equal names are looked for: Retell's largest object has about forty.
const FEW_MEMBERS: usize = 8;
const MEMBERS: usize = 64;

/// Bytes of a [`Word`](super::Word) that stand between its values, without its brackets.
const WORD_MARKS: usize = 5;

/// The number of the outermost value of a text.
pub(crate) fn likeness(root: Value<'_>, canonical: &mut Canonical) -> u32 {
    let sum = sum(root).unwrap_or_else(|| {
        let text = std::str::from_utf8(canonical.text(root)).unwrap_or_default();
        let mut tape = Tape::default();
        tape.read(text).ok().and_then(|()| sum(tape.root(text))).unwrap_or_default()
    });
    (mixed(sum) >> 32) as u32
}

fn mixed(number: u64) -> u64 {
    let product = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    product ^ (product >> 32)
}

/// What a name or a value counts: its length, its first eight bytes and its last eight.
#[inline(always)]
fn weight(text: &[u8], start: usize, end: usize) -> u64 {
    let length = end - start;
    let eight = |at: usize| {
        text.get(at..at + 8)
            .map(|eight| u64::from_le_bytes(eight.try_into().expect("a slice of eight bytes")))
    };
    let (first, last) = match eight(start) {
        Some(first) if length >= 8 => (first, eight(end - 8).unwrap_or_default()),
        Some(first) if length > 0 => (first & (u64::MAX >> (64 - 8 * length)), 0),
        _ => (
            text[start..end].iter().rev().fold(0, |eight, byte| eight << 8 | u64::from(*byte)),
            0,
        ),
    };
    mixed(mixed(first ^ (length as u64) << 32) ^ last)
}

/// What the names in a [`Word`](super::Word) count.
fn names_of_word() -> u64 {
    ["word", "start", "end"]
        .iter()
        .fold(0, |sum, name| sum.wrapping_add(weight(name.as_bytes(), 0, name.len())))
}

/// The sum over all values; `None` unless only the order of members may tell the text from its canonical one: no white space, no repeated
/// names, every number and string spelled canonically.
fn sum(root: Value<'_>) -> Option<u64> {
    let nodes = root.nodes();
    let text = root.text_around().as_bytes();
    let of = |node: &Node| (node.start as usize, node.end as usize);
    let is_spelled_well = |node: &Node| is_spelled_canonically(&text[node.start as usize..node.end as usize]);
    let names_of_word = names_of_word();
    let (mut sum, mut told, mut filled) = (0u64, 0, 0);
    let mut place = 0;
    while let Some(node) = nodes.get(place) {
        let (start, end) = of(node);
        place += 1;
        match node.shape {
            Shape::Null | Shape::True | Shape::False => told += end - start,
            Shape::Number => {
                told += end - start;
                if !is_spelled_well(node) {
                    return None;
                }
            }
            Shape::String => {
                told += end - start + 2;
                if node.escaped && !has_only_short_escapes(&text[start..end]) {
                    return None;
                }
            }
            Shape::Object if node.escaped => {
                let [spelling, from, to] = [1, 3, 5].map(|behind| &nodes[place + behind]);
                if !is_spelled_well(from) || !is_spelled_well(to) {
                    return None;
                }
                for value in [spelling, from, to] {
                    let (start, end) = of(value);
                    sum = sum.wrapping_add(weight(text, start, end));
                }
                sum = sum.wrapping_add(names_of_word);
                told += end - start - WORD_MARKS;
                filled += 1;
                place = node.next as usize;
                continue;
            }
            Shape::Array | Shape::Object => {
                told += 2;
                filled += usize::from(node.next as usize > place);
                let many = || has_repeats::<MEMBERS>(root, place, node);
                if node.shape == Shape::Object && has_repeats::<FEW_MEMBERS>(root, place, node) && many() {
                    return None;
                }
                continue;
            }
        }
        sum = sum.wrapping_add(weight(text, start, end));
    }
    // A colon behind each name, a comma before each value but the first of its container: all other bytes are white space.
    (told + nodes.len() - 1 - filled == text.len()).then_some(sum)
}

#[inline(always)]
fn is_spelled_canonically(number: &[u8]) -> bool {
    is_canonical(number) || std::str::from_utf8(number).is_ok_and(|raw| canonical_number(raw) == raw)
}

/// Whether two members may have the same name, or there are more than `MOST`; never wrong when it says no.
#[inline(always)]
fn has_repeats<const MOST: usize>(root: Value<'_>, first: usize, object: &Node) -> bool {
    let mut tags = [0; MOST];
    let (mut count, mut at) = (0, first);
    while at < object.next as usize {
        let tag = root.at(at).tag();
        if count == MOST || tags[..count].contains(&tag) {
            return true;
        }
        tags[count] = tag;
        count += 1;
        at = root.nodes()[at + 1].next as usize;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::super::Tape;
    use super::*;

    fn of(text: &str) -> (u32, bool) {
        let mut tape = Tape::default();
        tape.read(text).unwrap();
        let root = tape.root(text);
        (likeness(root, &mut Canonical::default()), sum(root).is_some())
    }

    #[test]
    fn all_spellings_of_a_value_are_alike() {
        let (plain, short) = of(r#"{"b":[1,0.5,"a\n\"ä"],"a":{"x":null,"y":-3,"transcript":1,"transcript_object":2},"c":[]}"#);
        assert!(short);
        for other in [
            r#"{"a":{"y":-3,"x":null,"transcript_object":2,"transcript":1},"c":[],"b":[1,0.5,"a\n\"ä"]}"#,
            r#"{"c":7,"a":{"y":-3,"x":null,"transcript_object":2,"transcript":1},"c":[],"b":[1,0.5,"a\n\"ä"]}"#,
            r#" {"a":{"y":-3.0,"x":null,"transcript_object":2,"transcript":1},"c":[ ],"b":[1e0,5e-1,"\u0061\n\u0022\u00e4"]}"#,
            "\u{feff}{\"a\":{\"y\":-3,\"x\":null,\"transcript_object\":2,\"transcript\":1},\"c\":[],\"b\":[1,0.5,\"a\\n\\\"ä\"]}",
        ] {
            assert_eq!(of(other).0, plain, "{other}");
        }
        assert!(!of(r#"{"a":1.0}"#).1 && !of(r#"{"a":1,"a":1}"#).1 && !of(r#"{"a": 1}"#).1 && !of(r#""\u0041""#).1);
        assert!(of("[]").1 && of("{}").1 && of("7").1 && of(r#"[[],{},[{}]]"#).1 && of("0.30000000000000004").1);
    }

    #[test]
    fn what_differs_is_told_apart() {
        let mut seen: Vec<u32> = (0..1000)
            .map(|n| of(&format!(r#"{{"at":{}}}"#, 1_793_541_600_000u64 + n)).0)
            .collect();
        seen.extend((0..1000).map(|n| of(&format!(r#"{{"words":[{{"word":"so ","start":{n},"end":7}}]}}"#)).0));
        let count = seen.len();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), count);
    }

    #[test]
    fn words_are_alike_in_every_spelling() {
        let (plain, short) = of(r#"[{"word":"so ","start":1.86,"end":2.188},{"word":"it ","start":2,"end":3}]"#);
        assert!(short);
        for other in [
            r#"[{"end":2.188,"word":"so ","start":1.86},{"word":"it ","start":2,"end":3}]"#,
            r#"[{"word":"so ","start":1.86,"end":2.188},{"word":"it ","start":2.0,"end":3}]"#,
            r#"[{"word":"so ","start":1.86,"end":2.188}, {"word":"it ","start":2,"end":3 }]"#,
            r#"[{"word":"so ","start":1.86,"end":2.188},{"word":"it ","start":2,"end":3,"end":3}]"#,
        ] {
            assert_eq!(of(other).0, plain, "{other}");
        }
    }
}

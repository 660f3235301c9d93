//! Passes over a JSON text once and finds every fault. No recursion: no input overflows the stack.

use crate::limit::JSON_DEPTH;

/// Why a text cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bad {
    /// Not JSON.
    Syntax,
    /// Nested deeper than [`JSON_DEPTH`].
    TooDeep,
}

/// The inside of a string: bytes between its quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// First byte behind the opening quote.
    pub start: usize,
    /// The closing quote.
    pub end: usize,
    /// True when there is a backslash inside.
    pub escaped: bool,
}

/// The three words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Literal {
    /// `null`
    Null,
    /// `true`
    True,
    /// `false`
    False,
}

/// Is told what [`walk()`] passes, in order. Every method does nothing unless written otherwise.
pub trait Sink {
    /// `{` or `[` at this place.
    fn open(&mut self, _at: usize, _object: bool) {}
    /// The bracket that closes the last open one.
    fn close(&mut self, _at: usize) {}
    /// The name of a member; its value follows.
    fn key(&mut self, _span: Span) {}
    /// A string as value.
    fn string(&mut self, _span: Span) {}
    /// A number, from here to there.
    fn number(&mut self, _start: usize, _end: usize) {}
    /// `null`, `true` or `false`, from here to there.
    fn literal(&mut self, _start: usize, _end: usize, _literal: Literal) {}
    /// A whole object that is a word with its times, see [`Word`].
    fn word(&mut self, word: &Word) {
        self.open(word.at, true);
        self.key(word.name(WORD));
        self.string(word.spelling);
        self.key(word.name_before(word.start.0, START));
        self.number(word.start.0, word.start.1);
        self.key(word.name_before(word.end.0, END));
        self.number(word.end.0, word.end.1);
        self.close(word.end.1);
    }
}

/// A word of a transcript letter by letter as Retell spells it: `{"word":"so ","start":1.86,"end":2.188}`. Four fifths of a long body
/// are these, so they are passed in one go.
#[derive(Debug, Clone, Copy)]
pub struct Word {
    /// The opening bracket.
    pub at: usize,
    /// The word, without escapes.
    pub spelling: Span,
    /// From where to where the number of its start stands.
    pub start: (usize, usize),
    /// The same of its end; the closing bracket follows.
    pub end: (usize, usize),
}

const WORD: &[u8] = b"{\"word\":\"";
const START: &[u8] = b"\",\"start\":";
const END: &[u8] = b",\"end\":";

impl Word {
    fn name(&self, opening: &[u8]) -> Span {
        Span {
            start: self.at + 2,
            end: self.at + opening.len() - 3,
            escaped: false,
        }
    }

    fn name_before(&self, number: usize, opening: &[u8]) -> Span {
        let end = number - 2;
        let before = opening.iter().filter(|byte| byte.is_ascii_lowercase()).count();
        Span {
            start: end - before,
            end,
            escaped: false,
        }
    }
}

/// The word whose object begins at `at`, if it is one spelled so; what is not is read like any other object.
#[inline(always)]
pub(super) fn word(text: &[u8], at: usize) -> Option<Word> {
    let begins = |at: usize, with: &[u8]| text.get(at..at + with.len()) == Some(with);
    if !begins(at, WORD) {
        return None;
    }
    let spelling = string(text, at + WORD.len())
        .ok()
        .filter(|span| !span.escaped && begins(span.end, START))?;
    let start = spelling.end + START.len();
    let start = (start, number(text, start).ok().filter(|end| begins(*end, END))?);
    let end = start.1 + END.len();
    let end = (end, number(text, end).ok().filter(|end| byte(text, *end) == b'}')?);
    Some(Word { at, spelling, start, end })
}

/// Which brackets are open: one bit each, set for an object.
struct Nest {
    objects: [u64; JSON_DEPTH / 64],
    depth: usize,
    in_object: bool,
}

impl Nest {
    fn push(&mut self, object: bool) -> Result<(), Bad> {
        if self.depth == JSON_DEPTH {
            return Err(Bad::TooDeep);
        }
        let bit = 1u64 << (self.depth % 64);
        let word = &mut self.objects[self.depth / 64];
        *word = if object { *word | bit } else { *word & !bit };
        self.depth += 1;
        self.in_object = object;
        Ok(())
    }

    fn pop(&mut self) {
        self.depth -= 1;
        if self.depth > 0 {
            let parent = self.depth - 1;
            self.in_object = self.objects[parent / 64] >> (parent % 64) & 1 == 1;
        }
    }
}

/// Reads `text` (valid UTF-8; a leading byte order mark and white space around are tolerated) to its end.
pub fn walk(text: &[u8], sink: &mut impl Sink) -> Result<(), Bad> {
    let start = if text.starts_with(b"\xEF\xBB\xBF") { 3 } else { 0 };
    let end = walk_value(text, start, 0, sink)?;
    if space(text, end) == text.len() { Ok(()) } else { Err(Bad::Syntax) }
}

/// Reads the one value that begins at `start` within `outside` open brackets, and gives its end.
pub(super) fn walk_value(text: &[u8], start: usize, outside: usize, sink: &mut impl Sink) -> Result<usize, Bad> {
    let mut nest = Nest {
        objects: [0; JSON_DEPTH / 64],
        depth: outside,
        in_object: false,
    };
    let mut at = start;
    loop {
        at = space(text, at);
        match byte(text, at) {
            b'"' => {
                let span = string(text, at + 1)?;
                sink.string(span);
                at = span.end + 1;
            }
            b'-' | b'0'..=b'9' => {
                let end = number(text, at)?;
                sink.number(at, end);
                at = end;
            }
            b'{' => {
                if let Some(word) = word(text, at).filter(|_| nest.depth < JSON_DEPTH) {
                    sink.word(&word);
                    at = word.end.1 + 1;
                } else {
                    nest.push(true)?;
                    sink.open(at, true);
                    at = space(text, at + 1);
                    if byte(text, at) != b'}' {
                        at = key(text, at, sink)?;
                        continue;
                    }
                    sink.close(at);
                    nest.pop();
                    at += 1;
                }
            }
            b'[' => {
                nest.push(false)?;
                sink.open(at, false);
                at = space(text, at + 1);
                if byte(text, at) != b']' {
                    continue;
                }
                sink.close(at);
                nest.pop();
                at += 1;
            }
            _ => {
                let (literal, end) = literal(text, at)?;
                sink.literal(at, end, literal);
                at = end;
            }
        }
        // A value has ended: close what it closes, then go on to the next one.
        loop {
            if nest.depth == outside {
                return Ok(at);
            }
            at = space(text, at);
            match (byte(text, at), nest.in_object) {
                (b',', true) => {
                    at = space(text, at + 1);
                    at = key(text, at, sink)?;
                    break;
                }
                (b',', false) => {
                    at += 1;
                    break;
                }
                (b'}', true) | (b']', false) => {
                    sink.close(at);
                    nest.pop();
                    at += 1;
                }
                _ => return Err(Bad::Syntax),
            }
        }
    }
}

/// The byte at `at`; behind the end a zero, which is no JSON outside of strings and a fault inside.
#[inline(always)]
fn byte(text: &[u8], at: usize) -> u8 {
    text.get(at).copied().unwrap_or(0)
}

#[inline(always)]
fn space(text: &[u8], mut at: usize) -> usize {
    while matches!(byte(text, at), b' ' | b'\n' | b'\r' | b'\t') {
        at += 1;
    }
    at
}

/// Reads a member's name and the colon.
#[inline(always)]
fn key(text: &[u8], at: usize, sink: &mut impl Sink) -> Result<usize, Bad> {
    if byte(text, at) != b'"' {
        return Err(Bad::Syntax);
    }
    let span = string(text, at + 1)?;
    sink.key(span);
    let colon = space(text, span.end + 1);
    if byte(text, colon) != b':' {
        return Err(Bad::Syntax);
    }
    Ok(colon + 1)
}

const LOW: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// The high bit of each byte that ends a run of plain text: quote, backslash, or below a space. Only the lowest set bit is exact
/// (a borrow may set higher ones), and only the lowest is used.
#[inline(always)]
fn stops(eight: u64) -> u64 {
    let quote = eight ^ (LOW * b'"' as u64);
    let slash = eight ^ (LOW * b'\\' as u64);
    let control = eight.wrapping_sub(LOW * 0x20) & !eight;
    ((quote.wrapping_sub(LOW) & !quote) | (slash.wrapping_sub(LOW) & !slash) | control) & HIGH
}

/// Finds the end of the string whose inside begins at `start`.
#[inline(always)]
pub(super) fn string(text: &[u8], start: usize) -> Result<Span, Bad> {
    let mut at = start;
    let mut escaped = false;
    loop {
        while let Some(eight) = text.get(at..at + 8) {
            let stops = stops(u64::from_le_bytes(eight.try_into().expect("a slice of eight bytes")));
            if stops != 0 {
                at += (stops.trailing_zeros() / 8) as usize;
                break;
            }
            at += 8;
        }
        match byte(text, at) {
            b'"' => return Ok(Span { start, end: at, escaped }),
            b'\\' => {
                escaped = true;
                at = escape(text, at + 1)?;
            }
            0..0x20 => return Err(Bad::Syntax),
            _ => at += 1,
        }
    }
}

/// Steps over the part of an escape behind the backslash.
fn escape(text: &[u8], at: usize) -> Result<usize, Bad> {
    match byte(text, at) {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Ok(at + 1),
        b'u' => match text.get(at + 1..at + 5) {
            Some(digits) if digits.iter().all(u8::is_ascii_hexdigit) => Ok(at + 5),
            _ => Err(Bad::Syntax),
        },
        _ => Err(Bad::Syntax),
    }
}

#[inline(always)]
fn digits(text: &[u8], mut at: usize) -> usize {
    while let Some(eight) = text.get(at..at + 8) {
        // Zero in the high half of each byte that is a digit, whatever is added to its low half.
        let eight = u64::from_le_bytes(eight.try_into().expect("a slice of eight bytes"));
        let others = ((eight & (LOW * 0xF0)) ^ (LOW * 0x30)) | (((eight & (LOW * 0x0F)) + LOW * 0x06) & (LOW * 0xF0));
        if others != 0 {
            return at + (others.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while byte(text, at).is_ascii_digit() {
        at += 1;
    }
    at
}

#[inline(always)]
fn number(text: &[u8], start: usize) -> Result<usize, Bad> {
    let first = if byte(text, start) == b'-' { start + 1 } else { start };
    let mut at = digits(text, first);
    if at == first || (byte(text, first) == b'0' && at > first + 1) {
        return Err(Bad::Syntax);
    }
    if byte(text, at) == b'.' {
        let fraction = at + 1;
        at = digits(text, fraction);
        if at == fraction {
            return Err(Bad::Syntax);
        }
    }
    if matches!(byte(text, at), b'e' | b'E') {
        let mut exponent = at + 1;
        if matches!(byte(text, exponent), b'+' | b'-') {
            exponent += 1;
        }
        at = digits(text, exponent);
        if at == exponent {
            return Err(Bad::Syntax);
        }
    }
    Ok(at)
}

fn literal(text: &[u8], at: usize) -> Result<(Literal, usize), Bad> {
    let rest = text.get(at..).unwrap_or_default();
    for (word, literal) in [("null", Literal::Null), ("true", Literal::True), ("false", Literal::False)] {
        if rest.starts_with(word.as_bytes()) {
            return Ok((literal, at + word.len()));
        }
    }
    Err(Bad::Syntax)
}

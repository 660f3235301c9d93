//! Strings: from their escaped form to what is meant, and to what may be shown.

use std::borrow::Cow;

/// A string's content, and whether it was whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded<'a> {
    /// The text; each lone surrogate is U+FFFD.
    pub text: Cow<'a, str>,
    /// True when there was a lone surrogate, which no UTF-8 can hold.
    pub lone_surrogate: bool,
}

/// One step through the inside of a string.
pub(super) enum Piece<'a> {
    /// Text without escapes.
    Plain(&'a str),
    /// An escaped character.
    Char(char),
    /// Half of a pair without the other half.
    Lone(u16),
}

/// The pieces of the inside of a string that [`super::walk()`] has passed.
pub(super) fn pieces(raw: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = raw;
    std::iter::from_fn(move || {
        let first = rest.as_bytes().first()?;
        if *first != b'\\' {
            let end = memchr::memchr(b'\\', rest.as_bytes()).unwrap_or(rest.len());
            let (plain, after) = rest.split_at(end);
            rest = after;
            return Some(Piece::Plain(plain));
        }
        let letter = *rest.as_bytes().get(1)?;
        if letter != b'u' {
            rest = &rest[2..];
            return Some(Piece::Char(short(letter)));
        }
        let high = unit(&rest[2..6]);
        rest = &rest[6..];
        if !(0xD800..0xE000).contains(&high) {
            return Some(char::from_u32(u32::from(high)).map_or(Piece::Lone(high), Piece::Char));
        }
        let low = rest.strip_prefix("\\u").map(|digits| unit(&digits[..4])).filter(|_| high < 0xDC00);
        match low {
            Some(low) if (0xDC00..0xE000).contains(&low) => {
                rest = &rest[6..];
                let code = 0x10000 + ((u32::from(high) - 0xD800) << 10) + (u32::from(low) - 0xDC00);
                Some(char::from_u32(code).map_or(Piece::Lone(high), Piece::Char))
            }
            _ => Some(Piece::Lone(high)),
        }
    })
}

fn unit(digits: &str) -> u16 {
    u16::from_str_radix(digits, 16).expect("the walk has checked these four hex digits")
}

fn short(letter: u8) -> char {
    match letter {
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        other => char::from(other),
    }
}

/// The content of a string from its inside; borrowed when nothing is escaped.
pub fn decode(raw: &str, escaped: bool) -> Decoded<'_> {
    if !escaped {
        return Decoded {
            text: Cow::Borrowed(raw),
            lone_surrogate: false,
        };
    }
    let mut text = String::with_capacity(raw.len());
    let mut lone_surrogate = false;
    for piece in pieces(raw) {
        match piece {
            Piece::Plain(plain) => text.push_str(plain),
            Piece::Char(char) => text.push(char),
            Piece::Lone(_) => {
                text.push(char::REPLACEMENT_CHARACTER);
                lone_surrogate = true;
            }
        }
    }
    Decoded {
        text: Cow::Owned(text),
        lone_surrogate,
    }
}

/// What may stand in a text column: without NUL, and `None` when nothing is left (rule A6).
pub fn shown(text: Cow<'_, str>) -> Option<Cow<'_, str>> {
    let text = if memchr::memchr(0, text.as_bytes()).is_some() {
        Cow::Owned(text.replace('\0', ""))
    } else {
        text
    };
    (!text.is_empty()).then_some(text)
}

/// True when no control character is inside (rule A7).
pub fn is_plain(text: &str) -> bool {
    !text.chars().any(|char| matches!(char, '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}'))
}

//! The canonical text of a JSON value (rule B1): what two spellings of the same value have in common.
//!
//! Names sorted by their bytes, of repeated ones only the last, no white space; integral numbers within 64 bits as integers, other
//! finite ones as the shortest text of their 64-bit float, the rest as spelled; strings with the fewest escapes.

use std::cmp::Ordering;

use smallvec::SmallVec;

use super::number::Number;
use super::spoken::{Spoken, spoken};
use super::tape::{Shape, Value};
use super::text::{Piece, decode, pieces};

/// Members of the object `inside` (a member of the outermost one) that are left out.
#[derive(Debug, Clone, Copy)]
pub struct Omit<'a> {
    /// Name of the object.
    pub inside: &'a str,
    /// Names of its members to leave out.
    pub names: &'a [&'a str],
}

/// One member while its object is sorted.
#[derive(Debug, Clone, Copy)]
struct Member {
    /// The first eight bytes of the name, so that most comparisons are one of numbers.
    prefix: u64,
    name: usize,
}

/// Writes canonical texts; kept between texts for its memory.
#[derive(Debug, Default)]
pub struct Canonical {
    out: Vec<u8>,
    members: Vec<Member>,
    /// Values whose places in the canonical text are wanted, and these places.
    watched: SmallVec<[Watched; 4]>,
}

/// A member's value whose place in the canonical text is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Watched {
    /// Its place on the tape.
    pub value: usize,
    /// From where to where it stands in the canonical text.
    pub stands: (usize, usize),
}

impl Canonical {
    /// The canonical text of `value`.
    pub fn text(&mut self, value: Value<'_>) -> &[u8] {
        self.watched.clear();
        self.out.clear();
        self.write(value, None, &[]);
        &self.out
    }

    /// Writes the canonical text of a list of turns behind what [`Canonical::more`] has written, see [`spoken()`].
    pub(crate) fn spoken(&mut self, text: &str, at: usize) -> Option<Spoken> {
        spoken(text, at, &mut self.out)
    }

    /// Forgets what was written, before [`Canonical::more`].
    pub(crate) fn clear(&mut self) {
        self.watched.clear();
        self.out.clear();
    }

    /// Writes the canonical text of `value` behind what is there.
    pub(crate) fn more(&mut self, value: Value<'_>) {
        self.write(value, None, &[]);
    }

    /// What was written since [`Canonical::clear`].
    pub(crate) fn written(&self) -> &[u8] {
        &self.out
    }

    /// The same without some members.
    pub fn text_without(&mut self, value: Value<'_>, omit: Omit<'_>) -> &[u8] {
        self.watched.clear();
        self.out.clear();
        self.write(value, Some(omit), &[]);
        &self.out
    }

    /// The canonical text of `value`, and where the members' values at these places of the tape stand in it, in their order in this text.
    pub(crate) fn text_watching(&mut self, value: Value<'_>, places: impl Iterator<Item = usize>) -> (&[u8], &[Watched]) {
        self.watched.clear();
        self.watched.extend(places.map(|value| Watched { value, stands: (0, 0) }));
        self.out.clear();
        self.write(value, None, &[]);
        self.watched.sort_unstable_by_key(|watched| watched.stands);
        (&self.out, &self.watched)
    }

    /// Gives memory back after an unusually large text.
    pub fn shrink(&mut self, bytes: usize) {
        self.out.clear();
        self.out.shrink_to(bytes);
        self.members.clear();
        self.members.shrink_to(bytes / size_of::<Member>());
    }

    /// As deep as the value, which the walk has bounded.
    fn write(&mut self, value: Value<'_>, omit: Option<Omit<'_>>, leave_out: &[&str]) {
        match value.shape() {
            Shape::Null | Shape::True | Shape::False => self.out.extend_from_slice(value.raw().as_bytes()),
            Shape::Number => self.number(value.raw()),
            Shape::String => self.string(value),
            Shape::Array if spoken(value.text_around(), value.extent().0, &mut self.out).is_some() => {}
            Shape::Array => {
                self.out.push(b'[');
                for (place, element) in value.elements().enumerate() {
                    if place > 0 {
                        self.out.push(b',');
                    }
                    self.write(element, None, &[]);
                }
                self.out.push(b']');
            }
            Shape::Object if leave_out.is_empty() && self.word(value) => {}
            Shape::Object => self.object(value, omit, leave_out),
        }
    }

    fn object(&mut self, object: Value<'_>, omit: Option<Omit<'_>>, leave_out: &[&str]) {
        let first = self.members.len();
        for (name, _) in object.members() {
            if leave_out.is_empty() || !leave_out.iter().any(|out| name.is(out)) {
                self.members.push(Member {
                    prefix: name.prefix(),
                    name: name.place(),
                });
            }
        }
        let repeats = sort(object, &mut self.members[first..]);
        let last = self.members.len();
        self.out.push(b'{');
        for place in first..last {
            let member = self.members[place];
            if repeats && place + 1 < last && compare(object, &member, &self.members[place + 1]) == Ordering::Equal {
                continue;
            }
            if self.out.last() != Some(&b'{') {
                self.out.push(b',');
            }
            self.member(object.at(member.name), omit);
        }
        self.out.push(b'}');
        self.members.truncate(first);
    }

    fn member(&mut self, name: Value<'_>, omit: Option<Omit<'_>>) {
        let value = name.at(name.place() + 1);
        let ((start, name_end), (value_start, end)) = (name.extent(), value.extent());
        let text = name.text_around();
        // Most members are spelled canonically from quote to comma: one copy.
        if value_start == name_end + 1 && !name.escaped() && is_canonical_leaf(value) {
            self.out.extend_from_slice(&text.as_bytes()[start..end]);
            return self.note(value, self.out.len() - (end - value_start));
        }
        self.string(name);
        self.out.push(b':');
        let from = self.out.len();
        let inner = omit.filter(|omit| name.is(omit.inside)).map_or(&[][..], |omit| omit.names);
        self.write(value, None, inner);
        self.note(value, from);
    }

    /// Notes where a watched value stands.
    #[inline(always)]
    fn note(&mut self, value: Value<'_>, from: usize) {
        if let Some(watched) = self.watched.iter_mut().find(|watched| watched.value == value.place()) {
            watched.stands = (from, self.out.len());
        }
    }

    /// A [`Word`](super::Word) with canonical numbers; false if it is none.
    #[inline(always)]
    fn word(&mut self, object: Value<'_>) -> bool {
        let Some([spelling, start, end]) = object.word() else {
            return false;
        };
        let (start, end) = (start.raw().as_bytes(), end.raw().as_bytes());
        if !is_canonical(start) || !is_canonical(end) {
            return false;
        }
        let spelling = spelling.raw().as_bytes();
        for part in [&b"{\"end\":"[..], end, b",\"start\":", start, b",\"word\":\"", spelling, b"\"}"] {
            self.out.extend_from_slice(part);
        }
        true
    }

    fn number(&mut self, raw: &str) {
        if is_canonical(raw.as_bytes()) {
            return self.out.extend_from_slice(raw.as_bytes());
        }
        self.out.extend_from_slice(canonical_number(raw).as_bytes());
    }

    fn string(&mut self, value: Value<'_>) {
        let raw = value.raw();
        if !value.escaped() || has_only_short_escapes(raw.as_bytes()) {
            let (start, end) = value.extent();
            return self.out.extend_from_slice(&value.text_around().as_bytes()[start..end]);
        }
        self.out.push(b'"');
        for piece in pieces(raw) {
            self.piece(&piece);
        }
        self.out.push(b'"');
    }

    fn piece(&mut self, piece: &Piece<'_>) {
        match piece {
            Piece::Plain(plain) => self.out.extend_from_slice(plain.as_bytes()),
            Piece::Lone(unit) => self.out.extend_from_slice(format!("\\u{unit:04x}").as_bytes()),
            Piece::Char(char) => match char {
                '"' => self.out.extend_from_slice(b"\\\""),
                '\\' => self.out.extend_from_slice(b"\\\\"),
                '\u{8}' => self.out.extend_from_slice(b"\\b"),
                '\u{c}' => self.out.extend_from_slice(b"\\f"),
                '\n' => self.out.extend_from_slice(b"\\n"),
                '\r' => self.out.extend_from_slice(b"\\r"),
                '\t' => self.out.extend_from_slice(b"\\t"),
                '\0'..='\u{1f}' => self.out.extend_from_slice(format!("\\u{:04x}", u32::from(*char)).as_bytes()),
                other => self.out.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
            },
        }
    }
}

/// The canonical text of any number.
#[cold]
fn canonical_number(raw: &str) -> String {
    let number = Number(raw);
    match (number.integral(), number.float()) {
        (Some(integer), _) => integer.to_string(),
        (None, Some(float)) => format!("{float:?}"),
        (None, None) => raw.to_owned(),
    }
}

/// Whether the spelling is already the canonical one. Sure cases only: up to 15 digits always survive the way through a 64-bit
/// float, so a fraction without needless zeros is its own shortest text.
pub(super) fn is_canonical(raw: &[u8]) -> bool {
    let mut point = raw.len();
    for (place, byte) in raw.iter().enumerate() {
        if !byte.is_ascii_digit() {
            if *byte != b'.' || point < raw.len() {
                return false;
            }
            point = place;
        }
    }
    if point == raw.len() {
        return raw.len() <= 18;
    }
    // Below a ten-thousandth the shortest text has an exponent.
    let is_tiny = || raw[0] == b'0' && raw[point + 1..].iter().take(3).all(|digit| *digit == b'0');
    raw.len() <= 16 && raw[raw.len() - 1] != b'0' && !is_tiny()
}

/// True when every escape inside is one that the canonical text uses as well.
pub(super) fn has_only_short_escapes(raw: &[u8]) -> bool {
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        if matches!(rest[at + 1], b'u' | b'/') {
            return false;
        }
        rest = &rest[at + 2..];
    }
    true
}

/// True when the value is no container and spelled canonically.
#[inline(always)]
fn is_canonical_leaf(value: Value<'_>) -> bool {
    match value.shape() {
        Shape::Null | Shape::True | Shape::False => true,
        Shape::Number => is_canonical(value.raw().as_bytes()),
        Shape::String => !value.escaped(),
        Shape::Array | Shape::Object => false,
    }
}

/// Longest object that is sorted by insertion: Retell's objects are short, and their names mostly differ early.
const INSERTION: usize = 40;

/// Sorts the members by name, equal ones in their order; says whether there are equal ones.
fn sort(object: Value<'_>, members: &mut [Member]) -> bool {
    if members.len() > INSERTION {
        members.sort_by(|one, other| compare(object, one, other));
        return members
            .windows(2)
            .any(|pair| compare(object, &pair[0], &pair[1]) == Ordering::Equal);
    }
    let mut repeats = false;
    for place in 1..members.len() {
        let member = members[place];
        let mut hole = place;
        while hole > 0 {
            match compare(object, &members[hole - 1], &member) {
                Ordering::Less => break,
                Ordering::Equal => {
                    repeats = true;
                    break;
                }
                Ordering::Greater => members[hole] = members[hole - 1],
            }
            hole -= 1;
        }
        members[hole] = member;
    }
    repeats
}

#[inline(always)]
fn compare(object: Value<'_>, one: &Member, other: &Member) -> Ordering {
    match one.prefix.cmp(&other.prefix) {
        Ordering::Equal => compare_names(object.at(one.name), object.at(other.name)),
        unequal => unequal,
    }
}

fn compare_names(one: Value<'_>, other: Value<'_>) -> Ordering {
    if !one.escaped() && !other.escaped() {
        return one.raw().cmp(other.raw());
    }
    let (decoded, decoded_other) = (decode(one.raw(), one.escaped()), decode(other.raw(), other.escaped()));
    let same = decoded.text.cmp(&decoded_other.text);
    // Two lone surrogates look alike when shown but are different names.
    let lone = decoded.lone_surrogate || decoded_other.lone_surrogate;
    same.then_with(|| {
        if lone {
            one.raw().to_ascii_lowercase().cmp(&other.raw().to_ascii_lowercase())
        } else {
            Ordering::Equal
        }
    })
}

//! Earlier records of a batch that say nothing a later event of the call does not say as well: the same text but for the moment and for
//! a transcript that can count no more. While a call runs nearly all its records are such, so they are not read like others: the text
//! they share is compared, the rest is read, and the hash (rule B1) goes on from where the shared text ends.

use bytes::Bytes;
use sha2::{Digest, Sha256};
use smallvec::SmallVec;

use super::envelope::Envelope;
use super::pass::{SCRATCH, Scratch};
use super::reader::{Reader, Rest};
use super::{Event, Stamp, sources};
use crate::id::Kind;
use crate::instant::Millis;
use crate::json::{Canonical, Shape, Spoken, Tape, Value, tag};
use crate::name::Name;
use crate::record::Opened;
use crate::transcript::{Sources, Transcript};

/// A record that was taken for an echo of a later event.
#[derive(Debug, Clone, Copy)]
pub struct Echo {
    received_at: Millis,
    whole: [u8; 32],
}

impl Echo {
    /// Its place among the records of the call.
    pub fn stamp(&self) -> Stamp {
        Stamp::of_whole(self.received_at, self.whole)
    }

    /// When the door took it.
    pub fn received_at(&self) -> Millis {
        self.received_at
    }
}

/// A member whose value may differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Moment,
    ItemsBeside,
    Items,
    Utterances,
    Lines,
}

impl Part {
    /// Whether its value is a list of what was said.
    fn is_list(self) -> bool {
        matches!(self, Part::ItemsBeside | Part::Items | Part::Utterances)
    }

    /// Brackets that are open around its value.
    fn depth(self) -> usize {
        match self {
            Part::Moment | Part::ItemsBeside => 1,
            Part::Items | Part::Utterances | Part::Lines => 2,
        }
    }
}

/// From where to where a part's value stands in the body.
#[derive(Debug, Clone, Copy)]
struct Place {
    part: Part,
    stands: (u32, u32),
}

/// What an echo of an event has to look like.
#[derive(Debug)]
pub(super) struct Pattern {
    /// In the order of the body.
    places: SmallVec<[Place; 4]>,
    /// Of the canonical text as far as the first part.
    ahead: Sha256,
    /// In the order of the canonical text: which part comes next, and where in `between` the text behind it ends.
    canonical: SmallVec<[(u8, u32); 4]>,
    between: Box<[u8]>,
}

impl Pattern {
    /// The stamp of a `transcript_updated` of a call, and what its echoes look like, if that can be said.
    pub fn of(received_at: Millis, root: Value<'_>, call: Option<Value<'_>>, canonical: &mut Canonical) -> (Stamp, Option<Box<Pattern>>) {
        let Some(parts) = call.and_then(|call| parts(root, call)) else {
            return (Stamp::of(received_at, root, false, canonical), None);
        };
        let (text, watched) = canonical.text_watching(root, parts.iter().map(|(_, value)| value.place()));
        let mut hasher = Sha256::new();
        let first = watched.first().map_or(0, |watched| watched.stands.0);
        hasher.update(&text[..first]);
        let ahead = hasher.clone();
        hasher.update(&text[first..]);
        let stamp = Stamp::of_whole(received_at, hasher.finalize().into());
        let mut between = Vec::new();
        let mut order = SmallVec::new();
        for (nth, watched_one) in watched.iter().enumerate() {
            let Some(part) = parts.iter().position(|(_, value)| value.place() == watched_one.value) else {
                return (stamp, None);
            };
            let end = watched.get(nth + 1).map_or(text.len(), |next| next.stands.0);
            between.extend_from_slice(&text[watched_one.stands.1..end]);
            order.push((part as u8, between.len() as u32));
        }
        let places = parts.iter().map(|(part, value)| {
            let (from, to) = value.extent();
            Place {
                part: *part,
                stands: (from as u32, to as u32),
            }
        });
        let pattern = Pattern {
            places: places.collect(),
            ahead,
            canonical: order,
            between: between.into_boxed_slice(),
        };
        (stamp, Some(Box::new(pattern)))
    }

    /// Reads a body that may be an echo of the one this was made of: its hash and the size of its transcript.
    fn read(&self, of: &Bytes, body: &str, received_at: Millis, scratch: &mut Scratch) -> Option<([u8; 32], (u32, u64))> {
        let Scratch { tape, canonical } = scratch;
        tape.clear();
        canonical.clear();
        let mut values: SmallVec<[Passed; 4]> = SmallVec::new();
        let (mut at, mut shared_from) = (0, 0);
        for Place { part, stands } in &self.places {
            let shared = &of[shared_from..stands.0 as usize];
            let rest = body.as_bytes().get(at..)?;
            if !rest.starts_with(shared) {
                return None;
            }
            let (start, from) = (at + shared.len(), canonical.written().len());
            let spoken = if part.is_list() { canonical.spoken(body, start) } else { None };
            let (end, what) = match spoken {
                Some(Spoken { end, size: Some(size) }) => (end, What::Spoken(size)),
                _ => {
                    let (place, end) = tape.read_part(body, start, part.depth()).ok()?;
                    (end, What::Read(place))
                }
            };
            values.push(Passed {
                what,
                written: (from, canonical.written().len()),
            });
            (at, shared_from) = (end, stands.1 as usize);
        }
        if body.as_bytes()[at..] != of[shared_from..] {
            return None;
        }
        for value in &mut values {
            if let What::Read(place) = value.what {
                let from = canonical.written().len();
                canonical.more(tape.part(body, place));
                value.written = (from, canonical.written().len());
            }
        }
        let size = self.size(body, received_at, &values, tape)?;
        let mut hasher = self.ahead.clone();
        let mut from = 0;
        for (part, to) in &self.canonical {
            let (start, end) = values[usize::from(*part)].written;
            hasher.update(&canonical.written()[start..end]);
            hasher.update(&self.between[from..*to as usize]);
            from = *to as usize;
        }
        Some((hasher.finalize().into(), size))
    }

    /// The size of the transcript in these values; `None` when one of them cannot be read.
    fn size(&self, body: &str, received_at: Millis, values: &[Passed], tape: &Tape) -> Option<(u32, u64)> {
        let what = |part: Part| {
            let place = self.places.iter().position(|place| place.part == part)?;
            Some(values[place].what)
        };
        let spoken = |part: Part| match what(part)? {
            What::Spoken(size) => Some(size),
            What::Read(_) => None,
        };
        let value = |part: Part| match what(part)? {
            What::Spoken(_) => None,
            What::Read(place) => Some(tape.part(body, place)),
        };
        let mut reader = Reader::default();
        reader.time(value(Part::Moment), "event_timestamp");
        let inside = spoken(Part::Items);
        let rest = Rest {
            items: value(Part::Items),
            utterances: value(Part::Utterances),
            lines: value(Part::Lines),
            start: None,
        };
        let envelope = Envelope {
            // The list inside the call wins (rule A9).
            items: value(Part::ItemsBeside).filter(|_| inside.is_none()),
            ..Envelope::default()
        };
        let left = sources(&mut reader, &rest, &envelope, Kind::Call, received_at);
        if !reader.unreadable.is_empty() {
            return None;
        }
        let items = inside.or_else(|| spoken(Part::ItemsBeside).filter(|_| left.items.is_none()));
        let lists = [
            (
                items,
                Sources {
                    items: left.items,
                    ..Sources::default()
                },
            ),
            (
                spoken(Part::Utterances),
                Sources {
                    utterances: left.utterances,
                    ..Sources::default()
                },
            ),
            (
                None,
                Sources {
                    lines: left.lines,
                    ..Sources::default()
                },
            ),
        ];
        let sizes = lists
            .into_iter()
            .map(|(known, left)| known.unwrap_or_else(|| Transcript::size_in(&left)));
        // The first with a turn is what the call says.
        Some(sizes.into_iter().find(|(turns, _)| *turns > 0).unwrap_or_default())
    }
}

/// A value of a body that may be an echo.
#[derive(Clone, Copy)]
struct Passed {
    what: What,
    /// Where its canonical text stands.
    written: (usize, usize),
}

/// How it was passed.
#[derive(Clone, Copy)]
enum What {
    /// A list of turns of this size, in one go.
    Spoken((u32, u64)),
    /// Like any other: its place on the tape.
    Read(usize),
}

/// The members whose values may differ, in the order of the body; `None` when one of them, or the call itself, is there twice, or none is.
fn parts<'a>(root: Value<'a>, call: Value<'a>) -> Option<SmallVec<[(Part, Value<'a>); 4]>> {
    const ITEMS: u64 = tag("transcript_with_tool_calls");
    const UTTERANCES: u64 = tag("transcript_object");
    const LINES: u64 = tag("transcript");
    const MOMENT: u64 = tag("event_timestamp");
    const CALL: u64 = tag("call");
    let mut parts: SmallVec<[(Part, Value<'a>); 4]> = SmallVec::new();
    let mut calls = 0;
    let mut note = |part: Part, value: Value<'a>| {
        let is_known = parts.iter().any(|(known, _)| *known == part);
        parts.push((part, value));
        !is_known
    };
    for (name, value) in root.members() {
        let is_new = match name.tag() {
            MOMENT if name.is("event_timestamp") => note(Part::Moment, value),
            ITEMS if name.is("transcript_with_tool_calls") => note(Part::ItemsBeside, value),
            CALL if name.is("call") => {
                calls += 1;
                value.shape() == Shape::Object
                    && value.members().all(|(name, value)| match name.tag() {
                        ITEMS if name.is("transcript_with_tool_calls") => note(Part::Items, value),
                        UTTERANCES if name.is("transcript_object") => note(Part::Utterances, value),
                        LINES if name.is("transcript") => note(Part::Lines, value),
                        _ => true,
                    })
            }
            _ => true,
        };
        if !is_new {
            return None;
        }
    }
    (calls == 1 && call.shape() == Shape::Object && !parts.is_empty()).then_some(parts)
}

impl Event {
    /// What a record is that came before this event in the same batch, if it is an echo of it: the same text but for `event_timestamp` and a
    /// transcript that is smaller than one which is applied with it, so that it can never count (rule B6). Whoever takes an echo must apply
    /// it with this event.
    pub fn echo(&self, record: &Opened<'_>) -> Option<Echo> {
        let pattern = self.pattern.as_ref()?;
        let is_alike = record.tenant() == self.key.tenant && record.workspace() == self.workspace && record.source() == self.source;
        let body = std::str::from_utf8(record.body()).ok().filter(|_| is_alike)?;
        let received_at = record.received_at();
        let read = SCRATCH.with_borrow_mut(|scratch| {
            let read = pattern.read(&self.body, body, received_at, scratch);
            scratch.give_back(body.len());
            read
        });
        let (whole, size) = read?;
        (size < self.covers).then_some(Echo { received_at, whole })
    }

    /// Whether an event of this name has echoes.
    pub(super) fn may_echo(name: Option<Name>, kind: Kind) -> bool {
        name == Some(Name::TranscriptUpdated) && kind == Kind::Call
    }
}

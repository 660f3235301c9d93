//! The stored form of evidence, for ever readable.
//!
//! Version byte; `presumed_at` (0, or 1 and the moment); count of bodies and each: workspace (16 bytes), count of fields, each a tag
//! and its value, then 0 or 1 and the size of its transcript; count of entries and each: moment received, content (8 bytes), whole
//! (4 bytes), name (its place among the documented ones, 255 for none), body. Whole numbers are LEB128, signed ones zigzag first;
//! texts have their length before them; floats are their 64 bits, big endian. A new form gets a new version byte and a new golden file.

use std::sync::Arc;

use uuid::Uuid;

use super::evidence::{Body, Entry, Evidence};
use super::kept::{Kept, Said};
use crate::facts::{Channel, Direction};
use crate::id::WorkspaceId;
use crate::instant::Millis;
use crate::name::{NAMES, Name};

/// The form written now.
pub const STORED_VERSION: u8 = 1;

/// In the place of a name that is not documented.
const NO_NAME: u8 = u8::MAX;

/// Why stored evidence cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnreadableEvidence {
    /// Written by a newer version.
    #[error("usage evidence has stored form {0}; this version reads up to {STORED_VERSION}: upgrade first")]
    NewerVersion(u8),
    /// Cut off, or not evidence.
    #[error("usage evidence is damaged")]
    Damaged,
}

const CHANNELS: [Channel; 4] = [Channel::Phone, Channel::Web, Channel::Chat, Channel::Other];
const DIRECTIONS: [Direction; 3] = [Direction::Inbound, Direction::Outbound, Direction::None];

fn place<T: PartialEq>(table: &[T], value: T) -> u8 {
    table.iter().position(|known| *known == value).expect("the table holds every value") as u8
}

impl Evidence {
    /// The bytes to store.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Out(vec![STORED_VERSION]);
        out.moment_or_none(self.presumed_at);
        out.count(self.bodies.len() as u64);
        for body in &self.bodies {
            out.0.extend_from_slice(body.workspace.0.as_bytes());
            out.count(body.fields.len() as u64);
            body.fields.iter().for_each(|field| out.field(field));
            match body.said {
                None => out.0.push(0),
                Some(said) => {
                    out.0.push(1);
                    out.count(u64::from(said.turns));
                    out.count(said.characters);
                    out.count(u64::from(said.user_turns));
                }
            }
        }
        out.count(self.entries.len() as u64);
        for entry in &self.entries {
            out.number(entry.received_at.0);
            out.0.extend_from_slice(&entry.content);
            out.0.extend_from_slice(&entry.whole);
            out.0.push(entry.name.map_or(NO_NAME, |name| name as u8));
            out.count(u64::from(entry.body));
        }
        out.0
    }

    /// Reads what [`Evidence::encode`] wrote, in this or an older version.
    pub fn decode(bytes: &[u8]) -> Result<Evidence, UnreadableEvidence> {
        match bytes.split_first() {
            Some((&STORED_VERSION, rest)) => In(rest).evidence().ok_or(UnreadableEvidence::Damaged),
            Some((&version, _)) if version > STORED_VERSION => Err(UnreadableEvidence::NewerVersion(version)),
            _ => Err(UnreadableEvidence::Damaged),
        }
    }
}

struct Out(Vec<u8>);

impl Out {
    fn count(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn number(&mut self, value: i64) {
        self.count(((value << 1) ^ (value >> 63)) as u64);
    }

    fn text(&mut self, text: &str) {
        self.count(text.len() as u64);
        self.0.extend_from_slice(text.as_bytes());
    }

    fn moment_or_none(&mut self, at: Option<Millis>) {
        self.0.push(u8::from(at.is_some()));
        if let Some(at) = at {
            self.number(at.0);
        }
    }

    fn float_or_none(&mut self, value: Option<f64>) {
        self.0.push(u8::from(value.is_some()));
        if let Some(value) = value {
            self.0.extend_from_slice(&value.to_bits().to_be_bytes());
        }
    }

    fn tagged(&mut self, tag: u8, value: u8) {
        self.0.extend_from_slice(&[tag, value]);
    }

    fn tagged_text(&mut self, tag: u8, text: &str) {
        self.0.push(tag);
        self.text(text);
    }

    fn tagged_moment(&mut self, tag: u8, at: Millis, repaired: bool) {
        self.tagged(tag, u8::from(repaired));
        self.number(at.0);
    }

    fn field(&mut self, field: &Kept) {
        match field {
            Kept::Agent(text) => self.tagged_text(1, text),
            Kept::Channel(channel) => self.tagged(2, place(&CHANNELS, *channel)),
            Kept::Direction(direction) => self.tagged(3, place(&DIRECTIONS, *direction)),
            Kept::Status(text) => self.tagged_text(4, text),
            Kept::Reason(text) => self.tagged_text(5, text),
            Kept::Start { at, repaired } => self.tagged_moment(6, *at, *repaired),
            Kept::End { at, repaired } => self.tagged_moment(7, *at, *repaired),
            Kept::Duration(ms) => {
                self.0.push(8);
                self.number(*ms);
            }
            Kept::Analysed => self.0.push(9),
            Kept::Successful(yes) => self.tagged(10, u8::from(*yes)),
            Kept::Sentiment(text) => self.tagged_text(11, text),
            Kept::InVoicemail(yes) => self.tagged(12, u8::from(*yes)),
            Kept::Cost {
                combined,
                parts,
                transfer_legs,
            } => {
                self.0.push(13);
                [combined, parts, transfer_legs]
                    .into_iter()
                    .for_each(|value| self.float_or_none(*value));
            }
        }
    }
}

/// What is left to read. `None` from any of its functions: cut off, or not evidence.
struct In<'a>(&'a [u8]);

impl In<'_> {
    fn evidence(mut self) -> Option<Evidence> {
        let mut evidence = Evidence {
            presumed_at: self.moment_or_none()?,
            ..Evidence::default()
        };
        for _ in 0..self.count()? {
            evidence.bodies.push(self.body()?);
        }
        for _ in 0..self.count()? {
            let entry = self.entry()?;
            evidence.bodies.get(entry.body as usize)?;
            evidence.entries.push(entry);
        }
        self.0.is_empty().then_some(evidence)
    }

    fn body(&mut self) -> Option<Body> {
        let workspace = WorkspaceId(Uuid::from_bytes(self.bytes()?));
        let mut fields = Vec::new();
        for _ in 0..self.count()? {
            fields.push(self.field()?);
        }
        let said = match self.byte()? {
            0 => None,
            1 => Some(Said {
                turns: u32::try_from(self.count()?).ok()?,
                characters: self.count()?,
                user_turns: u32::try_from(self.count()?).ok()?,
            }),
            _ => return None,
        };
        Some(Body { workspace, fields, said })
    }

    fn entry(&mut self) -> Option<Entry> {
        Some(Entry {
            received_at: Millis(self.number()?),
            content: self.bytes()?,
            whole: self.bytes()?,
            name: self.name()?,
            body: u32::try_from(self.count()?).ok()?,
        })
    }

    fn name(&mut self) -> Option<Option<Name>> {
        match self.byte()? {
            NO_NAME => Some(None),
            place => NAMES.get(usize::from(place)).map(|(_, name)| Some(*name)),
        }
    }

    fn field(&mut self) -> Option<Kept> {
        Some(match self.byte()? {
            1 => Kept::Agent(self.text()?),
            2 => Kept::Channel(*CHANNELS.get(usize::from(self.byte()?))?),
            3 => Kept::Direction(*DIRECTIONS.get(usize::from(self.byte()?))?),
            4 => Kept::Status(self.text()?),
            5 => Kept::Reason(self.text()?),
            6 => {
                let repaired = self.flag()?;
                let at = Millis(self.number()?);
                Kept::Start { at, repaired }
            }
            7 => {
                let repaired = self.flag()?;
                let at = Millis(self.number()?);
                Kept::End { at, repaired }
            }
            8 => Kept::Duration(self.number()?),
            9 => Kept::Analysed,
            10 => Kept::Successful(self.flag()?),
            11 => Kept::Sentiment(self.text()?),
            12 => Kept::InVoicemail(self.flag()?),
            13 => Kept::Cost {
                combined: self.float_or_none()?,
                parts: self.float_or_none()?,
                transfer_legs: self.float_or_none()?,
            },
            _ => return None,
        })
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*first)
    }

    fn flag(&mut self) -> Option<bool> {
        match self.byte()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    fn count(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn number(&mut self) -> Option<i64> {
        let value = self.count()?;
        Some((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    fn text(&mut self) -> Option<Arc<str>> {
        let length = usize::try_from(self.count()?).ok()?;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        std::str::from_utf8(text).ok().map(Arc::from)
    }

    fn moment_or_none(&mut self) -> Option<Option<Millis>> {
        Some(if self.flag()? { Some(Millis(self.number()?)) } else { None })
    }

    fn float_or_none(&mut self) -> Option<Option<f64>> {
        Some(if self.flag()? {
            Some(f64::from_bits(u64::from_be_bytes(self.bytes()?)))
        } else {
            None
        })
    }
}

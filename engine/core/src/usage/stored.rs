//! The stored form of evidence, for ever readable.
//!
//! Version byte; `presumed_at` (0, or 1 and the moment); count of bodies and each: workspace (16 bytes), count of fields, each a tag
//! and its value, then 0 or 1 and the size of its transcript; count of entries and each: moment received, content (8 bytes), whole
//! (4 bytes), name (its place among the documented ones, 255 for none), body. Whole numbers are LEB128, signed ones zigzag first;
//! texts have their length before them; floats are their 64 bits, big endian. A new form gets a new version byte and a new golden file.

use uuid::Uuid;

use super::evidence::{Body, Entry, Evidence};
use super::kept::{Kept, Said};
use crate::facts::{CHANNELS, DIRECTIONS};
use crate::id::WorkspaceId;
use crate::instant::Millis;
use crate::name::{NAMES, Name};
use crate::wire::{In, Out, place};

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

impl Evidence {
    /// The bytes to store.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Out(vec![STORED_VERSION]);
        out.option(self.presumed_at, Out::moment);
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
            out.moment(entry.received_at);
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

impl Out {
    fn tagged(&mut self, tag: u8, value: u8) {
        self.0.extend_from_slice(&[tag, value]);
    }

    fn tagged_text(&mut self, tag: u8, text: &str) {
        self.0.push(tag);
        self.text(text);
    }

    fn tagged_moment(&mut self, tag: u8, at: Millis, repaired: bool) {
        self.tagged(tag, u8::from(repaired));
        self.moment(at);
    }

    fn field(&mut self, field: &Kept) {
        match field {
            Kept::Agent(text) => self.tagged_text(1, text),
            Kept::Channel(channel) => self.tagged(2, place(&CHANNELS, channel)),
            Kept::Direction(direction) => self.tagged(3, place(&DIRECTIONS, direction)),
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
                    .for_each(|value| self.option(*value, Out::float));
            }
        }
    }
}

/// `None` from any of these functions: cut off, or not evidence.
impl In<'_> {
    fn evidence(mut self) -> Option<Evidence> {
        let mut evidence = Evidence {
            presumed_at: self.option(In::moment)?,
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
                turns: self.small()?,
                characters: self.count()?,
                user_turns: self.small()?,
            }),
            _ => return None,
        };
        Some(Body { workspace, fields, said })
    }

    fn entry(&mut self) -> Option<Entry> {
        Some(Entry {
            received_at: self.moment()?,
            content: self.bytes()?,
            whole: self.bytes()?,
            name: self.name()?,
            body: self.small()?,
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
                let at = self.moment()?;
                Kept::Start { at, repaired }
            }
            7 => {
                let repaired = self.flag()?;
                let at = self.moment()?;
                Kept::End { at, repaired }
            }
            8 => Kept::Duration(self.number()?),
            9 => Kept::Analysed,
            10 => Kept::Successful(self.flag()?),
            11 => Kept::Sentiment(self.text()?),
            12 => Kept::InVoicemail(self.flag()?),
            13 => Kept::Cost {
                combined: self.option(In::float)?,
                parts: self.option(In::float)?,
                transfer_legs: self.option(In::float)?,
            },
            _ => return None,
        })
    }
}

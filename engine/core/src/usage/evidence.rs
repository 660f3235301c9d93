//! The part of a call's records that its usage and its announcements follow from: what the effects group keeps of a call.
//!
//! It is a set of stamped records, as [`crate::call`] wants it, stripped of every field that decides nothing here: no numbers, no
//! words, no names of people. Joining sets is free of order and of repetition, so the ledger is too.

use std::sync::Arc;

use super::kept::{Kept, Said, kept};
use crate::call::Call;
use crate::event::{Event, Stamp};
use crate::facts::CallFacts;
use crate::id::{CallKey, WorkspaceId};
use crate::instant::Millis;
use crate::name::Name;
use crate::record::Source;
use crate::transcript::Transcript;

/// One content at its earliest stamp (rule B2).
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub received_at: Millis,
    /// As much of the stamp's hashes as [`crate::call`] looks at.
    pub content: [u8; 8],
    pub whole: [u8; 4],
    /// `None`: a name that is not documented (rule A10).
    pub name: Option<Name>,
    /// Place in [`Evidence::bodies`].
    pub body: u32,
}

/// What a record says, apart from when it came. Most records of a call say the same.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Body {
    pub workspace: WorkspaceId,
    pub fields: Vec<Kept>,
    pub said: Option<Said>,
}

/// All that decides a call's usage.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Evidence {
    pub(super) entries: Vec<Entry>,
    pub(super) bodies: Vec<Body>,
    pub(super) presumed_at: Option<Millis>,
}

impl Entry {
    fn order(&self) -> (Millis, [u8; 8], [u8; 4]) {
        (self.received_at, self.content, self.whole)
    }
}

fn first<const N: usize>(hash: &[u8; 32]) -> [u8; N] {
    std::array::from_fn(|place| hash[place])
}

fn padded<const N: usize>(part: [u8; N]) -> [u8; 32] {
    std::array::from_fn(|place| part.get(place).copied().unwrap_or(0))
}

impl Evidence {
    /// Takes in an event of the call; false when it changed nothing.
    pub fn note(&mut self, event: &Event) -> bool {
        if event.source() == Source::Reaper {
            let before = self.presumed_at;
            self.presumed_at = before.max(Some(event.received_at()));
            return self.presumed_at != before;
        }
        let stamp = event.stamp();
        let mut entry = Entry {
            received_at: stamp.received_at,
            content: first(&stamp.content),
            whole: first(&stamp.whole),
            name: event.known(),
            body: 0,
        };
        let known = self.entries.iter().rposition(|known| known.content == entry.content);
        if known.is_some_and(|place| self.entries[place].order() <= entry.order()) {
            return false;
        }
        entry.body = self.body(event);
        match known {
            Some(place) => self.entries[place] = entry,
            None => self.entries.push(entry),
        }
        true
    }

    fn body(&mut self, event: &Event) -> u32 {
        let body = Body {
            workspace: event.workspace(),
            fields: kept(&event.fields),
            said: event.transcript.as_ref().map(|transcript| Said {
                turns: transcript.size().0,
                characters: transcript.size().1,
                user_turns: transcript.speech().user_turns,
            }),
        };
        let place = self.bodies.iter().rposition(|known| *known == body).unwrap_or_else(|| {
            self.bodies.push(body);
            self.bodies.len() - 1
        });
        place as u32
    }

    /// The facts of the call as far as they were kept; `None` while no documented event came (rule A10).
    pub fn facts(&self, key: &CallKey) -> Option<CallFacts> {
        let first = self.entries.iter().min_by_key(|entry| entry.order())?;
        let mut call = Call::new(key.clone(), self.bodies[first.body as usize].workspace);
        for entry in &self.entries {
            call.apply(&self.event(key, entry));
        }
        if let Some(at) = self.presumed_at {
            call.presume_ended(at);
        }
        call.exists().then(|| call.facts())
    }

    fn event(&self, key: &CallKey, entry: &Entry) -> Event {
        let body = &self.bodies[entry.body as usize];
        let said = body.said.as_ref();
        let stamp = Stamp {
            received_at: entry.received_at,
            content: padded(entry.content),
            whole: padded(entry.whole),
        };
        let fields = body.fields.iter().map(Kept::field).collect();
        let transcript = said.map(|said| Arc::new(Transcript::outline(said.turns, said.characters, said.user_turns)));
        Event::stripped(key.clone(), body.workspace, entry.name, stamp, fields, transcript)
    }

    /// Whether an event of this name is among it.
    pub fn has(&self, name: Name) -> bool {
        self.entries.iter().any(|entry| entry.name == Some(name))
    }

    /// Records that are kept.
    pub fn records(&self) -> usize {
        self.entries.len()
    }
}

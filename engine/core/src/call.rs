//! One call from many events: a merge that gives the same call whatever the order and however often records come (part B of RULES.md).
//!
//! State is a function of the *set* of stamped records. Nothing is overwritten: what may still decide is kept, what can never decide
//! again is dropped at once, and [`Call::facts`] settles the rest when somebody asks.

mod facts;
mod receipts;
mod seldom;
mod shelf;
mod state;
mod stored;
mod transfers;
mod voice;

use std::sync::Arc;

use crate::event::{Echo, Event};
use crate::facts::{CallFacts, CallState, Item};
use crate::id::{CallKey, WorkspaceId};
use crate::instant::Millis;
use crate::name::Name;
use crate::record::Source;
use crate::transcript::Transcript;
use receipts::{Receipts, Seen};
use shelf::Shelves;
use transfers::Transfers;
use voice::Voice;

/// What became of an event (every event has one ending).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// New content: merged.
    Applied,
    /// Known content received once more (rule B2): counted.
    Repeat,
    /// The very same record read once more (rule B1): nothing happened.
    Same,
}

/// What an event changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Changes {
    /// What became of it.
    pub ending: Ending,
    /// The call began to exist with it.
    pub created: bool,
    /// Registered, ongoing, ended.
    pub state: bool,
    /// What was said.
    pub transcript: bool,
    /// Any other field, counts of receipts included.
    pub fields: bool,
}

impl Changes {
    fn none(ending: Ending) -> Changes {
        Changes {
            ending,
            created: false,
            state: false,
            transcript: false,
            fields: false,
        }
    }

    /// True when anything that is shown has changed.
    pub fn any(&self) -> bool {
        self.created || self.state || self.transcript || self.fields
    }
}

/// What was said, in the form the call holds it: shares the call's memory, and is made readable when somebody reads it.
#[derive(Debug, Clone, Default)]
pub struct Said(Option<Arc<Transcript>>);

impl Said {
    /// The entries, without word times.
    pub fn items(&self) -> Arc<[Item]> {
        self.0.as_ref().map_or_else(|| Arc::from([]), |transcript| transcript.items())
    }
}

/// All that is remembered of one call or chat.
#[derive(Debug, Clone)]
pub struct Call {
    key: CallKey,
    workspace: WorkspaceId,
    receipts: Receipts,
    shelves: Shelves,
    voice: Voice,
    transfers: Transfers,
    /// [`NEVER`] unless the reaper has closed it.
    presumed_at: Millis,
}

/// No moment, and before all others.
const NEVER: Millis = Millis(i64::MIN);

// With the counts of an `Arc` it fits what allocators have for 256 bytes: very many are held.
const _: () = assert!(size_of::<Call>() <= 240);

impl Call {
    /// A call of which nothing came yet.
    pub fn new(key: CallKey, workspace: WorkspaceId) -> Call {
        Call {
            key,
            workspace,
            receipts: Receipts::default(),
            shelves: Shelves::default(),
            voice: Voice::default(),
            transfers: Transfers::default(),
            presumed_at: NEVER,
        }
    }

    /// Which call.
    pub fn key(&self) -> &CallKey {
        &self.key
    }

    /// False while only undocumented events have come: they create no call (rule A10).
    pub fn exists(&self) -> bool {
        self.receipts.has_known()
    }

    /// Takes in one event of this call.
    pub fn apply(&mut self, event: &Event) -> Changes {
        if event.source() == Source::Reaper {
            return self.presume_ended(event.received_at());
        }
        let (existed, state) = (self.exists(), self.state());
        let said = self.voice.winner(&self.receipts).cloned();
        let (place, seen) = self.receipts.take(event);
        let ending = match seen {
            Seen::Same => {
                let transcript = event.transcript.as_ref().is_some_and(|text| self.voice.recall(text));
                return Changes {
                    transcript,
                    ..Changes::none(Ending::Same)
                };
            }
            Seen::Repeat { earlier } => {
                if let Some(name) = event.known().filter(|name| earlier && name.is_transfer()) {
                    // Of two equal transfer events the earlier one names the agent that counts.
                    self.shelve(place, name, event);
                }
                Ending::Repeat
            }
            Seen::New => {
                if let Some(name) = event.known() {
                    self.merge(place, name, event);
                }
                Ending::Applied
            }
        };
        if self.receipts.is_earliest(event.stamp()) {
            self.workspace = event.workspace();
        }
        let created = !existed && self.exists();
        let transcript = match (&said, self.voice.winner(&self.receipts)) {
            (Some(before), Some(after)) => !Arc::ptr_eq(before, after),
            (before, after) => before.is_some() != after.is_some(),
        };
        Changes {
            ending,
            created,
            state: created || state != self.state(),
            transcript,
            fields: true,
        }
    }

    /// Takes in echoes of `event`, which has been applied. Says of each what became of it.
    pub fn apply_echoes<'a>(&mut self, event: &Event, echoes: impl Iterator<Item = &'a Echo>, mut ended: impl FnMut(Ending)) {
        let Some(name) = event.known() else { return };
        let mut shelved = self.receipts.shelved(event.stamp());
        self.receipts.expect(echoes.size_hint().0);
        for echo in echoes {
            let (place, seen) = self.receipts.take_echo(event, echo);
            if seen == Seen::New {
                self.voice.ongoing_seen |= !name.ends();
                let (version, agent) = *shelved.get_or_insert_with(|| self.put(name, event));
                self.receipts.set(place, version, agent);
            }
            if seen != Seen::Same && self.receipts.is_earliest(&echo.stamp()) {
                self.workspace = event.workspace();
            }
            ended(match seen {
                Seen::New => Ending::Applied,
                Seen::Repeat { .. } => Ending::Repeat,
                Seen::Same => Ending::Same,
            });
        }
    }

    /// The reaper closes a call whose end never came (rule B4). An event received later corrects it.
    pub fn presume_ended(&mut self, at: Millis) -> Changes {
        let (before, presumed) = (self.state(), self.presumed_at);
        self.presumed_at = presumed.max(at);
        let changed = before != self.state();
        let ending = if presumed == self.presumed_at {
            Ending::Same
        } else {
            Ending::Applied
        };
        Changes {
            state: changed,
            fields: changed,
            ..Changes::none(ending)
        }
    }

    /// The call in plain fields.
    pub fn facts(&self) -> CallFacts {
        let mut facts = facts::of(self);
        facts.events = facts::events(&self.receipts);
        facts
    }

    /// The same with an empty list of events, which costs more than all else and is needed only where a call's story is told.
    pub fn facts_without_events(&self) -> CallFacts {
        facts::of(self)
    }

    /// What was said, as far as known and not dropped; without word times.
    pub fn transcript(&self) -> Arc<[Item]> {
        self.said().items()
    }

    /// The same, not yet made readable: for those who keep it for readers that may never come.
    pub fn said(&self) -> Said {
        Said(self.voice.winner(&self.receipts).cloned())
    }

    /// Where the call stands (rule B4).
    pub fn state(&self) -> CallState {
        state::of(self)
    }

    /// Latest receipt of a documented event; a repeat counts at its earliest.
    pub fn last_received_at(&self) -> Millis {
        self.receipts.last_known()
    }

    /// Drops the text of the transcript, but for its last turn. [`Call::facts`] stays the same.
    pub fn compact(&mut self) {
        self.voice.drop_text();
        self.receipts.shrink();
    }

    /// What was said is known but not here: the call was compacted, or stored. Its records bring it back when they are applied again.
    pub fn lacks_text(&self) -> bool {
        self.voice.lacks_text()
    }

    /// Bytes held for this call, transcript text included.
    pub fn memory_bytes(&self) -> usize {
        let key = self.key.id.len() + 16;
        size_of::<Call>()
            + key
            + self.receipts.heap_bytes()
            + self.shelves.heap_bytes()
            + self.voice.heap_bytes()
            + self.transfers.heap_bytes()
    }

    /// Bytes of [`Call::memory_bytes`] that are what was said.
    pub fn transcript_bytes(&self) -> usize {
        self.voice.text_bytes()
    }

    fn merge(&mut self, place: u32, name: Name, event: &Event) {
        // Every documented event proves either the end or that the call runs, so the status in its body adds nothing (rule B4).
        self.voice.ongoing_seen |= !name.ends();
        self.shelve(place, name, event);
        if let Some(to) = &event.transfer_to {
            self.transfers.note(place, name, to);
        }
        if let Some(transcript) = &event.transcript {
            self.voice.hear(place, name, transcript);
        }
    }

    fn shelve(&mut self, place: u32, name: Name, event: &Event) {
        let (version, agent) = self.put(name, event);
        self.receipts.set(place, version, agent);
    }

    /// Keeps the fields of an event; which version of its rank they are, and the place of its agent.
    fn put(&mut self, name: Name, event: &Event) -> (u16, u8) {
        let version = self.shelves.put(name.rank(), &event.fields, &event.unreadable);
        let agent = event.agent_id().map_or(0, |agent| self.receipts.agent(agent));
        (version, agent)
    }
}

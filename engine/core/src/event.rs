//! Reads a stored record into what it says (rules A6-A13, B1, B9): an event of a call, an alert, a hook, or why it cannot be read.

mod echo;
mod envelope;
pub(crate) mod field;
mod frame;
mod notice;
mod parts;
mod pass;
mod reader;
mod stamp;
mod whence;
pub(crate) mod word;

use std::sync::Arc;

use bytes::Bytes;

use crate::door::{Destination, Family};
use crate::facts::Item;
use crate::id::{CallKey, Kind, WorkspaceId};
use crate::instant::Millis;
use crate::json::{Canonical, Tape, Value};
use crate::name::Name;
use crate::record::{SetAside, Source};
use crate::transcript::{Sources, Transcript, items_with_words};
use echo::Pattern;
use envelope::Envelope;
use field::Field;
use frame::Frame;
use reader::{Reader, Rest};
use whence::Whence;

pub use echo::Echo;
pub use notice::{Alert, Hook};
pub use pass::{Beside, read, read_beside, read_naming};
pub use stamp::Stamp;

/// What a record says.
#[derive(Debug)]
pub enum Reading {
    /// An event of a call or chat.
    Event(Box<Event>),
    /// An alert rule of the workspace fired or was resolved.
    Alert(Alert),
    /// An inbound hook that came to the event address (rule A11).
    Hook(Hook),
    /// Unreadable: kept with its reason.
    SetAside(SetAside),
}

/// Where a call was passed on to, as a transfer event says (`transfer_destination` beside the call).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct TransferTo {
    pub number: Arc<str>,
    pub extension: Option<Arc<str>>,
}

/// One event of a call or chat, read.
#[derive(Debug)]
pub struct Event {
    key: CallKey,
    workspace: WorkspaceId,
    source: Source,
    received_at: Millis,
    stamp: Stamp,
    name: Option<Name>,
    spelled: Arc<str>,
    happened_at: Option<Millis>,
    pub(crate) fields: Arc<[Field]>,
    pub(crate) unreadable: Vec<&'static str>,
    pub(crate) transcript: Option<Arc<Transcript>>,
    pub(crate) transfer_to: Option<TransferTo>,
    body: Bytes,
    /// Where the text stands that the fields were read from.
    frame: Frame,
    /// The largest transcript before the end, in this event or in those that are applied with it.
    covers: (u32, u64),
    /// This event, or one that is applied with it, has brought the transcript that counts for ever: of those before the end only the size
    /// matters (rule B6).
    is_concluded: bool,
    /// What its echoes look like.
    pattern: Option<Box<Pattern>>,
}

fn read_value(whence: Whence, root: Value<'_>, canonical: &mut Canonical, beside: Option<Beside<'_>>) -> Reading {
    let envelope = Envelope::open(root);
    let destination = Destination::of(&envelope.found(root));
    if let Some(reason) = destination.set_aside {
        return Reading::SetAside(reason);
    }
    match destination.family {
        Family::Alert => Reading::Alert(Alert::read(destination.name == Some(Name::AlertTriggered), envelope.alert)),
        Family::InboundHook(Kind::Call) => Reading::Hook(Hook::read(Kind::Call, envelope.call_inbound)),
        Family::InboundHook(Kind::Chat) => Reading::Hook(Hook::read(Kind::Chat, envelope.chat_inbound)),
        Family::Voice | Family::Chat | Family::Unknown => read_event(whence, root, &envelope, destination, canonical, beside),
    }
}

fn read_event(
    whence: Whence,
    root: Value<'_>,
    envelope: &Envelope<'_>,
    destination: Destination<'_>,
    canonical: &mut Canonical,
    beside: Option<Beside<'_>>,
) -> Reading {
    let Destination {
        event,
        name,
        id: Some((kind, id)),
        ..
    } = destination
    else {
        return Reading::SetAside(SetAside::NoId);
    };
    let (received_at, tenant) = (whence.received_at, whence.tenant);
    let known = beside.and_then(|beside| beside(tenant, kind, &id));
    let is_transfer = name.is_some_and(Name::is_transfer);
    let mut reader = Reader::default();
    let happened = reader.time(envelope.event_timestamp, "event_timestamp");
    let (stamp, pattern) = if beside.is_some() && Event::may_echo(name, kind) {
        Pattern::of(received_at, root, envelope.call, canonical)
    } else {
        (Stamp::of(received_at, root, is_transfer, canonical), None)
    };
    let mut event = Event {
        key: known.map_or_else(
            || CallKey {
                tenant,
                kind,
                id: id.into(),
            },
            |known| known.key.clone(),
        ),
        workspace: whence.workspace,
        source: whence.source,
        received_at,
        stamp,
        name,
        spelled: name.map_or_else(|| Arc::from(&*event), word::name),
        happened_at: happened.and_then(|time| time.usable(received_at)),
        fields: Arc::default(),
        unreadable: Vec::new(),
        transcript: None,
        transfer_to: None,
        body: Bytes::new(),
        frame: Frame::default(),
        covers: known.map_or((0, 0), |known| known.covers),
        is_concluded: known.is_some_and(|known| known.is_concluded),
        pattern,
    };
    // Of a name that is not documented nothing but its coming is believed (rule A10).
    if let Some(name) = name {
        let object = if kind == Kind::Call { envelope.call } else { envelope.chat };
        let frame = object.filter(|_| kind == Kind::Call).and_then(Frame::of);
        let rest = match frame.zip(known) {
            // Nothing but the transcript is another than in the other event.
            Some(((frame, rest), known))
                if frame.is_same(root.text_around().as_bytes(), &known.frame, &known.body) && known.unreadable.is_empty() =>
            {
                event.fields = known.fields.clone();
                rest
            }
            _ => object.map(|object| reader.read(object, kind)).unwrap_or_default(),
        };
        event.frame = frame.map(|(frame, _)| frame).unwrap_or_default();
        let sources = sources(&mut reader, &rest, envelope, kind, received_at);
        event.hear(name, &sources, beside.is_some());
        if is_transfer {
            event.transfer_to = Some(transfer_to(&mut reader, envelope.transfer_destination));
        }
    }
    if !reader.fields.is_empty() {
        event.fields = reader.fields.into();
    }
    event.unreadable = reader.unreadable;
    if !event.unreadable.is_empty() {
        // What could not be read may be in a part that differs.
        event.pattern = None;
    }
    Reading::Event(Box::new(event))
}

/// Where the transcript may stand. The list inside the object wins over the one beside it (rule A9).
fn sources<'a>(reader: &mut Reader, rest: &Rest<'a>, envelope: &Envelope<'a>, kind: Kind, received_at: Millis) -> Sources<'a> {
    let inside = reader.array(rest.items, "transcript_with_tool_calls");
    let beside = if kind == Kind::Call { envelope.items } else { None };
    Sources {
        items: inside.or_else(|| reader.array(beside, "transcript_with_tool_calls")),
        utterances: reader.array(rest.utterances, "transcript_object"),
        lines: rest.lines.filter(|lines| reader.text(Some(*lines), "transcript").is_some()),
        start: rest
            .start
            .and_then(|start| start.usable(received_at))
            .filter(|_| kind == Kind::Chat),
    }
}

fn transfer_to(reader: &mut Reader, value: Option<Value<'_>>) -> TransferTo {
    let object = reader.object(value, "transfer_destination");
    let number = reader.text(object.and_then(|object| object.get("number")), "transfer_destination.number");
    let extension = reader.text(object.and_then(|object| object.get("extension")), "transfer_destination.extension");
    TransferTo {
        number: Arc::from(number.as_deref().unwrap_or("")),
        extension: extension.as_deref().map(Arc::from),
    }
}

impl Event {
    /// An event of which only some fields were kept; its body is gone.
    pub(crate) fn stripped(
        key: CallKey,
        workspace: WorkspaceId,
        name: Option<Name>,
        stamp: Stamp,
        fields: Vec<Field>,
        transcript: Option<Arc<Transcript>>,
    ) -> Event {
        Event {
            key,
            workspace,
            source: Source::Webhook,
            received_at: stamp.received_at,
            stamp,
            name,
            spelled: name.map_or_else(|| Arc::from(""), word::name),
            happened_at: None,
            fields: fields.into(),
            unreadable: Vec::new(),
            transcript,
            transfer_to: None,
            body: Bytes::new(),
            frame: Frame::default(),
            covers: (0, 0),
            is_concluded: false,
            pattern: None,
        }
    }

    /// Which call.
    pub fn key(&self) -> &CallKey {
        &self.key
    }

    /// The workspace whose address it came to.
    pub fn workspace(&self) -> WorkspaceId {
        self.workspace
    }

    /// How it came.
    pub fn source(&self) -> Source {
        self.source
    }

    /// Its place among the records of the call.
    pub fn stamp(&self) -> &Stamp {
        &self.stamp
    }

    /// Takes in the transcript; in a batch, not if a larger one is applied with it, for then this one can never count (rule B6).
    fn hear(&mut self, name: Name, sources: &Sources<'_>, in_batch: bool) {
        if in_batch && !name.ends() {
            let size = Transcript::size_in(sources);
            if size < self.covers {
                return;
            }
            self.covers = size;
            if self.is_concluded && size.0 > 0 {
                self.transcript = Some(Arc::new(Transcript::outline(size.0, size.1, 0)));
                return;
            }
        }
        self.transcript = Transcript::read(sources).map(Arc::new);
        self.is_concluded |= name.ends() && self.transcript.as_ref().is_some_and(|transcript| transcript.size().0 > 0);
    }

    /// When the door took it.
    pub fn received_at(&self) -> Millis {
        self.received_at
    }

    /// Event name as it came.
    pub fn name(&self) -> &str {
        &self.spelled
    }

    /// The documented name, if it is one (rule A10).
    pub fn known(&self) -> Option<Name> {
        self.name
    }

    /// `event_timestamp`, if usable.
    pub fn happened_at(&self) -> Option<Millis> {
        self.happened_at
    }

    /// The agent named in this event.
    pub fn agent_id(&self) -> Option<&Arc<str>> {
        self.fields.iter().find_map(|field| match field {
            Field::AgentId(agent) => Some(agent),
            _ => None,
        })
    }

    /// Names of fields that were there but unreadable (rule A8).
    pub fn unreadable(&self) -> &[&'static str] {
        &self.unreadable
    }

    pub(crate) fn spelled(&self) -> &Arc<str> {
        &self.spelled
    }

    /// The transcript in this event, with word times. Reads the body once more: only who stores words needs them.
    pub fn items(&self) -> Vec<Item> {
        if self.name.is_none() {
            return Vec::new();
        }
        let Ok(text) = std::str::from_utf8(&self.body) else {
            return Vec::new();
        };
        let mut tape = Tape::default();
        if tape.read(text).is_err() {
            return Vec::new();
        }
        let envelope = Envelope::open(tape.root(text));
        let object = if self.key.kind == Kind::Call {
            envelope.call
        } else {
            envelope.chat
        };
        let mut reader = Reader::default();
        let rest = object.map(|object| reader.read(object, self.key.kind)).unwrap_or_default();
        items_with_words(&sources(&mut reader, &rest, &envelope, self.key.kind, self.received_at))
    }
}

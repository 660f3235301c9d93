//! Decides, in one pass over a body and without interpreting it, what it is and where it belongs (rules A6, A7, A9, A11, A12).

mod finder;
mod mask;

use std::borrow::Cow;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::id::{Kind, TenantId, WorkspaceId};
use crate::instant::Millis;
use crate::json::{Bad, decode, is_plain, shown, walk};
use crate::limit::{EVENT_NAME_CHARS, ID_BYTES};
use crate::name::Name;
use crate::record::{Header, Record, SetAside, Source};
use finder::Finder;

/// Which of Retell's request families a body belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// An event of a voice call.
    Voice,
    /// An event of a chat.
    Chat,
    /// An alert.
    Alert,
    /// An inbound hook at the wrong address; its caller waits for an answer (rule A11).
    InboundHook(Kind),
    /// No documented event name, or nothing that can be read.
    Unknown,
}

/// What the door knows of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Routed {
    /// Event name, cut to [`EVENT_NAME_CHARS`]; empty when there is none.
    pub event: String,
    /// Routing key (rule A7).
    pub key: String,
    /// What it is.
    pub family: Family,
    /// Why it cannot be read, if so.
    pub set_aside: Option<SetAside>,
    /// Whether a credential was overwritten.
    pub masked: bool,
    /// Call or chat, when the key is one's id.
    pub kind: Option<Kind>,
}

/// Routes `body` and gives it back, the same memory unless a credential had to be overwritten.
pub fn route(body: Bytes) -> (Routed, Bytes) {
    let reason = match readable(&body) {
        Ok((routed, tokens)) => return finish(routed, body, &tokens),
        Err(reason) => reason,
    };
    // A body that is no JSON: credentials are overwritten by a byte scan. What was broken may have been the credential alone; the
    // stored body is what counts, so it is looked at once more.
    let tokens = mask::scan(&body);
    let (body, masked) = mask::overwrite(body, &tokens);
    let again = if masked { readable(&body) } else { Err(reason) };
    let (mut routed, body) = match again {
        Ok((routed, tokens)) => finish(routed, body, &tokens),
        Err(reason) => finish(Routed::unreadable(reason), body, &[]),
    };
    routed.masked = masked;
    (routed, body)
}

/// Where a body belongs, the key still empty unless it is an id, and the places of credentials in it.
fn readable(body: &[u8]) -> Result<(Routed, Vec<(usize, usize)>), SetAside> {
    let text = std::str::from_utf8(body).map_err(|_| SetAside::NotUtf8)?;
    let mut finder = Finder::new(text);
    walk(text.as_bytes(), &mut finder).map_err(|bad| match bad {
        Bad::Syntax => SetAside::NotJson,
        Bad::TooDeep => SetAside::TooDeep,
    })?;
    let Destination {
        event,
        family,
        id,
        set_aside,
        ..
    } = Destination::of(&finder.found());
    let (kind, key) = id.map_or((None, String::new()), |(kind, id)| (Some(kind), id.into_owned()));
    let routed = Routed {
        event: event.into_owned(),
        key,
        family,
        set_aside,
        masked: false,
        kind,
    };
    Ok((routed, finder.tokens))
}

/// Overwrites credentials and gives a key to what has no id: the hash of the masked body (rules A7, A12).
fn finish(mut routed: Routed, body: Bytes, tokens: &[(usize, usize)]) -> (Routed, Bytes) {
    let (body, masked) = mask::overwrite(body, tokens);
    routed.masked = masked;
    if routed.kind.is_none() {
        routed.key = hex::encode(Sha256::digest(&body));
    }
    (routed, body)
}

impl Routed {
    fn unreadable(reason: SetAside) -> Routed {
        Routed {
            event: String::new(),
            key: String::new(),
            family: Family::Unknown,
            set_aside: Some(reason),
            masked: false,
            kind: None,
        }
    }
}

/// The record to store.
pub fn record(routed: Routed, body: Bytes, received_at: Millis, tenant: TenantId, workspace: WorkspaceId, source: Source) -> Record {
    let header = Header {
        received_at,
        tenant,
        workspace,
        source,
        event: routed.event,
        key: routed.key,
        set_aside: routed.set_aside,
        masked: routed.masked,
        crc32: crc32fast::hash(&body),
    };
    Record { header, body }
}

/// The inside of a string and whether there are escapes in it.
pub(crate) type Inside<'a> = (&'a str, bool);

/// `call` or `chat` as far as routing looks.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Section<'a> {
    /// It is an object with at least one member.
    pub filled: bool,
    /// Its id, if that is a text.
    pub id: Option<Inside<'a>>,
}

/// What routing looks at, however it was found.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Found<'a> {
    /// The body is an object.
    pub root_is_object: bool,
    /// The event name, if it is a text.
    pub event: Option<Inside<'a>>,
    /// The call.
    pub call: Section<'a>,
    /// The chat.
    pub chat: Section<'a>,
    /// `alert` is an object with at least one member.
    pub alert: bool,
}

/// Where a readable body belongs.
pub(crate) struct Destination<'a> {
    /// Event name as shown.
    pub event: Cow<'a, str>,
    /// The documented name, if it is one.
    pub name: Option<Name>,
    /// Its family.
    pub family: Family,
    /// The call or chat it belongs to.
    pub id: Option<(Kind, Cow<'a, str>)>,
    /// Why it belongs nowhere.
    pub set_aside: Option<SetAside>,
}

impl<'a> Destination<'a> {
    pub(crate) fn of(found: &Found<'a>) -> Destination<'a> {
        let nowhere = |reason| Destination {
            event: Cow::Borrowed(""),
            name: None,
            family: Family::Unknown,
            id: None,
            set_aside: Some(reason),
        };
        if !found.root_is_object {
            return nowhere(SetAside::NotAnObject);
        }
        let Some(spelled) = found.event.map(|(raw, escaped)| decode(raw, escaped).text) else {
            return nowhere(SetAside::NoEventName);
        };
        let name = Name::parse(&spelled);
        let Some(event) = shown(spelled) else {
            return nowhere(SetAside::NoEventName);
        };
        let (family, section) = choose(name, found);
        let id = section.and_then(|(kind, section)| Some((kind, usable_id(section.id?)?)));
        let set_aside = match family {
            Family::InboundHook(_) => None,
            Family::Alert => (!found.alert).then_some(SetAside::NoAlert),
            Family::Voice | Family::Chat | Family::Unknown => id.is_none().then_some(SetAside::NoId),
        };
        let event = match event.char_indices().nth(EVENT_NAME_CHARS) {
            Some((end, _)) => Cow::Owned(event[..end].to_owned()),
            None => event,
        };
        Destination {
            event,
            name,
            family,
            id,
            set_aside,
        }
    }
}

/// The family of a name and the object whose id counts (rule A7).
fn choose<'a>(name: Option<Name>, found: &Found<'a>) -> (Family, Option<(Kind, Section<'a>)>) {
    let call = Some((Kind::Call, found.call));
    let chat = Some((Kind::Chat, found.chat));
    let present = if found.call.filled {
        call
    } else if found.chat.filled {
        chat
    } else {
        None
    };
    match name {
        Some(Name::ChatStarted | Name::ChatEnded | Name::ChatAnalyzed) => (Family::Chat, chat),
        Some(Name::AlertTriggered | Name::AlertResolved) => (Family::Alert, None),
        Some(Name::CallInbound) => (Family::InboundHook(Kind::Call), None),
        Some(Name::ChatInbound) => (Family::InboundHook(Kind::Chat), None),
        Some(Name::TranscriptUpdated) => match present {
            Some((Kind::Chat, _)) => (Family::Chat, present),
            _ => (Family::Voice, present),
        },
        Some(_) => (Family::Voice, call),
        None => (Family::Unknown, present),
    }
}

/// The id, if it is a text of 1 to [`ID_BYTES`] bytes without control characters and lone surrogates (rule A7).
fn usable_id((raw, escaped): Inside<'_>) -> Option<Cow<'_, str>> {
    let decoded = decode(raw, escaped);
    let usable = !decoded.lone_surrogate && (1..=ID_BYTES).contains(&decoded.text.len()) && is_plain(&decoded.text);
    usable.then_some(decoded.text)
}

//! The outermost object of a body: what stands beside the call.

use crate::door::{Found, Section};
use crate::json::{Shape, Value};

/// Members of the envelope that are read (rule A9).
#[derive(Default)]
pub(super) struct Envelope<'a> {
    pub event: Option<Value<'a>>,
    pub call: Option<Value<'a>>,
    pub chat: Option<Value<'a>>,
    pub alert: Option<Value<'a>>,
    pub call_inbound: Option<Value<'a>>,
    pub chat_inbound: Option<Value<'a>>,
    pub items: Option<Value<'a>>,
    pub transfer_destination: Option<Value<'a>>,
    pub event_timestamp: Option<Value<'a>>,
}

impl<'a> Envelope<'a> {
    pub fn open(root: Value<'a>) -> Envelope<'a> {
        let mut envelope = Envelope::default();
        for (name, value) in root.members() {
            let place = match &*name.name() {
                "event" => &mut envelope.event,
                "call" => &mut envelope.call,
                "chat" => &mut envelope.chat,
                "alert" => &mut envelope.alert,
                "call_inbound" => &mut envelope.call_inbound,
                "chat_inbound" => &mut envelope.chat_inbound,
                "transcript_with_tool_calls" => &mut envelope.items,
                "transfer_destination" => &mut envelope.transfer_destination,
                "event_timestamp" => &mut envelope.event_timestamp,
                _ => continue,
            };
            *place = Some(value);
        }
        envelope
    }

    pub fn found(&self, root: Value<'a>) -> Found<'a> {
        let inside = |value: Value<'a>| (value.shape() == Shape::String).then(|| (value.raw(), value.escaped()));
        let filled = |value: Option<Value<'a>>| value.filter(|value| value.shape() == Shape::Object && !value.is_missing());
        let section = |value: Option<Value<'a>>, id: &str| {
            filled(value).map_or_else(Section::default, |object| Section {
                filled: true,
                id: object.get(id).and_then(inside),
            })
        };
        Found {
            root_is_object: root.shape() == Shape::Object,
            event: self.event.and_then(inside),
            call: section(self.call, "call_id"),
            chat: section(self.chat, "chat_id"),
            alert: filled(self.alert).is_some(),
        }
    }
}

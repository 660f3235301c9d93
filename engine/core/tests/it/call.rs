//! The call: part B of RULES.md, and A8 to A13 as far as they concern reading.

mod batches;
mod fields;
mod identity;
pub(crate) mod order;
mod repeats;
mod sequences;
mod state;
mod time;
mod transcript;
mod transfers;

use serde_json::{Value, json};

/// A voice event of the call `c` with these members of its call object.
fn voice(event: &str, call: Value) -> Value {
    let mut object = json!({"call_id": "c"});
    object.as_object_mut().unwrap().extend(call.as_object().unwrap().clone());
    json!({"event": event, "call": object})
}

/// A chat event of the chat `c`.
fn chat(event: &str, chat: Value) -> Value {
    let mut object = json!({"chat_id": "c"});
    object.as_object_mut().unwrap().extend(chat.as_object().unwrap().clone());
    json!({"event": event, "chat": object})
}

/// A transfer event to a number.
fn transfer(event: &str, number: &str, rest: Value) -> Value {
    let mut body = voice(event, rest);
    body["transfer_destination"] = json!({"type": "predefined", "number": number});
    body
}

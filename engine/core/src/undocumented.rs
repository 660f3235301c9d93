//! What Retell sends that its documentation does not list: event names, values of closed lists, member names, unreadable fields.
//!
//! Everything of it is kept in the raw body anyway (rules A8, A10, part C); this names it, so that it can be counted and shown.
//! Found once per record for whoever stores it ([`crate::event::read_naming`]), never on the way to the boards.

use std::fmt;

use crate::class;
use crate::event::Reading;
use crate::facts::{ReasonClass, Sentiment};
use crate::json::{Shape, Value};
use crate::name::Name;
use crate::record::Source;

/// Names told of one record: a body made of nonsense must not make a row of thousands.
const NAMES_MAX: usize = 24;

/// Longest name or value told, in characters; Retell's own longest has 44.
const NAME_CHARS: usize = 64;

/// What is not documented of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Oddity {
    /// The event's name (rule A10).
    Event,
    /// A value of a list that Retell documents as closed, as `field=value`.
    Value,
    /// A member name, with the way to it.
    Field,
    /// A documented field that was there and could not be read (rule A8).
    Unreadable,
}

impl Oddity {
    /// The stored word.
    pub fn as_str(self) -> &'static str {
        match self {
            Oddity::Event => "event",
            Oddity::Value => "value",
            Oddity::Field => "field",
            Oddity::Unreadable => "unreadable",
        }
    }
}

/// One thing that is not documented. Written as `kind:name`, the stored form.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Undocumented {
    /// What of it.
    pub kind: Oddity,
    /// Its name.
    pub name: String,
}

impl fmt::Display for Undocumented {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind.as_str(), self.name)
    }
}

const ENVELOPE: &[&str] = &[
    "event",
    "call",
    "chat",
    "alert",
    "call_inbound",
    "chat_inbound",
    "event_timestamp",
    "transcript_with_tool_calls",
    "transfer_destination",
    "transfer_option",
];

const CALL: &[&str] = &[
    "call_id",
    "call_type",
    "agent_id",
    "agent_version",
    "agent_name",
    "agent_tag",
    "call_status",
    "direction",
    "from_number",
    "to_number",
    "telephony_identifier",
    "access_token",
    "start_timestamp",
    "end_timestamp",
    "transfer_end_timestamp",
    "duration_ms",
    "disconnection_reason",
    "transfer_destination",
    "transcript",
    "transcript_object",
    "transcript_with_tool_calls",
    "scrubbed_transcript_with_tool_calls",
    "pre_session_transcript_with_tool_calls",
    "post_session_transcript_with_tool_calls",
    "scrubbed_pre_session_transcript_with_tool_calls",
    "scrubbed_post_session_transcript_with_tool_calls",
    "recording_url",
    "recording_multi_channel_url",
    "scrubbed_recording_url",
    "scrubbed_recording_multi_channel_url",
    "public_log_url",
    "knowledge_base_retrieved_contents_url",
    "latency",
    "call_cost",
    "llm_token_usage",
    "call_analysis",
    "metadata",
    "retell_llm_dynamic_variables",
    "collected_dynamic_variables",
    "custom_sip_headers",
    "data_storage_setting",
    "opt_in_signed_url",
    "opt_out_sensitive_data_storage",
];

const CHAT: &[&str] = &[
    "chat_id",
    "agent_id",
    "version",
    "agent_tag",
    "chat_status",
    "chat_type",
    "start_timestamp",
    "end_timestamp",
    "transcript",
    "message_with_tool_calls",
    "scrubbed_message_with_tool_calls",
    "pre_session_message_with_tool_calls",
    "post_session_message_with_tool_calls",
    "scrubbed_pre_session_message_with_tool_calls",
    "scrubbed_post_session_message_with_tool_calls",
    "chat_analysis",
    "chat_cost",
    "metadata",
    "custom_attributes",
    "retell_llm_dynamic_variables",
    "collected_dynamic_variables",
];

const ANALYSIS: &[&str] = &[
    "call_summary",
    "in_voicemail",
    "user_sentiment",
    "call_successful",
    "custom_analysis_data",
];
const CHAT_ANALYSIS: &[&str] = &["chat_summary", "user_sentiment", "chat_successful", "custom_analysis_data"];
const COST: &[&str] = &[
    "combined_cost",
    "total_duration_seconds",
    "total_duration_unit_price",
    "product_costs",
];
const PRODUCT: &[&str] = &["product", "cost", "unit_price", "is_transfer_leg_cost"];
const LATENCY: &[&str] = &["e2e", "asr", "llm", "llm_websocket_network_rtt", "tts", "knowledge_base", "s2s"];
const TELEPHONY: &[&str] = &["twilio_call_sid"];
const TOKENS: &[&str] = &["values", "average", "num_requests"];
const DESTINATION: &[&str] = &["number", "extension", "type"];

/// Of transcript entries of every role together.
const ITEM: &[&str] = &[
    "role",
    "content",
    "words",
    "metadata",
    "tool_call_id",
    "name",
    "arguments",
    "type",
    "thought_signature",
    "successful",
    "former_node_id",
    "former_node_name",
    "new_node_id",
    "new_node_name",
    "transition_type",
    "former_state_name",
    "new_state_name",
    "digit",
    "time_sec",
    "multimedia",
    "message_id",
    "created_timestamp",
];

const ALERT: &[&str] = &[
    "alert_incident_id",
    "org_id",
    "alert_rule_id",
    "name",
    "metric_type",
    "filter",
    "threshold_type",
    "threshold_value",
    "comparator",
    "frequency",
    "window",
    "emails",
    "webhook_urls",
    "current_value",
    "previous_value",
    "triggered_timestamp",
    "resolved_timestamp",
];

const ROLES: &[&str] = &[
    "agent",
    "user",
    "transfer_target",
    "tool_call_invocation",
    "tool_call_result",
    "node_transition",
    "state_transition",
    "dtmf",
    "sms",
    "injected",
];

/// Lists that Retell documents as closed, beside reasons and moods.
const VALUES: &[(&str, &[&str])] = &[
    ("call_type", &["phone_call", "web_call"]),
    ("call_status", &["registered", "not_connected", "ongoing", "ended", "error"]),
    ("chat_status", &["ongoing", "ended", "error"]),
    ("chat_type", &["api_chat", "sms_chat"]),
    ("direction", &["inbound", "outbound"]),
    (
        "data_storage_setting",
        &["everything", "everything_except_pii", "basic_attributes_only"],
    ),
];

/// What is not documented in a body with this root, of which `reading` was made. In the order in which it was found, each once: the same
/// record always gives the same list.
pub(crate) fn undocumented(source: Source, root: Value<'_>, reading: &Reading) -> Vec<Undocumented> {
    let mut found = Found(Vec::new());
    if source == Source::Reaper {
        // Our own words, which nobody else documents.
        return found.0;
    }
    if let Reading::Event(event) = reading {
        for name in event.unreadable() {
            found.add(Oddity::Unreadable, name);
        }
    }
    if let Some(name) = root.get("event").and_then(Value::text).filter(|name| Name::parse(name).is_none()) {
        found.add(Oddity::Event, &name);
    }
    found.members(root, "", ENVELOPE);
    if let Some(call) = root.get("call") {
        found.conversation(call, "call", CALL);
    }
    if let Some(chat) = root.get("chat") {
        found.conversation(chat, "chat", CHAT);
    }
    if let Some(alert) = root.get("alert") {
        found.members(alert, "alert", ALERT);
    }
    if let Some(to) = root.get("transfer_destination") {
        found.members(to, "transfer_destination", DESTINATION);
    }
    found.items(root, "", "transcript_with_tool_calls");
    found.0
}

struct Found(Vec<Undocumented>);

impl Found {
    fn add(&mut self, kind: Oddity, name: &str) {
        // Control characters have no business in a name, and a line of a table cannot show them.
        let shown = name.chars().map(|c| if c.is_control() { '\u{FFFD}' } else { c });
        let name: String = shown.take(NAME_CHARS).collect();
        let known = self.0.iter().any(|other| other.kind == kind && other.name == name);
        if !known && self.0.len() < NAMES_MAX {
            self.0.push(Undocumented { kind, name });
        }
    }

    /// The members of `object` whose names are not among `known`.
    fn members(&mut self, object: Value<'_>, way: &str, known: &[&str]) {
        for (name, _) in object.members() {
            let name = name.name();
            if !known.contains(&&*name) {
                let dot = if way.is_empty() { "" } else { "." };
                self.add(Oddity::Field, &format!("{way}{dot}{name}"));
            }
        }
    }

    fn part(&mut self, object: Value<'_>, way: &str, name: &str, known: &[&str]) {
        if let Some(part) = object.get(name) {
            self.members(part, &format!("{way}.{name}"), known);
        }
    }

    fn conversation(&mut self, object: Value<'_>, way: &str, known: &[&str]) {
        self.members(object, way, known);
        self.part(object, way, "call_analysis", ANALYSIS);
        self.part(object, way, "chat_analysis", CHAT_ANALYSIS);
        self.part(object, way, "latency", LATENCY);
        self.part(object, way, "telephony_identifier", TELEPHONY);
        self.part(object, way, "llm_token_usage", TOKENS);
        for cost in ["call_cost", "chat_cost"] {
            self.part(object, way, cost, COST);
            let products = object.get(cost).and_then(|cost| cost.get("product_costs"));
            for product in products.into_iter().flat_map(Value::elements) {
                self.members(product, &format!("{way}.{cost}.product_costs[]"), PRODUCT);
            }
        }
        for list in ["transcript_object", "transcript_with_tool_calls", "message_with_tool_calls"] {
            self.items(object, way, list);
        }
        self.values(object);
    }

    fn values(&mut self, object: Value<'_>) {
        for (field, known) in VALUES {
            let value = object.get(field).and_then(Value::text);
            if let Some(value) = value.filter(|value| !known.contains(&&**value)) {
                self.add(Oddity::Value, &format!("{field}={value}"));
            }
        }
        let reason = object.get("disconnection_reason").and_then(Value::text);
        if let Some(reason) = reason.filter(|reason| class::reason(reason) == ReasonClass::New) {
            self.add(Oddity::Value, &format!("disconnection_reason={reason}"));
        }
        for analysis in ["call_analysis", "chat_analysis"] {
            let mood = object
                .get(analysis)
                .and_then(|part| part.get("user_sentiment"))
                .and_then(Value::text);
            if let Some(mood) = mood.filter(|mood| class::sentiment(mood) == Some(Sentiment::Other)) {
                self.add(Oddity::Value, &format!("user_sentiment={mood}"));
            }
        }
    }

    /// Names and roles of transcript entries.
    fn items(&mut self, object: Value<'_>, way: &str, list: &str) {
        let items = object.get(list).filter(|items| items.shape() == Shape::Array);
        for item in items.into_iter().flat_map(Value::elements) {
            for (name, value) in item.members() {
                let name = name.name();
                if !ITEM.contains(&&*name) {
                    let dot = if way.is_empty() { "" } else { "." };
                    self.add(Oddity::Field, &format!("{way}{dot}{list}[].{name}"));
                }
                if &*name == "role"
                    && let Some(role) = value.text().filter(|role| !ROLES.contains(&&**role))
                {
                    self.add(Oddity::Value, &format!("role={role}"));
                }
            }
        }
    }
}

//! Reads the fields of a call or chat object leniently: a bad field is not a bad event (rule A8).

use std::borrow::Cow;
use std::sync::Arc;

use super::field::{Field, Time};
use super::parts::{cost, latency, map};
use super::word;
use crate::facts::{Channel, Direction};
use crate::id::Kind;
use crate::json::{Number, Shape, Value, last_of_each};
use crate::limit::DAY_MS;

/// How many fields an event usually has.
const USUAL_FIELDS: usize = 16;

/// Fields read so far, and the names of those that were there but unreadable.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    pub fields: Vec<Field>,
    pub unreadable: Vec<&'static str>,
}

/// What else of the object the event needs.
#[derive(Clone, Copy, Default)]
pub(super) struct Rest<'a> {
    /// `transcript_with_tool_calls` or, of chats, `message_with_tool_calls`.
    pub items: Option<Value<'a>>,
    /// `transcript_object`.
    pub utterances: Option<Value<'a>>,
    /// `transcript`.
    pub lines: Option<Value<'a>>,
    /// `start_timestamp` as read.
    pub start: Option<Time>,
}

impl Reader {
    /// Notes that a field was there but could not be read.
    pub fn bad<T>(&mut self, name: &'static str) -> Option<T> {
        self.unreadable.push(name);
        None
    }

    /// The value, unless it is missing.
    fn there<'a>(value: Option<Value<'a>>) -> Option<Value<'a>> {
        value.filter(|value| !value.is_missing())
    }

    /// A text that may be shown.
    pub fn text<'a>(&mut self, value: Option<Value<'a>>, name: &'static str) -> Option<Cow<'a, str>> {
        let value = Reader::there(value)?;
        if value.shape() == Shape::String {
            value.text()
        } else {
            self.bad(name)
        }
    }

    /// A number.
    pub fn number<'a>(&mut self, value: Option<Value<'a>>, name: &'static str) -> Option<Number<'a>> {
        let value = Reader::there(value)?;
        value.number().or_else(|| self.bad(name))
    }

    /// A finite number that is not negative.
    pub fn amount(&mut self, value: Option<Value<'_>>, name: &'static str, most: f64) -> Option<f64> {
        let number = self.number(value, name)?;
        number
            .float()
            .filter(|amount| (0.0..=most).contains(amount))
            .or_else(|| self.bad(name))
    }

    /// A truth value.
    pub fn flag(&mut self, value: Option<Value<'_>>, name: &'static str) -> Option<bool> {
        let value = Reader::there(value)?;
        value.bool().or_else(|| self.bad(name))
    }

    /// An object with at least one member.
    pub fn object<'a>(&mut self, value: Option<Value<'a>>, name: &'static str) -> Option<Value<'a>> {
        let value = Reader::there(value)?;
        if value.shape() == Shape::Object {
            Some(value)
        } else {
            self.bad(name)
        }
    }

    /// An array with at least one element.
    pub fn array<'a>(&mut self, value: Option<Value<'a>>, name: &'static str) -> Option<Value<'a>> {
        let value = Reader::there(value)?;
        if value.shape() == Shape::Array {
            Some(value)
        } else {
            self.bad(name)
        }
    }

    /// A moment (rule B9).
    pub fn time(&mut self, value: Option<Value<'_>>, name: &'static str) -> Option<Time> {
        let number = self.number(value, name)?;
        Time::read(number.rounded(), number.thousandfold()).or_else(|| self.bad(name))
    }

    fn keep<T>(&mut self, value: Option<T>, field: impl FnOnce(T) -> Field) {
        self.fields.extend(value.map(field));
    }

    /// A text that many calls have in common.
    fn keep_shared(&mut self, value: Option<Value<'_>>, name: &'static str, field: impl FnOnce(Arc<str>) -> Field) {
        let text = self.text(value, name);
        self.keep(text, |text| field(word::shared(&text)));
    }

    fn keep_text(&mut self, value: Option<Value<'_>>, name: &'static str, field: impl FnOnce(Arc<str>) -> Field) {
        let text = self.text(value, name);
        self.keep(text, |text| field(Arc::from(&*text)));
    }

    /// Reads the call or chat object; fields always come in the same order, so that equal objects give equal lists.
    pub(super) fn read<'a>(&mut self, object: Value<'a>, kind: Kind) -> Rest<'a> {
        let found = last_of_each!(
            object,
            agent_id,
            agent_version,
            agent_name,
            agent_tag,
            call_type,
            direction,
            from_number,
            to_number,
            call_status,
            chat_status,
            disconnection_reason,
            transfer_destination,
            start_timestamp,
            end_timestamp,
            transfer_end_timestamp,
            duration_ms,
            recording_url,
            call_analysis,
            chat_analysis,
            metadata,
            retell_llm_dynamic_variables,
            collected_dynamic_variables,
            call_cost,
            chat_cost,
            latency,
            transcript_with_tool_calls,
            message_with_tool_calls,
            transcript_object,
            transcript
        );
        self.fields.reserve(USUAL_FIELDS);
        self.keep_shared(found.agent_id, "agent_id", Field::AgentId);
        let version = self.number(found.agent_version, "agent_version");
        let version = version.and_then(|number| {
            number
                .rounded()
                .filter(|version| *version >= 0)
                .or_else(|| self.bad("agent_version"))
        });
        self.keep(version, Field::AgentVersion);
        self.keep_shared(found.agent_name, "agent_name", Field::AgentName);
        self.keep_shared(found.agent_tag, "agent_tag", Field::AgentTag);
        let (status, analysis, price, items) = match kind {
            Kind::Call => {
                // The caller's number is of one call, our own is of very many.
                let is_outbound = self.party(found.call_type, found.direction) == Some(Direction::Outbound);
                if is_outbound {
                    self.keep_shared(found.from_number, "from_number", Field::From);
                    self.keep_text(found.to_number, "to_number", Field::To);
                } else {
                    self.keep_text(found.from_number, "from_number", Field::From);
                    self.keep_shared(found.to_number, "to_number", Field::To);
                }
                (
                    ("call_status", found.call_status),
                    found.call_analysis,
                    found.call_cost,
                    found.transcript_with_tool_calls,
                )
            }
            Kind::Chat => {
                let items = Reader::there(found.message_with_tool_calls).or(found.transcript_with_tool_calls);
                (("chat_status", found.chat_status), found.chat_analysis, found.chat_cost, items)
            }
        };
        let status = self.text(status.1, status.0);
        self.keep(status, |word| Field::Status(word::status(&word)));
        let reason = self.text(found.disconnection_reason, "disconnection_reason");
        self.keep(reason, |word| Field::Reason(word::reason(&word)));
        self.keep_text(found.transfer_destination, "transfer_destination", Field::TransferDestination);
        let start = self.time(found.start_timestamp, "start_timestamp");
        self.keep(start, Field::Start);
        let end = self.time(found.end_timestamp, "end_timestamp");
        self.keep(end, Field::End);
        let transfer_end = self.time(found.transfer_end_timestamp, "transfer_end_timestamp");
        self.keep(transfer_end, Field::TransferEnd);
        let duration = self.number(found.duration_ms, "duration_ms").and_then(|number| {
            let usable = number.rounded().filter(|ms| (0..=DAY_MS).contains(ms));
            usable.or_else(|| self.bad("duration_ms"))
        });
        self.keep(duration, Field::Duration);
        self.keep_text(found.recording_url, "recording_url", Field::Recording);
        self.analysis(analysis, kind);
        let metadata = map(self, found.metadata, "metadata");
        self.keep(metadata, Field::Metadata);
        let variables = map(self, found.retell_llm_dynamic_variables, "retell_llm_dynamic_variables");
        self.keep(variables, Field::Variables);
        let collected = map(self, found.collected_dynamic_variables, "collected_dynamic_variables");
        self.keep(collected, Field::Collected);
        let price = cost(self, price);
        self.keep(price, |cost| Field::Cost(Arc::new(cost)));
        let latency = latency(self, found.latency);
        self.keep(latency, Field::Latency);
        Rest {
            items,
            utterances: found.transcript_object,
            lines: found.transcript,
            start,
        }
    }

    fn party(&mut self, call_type: Option<Value<'_>>, direction: Option<Value<'_>>) -> Option<Direction> {
        let channel = self.text(call_type, "call_type").map(|word| match &*word {
            "phone_call" => Channel::Phone,
            "web_call" => Channel::Web,
            _ => Channel::Other,
        });
        self.keep(channel, Field::Channel);
        let direction = self.text(direction, "direction").map(|word| match &*word {
            "inbound" => Direction::Inbound,
            "outbound" => Direction::Outbound,
            _ => Direction::None,
        });
        self.keep(direction, Field::Direction);
        direction
    }

    fn analysis(&mut self, value: Option<Value<'_>>, kind: Kind) {
        let name = match kind {
            Kind::Call => "call_analysis",
            Kind::Chat => "chat_analysis",
        };
        let Some(object) = self.object(value, name) else { return };
        let found = last_of_each!(
            object,
            call_summary,
            chat_summary,
            call_successful,
            chat_successful,
            user_sentiment,
            in_voicemail,
            custom_analysis_data
        );
        let (summary, successful) = match kind {
            Kind::Call => (("call_summary", found.call_summary), ("call_successful", found.call_successful)),
            Kind::Chat => (("chat_summary", found.chat_summary), ("chat_successful", found.chat_successful)),
        };
        self.keep_text(summary.1, summary.0, Field::Summary);
        let successful = self.flag(successful.1, successful.0);
        self.keep(successful, Field::Successful);
        // A blank mood is missing (rule B10).
        let mood = self
            .text(found.user_sentiment, "user_sentiment")
            .filter(|word| !word.trim().is_empty());
        self.keep(mood, |word| Field::Sentiment(Arc::from(&*word)));
        let voicemail = self.flag(found.in_voicemail, "in_voicemail");
        self.keep(voicemail, Field::InVoicemail);
        let custom = map(self, found.custom_analysis_data, "custom_analysis_data");
        self.keep(custom, Field::Custom);
    }
}

//! The places in a body where a transcript may stand, and the entries in them (rules A9, B6).

use std::borrow::Cow;
use std::sync::Arc;

use crate::facts::{Item, Role, Word};
use crate::instant::Millis;
use crate::json::{Shape, Value};
use crate::limit::DAY_MS;

/// Where transcripts may stand, the first with a turn is read.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sources<'a> {
    /// `transcript_with_tool_calls`, the one inside the call before the one beside it; of chats `message_with_tool_calls`.
    pub items: Option<Value<'a>>,
    /// `transcript_object`.
    pub utterances: Option<Value<'a>>,
    /// `transcript`.
    pub lines: Option<Value<'a>>,
    /// Start of the chat, because chats note moments instead of seconds from the start.
    pub start: Option<Millis>,
}

/// One source.
#[derive(Debug, Clone, Copy)]
pub(super) enum Source<'a> {
    List(Value<'a>),
    Lines(Value<'a>),
}

impl<'a> Sources<'a> {
    pub(super) fn in_order(&self) -> impl Iterator<Item = Source<'a>> {
        let list = |value: Value<'a>| (value.shape() == Shape::Array && !value.is_missing()).then_some(Source::List(value));
        let lines = |value: Value<'a>| (value.shape() == Shape::String && !value.is_missing()).then_some(Source::Lines(value));
        [
            self.items.and_then(list),
            self.utterances.and_then(list),
            self.lines.and_then(lines),
        ]
        .into_iter()
        .flatten()
    }
}

impl<'a> Source<'a> {
    pub(super) fn entries(self, start: Option<Millis>) -> Box<dyn Iterator<Item = Entry<'a>> + 'a> {
        match self {
            Source::List(list) => Box::new(list.elements().filter_map(move |item| Entry::read(item, start))),
            Source::Lines(lines) => Box::new(turns_of_lines(&lines.text().unwrap_or_default()).into_iter()),
        }
    }
}

/// One entry of a transcript on its way from the body to where it is kept.
#[derive(Debug, Clone, Default)]
pub(crate) struct Entry<'a> {
    pub role: Role,
    pub role_raw: Option<Cow<'a, str>>,
    pub content: Cow<'a, str>,
    pub start_ms: Option<i64>,
    pub end_ms: Option<i64>,
    pub tool: Option<Cow<'a, str>>,
    pub tool_call_id: Option<Cow<'a, str>>,
    pub tool_type: Option<Cow<'a, str>>,
    pub successful: Option<bool>,
    pub(super) words: Option<Value<'a>>,
}

/// A word's place in the call, in ms.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub start: i64,
    pub end: i64,
}

fn role_of(word: &str) -> Role {
    match word {
        "agent" => Role::Agent,
        "user" => Role::User,
        "transfer_target" => Role::TransferTarget,
        "tool_call_invocation" => Role::ToolCall,
        "tool_call_result" => Role::ToolResult,
        "node_transition" | "state_transition" => Role::Node,
        "dtmf" => Role::Dtmf,
        "sms" => Role::Sms,
        "injected" => Role::Injected,
        _ => Role::Other,
    }
}

fn text(value: Option<Value<'_>>) -> Option<Cow<'_, str>> {
    value.and_then(Value::text)
}

/// Seconds from the start of the call, as ms within a day.
fn seconds(value: Option<Value<'_>>) -> Option<i64> {
    value?.number()?.thousandfold().filter(|ms| (0..=DAY_MS).contains(ms))
}

impl<'a> Entry<'a> {
    /// Spoken and not blank (rule B6).
    pub fn is_turn(&self) -> bool {
        self.role.speaks() && !self.content.trim().is_empty()
    }

    /// `None` for what is no object with a role.
    fn read(item: Value<'a>, chat_start: Option<Millis>) -> Option<Entry<'a>> {
        let mut role = None;
        let (mut content, mut node, mut node_id, mut state, mut arguments, mut digit) = (None, None, None, None, None, None);
        let (mut time_sec, mut created, mut successful) = (None, None, None);
        let mut entry = Entry::default();
        for (name, value) in item.members() {
            match &*name.name() {
                "role" => role = Some(value),
                "content" => content = Some(value),
                "words" => entry.words = Some(value),
                "time_sec" => time_sec = Some(value),
                "name" => entry.tool = value.text(),
                "arguments" => arguments = Some(value),
                "tool_call_id" => entry.tool_call_id = value.text(),
                "type" => entry.tool_type = value.text(),
                "successful" => successful = value.bool(),
                "new_node_name" => node = value.text(),
                "new_node_id" => node_id = value.text(),
                "new_state_name" => state = value.text(),
                "digit" => digit = Some(value),
                "created_timestamp" => created = Some(value),
                _ => {}
            }
        }
        let word = text(role)?;
        entry.role = role_of(&word);
        let said = match entry.role {
            Role::ToolCall => text(arguments),
            Role::Node => node.or(state).or(node_id),
            Role::Dtmf => text(digit),
            _ => text(content),
        };
        entry.content = said.unwrap_or_default();
        entry.role_raw = (entry.role == Role::Other).then_some(word);
        entry.successful = if entry.role == Role::ToolResult { successful } else { None };
        if entry.role != Role::ToolCall {
            (entry.tool, entry.tool_type) = (None, None);
        }
        if !matches!(entry.role, Role::ToolCall | Role::ToolResult) {
            entry.tool_call_id = None;
        }
        if entry.role.speaks() {
            for span in entry.spans() {
                entry.start_ms = Some(entry.start_ms.map_or(span.start, |start| start.min(span.start)));
                entry.end_ms = Some(entry.end_ms.map_or(span.end, |end| end.max(span.end)));
            }
        }
        entry.start_ms = entry.start_ms.or_else(|| seconds(time_sec)).or_else(|| {
            let created = created?.number()?.rounded()?;
            Some(Millis(created).since(chat_start?)).filter(|ms| *ms >= 0)
        });
        Some(entry)
    }

    /// Places of the words that have usable ones.
    pub(super) fn spans(&self) -> impl Iterator<Item = Span> + use<'a> {
        words(self.words).filter_map(|(_, span)| span)
    }

    /// The form that is shown and stored.
    pub(super) fn item(&self, with_words: bool) -> Item {
        let arc = |text: &Option<Cow<'_, str>>| text.as_deref().map(Arc::from);
        let words = words(self.words).filter(|_| with_words).filter_map(|(text, span)| {
            let span = span?;
            Some(Word {
                text: Arc::from(&*text?.text()?),
                start_ms: span.start,
                end_ms: span.end,
            })
        });
        Item {
            role: self.role,
            role_raw: arc(&self.role_raw),
            content: Arc::from(&*self.content),
            start_ms: self.start_ms,
            end_ms: self.end_ms,
            tool: arc(&self.tool),
            tool_call_id: arc(&self.tool_call_id),
            tool_type: arc(&self.tool_type),
            successful: self.successful,
            words: words.collect(),
        }
    }
}

/// Text and place of each word; a place needs both times, the end not before the start.
fn words<'a>(list: Option<Value<'a>>) -> impl Iterator<Item = (Option<Value<'a>>, Option<Span>)> {
    list.into_iter().flat_map(Value::elements).map(|word| {
        let (mut text, mut start, mut end) = (None, None, None);
        for (name, value) in word.members() {
            match &*name.name() {
                "word" => text = Some(value),
                "start" => start = Some(value),
                "end" => end = Some(value),
                _ => {}
            }
        }
        let span = seconds(start)
            .zip(seconds(end))
            .filter(|(start, end)| start <= end)
            .map(|(start, end)| Span { start, end });
        (text, span)
    })
}

const SPEAKERS: [(&str, Role); 3] = [
    ("Agent:", Role::Agent),
    ("User:", Role::User),
    ("Transfer Target:", Role::TransferTarget),
];

/// The turns of a plain transcript: a line that begins with a speaker begins a turn, other lines continue it.
fn turns_of_lines<'a>(text: &str) -> Vec<Entry<'a>> {
    let mut turns: Vec<(Role, String)> = Vec::new();
    for line in text.lines() {
        let speaker = SPEAKERS
            .iter()
            .find_map(|(speaker, role)| Some((*role, line.strip_prefix(speaker)?)));
        match (speaker, turns.last_mut()) {
            (Some((role, said)), _) => turns.push((role, said.trim_start().to_owned())),
            (None, Some((_, said))) => {
                said.push('\n');
                said.push_str(line);
            }
            (None, None) => {}
        }
    }
    let entry = |(role, said): (Role, String)| Entry {
        role,
        content: Cow::Owned(said.trim_end().to_owned()),
        ..Entry::default()
    };
    turns.into_iter().map(entry).collect()
}

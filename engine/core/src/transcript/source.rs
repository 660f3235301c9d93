//! The places in a body where a transcript may stand, and the entries in them (rules A9, B6).

use std::borrow::Cow;
use std::sync::Arc;

use crate::facts::{Item, Role, Word};
use crate::instant::Millis;
use crate::json::{Shape, Value, last_of_each};
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

impl Source<'_> {
    /// Turns and characters in them.
    pub(super) fn size(self) -> (u32, u64) {
        let add = |(turns, characters): (u32, u64), said: &str| (turns + 1, characters + said.chars().count() as u64);
        match self {
            Source::List(list) => list.elements().filter_map(said_in).fold((0, 0), |sum, said| add(sum, &said)),
            Source::Lines(_) => {
                let turns = self.entries(None).filter(Entry::is_turn);
                turns.fold((0, 0), |sum, entry| add(sum, &entry.content))
            }
        }
    }
}

/// What an item of a list says, if it is a turn.
fn said_in(item: Value<'_>) -> Option<Cow<'_, str>> {
    let found = last_of_each!(item, role, content);
    let speaks = found.role.and_then(Value::text).is_some_and(|word| role_of(&word).speaks());
    let said = text(found.content).filter(|_| speaks)?;
    (!said.trim().is_empty()).then_some(said)
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
        let found = last_of_each!(
            item,
            role,
            content,
            words,
            time_sec,
            name,
            arguments,
            tool_call_id,
            successful,
            new_node_name,
            new_node_id,
            new_state_name,
            digit,
            created_timestamp
        );
        let word = text(found.role)?;
        let role = role_of(&word);
        let mut entry = Entry { role, ..Entry::default() };
        let said = match role {
            Role::ToolCall => {
                entry.tool = text(found.name);
                entry.tool_type = text(item.get("type"));
                found.arguments
            }
            Role::Node => [found.new_node_name, found.new_state_name, found.new_node_id]
                .into_iter()
                .flatten()
                .find(|name| !name.is_missing()),
            Role::Dtmf => found.digit,
            _ => found.content,
        };
        entry.content = text(said).unwrap_or_default();
        match role {
            Role::ToolCall | Role::ToolResult => entry.tool_call_id = text(found.tool_call_id),
            Role::Other => entry.role_raw = Some(word),
            _ => {}
        }
        if role == Role::ToolResult {
            entry.successful = found.successful.and_then(Value::bool);
        }
        entry.words = found.words.filter(|_| role.speaks());
        entry.start_ms = seconds(found.time_sec).or_else(|| {
            let created = found.created_timestamp?.number()?.rounded()?;
            Some(Millis(created).since(chat_start?)).filter(|ms| *ms >= 0)
        });
        Some(entry)
    }

    /// Tells the places of the words that have usable ones, and takes the entry's own times from them, which are more exact than
    /// others it may have.
    pub(super) fn spans(&mut self, mut tell: impl FnMut(Span)) {
        let mut own: Option<Span> = None;
        for span in words(self.words).filter_map(|(_, span)| span) {
            tell(span);
            own = Some(own.map_or(span, |own| Span {
                start: own.start.min(span.start),
                end: own.end.max(span.end),
            }));
        }
        if let Some(own) = own {
            (self.start_ms, self.end_ms) = (Some(own.start), Some(own.end));
        }
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
    list.into_iter().flat_map(Value::elements).map(|item| {
        let (word, start, end) = match item.word() {
            Some([word, start, end]) => (Some(word), Some(start), Some(end)),
            None => {
                let found = last_of_each!(item, word, start, end);
                (found.word, found.start, found.end)
            }
        };
        let times = seconds(start).zip(seconds(end));
        (
            word,
            times.filter(|(start, end)| start <= end).map(|(start, end)| Span { start, end }),
        )
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

//! A transcript as people read it: turns, tools with their results, notes; and who spoke when. `talk.js` has the same rules.

use std::collections::HashMap;

use trunkline_core::facts::{Item, Role};

use crate::l10n::Texts;
use crate::pages::format;
use crate::pages::row::role_word;

/// Silence between turns that is worth a line.
const SILENCE_MS: i64 = 3_000;
/// A response slower than this is marked.
const SLOW_MS: i64 = 1_500;
/// Longest payload of a tool that is shown; the raw event has all of it.
const PAYLOAD_CHARS: usize = 8_000;
/// Width of the talk strip.
const STRIP: f64 = 1000.0;

/// One entry of the conversation.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Shown {
    /// `turn`, `tool`, `note`.
    pub kind: &'static str,
    /// Role, for the mark.
    pub role: &'static str,
    /// Place in the transcript.
    pub index: usize,
    /// Time from the start.
    pub at: String,
    /// Who speaks, or the tool's name.
    pub who: String,
    /// Language of the text, where known.
    pub lang: String,
    /// What was said; a tool's arguments.
    pub text: String,
    /// A tool's result.
    pub result: String,
    /// Response gap.
    pub gap: String,
    /// Slower than it should be.
    pub slow: bool,
    /// The tool failed.
    pub failed: bool,
}

/// A bar of the talk strip.
#[derive(Debug, Clone, PartialEq)]
pub struct Bar {
    /// Colour class.
    pub colour: &'static str,
    /// Start.
    pub x: String,
    /// Top.
    pub y: u32,
    /// Length.
    pub width: String,
    /// Height.
    pub height: u32,
}

/// The entries of a transcript.
pub fn shown(items: &[Item], lang: &str, l: &Texts) -> Vec<Shown> {
    let results: HashMap<&str, &Item> = items
        .iter()
        .filter(|item| item.role == Role::ToolResult)
        .filter_map(|item| Some((item.tool_call_id.as_deref()?, item)))
        .collect();
    let called: Vec<&str> = items
        .iter()
        .filter(|item| item.role == Role::ToolCall)
        .filter_map(|item| item.tool_call_id.as_deref())
        .collect();
    let mut entries = Vec::with_capacity(items.len());
    let mut heard: Option<(Role, i64)> = None;
    for (index, item) in items.iter().enumerate() {
        let at = item.start_ms.map(format::duration).unwrap_or_default();
        let plain = Shown {
            index,
            at,
            role: role_word(item.role),
            ..Shown::default()
        };
        match item.role {
            role if role.speaks() || matches!(role, Role::Injected | Role::Other) => {
                let silent = heard.zip(item.start_ms).map(|((_, end), start)| start - end);
                if let Some(silent) = silent.filter(|ms| *ms >= SILENCE_MS && role.speaks()) {
                    let text = l.t1("silence", "n", silent / 1000);
                    entries.push(Shown {
                        kind: "note",
                        role: "silence",
                        index,
                        text,
                        ..Shown::default()
                    });
                }
                let waited = heard
                    .filter(|(before, _)| *before == Role::User && role == Role::Agent)
                    .and(silent)
                    .filter(|ms| *ms >= 0);
                entries.push(Shown {
                    kind: "turn",
                    who: item
                        .role_raw
                        .as_deref()
                        .map_or_else(|| l.t(&format!("who-{}", role_word(role))), str::to_owned),
                    lang: lang.to_owned(),
                    text: item.content.to_string(),
                    gap: waited
                        .map(|ms| format!("{} s", format::decimal(ms as f64 / 1000.0, 1)))
                        .unwrap_or_default(),
                    slow: waited.is_some_and(|ms| ms >= SLOW_MS),
                    ..plain
                });
                if role.speaks() {
                    heard = item.end_ms.map(|end| (role, end)).or(heard);
                }
            }
            Role::ToolCall => {
                let result = item.tool_call_id.as_deref().and_then(|id| results.get(id));
                entries.push(Shown {
                    kind: "tool",
                    who: item.tool.as_deref().unwrap_or_default().to_owned(),
                    text: payload(&item.content),
                    result: result.map(|result| payload(&result.content)).unwrap_or_default(),
                    failed: result.is_some_and(|result| result.successful == Some(false)),
                    ..plain
                });
            }
            Role::ToolResult if item.tool_call_id.as_deref().is_some_and(|id| called.contains(&id)) => {}
            Role::ToolResult => entries.push(Shown {
                kind: "tool",
                who: item.tool.as_deref().unwrap_or("→").to_owned(),
                result: payload(&item.content),
                failed: item.successful == Some(false),
                ..plain
            }),
            Role::Node => entries.push(Shown {
                kind: "note",
                text: l.t1("tool-step", "name", item.content.as_ref()),
                ..plain
            }),
            Role::Dtmf => entries.push(Shown {
                kind: "note",
                text: l.t1("tool-key", "name", item.content.as_ref()),
                ..plain
            }),
            _ => entries.push(Shown {
                kind: "note",
                text: l.t1("tool-sms", "name", item.content.as_ref()),
                ..plain
            }),
        }
    }
    entries
}

/// How long the caller waited for each answer: from the end of the caller's words to the begin of the agent's. By word times, so an
/// estimate.
pub fn responses(items: &[Item]) -> Vec<f64> {
    let turns: Vec<&Item> = items.iter().filter(|item| item.role.speaks()).collect();
    let gap = |pair: &[&Item]| {
        let follows = pair[0].role == Role::User && pair[1].role == Role::Agent;
        let gap = pair[1].start_ms? - pair[0].end_ms?;
        (follows && gap >= 0).then_some(gap as f64)
    };
    turns.windows(2).filter_map(gap).collect()
}

/// Bars of who spoke when, over `lasts_ms` or as far as words reach.
pub fn strip(items: &[Item], lasts_ms: i64) -> Vec<Bar> {
    let whole = items.iter().filter_map(|item| item.end_ms).fold(lasts_ms.max(1), i64::max) as f64;
    let place = |ms: i64| (ms.max(0) as f64 / whole * STRIP).min(STRIP);
    let mut bars = Vec::new();
    for item in items {
        let Some(start) = item.start_ms else { continue };
        let end = item.end_ms.unwrap_or(start);
        let (colour, y, height) = match item.role {
            Role::Agent => ("c1", 10, 16),
            Role::User => ("c2", 34, 16),
            Role::TransferTarget => ("c3", 34, 16),
            Role::ToolCall => ("c3", 56, 6),
            Role::Injected => ("c3", 56, 6),
            _ => continue,
        };
        let width = (place(end) - place(start)).max(if height == 6 { 6.0 } else { 2.0 });
        bars.push(Bar {
            colour,
            x: format!("{:.1}", place(start)),
            y,
            width: format!("{width:.1}"),
            height,
        });
    }
    bars
}

/// JSON with indents where it is JSON; cut where it is longer than anybody reads.
fn payload(text: &str) -> String {
    let pretty = serde_json::from_str::<serde_json::Value>(text)
        .ok()
        .filter(|value| value.is_object() || value.is_array());
    let text = pretty
        .and_then(|value| serde_json::to_string_pretty(&value).ok())
        .unwrap_or_else(|| text.to_owned());
    if text.chars().count() <= PAYLOAD_CHARS {
        text
    } else {
        text.chars().take(PAYLOAD_CHARS).chain(['…']).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::l10n;

    fn item(role: Role, content: &str, start_ms: i64, end_ms: i64) -> Item {
        Item {
            role,
            role_raw: None,
            content: content.into(),
            start_ms: Some(start_ms),
            end_ms: Some(end_ms),
            tool: None,
            tool_call_id: None,
            tool_type: None,
            successful: None,
            words: [].into(),
        }
    }

    #[test]
    fn a_result_stands_with_its_call_and_a_pause_gets_a_line() {
        let mut call = item(Role::ToolCall, "{\"day\":1}", 900, 900);
        call.tool = Some("book".into());
        call.tool_call_id = Some("t1".into());
        let mut result = item(Role::ToolResult, "no", 1_000, 1_000);
        result.tool_call_id = Some("t1".into());
        result.successful = Some(false);
        let items = [
            item(Role::User, "hi", 0, 800),
            call,
            result,
            item(Role::Agent, "hello", 2_700, 3_000),
            item(Role::User, "so", 9_000, 9_500),
        ];
        let shown = shown(&items, "en", &l10n::languages()[0]);
        let kinds: Vec<_> = shown.iter().map(|entry| entry.kind).collect();
        assert_eq!(kinds, ["turn", "tool", "turn", "note", "turn"]);
        assert!(shown[1].failed && shown[1].result == "no");
        assert_eq!((shown[2].gap.as_str(), shown[2].slow), ("1.9 s", true));
        assert!(shown[3].text.starts_with("6 s"));
    }

    #[test]
    fn the_strip_covers_the_whole_call() {
        let bars = strip(&[item(Role::Agent, "a", 0, 5_000), item(Role::User, "b", 5_000, 10_000)], 20_000);
        assert_eq!((bars[0].width.as_str(), bars[1].x.as_str()), ("250.0", "250.0"));
    }
}

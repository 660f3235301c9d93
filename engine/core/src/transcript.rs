//! What was said in a call, packed into one buffer, with its figures taken while it was read (rule B6).

mod packed;
mod source;
mod speech;

use std::sync::Arc;

use crate::facts::{Item, Role, Speech};

pub(crate) use source::{Entry, Sources};

use packed::{Packer, Unpacked};
use source::Source;
use speech::{Figures, Listener};

/// One version of a call's transcript. Word times are heard once, for the figures, and not kept.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Transcript {
    packed: Box<[u8]>,
    /// Where the last turn stands.
    last_turn: Option<u32>,
    figures: Figures,
    /// Tool invocations.
    pub tool_calls: u32,
    /// Tool results that say they failed.
    pub tool_failures: u32,
    /// Language that the script tells, where it does.
    pub language: Option<&'static str>,
    /// The text has been dropped; only the last turn is left.
    dropped: bool,
}

impl Transcript {
    /// Reads the first source that has a turn; without any, the first that has entries.
    pub fn read(sources: &Sources<'_>) -> Option<Transcript> {
        let mut without_turns = None;
        for source in sources.in_order() {
            let transcript = Transcript::of(source.entries(sources.start));
            match transcript {
                Some(found) if found.figures.turns > 0 => return Some(found),
                found => without_turns = without_turns.or(found),
            }
        }
        without_turns
    }

    /// What [`Transcript::size`] of the transcript in these sources is, without reading more than that takes.
    pub fn size_in(sources: &Sources<'_>) -> (u32, u64) {
        let sizes = sources.in_order().map(Source::size);
        sizes.into_iter().find(|(turns, _)| *turns > 0).unwrap_or_default()
    }

    fn of<'a>(entries: impl Iterator<Item = Entry<'a>>) -> Option<Transcript> {
        let mut packer = Packer::default();
        let mut listener = Listener::default();
        let (mut last_turn, mut tool_calls, mut tool_failures) = (None, 0, 0);
        for mut entry in entries {
            match entry.role {
                Role::ToolCall => tool_calls += 1,
                Role::ToolResult if entry.successful == Some(false) => tool_failures += 1,
                _ => {}
            }
            if entry.is_turn() {
                last_turn = Some(packer.len());
                listener.hear(&mut entry);
            }
            packer.push(&entry);
        }
        let (figures, language) = listener.finish();
        let packed = packer.finish();
        (!packed.is_empty()).then_some(Transcript {
            packed,
            last_turn,
            figures,
            tool_calls,
            tool_failures,
            language,
            dropped: false,
        })
    }

    /// A transcript of which only its size is known.
    pub fn outline(turns: u32, characters: u64, user_turns: u32) -> Transcript {
        Transcript {
            packed: Box::default(),
            last_turn: None,
            figures: Figures::outline(turns, characters, user_turns),
            tool_calls: 0,
            tool_failures: 0,
            language: None,
            dropped: true,
        }
    }

    /// Turns, then characters: of two versions the larger is the later state of the conversation (rule B6).
    pub fn size(&self) -> (u32, u64) {
        (self.figures.turns, self.figures.characters)
    }

    /// Speech figures.
    pub fn speech(&self) -> Speech {
        self.figures.speech()
    }

    /// All entries, without words; nothing once the text was dropped.
    pub fn items(&self) -> Arc<[Item]> {
        if self.dropped {
            return Arc::from([]);
        }
        Unpacked::new(&self.packed).map(|entry| entry.item(false)).collect()
    }

    /// The last turn: who and what.
    pub fn last_said(&self) -> Option<(Role, Arc<str>)> {
        let at = if self.dropped { 0 } else { self.last_turn? as usize };
        let turn = Unpacked::new(&self.packed[at..]).next()?;
        turn.is_turn().then(|| (turn.role, Arc::from(&*turn.content)))
    }

    /// The same without the text, but for its last turn.
    pub fn without_text(&self) -> Transcript {
        let turn = match self.last_turn {
            _ if self.dropped => self.packed.clone(),
            None => Box::default(),
            Some(at) => {
                let rest = &self.packed[at as usize..];
                let mut unpacked = Unpacked::new(rest);
                unpacked.next();
                Box::from(&rest[..unpacked.place()])
            }
        };
        Transcript {
            packed: turn,
            dropped: true,
            ..*self
        }
    }

    /// Bytes of the text, its roles and its times.
    pub fn text_bytes(&self) -> usize {
        self.packed.len()
    }
}

/// All entries of the first source that has a turn, with word times.
pub(crate) fn items_with_words(sources: &Sources<'_>) -> Vec<Item> {
    let mut without_turns = Vec::new();
    for source in sources.in_order() {
        let mut entries: Vec<Entry<'_>> = source.entries(sources.start).collect();
        entries.iter_mut().for_each(|entry| entry.spans(|_| {}));
        let has_turn = entries.iter().any(Entry::is_turn);
        if has_turn || without_turns.is_empty() {
            let items: Vec<Item> = entries.iter().map(|entry| entry.item(true)).collect();
            if has_turn {
                return items;
            }
            without_turns = items;
        }
    }
    without_turns
}

//! What was said in a call, packed into one buffer, with its figures taken while it was read (rule B6).

mod packed;
mod source;
mod speech;

use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::facts::{Item, Role, Speech};
use crate::wire::{In, Out};

pub(crate) use source::{Entry, Sources};

use packed::{Packer, Unpacked};
use source::Source;
use speech::{Figures, Listener};

/// One version of a call's transcript. Word times are heard once, for the figures, and not kept.
#[derive(Debug, Clone)]
pub(crate) struct Transcript {
    packed: Box<[u8]>,
    figures: Figures,
    /// By this the text is recognised when it comes again; only kept of one that has been dropped.
    print: u64,
    /// Language that the script tells, where it does; a reference to a reference takes half the room.
    pub language: Option<&'static &'static str>,
    /// Tool invocations.
    pub tool_calls: u32,
    /// Tool results that say they failed.
    pub tool_failures: u32,
    /// Where the last turn stands; [`NO_TURN`] if there is none.
    last_turn: u32,
    /// The text has been dropped, and only the last turn is left.
    is_dropped: bool,
}

// Every live call has one.
const _: () = assert!(size_of::<Transcript>() <= 96);

/// No place in a packed text, which came through the door and is far shorter.
const NO_TURN: u32 = u32::MAX;

/// The print of a text that never was there.
const NO_TEXT: u64 = 0;

impl PartialEq for Transcript {
    fn eq(&self, other: &Self) -> bool {
        self.figures == other.figures
            && (self.tool_calls, self.tool_failures, self.language) == (other.tool_calls, other.tool_failures, other.language)
            && if self.is_dropped || other.is_dropped {
                self.print() == other.print()
            } else {
                self.packed == other.packed
            }
    }
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
        let (mut last_turn, mut tool_calls, mut tool_failures) = (NO_TURN, 0, 0);
        for mut entry in entries {
            match entry.role {
                Role::ToolCall => tool_calls += 1,
                Role::ToolResult if entry.successful == Some(false) => tool_failures += 1,
                _ => {}
            }
            if entry.is_turn() {
                last_turn = packer.len();
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
            print: NO_TEXT,
            is_dropped: false,
        })
    }

    /// A transcript of which only its size is known.
    pub fn outline(turns: u32, characters: u64, user_turns: u32) -> Transcript {
        Transcript {
            packed: Box::default(),
            last_turn: NO_TURN,
            figures: Figures::outline(turns, characters, user_turns),
            tool_calls: 0,
            tool_failures: 0,
            language: None,
            print: NO_TEXT,
            is_dropped: true,
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
        if self.is_dropped {
            return Arc::from([]);
        }
        Unpacked::new(&self.packed).map(|entry| entry.item(false)).collect()
    }

    /// The last turn: who and what.
    pub fn last_said(&self) -> Option<(Role, Arc<str>)> {
        let turn = Unpacked::new(self.last_packed()?).next()?;
        turn.is_turn().then(|| (turn.role, Arc::from(&*turn.content)))
    }

    /// The last turn in its packed form, with whatever follows it.
    fn last_packed(&self) -> Option<&[u8]> {
        match (self.is_dropped, self.last_turn) {
            (true, _) => Some(&self.packed),
            (false, NO_TURN) => None,
            (false, at) => Some(&self.packed[at as usize..]),
        }
    }

    /// The same without the text, but for its last turn.
    pub fn without_text(&self) -> Transcript {
        let turn = self.last_packed().map_or(&[][..], |rest| {
            let mut unpacked = Unpacked::new(rest);
            unpacked.next();
            &rest[..unpacked.place()]
        });
        Transcript {
            packed: turn.into(),
            print: self.print(),
            is_dropped: true,
            ..*self
        }
    }

    /// Its text was there and is not any more.
    pub fn lacks_text(&self) -> bool {
        self.is_dropped && self.print != NO_TEXT
    }

    /// What tells its text from others of the same size.
    fn print(&self) -> u64 {
        if self.is_dropped {
            return self.print;
        }
        let print = Sha256::digest(&self.packed);
        u64::from_be_bytes(*print.first_chunk().expect("SHA-256 is longer than 8 bytes")).max(NO_TEXT + 1)
    }

    /// Writes everything but the text.
    pub fn write(&self, out: &mut Out) {
        self.figures.write(out);
        out.count(u64::from(self.tool_calls));
        out.count(u64::from(self.tool_failures));
        out.option(self.language, |out, code| out.text(code));
        out.option(self.last_said(), |out, (role, content)| {
            out.byte(packed::place(role));
            out.text(&content);
        });
        out.bytes(&self.print().to_be_bytes());
    }

    /// Reads what [`Transcript::write`] wrote: the text is missing until it comes again.
    pub fn read_outline(from: &mut In<'_>) -> Option<Transcript> {
        let figures = Figures::read(from)?;
        let (tool_calls, tool_failures) = (from.small()?, from.small()?);
        let language = from.option(|from| speech::language(from.str()?))?;
        let turn = from.option(|from| Some((packed::role(from.byte()?)?, from.str()?)))?;
        let mut packer = Packer::default();
        if let Some((role, content)) = turn {
            packer.push(&Entry {
                role,
                content: content.into(),
                ..Entry::default()
            });
        }
        Some(Transcript {
            packed: packer.finish(),
            last_turn: NO_TURN,
            figures,
            tool_calls,
            tool_failures,
            language,
            print: u64::from_be_bytes(from.bytes()?),
            is_dropped: true,
        })
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

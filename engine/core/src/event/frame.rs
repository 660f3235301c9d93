//! The text of a call object around its transcript: while a call runs, nearly every event repeats it letter by letter.

use super::reader::Rest;
use crate::json::{Shape, Value, tag};

/// Where it stands in a body: the members before the transcript and those behind it, without what separates them, so that an event without
/// a transcript has the frame of one that ends in it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Frame {
    before: (u32, u32),
    after: (u32, u32),
}

impl Frame {
    /// The frame of a call object and the transcript in it; `None` when the members that hold it do not stand together, or are repeated.
    pub fn of<'a>(object: Value<'a>) -> Option<(Frame, Rest<'a>)> {
        const ITEMS: u64 = tag("transcript_with_tool_calls");
        const UTTERANCES: u64 = tag("transcript_object");
        const LINES: u64 = tag("transcript");
        if object.shape() != Shape::Object {
            return None;
        }
        let mut rest = Rest::default();
        // Behind the bracket, so that it is never nothing.
        let start = object.extent().0 as u32 + 1;
        let mut frame = Frame {
            before: (start, start),
            after: (start, start),
        };
        let (mut heard, mut closed) = (false, false);
        for (name, value) in object.members() {
            let place = match name.tag() {
                ITEMS if name.is("transcript_with_tool_calls") => Some(&mut rest.items),
                UTTERANCES if name.is("transcript_object") => Some(&mut rest.utterances),
                LINES if name.is("transcript") => Some(&mut rest.lines),
                _ => None,
            };
            let (from, to) = (name.extent().0 as u32, value.extent().1 as u32);
            match place {
                Some(place) if place.is_some() || closed => return None,
                Some(place) => (*place, heard) = (Some(value), true),
                None if !heard => frame.before = (if frame.before.1 == start { from } else { frame.before.0 }, to),
                None => {
                    frame.after = (if closed { frame.after.0 } else { from }, to);
                    closed = true;
                }
            }
        }
        Some((frame, rest))
    }

    /// True when both are there and have the same text.
    pub fn is_same(&self, body: &[u8], other: &Frame, other_body: &[u8]) -> bool {
        let same = |(from, to): (u32, u32), (other_from, other_to): (u32, u32)| {
            body[from as usize..to as usize] == other_body[other_from as usize..other_to as usize]
        };
        self.before.1 > 0 && other.before.1 > 0 && same(self.before, other.before) && same(self.after, other.after)
    }
}

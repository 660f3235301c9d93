//! The text of a call object around its transcript: while a call runs, nearly every event repeats it letter by letter.

use bytes::Bytes;

use super::reader::Rest;
use crate::json::{Shape, Value, tag};

/// Where it stands in a body: from the object's bracket to the transcript, and from there to the closing bracket.
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
        let (start, end) = object.extent();
        let mut inner: Option<(usize, usize)> = None;
        let mut behind = start;
        for (name, value) in object.members() {
            let place = match name.tag() {
                ITEMS if name.is("transcript_with_tool_calls") => Some(&mut rest.items),
                UTTERANCES if name.is("transcript_object") => Some(&mut rest.utterances),
                LINES if name.is("transcript") => Some(&mut rest.lines),
                _ => None,
            };
            let extent = (name.extent().0, value.extent().1);
            if let Some(place) = place {
                let stands_together = inner.is_none_or(|(_, end)| end == behind);
                if place.is_some() || !stands_together {
                    return None;
                }
                *place = Some(value);
                inner = Some((inner.map_or(extent.0, |(start, _)| start), extent.1));
            }
            behind = extent.1;
        }
        let (from, to) = inner.unwrap_or((end, end));
        let frame = Frame {
            before: (start as u32, from as u32),
            after: (to as u32, end as u32),
        };
        Some((frame, rest))
    }

    /// True when both are there and have the same text.
    pub fn is_same(&self, body: &Bytes, other: &Frame, other_body: &Bytes) -> bool {
        let same = |(from, to): (u32, u32), (other_from, other_to): (u32, u32)| {
            body[from as usize..to as usize] == other_body[other_from as usize..other_to as usize]
        };
        self.before.1 > 0 && other.before.1 > 0 && same(self.before, other.before) && same(self.after, other.after)
    }
}

//! Reads JSON as Retell sends it and as an attacker might (rule A6): one parser for every place that needs one.
//!
//! [`walk()`] passes over a text once, finds every fault and tells a [`Sink`] what it sees; the door's sink keeps four fields,
//! [`Tape`]'s keeps the shape of the whole text in one flat vector. Strings and numbers stay where they are until somebody asks.

mod canonical;
mod number;
mod spoken;
mod tag;
mod tape;
mod text;
mod walk;

pub use canonical::{Canonical, Omit};
pub use number::Number;
pub(crate) use spoken::Spoken;
pub(crate) use tag::{last_of_each, tag};
pub use tape::{Shape, Tape, Value};
pub use text::{Decoded, decode, is_plain, shown};
pub use walk::{Bad, Literal, Sink, Span, Word, walk};

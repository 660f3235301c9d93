//! The shape of a whole JSON text in one flat vector; values are views into it.

use std::borrow::Cow;

use super::number::Number;
use super::text::{decode, shown};
use super::walk::{Bad, Literal, Sink, Span, Word, walk, walk_value};

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// `null`
    Null,
    /// `true`
    True,
    /// `false`
    False,
    /// A number.
    Number,
    /// A string.
    String,
    /// An array.
    Array,
    /// An object.
    Object,
}

/// One value or member name. Sixteen bytes: a word-timed transcript has very many.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node {
    shape: Shape,
    /// Of strings: there are escapes inside. Of objects: it is a [`Word`].
    escaped: bool,
    /// Where it stands in the text; of strings the inside.
    start: u32,
    end: u32,
    /// The node behind this one and all it contains.
    next: u32,
}

/// Nodes in the order of the text: containers before their content, names before their values. Kept between texts for its memory.
#[derive(Debug, Default)]
pub struct Tape {
    nodes: Vec<Node>,
    open: Vec<u32>,
}

impl Tape {
    /// Reads `text`; afterwards [`Tape::root`] gives its value.
    pub fn read(&mut self, text: &str) -> Result<(), Bad> {
        self.nodes.clear();
        self.open.clear();
        // Places are kept in 32 bits; what is longer cannot have come through the door (10 MiB).
        if u32::try_from(text.len()).is_err() {
            return Err(Bad::Syntax);
        }
        walk(text.as_bytes(), self)
    }

    /// The outermost value of the text just read; `text` must be the same.
    pub fn root<'a>(&'a self, text: &'a str) -> Value<'a> {
        Value {
            text,
            nodes: &self.nodes,
            at: 0,
        }
    }

    /// Forgets what was read, before [`Tape::read_part`].
    pub(crate) fn clear(&mut self) {
        self.nodes.clear();
        self.open.clear();
    }

    /// Reads the one value of `text` that begins at `start` within `outside` open brackets, behind the parts read before; gives its place
    /// for [`Tape::part`] and where it ends.
    pub(crate) fn read_part(&mut self, text: &str, start: usize, outside: usize) -> Result<(usize, usize), Bad> {
        let place = self.nodes.len();
        let end = walk_value(text.as_bytes(), start, outside, self)?;
        Ok((place, end))
    }

    /// A value that [`Tape::read_part`] has read; `text` must be the same.
    pub(crate) fn part<'a>(&'a self, text: &'a str, place: usize) -> Value<'a> {
        Value {
            text,
            nodes: &self.nodes,
            at: place,
        }
    }

    /// Gives memory back after an unusually large text.
    pub fn shrink(&mut self, nodes: usize) {
        self.nodes.clear();
        self.nodes.shrink_to(nodes);
    }

    #[inline(always)]
    fn push(&mut self, shape: Shape, escaped: bool, start: usize, end: usize) {
        let next = self.nodes.len() as u32 + 1;
        self.nodes.push(Node {
            shape,
            escaped,
            start: start as u32,
            end: end as u32,
            next,
        });
    }
}

impl Sink for Tape {
    #[inline(always)]
    fn open(&mut self, at: usize, object: bool) {
        self.open.push(self.nodes.len() as u32);
        self.push(if object { Shape::Object } else { Shape::Array }, false, at, at);
    }

    #[inline(always)]
    fn close(&mut self, at: usize) {
        let next = self.nodes.len() as u32;
        let opened = self.open.pop().expect("the walk closes only what it has opened") as usize;
        let node = &mut self.nodes[opened];
        node.end = at as u32 + 1;
        node.next = next;
    }

    #[inline(always)]
    fn key(&mut self, span: Span) {
        self.string(span);
    }

    #[inline(always)]
    fn string(&mut self, span: Span) {
        self.push(Shape::String, span.escaped, span.start, span.end);
    }

    #[inline(always)]
    fn number(&mut self, start: usize, end: usize) {
        self.push(Shape::Number, false, start, end);
    }

    #[inline(always)]
    fn literal(&mut self, start: usize, end: usize, literal: Literal) {
        let shape = match literal {
            Literal::Null => Shape::Null,
            Literal::True => Shape::True,
            Literal::False => Shape::False,
        };
        self.push(shape, false, start, end);
    }

    #[inline(always)]
    fn word(&mut self, word: &Word) {
        let first = self.nodes.len() as u32;
        let node = |shape, place: u32, start: usize, end: usize| Node {
            shape,
            escaped: false,
            start: start as u32,
            end: end as u32,
            next: first + place + 1,
        };
        let (at, start, end) = (word.at, word.start, word.end);
        self.nodes.extend_from_slice(&[
            Node {
                escaped: true,
                ..node(Shape::Object, 6, at, end.1 + 1)
            },
            node(Shape::String, 1, at + 2, at + 6),
            node(Shape::String, 2, word.spelling.start, word.spelling.end),
            node(Shape::String, 3, start.0 - 7, start.0 - 2),
            node(Shape::Number, 4, start.0, start.1),
            node(Shape::String, 5, end.0 - 5, end.0 - 2),
            node(Shape::Number, 6, end.0, end.1),
        ]);
    }
}

/// A value: a view into the text and its tape.
#[derive(Debug, Clone, Copy)]
pub struct Value<'a> {
    text: &'a str,
    nodes: &'a [Node],
    at: usize,
}

impl<'a> Value<'a> {
    #[inline(always)]
    fn node(self) -> &'a Node {
        &self.nodes[self.at]
    }

    /// The whole text, for copying from it.
    #[inline(always)]
    pub(crate) fn text_around(self) -> &'a str {
        self.text
    }

    /// Length of [`Value::raw`].
    #[inline(always)]
    pub(super) fn raw_len(self) -> usize {
        let node = self.node();
        (node.end - node.start) as usize
    }

    /// Where it begins and ends in the text; of strings the quotes belong to it.
    #[inline(always)]
    pub(crate) fn extent(self) -> (usize, usize) {
        let node = self.node();
        let quote = usize::from(node.shape == Shape::String);
        (node.start as usize - quote, node.end as usize + quote)
    }

    /// What it is.
    #[inline(always)]
    pub fn shape(self) -> Shape {
        self.node().shape
    }

    /// Its place in the order of the text: of two equal keys the later one counts.
    #[inline(always)]
    pub(crate) fn place(self) -> usize {
        self.at
    }

    /// The same tape at another place.
    #[inline(always)]
    pub(super) fn at(self, place: usize) -> Value<'a> {
        Value { at: place, ..self }
    }

    /// The text of it: of strings the inside, still escaped.
    #[inline(always)]
    pub fn raw(self) -> &'a str {
        let node = self.node();
        &self.text[node.start as usize..node.end as usize]
    }

    /// Of strings: whether there are escapes inside.
    #[inline(always)]
    pub fn escaped(self) -> bool {
        self.node().escaped
    }

    /// Null, `""`, `[]` and `{}` all mean missing (rule A8).
    #[inline]
    pub fn is_missing(self) -> bool {
        match self.shape() {
            Shape::Null => true,
            Shape::String => self.node().start == self.node().end,
            Shape::Array | Shape::Object => self.node().next as usize == self.at + 1,
            Shape::True | Shape::False | Shape::Number => false,
        }
    }

    /// A string's content.
    #[inline]
    pub fn string(self) -> Option<Cow<'a, str>> {
        (self.shape() == Shape::String).then(|| self.name())
    }

    /// A string's content as it may be shown; `None` when it is no string or empty (rule A6).
    pub fn text(self) -> Option<Cow<'a, str>> {
        self.string().and_then(shown)
    }

    /// A number.
    pub fn number(self) -> Option<Number<'a>> {
        (self.shape() == Shape::Number).then(|| Number(self.raw()))
    }

    /// A truth value.
    pub fn bool(self) -> Option<bool> {
        match self.shape() {
            Shape::True => Some(true),
            Shape::False => Some(false),
            _ => None,
        }
    }

    /// Values of an array in order; nothing when it is none.
    #[inline]
    pub fn elements(self) -> impl Iterator<Item = Value<'a>> {
        let end = if self.shape() == Shape::Array {
            self.node().next as usize
        } else {
            0
        };
        let mut at = self.at + 1;
        std::iter::from_fn(move || {
            let element = (at < end).then_some(Value { at, ..self })?;
            at = element.node().next as usize;
            Some(element)
        })
    }

    /// Spelling, start and end, if it is a [`Word`].
    #[inline(always)]
    pub(crate) fn word(self) -> Option<[Value<'a>; 3]> {
        let node = self.node();
        (node.escaped && node.shape == Shape::Object).then(|| [2, 4, 6].map(|behind| self.at(self.at + behind)))
    }

    /// Names and values of an object in order, repeated names too; nothing when it is none.
    #[inline]
    pub fn members(self) -> impl Iterator<Item = (Value<'a>, Value<'a>)> {
        let end = if self.shape() == Shape::Object {
            self.node().next as usize
        } else {
            0
        };
        let mut at = self.at + 1;
        std::iter::from_fn(move || {
            let name = (at < end).then_some(Value { at, ..self })?;
            let value = Value { at: at + 1, ..self };
            at = value.node().next as usize;
            Some((name, value))
        })
    }

    /// A member's name; borrowed unless escaped.
    #[inline]
    pub fn name(self) -> Cow<'a, str> {
        if self.escaped() {
            decode(self.raw(), true).text
        } else {
            Cow::Borrowed(self.raw())
        }
    }

    /// The last member of this name (rule A6).
    pub fn get(self, name: &str) -> Option<Value<'a>> {
        self.members().filter(|(key, _)| key.is(name)).map(|(_, value)| value).last()
    }

    /// True when this is a string of that content.
    #[inline(always)]
    pub fn is(self, content: &str) -> bool {
        if self.escaped() {
            self.name() == content
        } else {
            self.raw() == content
        }
    }
}

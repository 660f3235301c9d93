//! Keeps, of all that passes, the few places that routing and masking need.

use super::{Found, Section};
use crate::json::{Literal, Sink, Span, decode};

/// What is known of `call` or `chat`. Of repeated keys the last counts, so each new value begins anew.
#[derive(Debug, Clone, Copy, Default)]
struct Part {
    filled: bool,
    id: Option<Span>,
}

/// A member of the outermost object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outer {
    Event,
    Call,
    Chat,
    Alert,
    Other,
}

/// A member of `call` or `chat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inner {
    Id,
    AccessToken,
    Other,
}

/// The sink of the door.
pub(super) struct Finder<'a> {
    text: &'a str,
    depth: u32,
    outer: Outer,
    inner: Inner,
    root_is_object: bool,
    event: Option<Span>,
    call: Part,
    chat: Part,
    alert: bool,
    /// Credentials: the value of every `call.access_token` that is a text (rule A12).
    pub tokens: Vec<(usize, usize)>,
}

impl<'a> Finder<'a> {
    pub fn new(text: &'a str) -> Finder<'a> {
        Finder {
            text,
            depth: 0,
            outer: Outer::Other,
            inner: Inner::Other,
            root_is_object: false,
            event: None,
            call: Part::default(),
            chat: Part::default(),
            alert: false,
            tokens: Vec::new(),
        }
    }

    /// What was found.
    pub fn found(&self) -> Found<'a> {
        let inside = |span: Span| (&self.text[span.start..span.end], span.escaped);
        let section = |part: Part| Section {
            filled: part.filled,
            id: part.id.map(inside),
        };
        Found {
            root_is_object: self.root_is_object,
            event: self.event.map(inside),
            call: section(self.call),
            chat: section(self.chat),
            alert: self.alert,
        }
    }

    fn section(&mut self) -> Option<&mut Part> {
        match self.outer {
            Outer::Call => Some(&mut self.call),
            Outer::Chat => Some(&mut self.chat),
            _ => None,
        }
    }

    /// A value begins at depth one: whatever was known of this member is void.
    fn outer_value(&mut self, event: Option<Span>) {
        match self.outer {
            Outer::Event => self.event = event,
            Outer::Alert => self.alert = false,
            _ => {
                if let Some(section) = self.section() {
                    *section = Part::default();
                }
            }
        }
    }

    fn inner_value(&mut self, text: Option<Span>) {
        match self.inner {
            Inner::Id => {
                if let Some(section) = self.section() {
                    section.id = text;
                }
            }
            Inner::AccessToken => {
                if let Some(span) = text.filter(|span| self.outer == Outer::Call && span.start < span.end) {
                    self.tokens.push((span.start, span.end));
                }
            }
            Inner::Other => {}
        }
    }

    #[inline(always)]
    fn value(&mut self, text: Option<Span>) {
        match self.depth {
            1 => self.outer_value(text),
            2 => self.inner_value(text),
            _ => {}
        }
    }

    #[cold]
    fn classify_decoded(&mut self, span: Span) {
        let name = decode(&self.text[span.start..span.end], true).text;
        self.classify(&name);
    }

    fn classify(&mut self, name: &str) {
        if self.depth == 1 {
            self.outer = match name {
                "event" => Outer::Event,
                "call" => Outer::Call,
                "chat" => Outer::Chat,
                "alert" => Outer::Alert,
                _ => Outer::Other,
            };
            return;
        }
        self.inner = match (name, self.outer) {
            ("call_id", Outer::Call) | ("chat_id", Outer::Chat) => Inner::Id,
            ("access_token", Outer::Call) => Inner::AccessToken,
            _ => Inner::Other,
        };
        match self.outer {
            Outer::Alert => self.alert = true,
            _ => {
                if let Some(section) = self.section() {
                    section.filled = true;
                }
            }
        }
    }
}

impl Sink for Finder<'_> {
    #[inline(always)]
    fn open(&mut self, _at: usize, object: bool) {
        match self.depth {
            0 => self.root_is_object = object,
            1 => {
                self.outer_value(None);
                self.inner = Inner::Other;
            }
            2 => self.inner_value(None),
            _ => {}
        }
        self.depth += 1;
    }

    #[inline(always)]
    fn close(&mut self, _at: usize) {
        self.depth -= 1;
    }

    #[inline(always)]
    fn key(&mut self, span: Span) {
        if self.depth <= 2 {
            if span.escaped {
                self.classify_decoded(span);
            } else {
                self.classify(&self.text[span.start..span.end]);
            }
        }
    }

    #[inline(always)]
    fn string(&mut self, span: Span) {
        self.value(Some(span));
    }

    #[inline(always)]
    fn number(&mut self, _start: usize, _end: usize) {
        self.value(None);
    }

    #[inline(always)]
    fn literal(&mut self, _start: usize, _end: usize, _literal: Literal) {
        self.value(None);
    }
}

//! A transcript in one buffer: a few bytes per entry beside its text, because very many are in memory at once.
//!
//! Each entry: role, flags, then what the flags announce. Numbers are LEB128; texts are length and UTF-8. Never stored, but for the numbers of roles.

use std::borrow::Cow;

use super::source::Entry;
use crate::facts::Role;

const START: u8 = 1;
const END: u8 = 2;
const TOOL: u8 = 4;
const TOOL_CALL_ID: u8 = 8;
const TOOL_TYPE: u8 = 16;
const ROLE_RAW: u8 = 32;
const SUCCEEDED: u8 = 64;
const FAILED: u8 = 128;

const ROLES: [Role; 10] = [
    Role::Agent,
    Role::User,
    Role::TransferTarget,
    Role::ToolCall,
    Role::ToolResult,
    Role::Node,
    Role::Dtmf,
    Role::Sms,
    Role::Injected,
    Role::Other,
];

/// The number of a role, in stored forms too: append, never insert.
pub(super) fn place(role: Role) -> u8 {
    let found = ROLES.iter().position(|known| *known == role);
    found.expect("the table holds every role") as u8
}

/// The role of a number.
pub(super) fn role(place: u8) -> Option<Role> {
    ROLES.get(usize::from(place)).copied()
}

/// Packs entries.
#[derive(Debug, Default)]
pub(super) struct Packer {
    out: Vec<u8>,
}

impl Packer {
    /// Where the next entry will stand.
    pub fn len(&self) -> u32 {
        self.out.len() as u32
    }

    pub fn push(&mut self, entry: &Entry<'_>) {
        let texts = [
            (TOOL, &entry.tool),
            (TOOL_CALL_ID, &entry.tool_call_id),
            (TOOL_TYPE, &entry.tool_type),
            (ROLE_RAW, &entry.role_raw),
        ];
        let mut flags = 0;
        let times = [(START, entry.start_ms), (END, entry.end_ms)];
        for (flag, _) in times.iter().filter(|(_, time)| time.is_some()) {
            flags |= flag;
        }
        for (flag, _) in texts.iter().filter(|(_, text)| text.is_some()) {
            flags |= flag;
        }
        flags |= match entry.successful {
            None => 0,
            Some(true) => SUCCEEDED,
            Some(false) => FAILED,
        };
        self.out.extend_from_slice(&[place(entry.role), flags]);
        for time in times.into_iter().filter_map(|(_, time)| time) {
            self.number(time as u64);
        }
        self.text(&entry.content);
        for text in texts.into_iter().filter_map(|(_, text)| text.as_ref()) {
            self.text(text);
        }
    }

    pub fn finish(self) -> Box<[u8]> {
        self.out.into_boxed_slice()
    }

    fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.out.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.out.push(number as u8);
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.out.extend_from_slice(text.as_bytes());
    }
}

/// Reads what [`Packer`] packed.
#[derive(Debug)]
pub(super) struct Unpacked<'a> {
    packed: &'a [u8],
    at: usize,
}

impl<'a> Unpacked<'a> {
    pub fn new(packed: &'a [u8]) -> Unpacked<'a> {
        Unpacked { packed, at: 0 }
    }

    /// Where the next entry stands.
    pub fn place(&self) -> usize {
        self.at
    }

    fn byte(&mut self) -> u8 {
        let byte = self.packed[self.at];
        self.at += 1;
        byte
    }

    fn number(&mut self) -> u64 {
        let (mut number, mut shift) = (0, 0);
        loop {
            let byte = self.byte();
            number |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                return number;
            }
            shift += 7;
        }
    }

    fn text(&mut self) -> Cow<'a, str> {
        let length = self.number() as usize;
        let bytes = &self.packed[self.at..self.at + length];
        self.at += length;
        Cow::Borrowed(std::str::from_utf8(bytes).expect("packed from a text"))
    }
}

impl<'a> Iterator for Unpacked<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        if self.at >= self.packed.len() {
            return None;
        }
        let role = ROLES[usize::from(self.byte())];
        let flags = self.byte();
        let has = |flag| flags & flag != 0;
        let mut entry = Entry { role, ..Entry::default() };
        entry.start_ms = has(START).then(|| self.number() as i64);
        entry.end_ms = has(END).then(|| self.number() as i64);
        entry.content = self.text();
        entry.tool = has(TOOL).then(|| self.text());
        entry.tool_call_id = has(TOOL_CALL_ID).then(|| self.text());
        entry.tool_type = has(TOOL_TYPE).then(|| self.text());
        entry.role_raw = has(ROLE_RAW).then(|| self.text());
        entry.successful = if has(SUCCEEDED) { Some(true) } else { has(FAILED).then_some(false) };
        Some(entry)
    }
}

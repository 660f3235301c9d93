//! The bytes of stored and packed forms: whole numbers as LEB128 (signed ones zigzag first), texts with their length before them,
//! floats as their 64 bits, big endian.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use crate::instant::Millis;

/// Different names that stored forms may bring in as long as this process lives: ours are a few dozen, more can only be damage.
const LASTING_NAMES_MAX: usize = 1_000;

/// What is told beyond that. A name is for people; a call must not become unreadable because others were damaged.
const ANOTHER_NAME: &str = "(another)";

/// Writes.
#[derive(Debug, Default)]
pub(crate) struct Out(pub Vec<u8>);

impl Out {
    pub fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    pub fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    pub fn flag(&mut self, on: bool) {
        self.0.push(u8::from(on));
    }

    pub fn count(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    /// The length of what follows.
    pub fn length(&mut self, length: usize) {
        self.count(length as u64);
    }

    pub fn number(&mut self, value: i64) {
        self.count(((value << 1) ^ (value >> 63)) as u64);
    }

    pub fn moment(&mut self, at: Millis) {
        self.number(at.0);
    }

    pub fn text(&mut self, text: &str) {
        self.block(text.as_bytes());
    }

    /// Bytes with their length before them.
    pub fn block(&mut self, bytes: &[u8]) {
        self.length(bytes.len());
        self.bytes(bytes);
    }

    pub fn float(&mut self, value: f64) {
        self.bytes(&value.to_bits().to_be_bytes());
    }

    /// 0, or 1 and what is there.
    pub fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Out, T)) {
        self.flag(value.is_some());
        if let Some(value) = value {
            write(self, value);
        }
    }

    /// How many, and each.
    pub fn list<T>(&mut self, list: impl ExactSizeIterator<Item = T>, mut write: impl FnMut(&mut Out, T)) {
        self.length(list.len());
        list.for_each(|item| write(self, item));
    }
}

/// What is left to read. `None` from any of its functions: cut off, or not what it should be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct In<'a>(pub &'a [u8]);

impl<'a> In<'a> {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    pub fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*first)
    }

    pub fn flag(&mut self) -> Option<bool> {
        match self.byte()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    pub fn count(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    /// A count that fits in `T`.
    pub fn small<T: TryFrom<u64>>(&mut self) -> Option<T> {
        T::try_from(self.count()?).ok()
    }

    pub fn number(&mut self) -> Option<i64> {
        let value = self.count()?;
        Some((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    pub fn moment(&mut self) -> Option<Millis> {
        self.number().map(Millis)
    }

    pub fn block(&mut self) -> Option<&'a [u8]> {
        let length = self.small()?;
        let (block, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(block)
    }

    pub fn str(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.block()?).ok()
    }

    pub fn text(&mut self) -> Option<Arc<str>> {
        self.str().map(Arc::from)
    }

    pub fn float(&mut self) -> Option<f64> {
        Some(f64::from_bits(u64::from_be_bytes(self.bytes()?)))
    }

    pub fn option<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        Some(if self.flag()? { Some(read(self)?) } else { None })
    }

    pub fn list<T>(&mut self, mut read: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let length: usize = self.small()?;
        // Each item takes a byte at least: a damaged length must not ask for more memory than there can be items.
        let mut list = Vec::with_capacity(length.min(self.0.len()));
        for _ in 0..length {
            list.push(read(self)?);
        }
        Some(list)
    }
}

/// Where a value stands in the table of all its values.
pub(crate) fn place<T: PartialEq>(table: &[T], value: &T) -> u8 {
    table.iter().position(|known| known == value).expect("the table holds every value") as u8
}

/// A name that lives as long as the program; for the few names that stored forms hold of ours, also those of other versions.
pub(crate) fn lasting(name: &str) -> &'static str {
    static NAMES: Mutex<Option<HashSet<&'static str>>> = Mutex::new(None);
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    let names = names.get_or_insert_default();
    if let Some(name) = names.get(name) {
        return name;
    }
    if names.len() == LASTING_NAMES_MAX {
        return ANOTHER_NAME;
    }
    let name: &'static str = String::from(name).leak();
    names.insert(name);
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_out_comes_in_and_a_cut_is_noticed() {
        let mut out = Out::default();
        out.number(i64::MIN);
        out.number(-1);
        out.count(u64::MAX);
        out.text("ä");
        out.float(f64::MIN_POSITIVE);
        out.option(None::<u8>, Out::byte);
        out.option(Some(7), Out::byte);
        out.list([1u64, 300].into_iter(), Out::count);
        let read = |bytes: &[u8]| {
            let mut from = In(bytes);
            let numbers = (from.number()?, from.number()?, from.count()?, from.text()?, from.float()?);
            let rest = (from.option(In::byte)?, from.option(In::byte)?, from.list(In::count)?);
            from.is_empty().then_some((numbers, rest))
        };
        let numbers = (i64::MIN, -1, u64::MAX, Arc::from("ä"), f64::MIN_POSITIVE);
        assert_eq!(read(&out.0), Some((numbers, (None, Some(7), vec![1, 300]))));
        for cut in 0..out.0.len() {
            assert_eq!(read(&out.0[..cut]), None);
        }
        assert_eq!(In(&[0xFF; 12]).count(), None, "no number is that long");
    }

    #[test]
    fn a_lasting_name_is_kept_once_and_too_many_are_told_as_one() {
        let (one, other) = (lasting("transfer_destination"), lasting("transfer_destination"));
        assert!(std::ptr::eq(one, other));
        for nth in 0..LASTING_NAMES_MAX {
            lasting(&format!("damage {nth}"));
        }
        assert_eq!(lasting("more of it"), ANOTHER_NAME);
        assert!(std::ptr::eq(lasting("transfer_destination"), one));
    }
}

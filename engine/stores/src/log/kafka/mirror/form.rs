//! The stored form of a mirror.
//!
//! A file begins with `TLM`, a version byte, the length of the topic's identity (u16) and the identity. Frames follow in the order of their
//! offsets, integers big endian: CRC-32 of all that comes behind it (u32), length of what comes behind the length (u32), kind (u8), offset
//! (i64), number (i64), and for values and removals the length of the key (u32), the key and the value. A new form gets a new version byte and a
//! new golden file; a file of another version is not used.

use bytes::Bytes;

const HEAD: [u8; 4] = *b"TLM\x01";

/// Bytes in front of what the length counts.
const PREFIX_BYTES: usize = 8;

/// Kind, offset and number.
const FIXED_BYTES: usize = 17;

const CLAIM: u8 = 0;
const VALUE: u8 = 1;
const REMOVED: u8 = 2;
const THROUGH: u8 = 3;

/// One record of the topic, or what is left of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Frame {
    /// Its offset.
    pub offset: i64,
    /// What it is.
    pub what: What,
}

/// What a record is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum What {
    /// Somebody took the partition over, while its leader had this epoch.
    Claim {
        /// The broker's, not ours.
        leader_epoch: i32,
    },
    /// A key got a value.
    Value {
        /// The claim it was written under.
        epoch: i64,
        /// Which key.
        key: Bytes,
        /// Its value from there on.
        value: Bytes,
    },
    /// A key was removed.
    Removed {
        /// The claim it was written under.
        epoch: i64,
        /// Which key.
        key: Bytes,
    },
    /// No record: at this moment all up to here was in the mirror.
    Through {
        /// Wall clock, in milliseconds.
        at: i64,
    },
}

impl What {
    /// The key that got a value or was removed.
    pub fn key(&self) -> Option<&Bytes> {
        match self {
            What::Value { key, .. } | What::Removed { key, .. } => Some(key),
            What::Claim { .. } | What::Through { .. } => None,
        }
    }
}

/// The beginning of the file of a topic.
pub(super) fn head(identity: &str) -> Vec<u8> {
    let mut head = HEAD.to_vec();
    // An identity is a few dozen bytes long.
    head.extend_from_slice(&(identity.len() as u16).to_be_bytes());
    head.extend_from_slice(identity.as_bytes());
    head
}

impl Frame {
    /// Writes it behind `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let (kind, number, key, value): (u8, i64, Option<&[u8]>, &[u8]) = match &self.what {
            What::Claim { leader_epoch } => (CLAIM, i64::from(*leader_epoch), None, &[]),
            What::Value { epoch, key, value } => (VALUE, *epoch, Some(key), value),
            What::Removed { epoch, key } => (REMOVED, *epoch, Some(key), &[]),
            What::Through { at } => (THROUGH, *at, None, &[]),
        };
        let begin = out.len();
        out.extend_from_slice(&[0; PREFIX_BYTES]);
        out.push(kind);
        out.extend_from_slice(&self.offset.to_be_bytes());
        out.extend_from_slice(&number.to_be_bytes());
        if let Some(key) = key {
            // A record has at most 16 MiB.
            out.extend_from_slice(&(key.len() as u32).to_be_bytes());
            out.extend_from_slice(key);
            out.extend_from_slice(value);
        }
        let length = (out.len() - begin - PREFIX_BYTES) as u32;
        out[begin + 4..begin + 8].copy_from_slice(&length.to_be_bytes());
        let sum = crc32fast::hash(&out[begin + 4..]);
        out[begin..begin + 4].copy_from_slice(&sum.to_be_bytes());
    }

    /// The frame at `at` and where it ends; `None` when what is there is not a whole one.
    fn decode(stored: &Bytes, at: usize) -> Option<(Frame, usize)> {
        let word = |at: usize| Some(u32::from_be_bytes(stored.get(at..at + 4)?.try_into().ok()?));
        let long = |at: usize| Some(i64::from_be_bytes(stored.get(at..at + 8)?.try_into().ok()?));
        let (sum, length) = (word(at)?, word(at + 4)? as usize);
        let (begin, end) = (at + PREFIX_BYTES, (at + PREFIX_BYTES).checked_add(length)?);
        if length < FIXED_BYTES || crc32fast::hash(stored.get(at + 4..end)?) != sum {
            return None;
        }
        let (kind, offset, number) = (stored[begin], long(begin + 1)?, long(begin + 9)?);
        let keyed = || {
            let key = begin + FIXED_BYTES + 4;
            let value = key.checked_add(word(key - 4)? as usize)?;
            (value <= end).then(|| (stored.slice(key..value), stored.slice(value..end)))
        };
        let what = match kind {
            CLAIM => What::Claim {
                leader_epoch: i32::try_from(number).ok()?,
            },
            VALUE => {
                let (key, value) = keyed()?;
                What::Value { epoch: number, key, value }
            }
            REMOVED => What::Removed {
                epoch: number,
                key: keyed()?.0,
            },
            THROUGH => What::Through { at: number },
            _ => return None,
        };
        Some((Frame { offset, what }, end))
    }
}

/// The frames of a file of this topic and where the last whole one ends; `None` when it is of another topic or version.
pub(super) fn read(stored: &Bytes, identity: &str) -> Option<(Vec<Frame>, usize)> {
    let head = head(identity);
    if !stored.starts_with(&head) {
        return None;
    }
    let (mut frames, mut end) = (Vec::new(), head.len());
    while let Some((frame, next)) = Frame::decode(stored, end) {
        frames.push(frame);
        end = next;
    }
    Some((frames, end))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{claim, removed, value};
    use super::*;

    fn all() -> Vec<Frame> {
        let through = Frame {
            offset: 9,
            what: What::Through { at: 1_795_305_600_000 },
        };
        vec![
            claim(5, 2),
            value(6, 5, "a", "1"),
            removed(7, 5, "b"),
            value(8, 5, "c", ""),
            through,
        ]
    }

    fn file(frames: &[Frame]) -> Vec<u8> {
        let mut stored = head("kafka:cluster:topic");
        frames.iter().for_each(|frame| frame.encode(&mut stored));
        stored
    }

    #[test]
    fn the_stored_form_of_version_1_is_written_and_read_as_on_its_first_day() {
        let golden = include_str!("../../../../tests/golden/mirror-1.hex").trim_end();
        assert_eq!(hex::encode(file(&all())), golden);
        let stored = Bytes::from(hex::decode(golden).unwrap());
        assert_eq!(read(&stored, "kafka:cluster:topic"), Some((all(), stored.len())));
        assert_eq!(read(&stored, "kafka:cluster:other"), None);
    }

    #[test]
    fn a_file_cut_or_damaged_anywhere_gives_the_frames_in_front_of_it_and_nothing_else() {
        let whole = file(&all());
        let ends: Vec<usize> = (0..=all().len()).map(|count| file(&all()[..count]).len()).collect();
        for place in ends[0]..whole.len() {
            let before = ends.iter().rposition(|end| *end <= place).unwrap();
            let wanted = Some((all()[..before].to_vec(), ends[before]));
            assert_eq!(
                read(&Bytes::copy_from_slice(&whole[..place]), "kafka:cluster:topic"),
                wanted,
                "cut at {place}"
            );
            let mut damaged = whole.clone();
            damaged[place] ^= 0x40;
            assert_eq!(read(&Bytes::from(damaged), "kafka:cluster:topic"), wanted, "byte {place}");
        }
        for place in 0..ends[0] {
            assert_eq!(read(&Bytes::copy_from_slice(&whole[..place]), "kafka:cluster:topic"), None);
        }
    }
}

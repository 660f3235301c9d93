//! The stored form of a spooled record.
//!
//! A segment file begins with `TLS`, a version byte and the segment's mark: 8 random bytes. Frames follow, integers big endian: the mark,
//! CRC-32 of all that comes behind it (u32), when the record was spooled (i64, ms), length of the key (u16), length of the record (u32),
//! key, record. By the mark, reading finds its way again behind damaged bytes; it is random, so that no body can hold what looks like
//! a frame. A torn tail is a frame that is not whole. A new form gets a new version byte and a new golden file.

use bytes::Bytes;
use trunkline_core::instant::Millis;

const HEAD: [u8; 4] = *b"TLS\x01";

/// What each frame of one segment begins with.
pub type Mark = [u8; 8];

/// Bytes of a segment in front of its first frame.
pub(super) const HEAD_BYTES: usize = 12;

const PREFIX_BYTES: usize = 26;

/// The beginning of a segment.
pub(super) fn head(mark: Mark) -> [u8; HEAD_BYTES] {
    let mut head = [0; HEAD_BYTES];
    head[..4].copy_from_slice(&HEAD);
    head[4..].copy_from_slice(&mark);
    head
}

/// What the beginning of a file says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Beginning {
    /// A segment with this mark.
    Segment(Mark),
    /// Torn before its head was whole: it holds nothing.
    Torn,
    /// Of a version that is not known here, or no segment.
    Foreign,
}

impl Beginning {
    pub fn of(stored: &[u8]) -> Beginning {
        match stored.split_at_checked(4) {
            Some((first, rest)) if first == HEAD => match rest.first_chunk() {
                Some(mark) => Beginning::Segment(*mark),
                None => Beginning::Torn,
            },
            Some((first, _)) if first != [0; 4] => Beginning::Foreign,
            _ => Beginning::Torn,
        }
    }
}

/// One spooled record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frame {
    /// When it was spooled.
    pub at: Millis,
    /// Its routing key.
    pub key: String,
    /// The record as the log would have got it.
    pub record: Bytes,
}

impl Frame {
    /// Bytes it takes in a segment.
    pub fn stored_bytes(&self) -> u64 {
        (PREFIX_BYTES + self.key.len() + self.record.len()) as u64
    }

    /// Writes it behind `out`.
    pub fn encode(&self, mark: &Mark, out: &mut Vec<u8>) {
        out.extend_from_slice(mark);
        let sum_at = out.len();
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.at.0.to_be_bytes());
        // Keys have at most 256 bytes (rule A7) and records 16 MiB.
        out.extend_from_slice(&(self.key.len() as u16).to_be_bytes());
        out.extend_from_slice(&(self.record.len() as u32).to_be_bytes());
        out.extend_from_slice(self.key.as_bytes());
        out.extend_from_slice(&self.record);
        let sum = crc32fast::hash(&out[sum_at + 4..]);
        out[sum_at..sum_at + 4].copy_from_slice(&sum.to_be_bytes());
    }

    /// The frame at `at` and where it ends; `None` when what is there is not a whole one.
    fn decode(stored: &Bytes, at: usize, mark: &Mark) -> Option<(Frame, usize)> {
        let prefix = stored.get(at..at + PREFIX_BYTES)?;
        if prefix[..8] != *mark {
            return None;
        }
        let number = |from: usize, to: usize| prefix[from..to].iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
        let key_from = at + PREFIX_BYTES;
        let record_from = key_from + number(20, 22) as usize;
        let end = record_from + number(22, 26) as usize;
        if crc32fast::hash(stored.get(at + 12..end)?) != number(8, 12) as u32 {
            return None;
        }
        let frame = Frame {
            at: Millis(number(12, 20).cast_signed()),
            key: std::str::from_utf8(&stored[key_from..record_from]).ok()?.to_owned(),
            record: stored.slice(record_from..end),
        };
        Some((frame, end))
    }
}

/// Reads the frames of a piece of a segment, stepping over what is damaged.
pub(super) struct Frames {
    stored: Bytes,
    mark: Mark,
    at: usize,
    /// Bytes that belonged to no whole frame although one came behind them: damage, and no torn tail.
    pub damaged_bytes: u64,
}

impl Frames {
    /// The frames in `stored`, from its byte `at` on.
    pub fn new(stored: Bytes, at: usize, mark: Mark) -> Frames {
        Frames {
            stored,
            mark,
            at,
            damaged_bytes: 0,
        }
    }

    /// Where the last whole frame ended.
    pub fn end(&self) -> u64 {
        self.at as u64
    }
}

impl Iterator for Frames {
    type Item = Frame;

    fn next(&mut self) -> Option<Frame> {
        let mut at = self.at;
        loop {
            if let Some((frame, end)) = Frame::decode(&self.stored, at, &self.mark) {
                self.damaged_bytes += (at - self.at) as u64;
                self.at = end;
                return Some(frame);
            }
            let rest = self.stored.get(at + 1..)?;
            at += 1 + memchr::memmem::find(rest, &self.mark)?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARK: Mark = *b"\xF5mark123";

    fn frame(n: u8) -> Frame {
        Frame {
            at: Millis(1_795_305_600_000 + i64::from(n)),
            key: format!("call_{n}"),
            record: Bytes::from(vec![n; 40]),
        }
    }

    fn segment(count: u8) -> Vec<u8> {
        let mut stored = head(MARK).to_vec();
        (0..count).for_each(|n| frame(n).encode(&MARK, &mut stored));
        stored
    }

    #[test]
    fn the_stored_form_of_version_1_is_written_and_read_as_on_its_first_day() {
        let golden = include_str!("../../tests/golden/spool-1.hex").trim_end();
        assert_eq!(hex::encode(segment(2)), golden);
        let stored = hex::decode(golden).unwrap();
        assert_eq!(Beginning::of(&stored), Beginning::Segment(MARK));
        let read: Vec<Frame> = Frames::new(stored.into(), HEAD_BYTES, MARK).collect();
        assert_eq!(read, [frame(0), frame(1)]);
    }

    #[test]
    fn a_segment_cut_anywhere_gives_its_whole_frames_and_nothing_else() {
        let stored = segment(3);
        let one = (stored.len() - HEAD_BYTES) / 3;
        for cut in HEAD_BYTES..=stored.len() {
            let mut frames = Frames::new(Bytes::copy_from_slice(&stored[..cut]), HEAD_BYTES, MARK);
            let read: Vec<Frame> = frames.by_ref().collect();
            let whole = (cut - HEAD_BYTES) / one;
            assert_eq!(read, (0..whole as u8).map(frame).collect::<Vec<_>>(), "cut at {cut}");
            assert_eq!((frames.end(), frames.damaged_bytes), ((HEAD_BYTES + whole * one) as u64, 0));
        }
        for cut in 0..HEAD_BYTES {
            assert_eq!(Beginning::of(&stored[..cut]), Beginning::Torn, "cut at {cut}");
        }
    }

    #[test]
    fn s133_a_damaged_byte_costs_its_own_frame_only() {
        let stored = segment(3);
        let one = (stored.len() - HEAD_BYTES) / 3;
        for place in HEAD_BYTES + one..HEAD_BYTES + 2 * one {
            let mut damaged = stored.clone();
            damaged[place] ^= 0x40;
            let mut frames = Frames::new(Bytes::from(damaged), HEAD_BYTES, MARK);
            assert_eq!(frames.by_ref().collect::<Vec<_>>(), [frame(0), frame(2)], "byte {place}");
            assert_eq!(frames.damaged_bytes, one as u64);
        }
    }

    #[test]
    fn nonsense_and_newer_forms_hold_no_frame() {
        for stored in [vec![], vec![0; 4], vec![0xF5; 5_000], MARK.repeat(100), vec![0xFF; 100]] {
            assert_eq!(Frames::new(Bytes::from(stored), 0, MARK).count(), 0);
        }
        assert_eq!(Beginning::of(b"TLS\x02 of next year"), Beginning::Foreign);
        assert_eq!(
            Beginning::of(&[0; 4096]),
            Beginning::Torn,
            "a file whose blocks never reached the disk"
        );
    }

    #[test]
    fn damaged_segments_give_whole_frames_or_none() {
        let seeds: Vec<Vec<u8>> = (1..4).map(segment).collect();
        crate::damage::damage("segments of the spool", &seeds, |stored| {
            let _ = Beginning::of(stored);
            let mut frames = Frames::new(Bytes::copy_from_slice(stored), HEAD_BYTES.min(stored.len()), MARK);
            for found in frames.by_ref() {
                assert!((0..3).any(|n| frame(n) == found), "{found:?}");
            }
            assert!(frames.end() <= stored.len() as u64);
        });
    }
}

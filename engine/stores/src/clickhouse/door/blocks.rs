//! Unpacks ClickHouse's compressed blocks, the form in which the client sends rows by default.
//!
//! A block is a CityHash128 checksum (16 bytes) over the rest, a method byte, the size with this header of nine bytes, the
//! unpacked size (both little endian), and the data.

use bytes::{Buf, Bytes, BytesMut};

use super::fault::{Fault, TOO_LARGE};

const CHECKSUM: usize = 16;
const HEADER: usize = 9;
const LZ4: u8 = 0x82;
const NONE: u8 = 0x02;

/// The client packs 256 KiB at a time; a block that claims far more would have us reserve memory for nothing.
const BLOCK_BYTES: usize = 64 * 1024 * 1024;

/// CANNOT_DECOMPRESS.
const BROKEN: u32 = 271;

/// Takes bytes as they come and gives whole blocks.
#[derive(Default)]
pub(super) struct Unpacker {
    waiting: BytesMut,
}

impl Unpacker {
    /// Adds what arrived.
    pub fn push(&mut self, chunk: &[u8]) {
        self.waiting.extend_from_slice(chunk);
    }

    /// The next whole block, unpacked.
    pub fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        let broken = |what: &str| Fault::new(BROKEN, format!("cannot unpack a compressed block: {what}"));
        let Some(mut header) = self.waiting.get(CHECKSUM..CHECKSUM + HEADER) else {
            return Ok(None);
        };
        let (method, packed, unpacked) = (header.get_u8(), header.get_u32_le() as usize, header.get_u32_le() as usize);
        if packed < HEADER || packed.max(unpacked) > BLOCK_BYTES {
            return Err(Fault::new(TOO_LARGE, "a compressed block claims an impossible size"));
        }
        let Some(block) = self.waiting.get(..CHECKSUM + packed) else {
            return Ok(None);
        };
        let (mut checksum, checked) = block.split_at(CHECKSUM);
        // ClickHouse writes the two halves of the hash in the other order.
        let stated = checksum.get_u128_le().rotate_left(64);
        if cityhash_rs::cityhash_102_128(checked) != stated {
            return Err(broken("its checksum is wrong"));
        }
        let data = &checked[HEADER..];
        let plain = match method {
            LZ4 => lz4_flex::block::decompress(data, unpacked).map_err(|error| broken(&error.to_string()))?,
            NONE => data.to_vec(),
            _ => return Err(broken("this door knows LZ4 only")),
        };
        if plain.len() != unpacked {
            return Err(broken("its size is not what it says"));
        }
        self.waiting.advance(CHECKSUM + packed);
        Ok(Some(plain.into()))
    }

    /// True when nothing is left of a block.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A block as the client writes it.
    fn block(plain: &[u8]) -> Vec<u8> {
        let packed = lz4_flex::block::compress(plain);
        let mut checked = vec![LZ4];
        checked.extend_from_slice(&u32::try_from(packed.len() + HEADER).unwrap().to_le_bytes());
        checked.extend_from_slice(&u32::try_from(plain.len()).unwrap().to_le_bytes());
        checked.extend_from_slice(&packed);
        let hash = cityhash_rs::cityhash_102_128(&checked);
        let mut out = Vec::new();
        out.extend_from_slice(&((hash >> 64) as u64).to_le_bytes());
        out.extend_from_slice(&(hash as u64).to_le_bytes());
        out.extend_from_slice(&checked);
        out
    }

    #[test]
    fn blocks_cut_anywhere_come_out_whole() {
        let bytes = [block(b"first first first first"), block(b"second")].concat();
        let mut unpacker = Unpacker::default();
        let mut out = Vec::new();
        for byte in bytes.chunks(1) {
            unpacker.push(byte);
            while let Some(plain) = unpacker.next().unwrap() {
                out.push(plain);
            }
        }
        assert_eq!(out, ["first first first first", "second"]);
        assert!(unpacker.is_empty());
    }

    #[test]
    fn a_flipped_bit_is_noticed() {
        let good = block(b"some rows of some table");
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            let mut unpacker = Unpacker::default();
            unpacker.push(&bad);
            assert!(!matches!(unpacker.next(), Ok(Some(_))), "bit flipped in byte {at}");
        }
    }
}

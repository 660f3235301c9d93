//! Master keys: 256 bits from the operating system's generator, written in base64.

use std::collections::BTreeSet;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{AES_256_GCM, LessSafeKey, UnboundKey};
use ring::rand::{SecureRandom as _, SystemRandom};
use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;
use sha2::{Digest as _, Sha256};

/// Bytes of a master key and of a data key.
pub(super) const KEY_BYTES: usize = 32;

/// Bytes of a key's id: enough that two keys of one file never share one.
const ID_BYTES: usize = 8;

/// Different byte values that a key from a generator has at least. Of 32 random bytes fewer than 16 differ less than once in
/// 2^60 keys; passwords, repeated letters and counted zeros do.
const DISTINCT_BYTES_MIN: usize = 16;

/// Which master key: the beginning of a hash of it, so a key cannot be given the name of another one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; ID_BYTES]);

impl KeyId {
    /// Characters of its text.
    pub const CHARS: usize = ID_BYTES * 2;
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for KeyId {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        // Upper case would be a second spelling of the same id.
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(());
        }
        let mut id = [0; ID_BYTES];
        hex::decode_to_slice(text, &mut id).map_err(|_| ())?;
        Ok(Self(id))
    }
}

/// Why a text is no master key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WeakKey {
    /// Not base64 of the standard alphabet.
    #[error("is not base64")]
    NotBase64,
    /// Too short, or too long.
    #[error("holds {0} bytes where a key has {KEY_BYTES}")]
    Length(usize),
    /// Thought up, not drawn.
    #[error("is too regular for a key from a random generator")]
    Regular,
}

/// A master key, ready for use.
pub(super) struct MasterKey {
    pub id: KeyId,
    pub cipher: LessSafeKey,
}

impl MasterKey {
    /// Reads base64.
    pub fn parse(text: &str) -> Result<Self, WeakKey> {
        let bytes = Zeroizing::new(STANDARD.decode(text).map_err(|_| WeakKey::NotBase64)?);
        if bytes.len() != KEY_BYTES {
            return Err(WeakKey::Length(bytes.len()));
        }
        if bytes.iter().collect::<BTreeSet<_>>().len() < DISTINCT_BYTES_MIN {
            return Err(WeakKey::Regular);
        }
        let print = Sha256::new()
            .chain_update(b"trunkline master key 1")
            .chain_update(&*bytes)
            .finalize();
        let mut id = [0; ID_BYTES];
        id.copy_from_slice(&print[..ID_BYTES]);
        Ok(Self {
            id: KeyId(id),
            cipher: cipher(&bytes),
        })
    }
}

/// AES-256-GCM with these 32 bytes.
pub(super) fn cipher(bytes: &[u8]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, bytes).expect("a key of AES-256 has 32 bytes"))
}

/// Bytes nobody can guess. A system without randomness can do nothing safely, so it ends the process.
pub(super) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SystemRandom::new()
        .fill(&mut bytes)
        .expect("the operating system gives random bytes");
    bytes
}

/// A fresh master key, as it is written in the file.
pub fn new_key() -> SecretString {
    let bytes = Zeroizing::new(random::<KEY_BYTES>());
    SecretString::from(STANDARD.encode(*bytes))
}

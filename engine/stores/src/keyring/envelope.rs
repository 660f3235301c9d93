//! The stored form of a secret: `tl1.<master key>.<data key, encrypted>.<secret, encrypted>`, the last two in URL-safe base64.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce};
use secrecy::SecretString;
use secrecy::zeroize::{Zeroize as _, Zeroizing};

use super::Place;
use super::key::{KEY_BYTES, KeyId, MasterKey, cipher, random};

/// What every stored secret begins with: the version of this form.
pub const PREFIX: &str = "tl1.";

/// What an encryption is for, so that neither of the two can stand in for the other.
#[derive(Clone, Copy)]
enum Layer {
    DataKey = 1,
    Secret = 2,
}

/// A secret at rest. Each part is a nonce, the ciphertext and its tag.
pub(super) struct Envelope {
    pub key: KeyId,
    data_key: Vec<u8>,
    secret: Vec<u8>,
}

impl Envelope {
    pub fn seal(master: &MasterKey, place: &Place, secret: &[u8]) -> Self {
        let data_key = Zeroizing::new(random::<KEY_BYTES>());
        Self {
            key: master.id,
            data_key: encrypt(&master.cipher, &bound(master.id, place, Layer::DataKey), &*data_key),
            secret: encrypt(&cipher(&*data_key), &bound(master.id, place, Layer::Secret), secret),
        }
    }

    /// `None` when it was changed or sealed for another place.
    pub fn open(&self, master: &MasterKey, place: &Place) -> Option<SecretString> {
        let data_key = decrypt(&master.cipher, &bound(self.key, place, Layer::DataKey), &self.data_key)?;
        if data_key.len() != KEY_BYTES {
            return None;
        }
        let mut secret = decrypt(&cipher(&data_key), &bound(self.key, place, Layer::Secret), &self.secret)?;
        String::from_utf8(std::mem::take(&mut *secret)).ok().map(SecretString::from)
    }
}

/// Associated data: every part has a known length or comes last, so no two places give the same bytes.
fn bound(key: KeyId, place: &Place, layer: Layer) -> Vec<u8> {
    let mut bytes = format!("{PREFIX}{key}.").into_bytes();
    bytes.push(layer as u8);
    bytes.extend_from_slice(place.tenant.0.as_bytes());
    bytes.extend_from_slice(place.row.as_bytes());
    bytes.extend_from_slice(place.column.as_bytes());
    bytes
}

/// Nonces are random: a data key is used once, and a master key wraps far fewer than the 2^32 data keys that random nonces allow
/// (NIST SP 800-38D, section 8.3).
fn encrypt(key: &LessSafeKey, bound: &[u8], plain: &[u8]) -> Vec<u8> {
    let nonce = random::<NONCE_LEN>();
    // Room for everything from the start: a buffer that grows leaves a copy of the secret behind.
    let mut buffer = Vec::with_capacity(NONCE_LEN + plain.len() + AES_256_GCM.tag_len());
    buffer.extend_from_slice(&nonce);
    buffer.extend_from_slice(plain);
    let tag = key
        .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(bound), &mut buffer[NONCE_LEN..])
        .expect("secrets are far shorter than the 64 GiB that AES-GCM takes");
    buffer.extend_from_slice(tag.as_ref());
    buffer
}

fn decrypt(key: &LessSafeKey, bound: &[u8], stored: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, rest) = stored.split_first_chunk::<NONCE_LEN>()?;
    let mut buffer = Zeroizing::new(rest.to_vec());
    let length = key
        .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(bound), &mut buffer)
        .ok()?
        .len();
    buffer[length..].zeroize();
    buffer.truncate(length);
    Some(buffer)
}

impl fmt::Display for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        write!(f, "{PREFIX}{}.{}.{}", self.key, text(&self.data_key), text(&self.secret))
    }
}

impl FromStr for Envelope {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.strip_prefix(PREFIX).ok_or(())?.split('.');
        let mut next = || parts.next().ok_or(());
        let (key, data_key, secret) = (next()?, next()?, next()?);
        let bytes = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| ());
        let read = Self {
            key: key.parse()?,
            data_key: bytes(data_key)?,
            secret: bytes(secret)?,
        };
        parts.next().is_none().then_some(read).ok_or(())
    }
}

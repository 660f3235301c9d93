//! Retell's webhook signature: `v=<ms>,d=<hex>`, HMAC-SHA256 over the raw body followed by the digits of `v` (rule A3).

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::instant::Millis;
use crate::limit::SIGNATURE_WINDOW_MS;

type HmacSha256 = Hmac<Sha256>;

/// A workspace's signing key: the API key that carries the webhook badge, as is. Never shown.
#[derive(Clone)]
pub struct SigningKey(HmacSha256);

impl SigningKey {
    /// Takes the key's text as it is: not hex-decoded, not trimmed.
    pub fn new(text: &str) -> SigningKey {
        SigningKey(HmacSha256::new_from_slice(text.as_bytes()).expect("HMAC takes keys of every length"))
    }
}

impl From<&str> for SigningKey {
    fn from(text: &str) -> SigningKey {
        SigningKey::new(text)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey([hidden])")
    }
}

/// Why a request is not believed. All of them answer 401; the difference is for counters only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refused {
    /// No signature header.
    #[error("no signature header")]
    Missing,
    /// Not exactly one header of the form `v=<1 to 16 digits>,d=<64 hex digits>`.
    #[error("signature header is not of the form v=<ms>,d=<64 hex digits>")]
    Malformed,
    /// Signed more than five minutes from our clock.
    #[error("signature is older or newer than the window of five minutes")]
    Expired,
    /// No active key gives this digest.
    #[error("signature does not match any active key")]
    Wrong,
}

impl Refused {
    /// The word for counters.
    pub fn as_str(self) -> &'static str {
        match self {
            Refused::Missing => "missing",
            Refused::Malformed => "malformed",
            Refused::Expired => "expired",
            Refused::Wrong => "wrong",
        }
    }
}

/// Checks the values of all signature headers of a request against every active key; returns which key fits.
///
/// Each comparison runs in constant time; hex is taken in either case.
pub fn verify(header_values: &[&[u8]], body: &[u8], keys: &[SigningKey], now: Millis) -> Result<usize, Refused> {
    let header = match header_values {
        [] => return Err(Refused::Missing),
        [one] => *one,
        _ => return Err(Refused::Malformed),
    };
    let (digits, signed_at, digest) = parse(header).ok_or(Refused::Malformed)?;
    if now.since(Millis(signed_at)).saturating_abs() > SIGNATURE_WINDOW_MS {
        return Err(Refused::Expired);
    }
    keys.iter()
        .position(|SigningKey(key)| {
            let mut mac = key.clone();
            mac.update(body);
            mac.update(digits);
            mac.verify_slice(&digest).is_ok()
        })
        .ok_or(Refused::Wrong)
}

/// The header that Retell would send for `body` at `at`.
pub fn sign(body: &[u8], key: &SigningKey, at: Millis) -> String {
    let digits = at.0.to_string();
    let mut mac = key.0.clone();
    mac.update(body);
    mac.update(digits.as_bytes());
    format!("v={digits},d={}", hex::encode(mac.finalize().into_bytes()))
}

/// Digits as sent, their value, and the digest.
fn parse(header: &[u8]) -> Option<(&[u8], i64, [u8; 32])> {
    let rest = header.strip_prefix(b"v=")?;
    let comma = rest.iter().position(|byte| *byte == b',')?;
    let (digits, rest) = rest.split_at(comma);
    let plain = (1..=16).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit) && (digits.len() == 1 || digits[0] != b'0');
    let signed_at = std::str::from_utf8(digits).ok().filter(|_| plain)?.parse().ok()?;
    let mut digest = [0; 32];
    hex::decode_to_slice(rest.strip_prefix(b",d=")?, &mut digest).ok()?;
    Some((digits, signed_at, digest))
}

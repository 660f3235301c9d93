//! Tokens that go out by mail or are handed over: random, and known to Postgres by their hash only.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use trunkline_stores::postgres::row::Hash32;

/// 256 bits: not to be guessed.
const TOKEN_BYTES: usize = 32;

/// A new token as it is written, and what is kept of it.
pub fn fresh() -> (String, Hash32) {
    let text = URL_SAFE_NO_PAD.encode(rand::random::<[u8; TOKEN_BYTES]>());
    let hash = hash(&text);
    (text, hash)
}

/// What is kept of a token; of any other text, what is kept of nothing.
pub fn hash(text: &str) -> Hash32 {
    Sha256::digest(text.trim().as_bytes()).into()
}

/// Where a token leads. It stands behind `#`, which browsers keep to themselves: no log, no proxy and no referrer gets it.
pub fn link(origin: &str, page: &str, email: &str, token: &str) -> String {
    let email: String = form_urlencoded::byte_serialize(email.as_bytes()).collect();
    format!("{origin}/{page}#code={token}&email={email}")
}

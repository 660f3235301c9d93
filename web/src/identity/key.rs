//! API keys: shown once, stored as a hash, with a checksum so that typing errors never reach the database.

use sha2::{Digest, Sha256};
use trunkline_core::id::{KeyId, TenantId, UserId};
use trunkline_stores::postgres::row::NewApiKey;
use trunkline_stores::postgres::{Config, PostgresError};

use super::{Caller, Who};
use crate::state::AppState;

/// What keys begin with; secret scanners know such prefixes.
const PREFIX: &str = "sk_live_";

/// 192 random bits.
const RANDOM_BYTES: usize = 24;

/// Hex digits of the CRC at the end.
const CHECK_DIGITS: usize = 8;

/// Makes a key; its text exists only in the answer.
pub async fn create(
    config: &Config,
    tenant: TenantId,
    name: &str,
    scopes: &[&str],
    created_by: Option<UserId>,
) -> Result<(KeyId, String), PostgresError> {
    let text = fresh();
    let new = NewApiKey {
        name: name.to_owned(),
        key_hash: Sha256::digest(text.as_bytes()).into(),
        last_four: text[text.len() - 4..].to_owned(),
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        created_by,
    };
    let id = config.create_api_key(tenant, &new).await?;
    Ok((id, text))
}

/// The caller of a key; `None` when it is unknown or revoked.
pub async fn find(state: &AppState, text: &str) -> Result<Option<Caller>, PostgresError> {
    if !is_well_formed(text) {
        return Ok(None);
    }
    let row = state.config.api_key_by_hash(&Sha256::digest(text.as_bytes()).into()).await?;
    Ok(row.map(|row| Caller {
        tenant: row.tenant,
        who: Who::Program {
            key: row.id,
            scopes: row.scopes,
        },
    }))
}

fn fresh() -> String {
    let body = hex::encode(rand::random::<[u8; RANDOM_BYTES]>());
    let check = crc32fast::hash(body.as_bytes());
    format!("{PREFIX}{body}{check:08x}")
}

fn is_well_formed(text: &str) -> bool {
    let Some(rest) = text.strip_prefix(PREFIX) else { return false };
    if rest.len() != RANDOM_BYTES * 2 + CHECK_DIGITS || !rest.is_ascii() {
        return false;
    }
    let (body, check) = rest.split_at(RANDOM_BYTES * 2);
    u32::from_str_radix(check, 16).is_ok_and(|check| check == crc32fast::hash(body.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_key_is_refused_without_asking_anybody() {
        let key = fresh();
        assert!(is_well_formed(&key));
        let last = if key.ends_with('0') { '1' } else { '0' };
        let mistyped = format!("{}{last}", &key[..key.len() - 1]);
        assert!(!is_well_formed(&mistyped));
        assert!(!is_well_formed("sk_live_"));
        assert!(!is_well_formed("\u{e9}"));
    }
}

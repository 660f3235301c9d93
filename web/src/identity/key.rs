//! API keys: shown once, stored as a hash, with a checksum so that typing errors never reach the database.

use std::net::IpAddr;

use sha2::{Digest, Sha256};
use trunkline_core::access::{Access, Permission, Permissions};
use trunkline_core::audit::{Actor, By};
use trunkline_core::id::{BusinessId, KeyId, TenantId};
use trunkline_core::instant::Millis;
use trunkline_stores::postgres::row::{ApiKeyListed, NewApiKey};
use trunkline_stores::postgres::{Config, PostgresError};

use super::session::now;
use super::{Caller, Who};
use crate::settings::Environment;
use crate::state::AppState;

/// What keys of an installation begin with; secret scanners know such prefixes. Those of the other kind are refused unseen.
pub fn prefix(environment: Environment) -> &'static str {
    match environment {
        Environment::Live => "sk_live_",
        Environment::Test => "sk_test_",
    }
}

/// 192 random bits.
const RANDOM_BYTES: usize = 24;

/// Hex digits of the CRC at the end.
const CHECK_DIGITS: usize = 8;

/// A key to make.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// What it is for.
    pub name: String,
    /// What it may do.
    pub permissions: Permissions,
    /// Where; empty: everywhere in the organisation.
    pub businesses: Vec<BusinessId>,
    /// Not accepted from then on.
    pub expires_at: Option<Millis>,
    /// The kind of installation that takes it.
    pub environment: Environment,
}

impl Wanted {
    /// A key for the whole organisation that does not expire, for real use.
    pub fn everywhere(name: impl Into<String>, permissions: Permissions) -> Wanted {
        Wanted {
            name: name.into(),
            permissions,
            businesses: Vec::new(),
            expires_at: None,
            environment: Environment::Live,
        }
    }
}

/// Makes a key; its text exists only in the answer.
pub async fn create(config: &Config, tenant: TenantId, by: &By, wanted: Wanted) -> Result<(KeyId, String), PostgresError> {
    let text = fresh(wanted.environment);
    let new = NewApiKey {
        name: wanted.name,
        key_hash: Sha256::digest(text.as_bytes()).into(),
        last_four: text[text.len() - 4..].to_owned(),
        scopes: wanted.permissions.iter().map(|permission| permission.scope().to_owned()).collect(),
        businesses: wanted.businesses,
        expires_at: wanted.expires_at,
        created_by: match by.actor {
            Actor::Person(user) => Some(user),
            _ => None,
        },
    };
    let id = config.create_api_key(tenant, by, &new).await?;
    Ok((id, text))
}

/// The caller of a key; `None` when it is unknown, revoked or expired.
pub async fn find(state: &AppState, text: &str, source: Option<IpAddr>) -> Result<Option<Caller>, PostgresError> {
    if !is_well_formed(state.settings.server.environment, text) {
        return Ok(None);
    }
    let row = state.config.api_key_access(&Sha256::digest(text.as_bytes()).into(), now()).await?;
    Ok(row.map(|row| Caller {
        tenant: row.tenant,
        access: access(&row.scopes, &row.businesses),
        who: Who::Program {
            key: row.id,
            name: row.name,
        },
        source,
        until: None,
        platform: Default::default(),
        opening: None,
    }))
}

/// What a key that was found before may do now; `None` when it is no longer accepted.
pub async fn look(state: &AppState, tenant: TenantId, key: KeyId) -> Result<Option<Access>, PostgresError> {
    Ok(listed(state, tenant, key).await?.map(|listed| access_of(&listed)))
}

/// A key that is accepted, by its id.
pub async fn listed(state: &AppState, tenant: TenantId, key: KeyId) -> Result<Option<ApiKeyListed>, PostgresError> {
    let listed = state.config.api_key(tenant, key).await?;
    Ok(listed.filter(|listed| listed.holds(now())))
}

/// What a key may do.
pub fn access_of(listed: &ApiKeyListed) -> Access {
    access(&listed.scopes, &listed.businesses)
}

/// Scopes that this version does not know give nothing.
fn access(scopes: &[String], businesses: &[BusinessId]) -> Access {
    let permissions: Permissions = scopes.iter().filter_map(|scope| scope.parse::<Permission>().ok()).collect();
    Access::of_program(permissions, businesses)
}

fn fresh(environment: Environment) -> String {
    let body = hex::encode(rand::random::<[u8; RANDOM_BYTES]>());
    let check = crc32fast::hash(body.as_bytes());
    format!("{}{body}{check:08x}", prefix(environment))
}

fn is_well_formed(environment: Environment, text: &str) -> bool {
    let Some(rest) = text.strip_prefix(prefix(environment)) else {
        return false;
    };
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
        use Environment::{Live, Test};
        let key = fresh(Live);
        assert!(is_well_formed(Live, &key));
        let last = if key.ends_with('0') { '1' } else { '0' };
        let mistyped = format!("{}{last}", &key[..key.len() - 1]);
        assert!(!is_well_formed(Live, &mistyped));
        assert!(!is_well_formed(Live, "sk_live_"));
        assert!(!is_well_formed(Live, "\u{e9}"));
        assert!(!is_well_formed(Test, &key), "a key of the real installation in one for trying");
        assert!(!is_well_formed(Live, &fresh(Test)));
    }

    #[test]
    fn damaged_keys_are_seen_to_be_damaged() {
        let good = fresh(Environment::Live);
        crate::damage::damage("API keys", &[good.clone().into_bytes()], |text| {
            let text = String::from_utf8_lossy(text);
            // The checksum is for typing errors, one of four thousand million others passes it.
            assert!(
                !is_well_formed(Environment::Live, &text) || text.eq_ignore_ascii_case(&good),
                "{text}"
            );
        });
    }
}

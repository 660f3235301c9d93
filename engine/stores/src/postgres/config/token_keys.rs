//! Keys that sign access tokens: of the platform, encrypted at rest, replaced by schedule or by hand.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};
use tokio_postgres::Row;
use trunkline_core::id::TenantId;
use trunkline_core::instant::Millis;
use uuid::Uuid;

use super::secrets::TOKEN_KEY;
use super::{Config, column};
use crate::postgres::PostgresError;

/// Whose the keys are: of no tenant.
const PLATFORM: TenantId = TenantId(Uuid::nil());

/// A key pair of Ed25519 that signs, will sign, or has signed what is still accepted.
#[derive(Debug, Clone)]
pub struct TokenKey {
    /// Its name in tokens: `kid`.
    pub id: Uuid,
    /// 32 bytes.
    pub public: Vec<u8>,
    /// PKCS #8, version 2.
    private: SecretString,
    /// It signs from then on, until the next one does.
    pub signs_from: Millis,
    /// When it was made.
    pub created_at: Millis,
}

impl TokenKey {
    /// The private half as PKCS #8.
    pub fn pkcs8(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(STANDARD.decode(self.private.expose_secret()).unwrap_or_default())
    }
}

/// When a key follows another one.
#[derive(Debug, Clone, Copy)]
pub struct Turn {
    /// Only if the newest one was made at this moment or before.
    pub unless_after: Millis,
    /// The new one is published for so long before it signs.
    pub publish_ms: i64,
    /// The ones before it are accepted for so long after that.
    pub overlap_ms: i64,
}

impl Config {
    /// Keys that are accepted now, the newest first.
    pub async fn token_keys(&self, now: Millis) -> Result<Vec<TokenKey>, PostgresError> {
        let doing = "read the keys of access tokens";
        let found = self.ask(doing, include_str!("../sql/accepted_token_keys.sql"), &[&now.0]).await?;
        let read = |row: &Row| {
            let id: Uuid = column(row, 0)?;
            let private = self.open(PLATFORM, TOKEN_KEY, id, column(row, 2)?);
            Ok(TokenKey {
                id,
                public: column(row, 1)?,
                private: private.map_err(|why| PostgresError::Unreadable { doing, why })?,
                signs_from: Millis(column(row, 3)?),
                created_at: Millis(column(row, 4)?),
            })
        };
        found.iter().map(read).collect()
    }

    /// Adds a key if it is its turn; says whether it was.
    pub async fn add_token_key(&self, now: Millis, turn: &Turn) -> Result<bool, PostgresError> {
        let doing = "add a key of access tokens";
        let id = Uuid::now_v7();
        let refused = || PostgresError::Misconfigured("the operating system gives no random bytes".into());
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| refused())?;
        let pair = Ed25519KeyPair::from_pkcs8(document.as_ref()).map_err(|_| refused())?;
        let private = SecretString::from(STANDARD.encode(document.as_ref()));
        let sealed = self.seal(PLATFORM, TOKEN_KEY, id, &private);
        let public = pair.public_key().as_ref();
        let sql = include_str!("../sql/add_token_key.sql");
        let found = self
            .ask(
                doing,
                sql,
                &[
                    &id,
                    &public,
                    &sealed,
                    &now.0,
                    &turn.unless_after.0,
                    &turn.publish_ms,
                    &turn.overlap_ms,
                ],
            )
            .await?;
        found.first().map_or(Ok(false), |row| column(row, 0))
    }
}

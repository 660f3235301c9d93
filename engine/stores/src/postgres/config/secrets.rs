//! Secrets at rest: encrypted on their way in, decrypted on their way out, and encrypted anew when master keys are rotated.

use std::sync::Arc;

use secrecy::SecretString;
use tokio_postgres::Row;
use trunkline_core::id::TenantId;
use uuid::Uuid;

use super::{Config, column, rows};
use crate::keyring::{KeyId, Keyring, OpenError, PREFIX, Place};
use crate::postgres::{Database, PostgresError};

/// Columns that hold secrets, as the functions `stored_secrets` and `replace_stored_secret` name them.
pub(crate) const SIGNING_KEYS: &str = "workspace_secrets.signing_keys";
pub(crate) const RETELL_API_KEY: &str = "workspace_secrets.retell_api_key";
pub(crate) const WEBHOOK_SECRET: &str = "webhook_secrets.secret";
pub(crate) const SECOND_FACTOR: &str = "second_factors.secret";
pub(crate) const TOKEN_KEY: &str = "token_keys.private_key";
pub(crate) const CLIENT_SECRET: &str = "single_sign_on.client_secret";
const COLUMNS: [&str; 6] = [
    SIGNING_KEYS,
    RETELL_API_KEY,
    WEBHOOK_SECRET,
    SECOND_FACTOR,
    TOKEN_KEY,
    CLIENT_SECRET,
];

/// Rows encrypted anew between two questions: each is a transaction of its own, so this bounds memory only.
const BATCH: i64 = 500;

/// How many stored secrets one master key has encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecretsUnder {
    /// The key; none: they are in plain text.
    pub key: Option<KeyId>,
    /// Secrets.
    pub secrets: u64,
}

/// What an encryption of stored secrets did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resealed {
    /// Rows written anew.
    pub rows: u64,
    /// Secrets in them.
    pub secrets: u64,
    /// Rows that could not be read, each as table, column, id and reason; they stay as they are.
    pub unreadable: Vec<String>,
}

/// Which master keys the stored secrets need. Asks before a keyring is there: whether a new one may be made depends on it.
pub async fn secrets_by_key(database: &Database) -> Result<Vec<SecretsUnder>, PostgresError> {
    let doing = "look which keys the stored secrets need";
    let client = database.client(doing).await?;
    let sql = include_str!("../sql/secrets_by_key.sql");
    let read = |row: &Row| {
        let (key, secrets): (&str, i64) = (column(row, 0)?, column(row, 1)?);
        let malformed = |()| PostgresError::Misconfigured("a stored secret names no master key; restore it from a backup".into());
        Ok(SecretsUnder {
            key: (!key.is_empty()).then(|| key.parse().map_err(malformed)).transpose()?,
            secrets: secrets.unsigned_abs(),
        })
    };
    rows(&client, doing, sql, &[&PREFIX]).await?.iter().map(read).collect()
}

/// A row that is to be encrypted anew.
struct StoredRow {
    tenant: TenantId,
    /// Table and column.
    name: String,
    id: Uuid,
    stored: Vec<String>,
}

impl Config {
    /// The master keys in force.
    pub fn keyring(&self) -> &Arc<Keyring> {
        &self.keyring
    }

    /// Encrypts secrets that are stored in plain text, as versions before 0009 of the schema left them.
    pub async fn seal_plain_secrets(&self) -> Result<Resealed, PostgresError> {
        self.reseal(PREFIX, |_, _, plain| Ok(SecretString::from(plain))).await
    }

    /// Encrypts every secret anew that is not under the newest master key. Can be stopped and begun again at any time; a product
    /// that runs meanwhile reads both forms. Nothing is left when it returns, but what it names as unreadable.
    pub async fn rotate_secrets(&self) -> Result<Resealed, PostgresError> {
        let wanted = format!("{PREFIX}{}.", self.keyring.newest());
        self.reseal(&wanted, |keyring, place, stored| keyring.open(place, &stored)).await
    }

    /// Encrypts anew what does not begin with `wanted`; `open` gives the secret of a stored form.
    async fn reseal(
        &self,
        wanted: &str,
        open: impl Fn(&Keyring, &Place, String) -> Result<SecretString, OpenError>,
    ) -> Result<Resealed, PostgresError> {
        let mut done = Resealed::default();
        // Again from the start until a pass changes nothing: a process that has not seen the newest key yet may write meanwhile.
        loop {
            let pass = self.reseal_pass(wanted, &open).await?;
            done.rows += pass.rows;
            done.secrets += pass.secrets;
            if pass.rows == 0 {
                done.unreadable = pass.unreadable;
                return Ok(done);
            }
        }
    }

    async fn reseal_pass(
        &self,
        wanted: &str,
        open: &impl Fn(&Keyring, &Place, String) -> Result<SecretString, OpenError>,
    ) -> Result<Resealed, PostgresError> {
        let (mut done, mut after) = (Resealed::default(), (String::new(), Uuid::nil()));
        loop {
            let sql = include_str!("../sql/secrets_not_under.sql");
            let found = self
                .ask("encrypt stored secrets", sql, &[&after.0, &after.1, &wanted, &BATCH])
                .await?;
            for row in &found {
                let row = StoredRow {
                    tenant: TenantId(column(row, 0)?),
                    name: column(row, 1)?,
                    id: column(row, 2)?,
                    stored: column(row, 3)?,
                };
                match self.reseal_row(&row, wanted, open).await? {
                    Ok(secrets) => {
                        done.rows += u64::from(secrets > 0);
                        done.secrets += secrets;
                    }
                    Err(why) => done.unreadable.push(format!("{} of {}: {why}", row.name, row.id)),
                }
                after = (row.name, row.id);
            }
            if found.is_empty() {
                return Ok(done);
            }
        }
    }

    /// Says how many secrets were written; none when somebody else was faster.
    async fn reseal_row(
        &self,
        row: &StoredRow,
        wanted: &str,
        open: &impl Fn(&Keyring, &Place, String) -> Result<SecretString, OpenError>,
    ) -> Result<Result<u64, OpenError>, PostgresError> {
        let StoredRow { tenant, name, id, stored } = row;
        let unknown = || PostgresError::Misconfigured(format!("secrets of {name} are not known to this version; upgrade Trunkline"));
        let column_name = COLUMNS.into_iter().find(|known| known == name).ok_or_else(unknown)?;
        let place = Place {
            tenant: *tenant,
            column: column_name,
            row: *id,
        };
        let anew = |value: &String| match value.starts_with(wanted) {
            true => Ok(value.clone()),
            false => open(&self.keyring, &place, value.clone()).map(|secret| self.keyring.seal(&place, &secret)),
        };
        let fresh: Vec<String> = match stored.iter().map(anew).collect() {
            Ok(fresh) => fresh,
            Err(why) => return Ok(Err(why)),
        };
        let sql = include_str!("../sql/replace_stored_secret.sql");
        let answer = self
            .ask_within(*tenant, "encrypt a stored secret", sql, &[name, id, stored, &fresh])
            .await?;
        let written = answer.first().map(|row| column::<bool>(row, 0)).transpose()?.unwrap_or_default();
        let changed = stored.iter().zip(&fresh).filter(|(before, after)| before != after).count() as u64;
        Ok(Ok(if written { changed } else { 0 }))
    }

    pub(super) fn seal(&self, tenant: TenantId, column: &'static str, row: Uuid, secret: &SecretString) -> String {
        self.keyring.seal(&Place { tenant, column, row }, secret)
    }

    /// Decrypts a stored secret; what does not open is told to the operator here.
    pub(super) fn open(&self, tenant: TenantId, column: &'static str, row: Uuid, stored: &str) -> Result<SecretString, OpenError> {
        self.keyring.open(&Place { tenant, column, row }, stored).inspect_err(|why| {
            metrics::counter!("trunkline_secrets_unreadable_total").increment(1);
            tracing::error!(target: "audit", event = "crypto.integrity", %tenant, column, %row, %why, "a stored secret does not open");
        })
    }
}

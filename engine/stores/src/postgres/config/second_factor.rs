//! The second step of signing in: secrets of authenticator apps, recovery codes, and tries that wait.

use std::str::FromStr;

use secrecy::SecretString;
use serde_json::json;
use trunkline_core::audit::{By, Deed};
use trunkline_core::id::{TenantId, UserId};
use trunkline_core::instant::Millis;

use super::secrets::SECOND_FACTOR;
use super::{Config, audit, column, must_exist, rows, sessions};
use crate::postgres::row::{Hash32, NewSession};
use crate::postgres::{PostgresError, tenant};

/// Wrong codes within [`WINDOW_MS`] before further ones are not looked at (S-115).
const WRONG_MAX: i32 = 5;

/// Wrong codes are forgotten after this.
const WINDOW_MS: i64 = 5 * 60_000;

/// Somebody whose password was right and whose code is awaited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecondStep {
    /// Organisation.
    pub tenant: TenantId,
    /// Who.
    pub user: UserId,
    /// Name as shown.
    pub name: String,
}

/// A second factor as its owner sees it.
#[derive(Debug, Clone)]
pub struct SecondFactor {
    /// The app's secret.
    pub secret: SecretString,
    /// A first code has shown that the app has it.
    pub confirmed: bool,
    /// When it was made.
    pub created_at: Millis,
    /// Recovery codes that are left.
    pub codes_left: u64,
}

/// What somebody shows.
pub enum Proof<'a> {
    /// A code of the app: says which time step it belongs to, if it fits the secret.
    Code(&'a (dyn Fn(&SecretString) -> Option<i64> + Sync)),
    /// A recovery code, by its hash.
    Recovery(Hash32),
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proved {
    /// It was right, and is never taken again.
    Yes,
    /// It was wrong, or was taken before.
    Wrong,
    /// Not looked at: too many were wrong. Seconds to wait.
    Wait(u32),
    /// Nobody waits for it any more.
    Gone,
}

/// Who has to have a second factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whom {
    /// Nobody has to.
    Nobody,
    /// Owners and admins.
    Admins,
    /// Everybody.
    Everybody,
}

/// Not the word of a rule.
#[derive(Debug, Clone, thiserror::Error)]
#[error("it must be nobody, admins or everybody")]
pub struct BadWhom;

impl FromStr for Whom {
    type Err = BadWhom;

    fn from_str(text: &str) -> Result<Self, BadWhom> {
        Whom::ALL.into_iter().find(|whom| whom.as_str() == text).ok_or(BadWhom)
    }
}

impl Whom {
    /// All of them, from least to most.
    pub const ALL: [Whom; 3] = [Whom::Nobody, Whom::Admins, Whom::Everybody];

    /// The word stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Whom::Nobody => "nobody",
            Whom::Admins => "admins",
            Whom::Everybody => "everybody",
        }
    }
}

impl Config {
    /// The second factor of a user, also one that is not confirmed yet.
    pub async fn second_factor(&self, tenant: TenantId, user: UserId) -> Result<Option<SecondFactor>, PostgresError> {
        let doing = "read a second factor";
        let found = self
            .ask_within(tenant, doing, include_str!("../sql/second_factor.sql"), &[&user.0])
            .await?;
        let Some(row) = found.first() else { return Ok(None) };
        let secret = self.open(tenant, SECOND_FACTOR, user.0, column(row, 0)?);
        Ok(Some(SecondFactor {
            secret: secret.map_err(|why| PostgresError::Unreadable { doing, why })?,
            confirmed: column(row, 1)?,
            created_at: Millis(column(row, 2)?),
            codes_left: column::<i64>(row, 3)?.unsigned_abs(),
        }))
    }

    /// Keeps the secret of an app that is being set up. One that is in use already stays, and is reported as missing.
    pub async fn begin_second_factor(
        &self,
        tenant: TenantId,
        user: UserId,
        secret: &SecretString,
        now: Millis,
    ) -> Result<(), PostgresError> {
        let doing = "begin a second factor";
        let sealed = self.seal(tenant, SECOND_FACTOR, user.0, secret);
        let sql = include_str!("../sql/begin_second_factor.sql");
        must_exist(
            &self.ask_within(tenant, doing, sql, &[&tenant.0, &user.0, &sealed, &now.0]).await?,
            doing,
        )
    }

    /// Takes the first code of an app: from now on signing in asks for one. `codes` are the hashes of the recovery codes.
    pub async fn confirm_second_factor(
        &self,
        tenant: TenantId,
        (by, user): (&By, UserId),
        proof: &Proof<'_>,
        codes: &[Hash32],
        now: Millis,
    ) -> Result<Proved, PostgresError> {
        let doing = "confirm a second factor";
        let mut client = self.client(doing).await?;
        let transaction = tenant::begin(&mut client, tenant, doing).await?;
        let proved = self.prove(&transaction, (tenant, user, by), proof, false, now).await?;
        if proved == Proved::Yes {
            let codes: Vec<&[u8]> = codes.iter().map(|code| code.as_slice()).collect();
            let sql = include_str!("../sql/create_recovery_codes.sql");
            rows(&transaction, doing, sql, &[&tenant.0, &user.0, &codes]).await?;
            sessions::renew(&transaction, user, None).await?;
            let deed = Deed::plain("second_factor.enable", "user", user);
            audit::append(&transaction, tenant, by, &deed).await?;
        }
        tenant::commit(transaction, doing).await?;
        Ok(proved)
    }

    /// Takes a second factor away, with its recovery codes.
    pub async fn end_second_factor(&self, tenant: TenantId, by: &By, user: UserId) -> Result<(), PostgresError> {
        let doing = "take a second factor away";
        let deed = Deed::plain("second_factor.disable", "user", user);
        let sql = include_str!("../sql/end_second_factor.sql");
        must_exist(&self.change(tenant, (by, &deed), doing, sql, &[&user.0]).await?, doing)
    }

    /// Name of an organisation, and who of it has to have a second factor.
    pub async fn organisation_rule(&self, tenant: TenantId) -> Result<(String, Whom), PostgresError> {
        let doing = "read an organisation";
        let found = self.ask_within(tenant, doing, include_str!("../sql/organisation.sql"), &[]).await?;
        must_exist(&found, doing)?;
        let stored: &str = column(&found[0], 1)?;
        let whom = stored
            .parse()
            .map_err(|error: BadWhom| PostgresError::Misconfigured(format!("a stored rule cannot be read: {error}")))?;
        Ok((column(&found[0], 0)?, whom))
    }

    /// Says who of the organisation has to have a second factor, if it is still as `before` says.
    pub async fn change_second_factor_rule(&self, tenant: TenantId, by: &By, before: Whom, whom: Whom) -> Result<(), PostgresError> {
        self.put_second_factor_rule(tenant, by, Some(before), whom).await
    }

    /// Says who of the organisation has to have a second factor, whatever was said before.
    pub async fn require_second_factor(&self, tenant: TenantId, by: &By, whom: Whom) -> Result<(), PostgresError> {
        self.put_second_factor_rule(tenant, by, None, whom).await
    }

    async fn put_second_factor_rule(&self, tenant: TenantId, by: &By, before: Option<Whom>, whom: Whom) -> Result<(), PostgresError> {
        let doing = "require a second factor";
        let before = before.map(Whom::as_str);
        let mut deed = Deed::plain("organisation.second_factor", "organisation", tenant).after(&json!({ "whom": whom.as_str() }));
        if let Some(before) = before {
            deed = deed.before(&json!({ "whom": before }));
        }
        let sql = include_str!("../sql/require_second_factor.sql");
        let found = self.change(tenant, (by, &deed), doing, sql, &[&whom.as_str(), &before]).await?;
        match (found.is_empty(), before) {
            (false, _) => Ok(()),
            (true, Some(_)) => Err(PostgresError::Changed { doing }),
            (true, None) => Err(PostgresError::Missing { doing }),
        }
    }

    /// Notes that somebody's password was right and that their code is awaited.
    pub async fn await_second_step(
        &self,
        tenant: TenantId,
        user: UserId,
        token_hash: &Hash32,
        expires_at: Millis,
    ) -> Result<(), PostgresError> {
        let sql = include_str!("../sql/await_second_step.sql");
        let hash = token_hash.as_slice();
        self.ask_within(tenant, "await a second step", sql, &[&tenant.0, &hash, &user.0, &expires_at.0])
            .await
            .map(drop)
    }

    /// Whose second step a token is: asked before a tenant is known.
    pub async fn second_step(&self, token_hash: &Hash32, now: Millis) -> Result<Option<SecondStep>, PostgresError> {
        let sql = include_str!("../sql/second_step.sql");
        let found = self.ask("find a second step", sql, &[&token_hash.as_slice(), &now.0]).await?;
        let read = |row| {
            Ok(SecondStep {
                tenant: TenantId(column(row, 0)?),
                user: UserId(column(row, 1)?),
                name: column(row, 2)?,
            })
        };
        found.first().map(read).transpose()
    }

    /// Looks at the code of somebody who waits; the right one begins the session, and ends every other wait of the same person.
    pub async fn take_second_step(
        &self,
        tenant: TenantId,
        by: &By,
        token_hash: &Hash32,
        proof: &Proof<'_>,
        new: &NewSession,
    ) -> Result<Proved, PostgresError> {
        let doing = "take a second step";
        let user = new.user;
        let mut client = self.client(doing).await?;
        let transaction = tenant::begin(&mut client, tenant, doing).await?;
        // The factor's row first: of many tries at once each sees what the ones before it left.
        let lock = include_str!("../sql/lock_second_factor.sql");
        rows(&transaction, doing, lock, &[&user.0]).await?;
        let waits = include_str!("../sql/second_step_waits.sql");
        if rows(&transaction, doing, waits, &[&user.0, &token_hash.as_slice()])
            .await?
            .is_empty()
        {
            return Ok(Proved::Gone);
        }
        let proved = self.prove(&transaction, (tenant, user, by), proof, true, new.created_at).await?;
        if proved == Proved::Yes {
            rows(&transaction, doing, include_str!("../sql/end_second_steps.sql"), &[&user.0]).await?;
            sessions::insert(&transaction, tenant, new, sessions::Kind::Browser).await?;
            let second = match proof {
                Proof::Code(_) => "code",
                Proof::Recovery(_) => "recovery_code",
            };
            let deed = Deed::plain("session.begin", "user", user).after(&json!({ "second": second }));
            audit::append(&transaction, tenant, by, &deed).await?;
        }
        tenant::commit(transaction, doing).await?;
        Ok(proved)
    }

    /// Looks at a proof within a transaction, which has to be committed whatever comes of it: wrong ones are counted.
    pub(super) async fn prove(
        &self,
        transaction: &deadpool_postgres::Transaction<'_>,
        (tenant, user, by): (TenantId, UserId, &By),
        proof: &Proof<'_>,
        confirmed: bool,
        now: Millis,
    ) -> Result<Proved, PostgresError> {
        let doing = "look at a code";
        let found = rows(transaction, doing, include_str!("../sql/lock_second_factor.sql"), &[&user.0]).await?;
        let Some(row) = found.first().filter(|row| column::<bool>(row, 1).is_ok_and(|is| is == confirmed)) else {
            return Ok(Proved::Gone);
        };
        let (last_step, mut wrong, mut since): (i64, i32, i64) = (column(row, 2)?, column(row, 3)?, column(row, 4)?);
        if now.0 >= since.saturating_add(WINDOW_MS) {
            (wrong, since) = (0, now.0);
        }
        if wrong >= WRONG_MAX {
            let left = since.saturating_add(WINDOW_MS).saturating_sub(now.0);
            return Ok(Proved::Wait(u32::try_from(left / 1_000).unwrap_or_default() + 1));
        }
        let step = match proof {
            Proof::Code(check) => {
                let secret = self.open(tenant, SECOND_FACTOR, user.0, column(row, 0)?);
                let step = check(&secret.map_err(|why| PostgresError::Unreadable { doing, why })?);
                if step.is_some_and(|step| step <= last_step) {
                    tracing::warn!(target: "audit", event = "mfa.replay", %tenant, %user, "a code was shown twice");
                }
                step.filter(|step| *step > last_step)
            }
            Proof::Recovery(hash) => {
                let sql = include_str!("../sql/take_recovery_code.sql");
                let taken = rows(transaction, doing, sql, &[&user.0, &hash.as_slice()]).await?;
                taken.first().map(|_| last_step)
            }
        };
        if let Some(step) = step {
            rows(transaction, doing, include_str!("../sql/take_second_factor.sql"), &[&user.0, &step]).await?;
            return Ok(Proved::Yes);
        }
        wrong += 1;
        rows(
            transaction,
            doing,
            include_str!("../sql/count_wrong_codes.sql"),
            &[&user.0, &wrong, &since],
        )
        .await?;
        audit::append(transaction, tenant, by, &Deed::plain("second_factor.refuse", "user", user)).await?;
        if wrong == WRONG_MAX {
            tracing::warn!(target: "audit", event = "mfa.limit", %tenant, %user, "codes are not looked at for a while");
            audit::append(transaction, tenant, by, &Deed::plain("second_factor.lock", "user", user)).await?;
        }
        Ok(Proved::Wrong)
    }
}

//! People of an organisation: who they are, what they may do, and that there is always an owner.

use deadpool_postgres::Transaction;
use secrecy::{ExposeSecret, SecretString};
use tokio_postgres::Row;
use trunkline_core::access::Role;
use trunkline_core::audit::{By, Deed};
use trunkline_core::id::{TenantId, UserId};
use trunkline_core::instant::Millis;

use super::grants::{put_grants, read_grants, shown};
use super::identity::read_role;
use super::{Config, audit, column, must_exist, rows, sessions};
use crate::postgres::row::{Hash32, PersonState, Span, UserListed};
use crate::postgres::{PostgresError, tenant};

/// Why the last owner stays what they are.
const LAST_OWNER: &str = "an organisation needs an owner who can sign in; make somebody else an owner first";

impl Config {
    /// A page of the people of a tenant, oldest first; one more than asked for says that there are more.
    pub async fn users(&self, tenant: TenantId, span: Span) -> Result<Vec<UserListed>, PostgresError> {
        self.list_users(tenant, None, span).await
    }

    /// One person.
    pub async fn user(&self, tenant: TenantId, id: UserId) -> Result<Option<UserListed>, PostgresError> {
        let found = self.list_users(tenant, Some(id), Span::first(1)).await?;
        Ok(found.into_iter().next())
    }

    async fn list_users(&self, tenant: TenantId, id: Option<UserId>, span: Span) -> Result<Vec<UserListed>, PostgresError> {
        let id = id.map(|id| id.0);
        let sql = include_str!("../sql/users.sql");
        let found = self
            .ask_within(tenant, "list people", sql, &[&id, &span.after, &span.before, &span.most()])
            .await?;
        found.iter().map(read_listed).collect()
    }

    /// Gives a person other roles, or stops or lets them sign in, if they are still as `before` says. Open pages and streams follow
    /// within seconds. The last owner who can sign in stays one, also when two requests come at the same time.
    pub async fn change_person(
        &self,
        tenant: TenantId,
        by: &By,
        user: UserId,
        before: &PersonState,
        after: &PersonState,
    ) -> Result<(), PostgresError> {
        let doing = "change a person";
        let mut client = self.client(doing).await?;
        let transaction = tenant::begin(&mut client, tenant, doing).await?;
        lock(&transaction, tenant, user, before, doing).await?;
        let word = after.role.map(Role::as_str);
        let sql = include_str!("../sql/change_person.sql");
        rows(&transaction, doing, sql, &[&user.0, &word, &after.disabled]).await?;
        put_grants(&transaction, tenant, user, &after.grants).await?;
        check_owners(&transaction, before, doing).await?;
        // What was open in a browser goes on, with what may be done now and with another secret.
        sessions::renew(&transaction, user, None).await?;
        if after.disabled && !before.disabled {
            rows(&transaction, doing, include_str!("../sql/end_sessions_of.sql"), &[&user.0]).await?;
        }
        for deed in deeds(user, before, after) {
            audit::append(&transaction, tenant, by, &deed).await?;
        }
        tenant::commit(transaction, doing).await
    }

    /// Removes a person who is still as `before` says. Their sessions end; keys that they made stay, because they are the
    /// organisation's.
    pub async fn remove_person(&self, tenant: TenantId, by: &By, user: UserId, before: &PersonState) -> Result<(), PostgresError> {
        let doing = "remove a person";
        let mut client = self.client(doing).await?;
        let transaction = tenant::begin(&mut client, tenant, doing).await?;
        lock(&transaction, tenant, user, before, doing).await?;
        rows(&transaction, doing, include_str!("../sql/remove_person.sql"), &[&user.0]).await?;
        check_owners(&transaction, before, doing).await?;
        let deed = Deed::plain("person.remove", "user", user).before(&shown(before.role, &before.grants));
        audit::append(&transaction, tenant, by, &deed).await?;
        tenant::commit(transaction, doing).await
    }

    /// Ends every session of a person; says how many there were.
    pub async fn end_sessions_of(&self, tenant: TenantId, by: &By, user: UserId) -> Result<u64, PostgresError> {
        let deed = Deed::plain("person.end_sessions", "user", user);
        let sql = include_str!("../sql/end_sessions_of.sql");
        let found = self.change(tenant, (by, &deed), "end sessions", sql, &[&user.0]).await?;
        Ok(found.len() as u64)
    }

    /// Gives a person another password and ends their sessions, but for `kept`.
    pub async fn set_password(
        &self,
        tenant: TenantId,
        by: &By,
        user: UserId,
        hash: &SecretString,
        kept: Option<&Hash32>,
    ) -> Result<(), PostgresError> {
        let doing = "set a password";
        let deed = Deed::plain("person.password", "user", user);
        let sql = include_str!("../sql/set_password.sql");
        let kept = kept.map(|hash| hash.as_slice());
        must_exist(
            &self
                .change(tenant, (by, &deed), doing, sql, &[&user.0, &hash.expose_secret(), &kept])
                .await?,
            doing,
        )
    }

    /// Gives a person another name.
    pub async fn rename_person(&self, tenant: TenantId, by: &By, user: UserId, name: &str) -> Result<(), PostgresError> {
        let doing = "rename a person";
        let deed = Deed::plain("person.rename", "user", user);
        let sql = include_str!("../sql/rename_person.sql");
        must_exist(&self.change(tenant, (by, &deed), doing, sql, &[&user.0, &name]).await?, doing)
    }
}

/// Takes a person for a change, after everybody else who changes people of this tenant, so that two owners cannot remove each other.
async fn lock(
    transaction: &Transaction<'_>,
    tenant: TenantId,
    user: UserId,
    before: &PersonState,
    doing: &'static str,
) -> Result<(), PostgresError> {
    rows(transaction, doing, include_str!("../sql/lock_people.sql"), &[&tenant.0]).await?;
    let found = rows(transaction, doing, include_str!("../sql/lock_person.sql"), &[&user.0]).await?;
    must_exist(&found, doing)?;
    let now = PersonState {
        role: read_role(&found[0], 0)?,
        grants: read_grants(&found[0], 1)?,
        disabled: column(&found[0], 2)?,
    };
    if now == *before {
        Ok(())
    } else {
        Err(PostgresError::Changed { doing })
    }
}

/// Refuses a change that would leave no owner who can sign in.
async fn check_owners(transaction: &Transaction<'_>, before: &PersonState, doing: &'static str) -> Result<(), PostgresError> {
    if before.role != Some(Role::Owner) || before.disabled {
        return Ok(());
    }
    let found = rows(transaction, doing, include_str!("../sql/count_owners.sql"), &[]).await?;
    let left: i64 = found.first().map_or(Ok(0), |row| column(row, 0))?;
    if left == 0 {
        return Err(PostgresError::Conflict { doing, why: LAST_OWNER });
    }
    Ok(())
}

fn deeds(user: UserId, before: &PersonState, after: &PersonState) -> Vec<Deed> {
    let mut deeds = Vec::new();
    if (before.role, &before.grants) != (after.role, &after.grants) {
        let deed = Deed::plain("person.roles", "user", user).before(&shown(before.role, &before.grants));
        deeds.push(deed.after(&shown(after.role, &after.grants)));
    }
    match (before.disabled, after.disabled) {
        (false, true) => deeds.push(Deed::plain("person.disable", "user", user)),
        (true, false) => deeds.push(Deed::plain("person.enable", "user", user)),
        _ => {}
    }
    deeds
}

fn read_listed(row: &Row) -> Result<UserListed, PostgresError> {
    Ok(UserListed {
        id: UserId(column(row, 0)?),
        email: column(row, 1)?,
        name: column(row, 2)?,
        state: PersonState {
            role: read_role(row, 3)?,
            grants: read_grants(row, 4)?,
            disabled: column(row, 5)?,
        },
        created_at: Millis(column(row, 6)?),
        last_seen_at: column::<Option<i64>>(row, 7)?.map(Millis),
        sessions: column::<i64>(row, 8)?.unsigned_abs(),
    })
}

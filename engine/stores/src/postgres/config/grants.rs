//! Roles of people: the one everywhere, and those in single businesses.

use std::collections::BTreeSet;
use std::sync::Arc;

use deadpool_postgres::Transaction;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio_postgres::Row;
use tokio_postgres::types::Json;
use trunkline_core::access::{Agents, Grant, Role};
use trunkline_core::audit::{By, Deed};
use trunkline_core::id::{BusinessId, TenantId, UserId};
use uuid::Uuid;

use super::{Config, audit, column, must_exist, rows};
use crate::postgres::{PostgresError, tenant};

impl Config {
    /// Gives a person other roles: everywhere (`None`: nowhere by itself) and in single businesses, in place of all they had. Open pages and
    /// streams follow within seconds.
    pub async fn set_roles(
        &self,
        tenant: TenantId,
        by: &By,
        user: UserId,
        role: Option<Role>,
        grants: &[Grant],
    ) -> Result<(), PostgresError> {
        let doing = "set roles";
        let mut client = self.client(doing).await?;
        let transaction = tenant::begin(&mut client, tenant, doing).await?;
        let before = rows(&transaction, doing, include_str!("../sql/roles_of.sql"), &[&user.0]).await?;
        must_exist(&before, doing)?;
        let was = shown(
            column::<Option<&str>>(&before[0], 0)?.map(self::role).transpose()?,
            &read_grants(&before[0], 1)?,
        );
        let word = role.map(Role::as_str);
        rows(&transaction, doing, include_str!("../sql/set_role.sql"), &[&user.0, &word]).await?;
        put_grants(&transaction, tenant, user, grants).await?;
        let deed = Deed::plain("person.roles", "user", user).before(&was).after(&shown(role, grants));
        audit::append(&transaction, tenant, by, &deed).await?;
        transaction
            .commit()
            .await
            .map_err(|error| PostgresError::from_driver(doing, &error))
    }
}

/// Replaces the roles of a person in single businesses.
pub(super) async fn put_grants(
    transaction: &Transaction<'_>,
    tenant: TenantId,
    user: UserId,
    grants: &[Grant],
) -> Result<(), PostgresError> {
    let businesses: Vec<Uuid> = grants.iter().map(|grant| grant.business.0).collect();
    let roles: Vec<&str> = grants.iter().map(|grant| grant.role.as_str()).collect();
    let agents = Json(Value::from_iter(grants.iter().map(|grant| named(&grant.agents))));
    let sql = include_str!("../sql/put_grants.sql");
    rows(
        transaction,
        "set roles in businesses",
        sql,
        &[&tenant.0, &user.0, &businesses, &roles, &agents],
    )
    .await
    .map(drop)
}

/// Reads the grants of a row: a JSON array made by the question itself.
pub(super) fn read_grants(row: &Row, at: usize) -> Result<Vec<Grant>, PostgresError> {
    #[derive(Deserialize)]
    struct Stored {
        business: Uuid,
        role: String,
        agents: BTreeSet<Arc<str>>,
    }
    let Json(stored): Json<Vec<Stored>> = column(row, at)?;
    let read = |grant: Stored| {
        Ok(Grant {
            business: BusinessId(grant.business),
            role: role(&grant.role)?,
            agents: if grant.agents.is_empty() {
                Agents::All
            } else {
                Agents::Only(grant.agents)
            },
        })
    };
    stored.into_iter().map(read).collect()
}

/// The word of a role.
pub(super) fn role(word: &str) -> Result<Role, PostgresError> {
    word.parse()
        .map_err(|_| PostgresError::Misconfigured("a user has a role that this version does not know; upgrade Trunkline".into()))
}

/// Roles as the record of deeds shows them.
pub(super) fn shown(role: Option<Role>, grants: &[Grant]) -> Value {
    let grants: Vec<Value> = grants
        .iter()
        .map(|grant| json!({ "business": grant.business.to_string(), "role": grant.role, "agents": named(&grant.agents) }))
        .collect();
    json!({ "role": role, "grants": grants })
}

/// The agents' ids; none for all.
fn named(agents: &Agents) -> Value {
    match agents {
        Agents::All => json!([]),
        Agents::Only(agents) => json!(agents),
    }
}

//! Roles of people: the one everywhere, and those in single businesses.

use std::collections::BTreeSet;
use std::sync::Arc;

use deadpool_postgres::Transaction;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio_postgres::Row;
use tokio_postgres::types::Json;
use trunkline_core::access::{Agents, Grant, Role};
use trunkline_core::id::{BusinessId, TenantId, UserId};
use uuid::Uuid;

use super::{column, rows};
use crate::postgres::PostgresError;

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

/// Grants as an invitation keeps them: what [`read_grants`] reads.
pub(super) fn stored(grants: &[Grant]) -> Value {
    let one = |grant: &Grant| json!({ "business": grant.business.0, "role": grant.role, "agents": named(&grant.agents) });
    grants.iter().map(one).collect()
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

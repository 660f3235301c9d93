//! The platform: those who run it, and what they change of organisations. Each change stands in the platform's record of deeds and in the
//! organisation's own, written in one transaction; the platform's first, so that no two changes wait for each other.

use deadpool_postgres::Transaction;
use tokio_postgres::Row;
use trunkline_core::audit::{By, Deed};
use trunkline_core::id::{InvitationId, TenantId, UserId};
use trunkline_core::instant::Millis;
use uuid::Uuid;

use super::{Config, audit, column, invitations, must_exist, rows};
use crate::postgres::row::{Hash32, NewInvitation, NewUser, OrganisationListed, OrganisationState};
use crate::postgres::{PostgresError, tenant};

/// Name of the organisation that those belong to who run the platform.
const PLATFORM: &str = "Platform";

/// Why a name is refused.
const NAME_TAKEN: &str = "there is an organisation of this name already";

impl Config {
    /// The organisation of those who run the platform; none until the first of them is made.
    pub async fn platform(&self) -> Result<Option<TenantId>, PostgresError> {
        let sql = include_str!("../sql/platform_organisation.sql");
        let found = self.ask("find the platform", sql, &[]).await?;
        found.first().map(|row| column(row, 0).map(TenantId)).transpose()
    }

    /// Makes somebody who runs the platform: in an organisation of its own, without a role.
    pub async fn create_platform_admin(&self, by: &By, new: &NewUser) -> Result<UserId, PostgresError> {
        let platform = self.ensure_platform().await?;
        let new = NewUser {
            role: None,
            grants: Vec::new(),
            ..new.clone()
        };
        self.create_user(platform, by, &new).await
    }

    async fn ensure_platform(&self) -> Result<TenantId, PostgresError> {
        let doing = "make the platform";
        let mut client = self.client(doing).await?;
        let fresh = TenantId(Uuid::now_v7());
        let transaction = tenant::begin(&mut client, fresh, doing).await?;
        rows(&transaction, doing, include_str!("../sql/lock_organisation_name.sql"), &[&PLATFORM]).await?;
        let found = rows(&transaction, doing, include_str!("../sql/platform_organisation.sql"), &[]).await?;
        if let Some(row) = found.first() {
            return column(row, 0).map(TenantId);
        }
        let sql = include_str!("../sql/create_platform.sql");
        rows(&transaction, doing, sql, &[&fresh.0, &PLATFORM]).await?;
        tenant::commit(transaction, doing).await?;
        Ok(fresh)
    }

    /// Organisations by name; one or all, but never the platform's own.
    pub async fn platform_organisations(&self, id: Option<TenantId>) -> Result<Vec<OrganisationListed>, PostgresError> {
        let sql = include_str!("../sql/platform_organisations.sql");
        let id = id.map(|id| id.0);
        let found = self.ask("list organisations", sql, &[&id]).await?;
        found.iter().map(read_listed).collect()
    }

    /// Makes an organisation and invites its first owner: with a token that the caller hands over (`Some`), or by mail.
    pub async fn found_organisation(
        &self,
        platform: TenantId,
        by: &By,
        state: &OrganisationState,
        owner: &NewInvitation,
        (token_hash, now): (Option<&Hash32>, Millis),
    ) -> Result<(TenantId, InvitationId), PostgresError> {
        let doing = "make an organisation";
        let fresh = TenantId(Uuid::now_v7());
        let mut client = self.client(doing).await?;
        let transaction = tenant::begin(&mut client, platform, doing).await?;
        check_name(&transaction, &state.name, doing).await?;
        let deed = Deed::plain("organisation.create", "organisation", fresh).after(state);
        audit::append(&transaction, platform, by, &deed).await?;
        tenant::enter(&transaction, fresh, doing).await?;
        let sql = include_str!("../sql/create_organisation.sql");
        rows(&transaction, doing, sql, &[&fresh.0, &state.name]).await?;
        update(&transaction, state, doing).await?;
        audit::append(&transaction, fresh, by, &deed).await?;
        let invitation = invitations::invite(&transaction, fresh, by, owner, token_hash, now).await?;
        tenant::commit(transaction, doing).await?;
        Ok((fresh, invitation))
    }

    /// Changes an organisation that is still as `before` says.
    pub async fn change_organisation(
        &self,
        platform: TenantId,
        by: &By,
        id: TenantId,
        before: &OrganisationState,
        after: &OrganisationState,
    ) -> Result<(), PostgresError> {
        let doing = "change an organisation";
        let mut client = self.client(doing).await?;
        let transaction = tenant::begin(&mut client, platform, doing).await?;
        if after.name != before.name {
            check_name(&transaction, &after.name, doing).await?;
        }
        let deeds = deeds(id, before, after);
        for deed in &deeds {
            audit::append(&transaction, platform, by, deed).await?;
        }
        tenant::enter(&transaction, id, doing).await?;
        let held = rows(&transaction, doing, include_str!("../sql/lock_organisation.sql"), &[]).await?;
        must_exist(&held, doing)?;
        if read_state(&held[0])? != *before {
            return Err(PostgresError::Changed { doing });
        }
        update(&transaction, after, doing).await?;
        for deed in &deeds {
            audit::append(&transaction, id, by, deed).await?;
        }
        tenant::commit(transaction, doing).await
    }
}

/// What differs, in deeds: being suspended is one of its own.
fn deeds(id: TenantId, before: &OrganisationState, after: &OrganisationState) -> Vec<Deed> {
    let mut deeds = Vec::new();
    let settled = |state: &OrganisationState| OrganisationState {
        suspended_at: None,
        suspended_why: String::new(),
        ..state.clone()
    };
    if settled(before) != settled(after) {
        let deed = Deed::plain("organisation.change", "organisation", id);
        deeds.push(deed.before(&settled(before)).after(&settled(after)));
    }
    match (before.suspended_at, after.suspended_at) {
        (None, Some(_)) => {
            let why = serde_json::json!({ "reason": after.suspended_why });
            deeds.push(Deed::plain("organisation.suspend", "organisation", id).after(&why));
        }
        (Some(_), None) => deeds.push(Deed::plain("organisation.resume", "organisation", id)),
        _ => {}
    }
    deeds
}

async fn check_name(transaction: &Transaction<'_>, name: &str, doing: &'static str) -> Result<(), PostgresError> {
    rows(transaction, doing, include_str!("../sql/lock_organisation_name.sql"), &[&name]).await?;
    let found = rows(transaction, doing, include_str!("../sql/organisation_by_name.sql"), &[&name]).await?;
    let taken = found.first().map(|row| column::<Option<Uuid>>(row, 0)).transpose()?.flatten();
    match taken {
        Some(_) => Err(PostgresError::Conflict { doing, why: NAME_TAKEN }),
        None => Ok(()),
    }
}

async fn update(transaction: &Transaction<'_>, state: &OrganisationState, doing: &'static str) -> Result<(), PostgresError> {
    let number = |limit: Option<u32>| limit.map(i32::try_from).transpose();
    let refused = |_| PostgresError::Refused {
        doing,
        why: "a limit is too large".to_owned(),
    };
    let intake = number(state.intake_per_second).map_err(refused)?;
    let calls = number(state.concurrency_limit).map_err(refused)?;
    let keys = number(state.api_keys_max).map_err(refused)?;
    let suspended = state.suspended_at.map(|at| at.0);
    let sql = include_str!("../sql/update_organisation.sql");
    rows(
        transaction,
        doing,
        sql,
        &[&state.name, &state.plan, &suspended, &state.suspended_why, &intake, &calls, &keys],
    )
    .await
    .map(drop)
}

fn read_state(row: &Row) -> Result<OrganisationState, PostgresError> {
    let number = |at| column::<Option<i32>>(row, at).map(|found| found.and_then(|limit| u32::try_from(limit).ok()));
    Ok(OrganisationState {
        name: column(row, 1)?,
        plan: column(row, 2)?,
        suspended_at: column::<Option<i64>>(row, 3)?.map(Millis),
        suspended_why: column(row, 4)?,
        intake_per_second: number(5)?,
        concurrency_limit: number(6)?,
        api_keys_max: number(7)?,
    })
}

fn read_listed(row: &Row) -> Result<OrganisationListed, PostgresError> {
    let count = |at| column::<i64>(row, at).map(i64::unsigned_abs);
    Ok(OrganisationListed {
        id: TenantId(column(row, 0)?),
        state: read_state(row)?,
        created_at: Millis(column(row, 8)?),
        people: count(9)?,
        businesses: count(10)?,
        workspaces: count(11)?,
        api_keys: count(12)?,
        failing_webhooks: count(13)?,
    })
}

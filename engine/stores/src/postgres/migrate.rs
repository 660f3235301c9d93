//! Brings the schema up to date: forward only, one process at a time.

use std::time::Duration;

use refinery::{Migration, Runner};
use tokio_postgres::Client;

use super::PostgresError;
use super::database::{Door, PostgresOptions};
use super::error::error_chain;

const ENSURE_ROLES: &str = include_str!("sql/ensure_roles.sql");
const LOCK: &str = include_str!("sql/migration_lock.sql");
const UNLOCK: &str = include_str!("sql/migration_unlock.sql");

/// Advisory lock held while migrating ("trunkmig" in ASCII); refinery itself takes none.
const LOCK_KEY: i64 = i64::from_be_bytes(*b"trunkmig");

/// How long to wait for another process that is migrating.
const LOCK_WAIT: Duration = Duration::from_secs(120);

/// Every step, in order; what has been released is never edited.
const STEPS: &[(&str, &str)] = &[
    (
        "V0001__organisations",
        include_str!("../../../../migrations/V0001__organisations.sql"),
    ),
    ("V0002__identity", include_str!("../../../../migrations/V0002__identity.sql")),
    ("V0003__workspaces", include_str!("../../../../migrations/V0003__workspaces.sql")),
    ("V0004__log", include_str!("../../../../migrations/V0004__log.sql")),
    (
        "V0006__log_identity",
        include_str!("../../../../migrations/V0006__log_identity.sql"),
    ),
    ("V0007__effects", include_str!("../../../../migrations/V0007__effects.sql")),
    ("V0008__jobs", include_str!("../../../../migrations/V0008__jobs.sql")),
    (
        "V0009__sealed_secrets",
        include_str!("../../../../migrations/V0009__sealed_secrets.sql"),
    ),
    ("V0010__access", include_str!("../../../../migrations/V0010__access.sql")),
    ("V0011__log_values", include_str!("../../../../migrations/V0011__log_values.sql")),
    ("V0012__reconciler", include_str!("../../../../migrations/V0012__reconciler.sql")),
    (
        "V0013__second_factors",
        include_str!("../../../../migrations/V0013__second_factors.sql"),
    ),
    ("V0014__tv_links", include_str!("../../../../migrations/V0014__tv_links.sql")),
    ("V0015__people", include_str!("../../../../migrations/V0015__people.sql")),
    ("V0016__invitations", include_str!("../../../../migrations/V0016__invitations.sql")),
    (
        "V0017__workspace_screens",
        include_str!("../../../../migrations/V0017__workspace_screens.sql"),
    ),
    ("V0018__auditor", include_str!("../../../../migrations/V0018__auditor.sql")),
    ("V0019__tokens", include_str!("../../../../migrations/V0019__tokens.sql")),
    ("V0020__platform", include_str!("../../../../migrations/V0020__platform.sql")),
    (
        "V0021__screen_directions",
        include_str!("../../../../migrations/V0021__screen_directions.sql"),
    ),
    (
        "V0022__single_sign_on",
        include_str!("../../../../migrations/V0022__single_sign_on.sql"),
    ),
    (
        "V0023__renewed_sessions",
        include_str!("../../../../migrations/V0023__renewed_sessions.sql"),
    ),
    (
        "V0024__proved_domains",
        include_str!("../../../../migrations/V0024__proved_domains.sql"),
    ),
];

/// Applies what is missing and returns the names of the steps applied now. Refuses a database whose applied steps differ from
/// ours, or that a newer version has been at.
pub async fn migrate(options: &PostgresOptions) -> Result<Vec<String>, PostgresError> {
    let door = Door::new(options.owner_url.as_ref().unwrap_or(&options.url), options.ca_file.as_deref())?;
    let mut client = door.open(|_| ()).await?.client;
    let lock = client.query_one(LOCK, &[&LOCK_KEY]);
    match tokio::time::timeout(LOCK_WAIT, lock).await {
        Ok(taken) => taken.map_err(|error| PostgresError::from_driver("lock the schema", &error))?,
        Err(_) => {
            let why = format!("another process has been migrating for {} s", LOCK_WAIT.as_secs());
            return Err(PostgresError::Unavailable {
                doing: "lock the schema",
                why,
            });
        }
    };
    let applied = apply(&mut client).await;
    // The lock ends with the session in any case; letting go early only spares the next one a wait.
    if let Err(error) = client.execute(UNLOCK, &[&LOCK_KEY]).await {
        tracing::debug!(error = %error_chain(&error), "migration lock goes with its session");
    }
    applied
}

async fn apply(client: &mut Client) -> Result<Vec<String>, PostgresError> {
    client.batch_execute(ENSURE_ROLES).await.map_err(|error| {
        let why = PostgresError::from_driver("make the roles trunkline_app and trunkline_platform", &error);
        PostgresError::Misconfigured(format!(
            "{why}; let an administrator create both (NOLOGIN) and grant them to the role that migrates"
        ))
    })?;
    let steps: Vec<Migration> = STEPS
        .iter()
        .map(|(name, sql)| Migration::unapplied(name, sql).expect("names of steps are V<number>__<name>"))
        .collect();
    let report = Runner::new(&steps)
        .set_abort_divergent(true)
        .set_abort_missing(true)
        .run_async(client)
        .await
        .map_err(|error| PostgresError::Misconfigured(format!("migrate the schema: {}", error_chain(&error))))?;
    Ok(report.applied_migrations().iter().map(ToString::to_string).collect())
}

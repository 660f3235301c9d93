//! Which log this installation works with. A topic that was made again, or a log of another place, has other offsets: what groups
//! have done and what boards and facts refer to would not fit it, so it is not taken silently (KA-06).

use super::LogError;
use crate::postgres::Database;

const KNOWN: &str = include_str!("sql/known_log.sql");
const LOOK_UP: &str = include_str!("sql/look_up_log.sql");
const TAKE: &str = include_str!("sql/take_log.sql");

/// Notes the log on first sight, and refuses another one than last time.
pub async fn recognise(database: &Database, identity: &str) -> Result<(), LogError> {
    let known = ask(database, KNOWN, identity).await?;
    if known == identity {
        return Ok(());
    }
    Err(LogError::Misconfigured(another(&known, identity)))
}

/// What to say of a log that is not ours.
pub(super) fn another(known: &str, identity: &str) -> String {
    format!(
        "this installation's event log was {known}, and the settings lead to {identity}: its offsets are others, and events of the old \
         one that are not in ClickHouse yet would be missing. Set log.store and kafka.* back to the old one; or, if it is gone or was \
         left on purpose, run: trunkline migrate --take-log"
    )
}

/// The log this installation has worked with so far; none before its first start.
pub async fn known(database: &Database) -> Result<Option<String>, LogError> {
    let doing = "look up which event log is ours";
    let failed = |error| LogError::from(crate::postgres::PostgresError::from_driver(doing, &error));
    let row = database.client(doing).await?.query_opt(LOOK_UP, &[]).await.map_err(failed)?;
    row.map(|row| row.try_get(0).map_err(failed)).transpose()
}

/// Makes `identity` the log of this installation from now on; gives the one before.
pub async fn take(database: &Database, identity: &str) -> Result<String, LogError> {
    let before = ask(database, KNOWN, identity).await?;
    ask(database, TAKE, identity).await?;
    Ok(before)
}

/// Asks with an identity, for one.
async fn ask(database: &Database, sql: &str, identity: &str) -> Result<String, LogError> {
    let doing = "look up which event log is ours";
    let row = database
        .client(doing)
        .await?
        .query_one(sql, &[&identity])
        .await
        .map_err(|error| LogError::from(crate::postgres::PostgresError::from_driver(doing, &error)))?;
    row.try_get(0)
        .map_err(|error| LogError::from(crate::postgres::PostgresError::from_driver(doing, &error)))
}

//! Makes the roles and databases of a server that has just started.

use secrecy::SecretString;
use tokio_postgres::Client;

use super::EmbeddedError;
use super::cluster::{Cluster, OWNER_ROLE, ROOT_ROLE};
use crate::postgres::PostgresError;
use crate::postgres::database::Door;

/// The database every server has.
const FIRST_DATABASE: &str = "postgres";

/// Whether the server takes connections.
pub(super) async fn answers(cluster: &Cluster) -> Result<(), PostgresError> {
    root(cluster, FIRST_DATABASE).await.map(drop)
}

/// The roles of the product; only the owner and the application may sign in.
pub(super) async fn roles(cluster: &Cluster) -> Result<(), EmbeddedError> {
    let client = root(cluster, FIRST_DATABASE).await?;
    let failed = |error| PostgresError::from_driver("make roles", &error);
    Ok(client
        .batch_execute(include_str!("../sql/embedded_roles.sql"))
        .await
        .map_err(failed)?)
}

/// A database that belongs to the owner of the schema.
pub(super) async fn database(cluster: &Cluster, name: &str) -> Result<(), EmbeddedError> {
    let plain = !name.is_empty() && name.len() < 64 && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if !plain {
        return Err(EmbeddedError::Setup(
            "a database name is made of small letters, digits and underscores".into(),
        ));
    }
    let client = root(cluster, FIRST_DATABASE).await?;
    let failed = |error| PostgresError::from_driver("make a database", &error);
    let found = client
        .query(include_str!("../sql/embedded_database_exists.sql"), &[&name])
        .await
        .map_err(failed)?;
    if found.is_empty() {
        // Names cannot be parameters; this one was checked above.
        let sql = include_str!("../sql/embedded_create_database.sql")
            .replace("{name}", name)
            .replace("{owner}", OWNER_ROLE);
        client.batch_execute(&sql).await.map_err(failed)?;
    }
    Ok(())
}

async fn root(cluster: &Cluster, database: &str) -> Result<Client, PostgresError> {
    let door = Door::new(&SecretString::from(cluster.address(ROOT_ROLE, database)), None)?;
    Ok(door.open(|_| ()).await?.client)
}

//! A turn at work that only one process may do at a time: an advisory lock of an own session.

use super::config::column;
use super::database::OwnConnection;
use super::{Database, PostgresError};

/// The right to do something alone. It ends when this is dropped, and with the session if the process dies.
pub struct Turn {
    connection: OwnConnection,
}

impl Turn {
    /// False once the session has ended: another process may have the turn.
    pub fn holds(&self) -> bool {
        !self.connection.ended.is_cancelled()
    }
}

impl Database {
    /// Takes the turn of this name; `None` while another process has it.
    pub(super) async fn turn(&self, doing: &'static str, name: &str) -> Result<Option<Turn>, PostgresError> {
        let connection = self.own_connection(|_| ()).await?;
        let found = connection
            .client
            .query_one(include_str!("sql/take_turn.sql"), &[&name])
            .await
            .map_err(|error| PostgresError::from_driver(doing, &error))?;
        let won: bool = column(&found, 0)?;
        Ok(won.then_some(Turn { connection }))
    }
}

//! What can go wrong with Postgres, in words that hold no stored value.

use tokio_postgres::error::SqlState;

use crate::keyring::OpenError;

/// Why Postgres did not do what was asked. The texts never hold row values: details of database errors are dropped.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    /// The server is away, overloaded or shutting down; try again.
    #[error("{doing}: Postgres is unavailable: {why}")]
    Unavailable {
        /// What was attempted.
        doing: &'static str,
        /// What the driver or server said.
        why: String,
    },
    /// Something of this name, address or key is there already.
    #[error("{doing}: already taken ({constraint})")]
    Taken {
        /// What was attempted.
        doing: &'static str,
        /// The constraint that says so.
        constraint: String,
    },
    /// What it refers to is not there, or belongs to someone else.
    #[error("{doing}: no such thing in this organisation")]
    Missing {
        /// What was attempted.
        doing: &'static str,
    },
    /// The server refused the value.
    #[error("{doing}: refused: {why}")]
    Refused {
        /// What was attempted.
        doing: &'static str,
        /// Which rule refused.
        why: String,
    },
    /// Somebody else changed it meanwhile.
    #[error("{doing}: it was changed meanwhile")]
    Changed {
        /// What was attempted.
        doing: &'static str,
    },
    /// It does not fit to what there is.
    #[error("{doing}: {why}")]
    Conflict {
        /// What was attempted.
        doing: &'static str,
        /// What to do first.
        why: &'static str,
    },
    /// A stored secret does not open.
    #[error("{doing}: a stored secret does not open: {why}")]
    Unreadable {
        /// What was attempted.
        doing: &'static str,
        /// Why not.
        why: OpenError,
    },
    /// A person must change the set-up.
    #[error("{0}")]
    Misconfigured(String),
}

impl PostgresError {
    /// Reads a driver error; `doing` says what was attempted.
    pub(crate) fn from_driver(doing: &'static str, error: &tokio_postgres::Error) -> Self {
        let Some(db) = error.as_db_error() else {
            return Self::Unavailable {
                doing,
                why: error_chain(error),
            };
        };
        let code = db.code();
        let constraint = || db.constraint().unwrap_or("a unique constraint").to_owned();
        match *code {
            SqlState::UNIQUE_VIOLATION => Self::Taken {
                doing,
                constraint: constraint(),
            },
            SqlState::FOREIGN_KEY_VIOLATION => Self::Missing { doing },
            SqlState::CHECK_VIOLATION => Self::Refused {
                doing,
                why: format!("constraint {}", constraint()),
            },
            _ if is_passing(code) => Self::Unavailable {
                doing,
                why: format!("{} (SQLSTATE {})", db.message(), code.code()),
            },
            _ => Self::Refused {
                doing,
                why: format!("{} (SQLSTATE {})", db.message(), code.code()),
            },
        }
    }

    /// Reads an error of the pool.
    pub(crate) fn from_pool(doing: &'static str, error: &deadpool_postgres::PoolError) -> Self {
        match error {
            deadpool_postgres::PoolError::Backend(error) => Self::from_driver(doing, error),
            other => Self::Unavailable {
                doing,
                why: other.to_string(),
            },
        }
    }

    /// Whether trying again later can help.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}

/// Conditions of the server that pass by themselves: connections, resources, interventions, conflicts between transactions.
fn is_passing(code: &SqlState) -> bool {
    matches!(code.code().get(..2), Some("08" | "40" | "53" | "55" | "57" | "58"))
}

/// An error and its causes in one line.
pub(crate) fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}

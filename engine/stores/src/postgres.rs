//! Configuration in Postgres: who may come in, which business an agent belongs to, which workspace a token means.
//!
//! [`embedded`] starts a server of our own when no address is set; [`database`] connects to either; [`migrate`] brings the
//! schema up to date; [`config`] holds the questions the product asks. One function, [`tenant::begin`], sets the tenant.

pub mod auditor;
pub mod config;
pub mod database;
pub mod directory;
pub mod effects;
pub mod embedded;
mod error;
pub mod jobs;
pub mod migrate;
pub mod reconciler;
pub mod row;
mod tenant;
mod turn;
mod watch;

pub use config::Config;
pub use database::{Database, PostgresOptions};
pub use directory::{BusinessEntry, Directory, OrganisationEntry, WorkspaceEntry};
pub use embedded::{DatabaseRole, EmbeddedOptions, EmbeddedPostgres};
pub use error::PostgresError;
pub use migrate::migrate;

/// Most characters of a reason that are kept.
const REASON_CHARS: usize = 500;

/// A reason as it may be kept: short, and of one line.
fn shown(reason: &str) -> String {
    reason.chars().filter(|letter| !letter.is_control()).take(REASON_CHARS).collect()
}

//! What one process does: the parts of the product that it runs.

use clap::ValueEnum;
use secrecy::ExposeSecret;

use crate::settings::Settings;

/// A part of the product that a process can run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProcessRole {
    /// Takes Retell's webhooks into the log.
    Intake,
    /// Keeps calls and boards in memory.
    Live,
    /// Writes the log to ClickHouse.
    Facts,
    /// Keeps the usage ledger and fills the outbox.
    Effects,
    /// Empties the outbox: delivers webhooks.
    Jobs,
    /// Serves pages and API.
    Web,
}

/// Every part: the default, and the demo.
pub const EVERY_ROLE: [ProcessRole; 6] = [
    ProcessRole::Intake,
    ProcessRole::Live,
    ProcessRole::Facts,
    ProcessRole::Effects,
    ProcessRole::Jobs,
    ProcessRole::Web,
];

/// One sentence for each thing that does not fit together; empty when all does.
pub fn refusals(roles: &[ProcessRole], settings: &Settings) -> Vec<String> {
    let has = |role| roles.contains(&role);
    let mut found = Vec::new();
    if has(ProcessRole::Web) && !has(ProcessRole::Live) && settings.live.checkpoint_ms().is_none() {
        found.push(
            "--roles web without live shows what other processes keep, and with live.checkpoint_seconds = 0 they keep nothing; set at least 1"
                .to_owned(),
        );
    }
    if !EVERY_ROLE.into_iter().all(has) && settings.postgres.url.expose_secret().is_empty() {
        found.push(
            "--roles without some roles means that other processes have them, and the embedded Postgres belongs to one process; set postgres.url"
                .to_owned(),
        );
    }
    if has(ProcessRole::Facts) != has(ProcessRole::Web) && settings.clickhouse.url.is_empty() {
        found.push(
            "--roles with one of facts and web needs a ClickHouse that both reach, and the embedded engine belongs to one process; set clickhouse.url"
                .to_owned(),
        );
    }
    found
}

/// Whether a process with these roles shows partitions that others read. The embedded Postgres belongs to one process, which reads all.
pub fn follow(roles: &[ProcessRole], settings: &Settings) -> bool {
    roles.contains(&ProcessRole::Web) && settings.live.checkpoint_ms().is_some() && !settings.postgres.url.expose_secret().is_empty()
}

/// Whether a process with these roles speaks to ClickHouse.
pub fn need_analytics(roles: &[ProcessRole]) -> bool {
    roles.contains(&ProcessRole::Facts) || roles.contains(&ProcessRole::Web)
}

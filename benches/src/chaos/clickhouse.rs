//! The ClickHouse engine behind its door as a process of its own, at an address that its next start has again.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use secrecy::SecretString;
use trunkline_stores::clickhouse::door::{DoorOptions, Engine, Entry};

/// Variable that holds the door's password.
pub const PASSWORD: &str = "TRUNKLINE_CHAOS_CLICKHOUSE_PASSWORD";

/// `clickhouse-door`: the process.
#[derive(Debug, Args)]
pub struct ClickHouseDoor {
    #[arg(long)]
    library: PathBuf,
    #[arg(long)]
    data: PathBuf,
    #[arg(long)]
    address: SocketAddr,
}

impl ClickHouseDoor {
    /// Serves until it is asked to end.
    pub async fn run(self) -> Result<()> {
        let password = SecretString::from(std::env::var(PASSWORD).context("find the door's password")?);
        let options = DoorOptions {
            library: self.library,
            data: self.data,
            databases: vec!["trunkline".to_owned()],
            entry: Some(Entry {
                address: self.address,
                password,
            }),
        };
        let engine = tokio::task::spawn_blocking(move || Engine::start(options)).await??;
        let mut ended = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        ended.recv().await;
        engine.stop().await;
        Ok(())
    }
}

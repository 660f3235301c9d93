//! Where the log of the bench is: a topic of its own on a broker, or an embedded Postgres of its own.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::Args;
use secrecy::{ExposeSecret as _, SecretString};
use tempfile::TempDir;
use trunkline_stores::log::EventLog;
use trunkline_stores::log::kafka::{KafkaLog, KafkaOptions};
use trunkline_stores::log::postgres::{LogOptions, PostgresLog};
use trunkline_stores::postgres::{Database, EmbeddedOptions, EmbeddedPostgres, PostgresOptions, migrate};
use uuid::Uuid;

use crate::topic;

/// Variable that holds the address of the Postgres, which holds a password.
pub const URL: &str = "TRUNKLINE_BENCH_POSTGRES";

/// Name of the node in its groups: the same after each death.
const MEMBER: &str = "bench";

/// The log.
pub enum Place {
    /// A topic on a broker.
    Kafka {
        /// Broker.
        brokers: String,
        /// Topic.
        topic: String,
        /// Where the node under test has its own copy of its checkpoints, as long as this lives.
        mirror: Option<TempDir>,
    },
    /// A server of our own.
    Postgres {
        /// The server.
        server: EmbeddedPostgres,
        /// Its data, as long as this lives.
        _data: TempDir,
    },
}

/// Where a node finds the log.
#[derive(Debug, Args)]
pub struct Where {
    /// Broker, host:port; without it the Postgres of the environment.
    #[arg(long)]
    pub brokers: Option<String>,
    /// Topic on it.
    #[arg(long, default_value = "")]
    pub topic: String,
    /// Where the node keeps its own copy of its checkpoints.
    #[arg(long, value_name = "DIRECTORY")]
    pub mirror: Option<PathBuf>,
}

fn kafka(brokers: &str, topic: &str) -> KafkaOptions {
    KafkaOptions {
        static_member: Some(MEMBER.to_owned()),
        ..topic::options(brokers, topic)
    }
}

impl Where {
    /// A node's own client of the log.
    pub async fn open(&self) -> Result<Arc<dyn EventLog>> {
        if let Some(brokers) = &self.brokers {
            let options = KafkaOptions {
                mirror: self.mirror.clone(),
                ..kafka(brokers, &self.topic)
            };
            return Ok(Arc::new(KafkaLog::open(options).await?));
        }
        let url = SecretString::from(std::env::var(URL).context("find the address of Postgres")?);
        on_postgres(&PostgresOptions {
            url,
            owner_url: None,
            ca_file: None,
            pool_size: 16,
        })
        .await
    }
}

async fn on_postgres(options: &PostgresOptions) -> Result<Arc<dyn EventLog>> {
    let database = Database::connect(options).await?;
    Ok(Arc::new(PostgresLog::open(database, &LogOptions::default()).await?))
}

impl Place {
    /// An empty log.
    pub async fn make(brokers: Option<&str>, mirrored: bool) -> Result<Place> {
        if let Some(brokers) = brokers {
            return Ok(Place::Kafka {
                brokers: brokers.to_owned(),
                topic: format!("bench.restart.{}", Uuid::new_v4()),
                mirror: mirrored.then(TempDir::new).transpose()?,
            });
        }
        let data = tempfile::tempdir()?;
        let server = EmbeddedPostgres::start(&EmbeddedOptions::new(data.path())).await?;
        migrate(&server.options()).await?;
        Ok(Place::Postgres { server, _data: data })
    }

    /// What it is.
    pub fn name(&self) -> &'static str {
        match self {
            Place::Kafka { .. } => "Kafka",
            Place::Postgres { .. } => "Postgres",
        }
    }

    /// The bench's own client.
    pub async fn open(&self) -> Result<Arc<dyn EventLog>> {
        match self {
            Place::Kafka { brokers, topic, .. } => Ok(Arc::new(KafkaLog::open(kafka(brokers, topic)).await?)),
            Place::Postgres { server, .. } => on_postgres(&server.options()).await,
        }
    }

    /// How a node is told.
    pub fn arguments(&self) -> Vec<String> {
        let mut arguments = self.null_arguments().unwrap_or_default();
        if let Place::Kafka { mirror: Some(mirror), .. } = self {
            arguments.extend(["--mirror".to_owned(), mirror.path().display().to_string()]);
        }
        arguments
    }

    /// The same for a consumer that only reads; there is none of Postgres.
    pub fn null_arguments(&self) -> Option<Vec<String>> {
        match self {
            Place::Kafka { brokers, topic, .. } => Some(["--brokers", brokers, "--topic", topic].map(str::to_owned).into()),
            Place::Postgres { .. } => None,
        }
    }

    /// The address of Postgres, for the environment of a node.
    pub fn url(&self) -> Option<String> {
        match self {
            Place::Kafka { .. } => None,
            Place::Postgres { server, .. } => Some(server.options().url.expose_secret().to_owned()),
        }
    }

    /// Ends what was started.
    pub async fn close(self) {
        if let Place::Postgres { server, .. } = self {
            server.close().await;
        }
    }
}

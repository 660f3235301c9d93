//! Opens the stores that settings name: given ones by address, or our own in the data directory.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::Uri;
use anyhow::Context;
use secrecy::ExposeSecret;
use trunkline_stores::clickhouse::door::{DoorOptions, Engine};
use trunkline_stores::clickhouse::{Analytics, AnalyticsOptions};
use trunkline_stores::log::kafka::KafkaLog;
use trunkline_stores::log::postgres::{LogOptions, PostgresLog};
use trunkline_stores::log::{EventLog, known, recognise};
use trunkline_stores::postgres::{Config, Database, EmbeddedOptions, EmbeddedPostgres, PostgresOptions, migrate};

use super::kafka;
use super::roles::{ProcessRole, need_analytics};
use super::secrets::open_config;
use crate::settings::{LogStore, Settings};

/// Exit code when the log that was away turns out to be another one, or to have settings that lose events.
const LOG_REFUSED: i32 = 78;

/// Name of the engine's library.
const LIBRARY: &str = "libchdb.so";

/// Postgres, given or ours.
pub struct Postgres {
    /// How to reach it.
    pub options: PostgresOptions,
    embedded: Option<EmbeddedPostgres>,
}

/// ClickHouse, given or ours.
pub struct ClickHouse {
    /// Handle for questions and inserts.
    pub analytics: Analytics,
    embedded: Option<Engine>,
}

/// Everything that is kept.
pub struct Stores {
    /// Configuration.
    pub config: Config,
    /// Events.
    pub log: Arc<dyn EventLog>,
    /// Facts; a process that only takes events has none.
    pub analytics: Option<Analytics>,
    postgres: Postgres,
    clickhouse: Option<ClickHouse>,
}

impl Stores {
    /// Opens those that the roles need and brings their schemas up to date.
    pub async fn open(settings: &Settings, roles: &[ProcessRole]) -> anyhow::Result<Stores> {
        let postgres = Postgres::open(settings, Whose::Ours).await?;
        let steps = migrate(&postgres.options).await.context("bring the Postgres schema up to date")?;
        let config = open_config(settings, &postgres).await?;
        tracing::info!(steps = steps.len(), embedded = postgres.is_embedded(), "Postgres is ready");
        let log = await_log(settings, config.database()).await.context("open the event log")?;
        let clickhouse = match need_analytics(roles) {
            true => Some(open_analytics(settings).await?),
            false => None,
        };
        Ok(Stores {
            config,
            log,
            analytics: clickhouse.as_ref().map(|clickhouse| clickhouse.analytics.clone()),
            postgres,
            clickhouse,
        })
    }

    /// Closes them: the log first, so that what is in flight is kept.
    pub async fn close(self) {
        self.log.close().await;
        if let Some(clickhouse) = self.clickhouse {
            clickhouse.close().await;
        }
        drop(self.config);
        self.postgres.close().await;
    }
}

/// ClickHouse with its schema up to date, or away for now.
async fn open_analytics(settings: &Settings) -> anyhow::Result<ClickHouse> {
    let clickhouse = ClickHouse::open(settings).await?;
    let migrated = clickhouse.analytics.migrate().await;
    match migrated {
        Ok(_) => tracing::info!(embedded = clickhouse.embedded.is_some(), "ClickHouse is ready"),
        // Calls are taken and shown live without it; its writer goes on when it is back.
        Err(error) if error.passes() && clickhouse.embedded.is_none() => {
            tracing::error!(%error, "ClickHouse is away; the call log will be behind until it is back");
            tokio::spawn(migrate_later(clickhouse.analytics.clone()));
        }
        Err(error) => return Err(error).context("bring the ClickHouse schema up to date"),
    }
    Ok(clickhouse)
}

/// Whether an embedded server that already runs may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// It has to be started by us: the product itself.
    Ours,
    /// One of a running product will do: commands beside it.
    Any,
}

impl Postgres {
    /// Connects to the given server, or starts ours.
    pub async fn open(settings: &Settings, whose: Whose) -> anyhow::Result<Postgres> {
        let given = &settings.postgres;
        if !given.url.expose_secret().is_empty() {
            let options = PostgresOptions {
                url: given.url.clone(),
                owner_url: None,
                ca_file: None,
                pool_size: given.pool_size,
            };
            return Ok(Postgres { options, embedded: None });
        }
        let mut options = EmbeddedOptions::new(&settings.data.directory);
        if !given.binaries.as_os_str().is_empty() {
            options.bin = Some(given.binaries.clone());
        }
        let server = match whose {
            Whose::Ours => EmbeddedPostgres::start(&options).await,
            Whose::Any => EmbeddedPostgres::start_or_attach(&options).await,
        };
        let server = server.context("start the embedded Postgres; set postgres.url to use a given one")?;
        let options = PostgresOptions {
            pool_size: given.pool_size,
            ..server.options()
        };
        Ok(Postgres {
            options,
            embedded: Some(server),
        })
    }

    /// Whether it is ours.
    pub fn is_embedded(&self) -> bool {
        self.embedded.is_some()
    }

    /// Stops the server if it is ours.
    pub async fn close(self) {
        if let Some(server) = self.embedded {
            server.close().await;
        }
    }
}

impl ClickHouse {
    /// Prepares the given server's client, or starts the engine in this process.
    pub async fn open(settings: &Settings) -> anyhow::Result<ClickHouse> {
        let given = &settings.clickhouse;
        if !given.url.is_empty() {
            let options = AnalyticsOptions::new(
                given.url.clone(),
                given.user.clone(),
                given.password.clone(),
                given.database.clone(),
            );
            let options = AnalyticsOptions {
                compress: leaves_the_machine(&given.url),
                row_policies: given.row_policies,
                ca_file: Some(given.ca_file.clone()).filter(|path| !path.as_os_str().is_empty()),
                ..options
            };
            return Ok(ClickHouse {
                analytics: Analytics::connect(options).context("set up ClickHouse's client; see clickhouse.ca_file")?,
                embedded: None,
            });
        }
        let options = DoorOptions {
            library: library(settings),
            data: settings.data.directory.join("clickhouse"),
            databases: vec![given.database.clone()],
            entry: None,
        };
        // Loading half a gigabyte of engine takes seconds; not on a thread that others wait for.
        let engine = tokio::task::spawn_blocking(move || Engine::start(options))
            .await?
            .context("start the embedded ClickHouse engine")?;
        let password = engine.password.clone();
        let options = AnalyticsOptions::new(engine.url.clone(), engine.user.clone(), password, given.database.clone());
        Ok(ClickHouse {
            analytics: Analytics::connect(options)?,
            embedded: Some(engine),
        })
    }

    /// Stops the engine if it is ours.
    pub async fn close(self) {
        if let Some(engine) = self.embedded {
            engine.stop().await;
        }
    }
}

/// The log that settings name, if it is the one this installation has worked with so far.
pub async fn open_log(settings: &Settings, database: &Database) -> anyhow::Result<Arc<dyn EventLog>> {
    let log = open_any_log(settings, database).await?;
    recognise(database, log.identity()).await?;
    Ok(log)
}

/// The same for a process that can do without it for a while: a Kafka that this installation has worked with before may be away. Then pages
/// show what other stores have, events are spooled, and the groups join when it is back.
async fn await_log(settings: &Settings, database: &Database) -> anyhow::Result<Arc<dyn EventLog>> {
    let known = match settings.log.store {
        LogStore::Kafka => known(database).await?,
        LogStore::Postgres => None,
    };
    let Some(identity) = known else {
        // The first start makes the topic, and a log in Postgres is there whenever the configuration is.
        return open_log(settings, database).await;
    };
    let log = Arc::new(KafkaLog::open_known(kafka::options(settings), identity).await?);
    recognise(database, log.identity()).await?;
    let awaited = log.clone();
    tokio::spawn(async move {
        if let Err(error) = awaited.find().await {
            // What would have refused the start had the log been there.
            tracing::error!(%error, "leaving, because the event log that has come may not be used");
            std::process::exit(LOG_REFUSED);
        }
    });
    Ok(log)
}

/// The log that settings name, whichever it is.
pub async fn open_any_log(settings: &Settings, database: &Database) -> anyhow::Result<Arc<dyn EventLog>> {
    match settings.log.store {
        LogStore::Postgres => {
            let options = LogOptions {
                partitions: settings.log.partitions,
                retention: Some(settings.log.retention()),
                ..LogOptions::default()
            };
            Ok(Arc::new(PostgresLog::open(database.clone(), &options).await?))
        }
        LogStore::Kafka => Ok(Arc::new(KafkaLog::open(kafka::options(settings)).await?)),
    }
}

/// Where the engine's library is: as set, beside the program, in the data directory, or where deploy/clickhouse-engine puts it.
pub fn library(settings: &Settings) -> PathBuf {
    let set = &settings.clickhouse.library;
    if !set.as_os_str().is_empty() {
        return set.clone();
    }
    let beside = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.join(LIBRARY)));
    let places = beside
        .into_iter()
        .chain([settings.data.directory.join(LIBRARY), Path::new(".engine").join(LIBRARY)]);
    // None there: the last place, so that the error names one.
    places
        .clone()
        .find(|path| path.exists())
        .or_else(|| places.last())
        .unwrap_or_default()
}

/// Tries until the schema is there.
async fn migrate_later(analytics: Analytics) {
    const AGAIN: Duration = Duration::from_secs(10);
    loop {
        tokio::time::sleep(AGAIN).await;
        match analytics.migrate().await {
            Ok(_) => return tracing::info!("ClickHouse is ready"),
            Err(error) if error.passes() => tracing::debug!(%error, "ClickHouse is still away"),
            Err(error) => return tracing::error!(%error, "bring the ClickHouse schema up to date"),
        }
    }
}

/// Whether what is sent to this address goes over a network. Within the machine, packing takes longer than it saves.
fn leaves_the_machine(url: &str) -> bool {
    let uri = url.parse::<Uri>().ok();
    let host = uri.as_ref().and_then(Uri::host).unwrap_or_default().trim_matches(['[', ']']);
    let is_here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    !is_here
}

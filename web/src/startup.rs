//! Settings -> adapters -> engine -> listeners. The only file that names adapters.

mod kafka;
mod lookup;
pub mod stores;

use std::any::Any;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::{Extensions, Server, ServerHandle};
use actix_web::middleware::{Compress, from_fn};
use actix_web::{App, HttpServer, web};
use anyhow::Context;
use metrics_exporter_prometheus::PrometheusHandle;
use stores::Stores;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use trunkline_actors::{Engine, EngineOptions, Facts, FactsOptions, Limits, Roles};
use trunkline_core::limit::API_BODY_BYTES;
use trunkline_stores::spool::{Keeper, SpoolOptions};

use crate::api::cursor::CursorKey;
use crate::identity::cross_site;
use crate::identity::password::Passwords;
use crate::intake::Intake;
use crate::intake::caps::Caps;
use crate::intake::meters::Meters;
use crate::intake::senders::Senders;
use crate::settings::Settings;
use crate::shutdown::{Lifecycle, Phase};
use crate::state::AppState;
use crate::stream::Streams;
use crate::{request, routes, telemetry};

/// Slow request heads are cut off after this (rule A4).
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// Connections without a request are closed after this; longer than the 60 s of usual balancers.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// A peer that takes nothing of what is sent to it for so long is given up by the kernel, and its socket, stream and memory are free; a
/// browser opens its stream again by itself. Longer than a dip of a mobile network.
const STALLED: Duration = Duration::from_secs(20);

/// Requests in progress get this long when a listener stops; a body may take 10 s and its answer 5.
const FINISH_REQUESTS: Duration = Duration::from_secs(20);

/// Exit code when a role could not be kept alive.
const ROLE_LOST: i32 = 70;

/// A running product.
pub struct Product {
    /// What requests see.
    pub state: AppState,
    /// Where pages and API listen.
    pub site: SocketAddr,
    /// Where intake listens.
    pub intake: SocketAddr,
    /// Where health and metrics listen.
    pub admin: SocketAddr,
    /// Who may send events.
    pub senders: Arc<Senders>,
    listeners: Listeners,
    engine: Engine,
    facts: Facts,
    stores: Stores,
    tasks: CancellationToken,
}

/// Starts everything; returns once it serves.
pub async fn start(settings: Settings) -> anyhow::Result<Product> {
    let settings = Arc::new(settings);
    let metrics = telemetry::start_metrics().context("start metrics")?;
    let stores = Stores::open(&settings).await?;
    let tasks = CancellationToken::new();
    tokio::spawn(
        tasks
            .clone()
            .run_until_cancelled_owned(telemetry::keep_metrics_small(metrics.clone())),
    );
    let directory = stores.config.clone().watch(tasks.clone()).await.context("read the configuration")?;
    let roles = Roles::default();
    let options = EngineOptions {
        on_failure: Some(Arc::new(|role| {
            // A guardian that gave up leaves boards that stand still; a fresh process rebuilds them from the log.
            tracing::error!(role, "a role could not be kept alive; leaving so that the process is started again");
            std::process::exit(ROLE_LOST);
        })),
        roles: roles.clone(),
        lookup: Some(Arc::new(lookup::RetellLookup {
            api_url: settings.retell.api_url.clone(),
        })),
        limits: Limits {
            silence_ms: i64::from(settings.retell.ask_after_minutes) * 60_000,
            ..Limits::default()
        },
        ..EngineOptions::default()
    };
    let engine = Engine::start(stores.log.clone(), directory.clone(), options).context("start the live group")?;
    let options = FactsOptions::new(stores.log.identity());
    let facts = Facts::start(stores.log.clone(), stores.analytics.clone(), directory.clone(), &roles, options);
    let spool = SpoolOptions {
        directory: settings.spool_directory(),
        bytes_max: settings.spool.bytes_max,
    };
    let keeper = Keeper::open(stores.log.clone(), &spool, &tokio::runtime::Handle::current()).context("open the spool")?;
    let state = AppState {
        keeper: Arc::new(keeper),
        facts: facts.watcher(),
        live: engine.live(),
        streams: Arc::new(Streams::new(settings.server.streams_max, tokio::runtime::Handle::current())),
        cursors: CursorKey::load(&settings.data.directory)?,
        lifecycle: Lifecycle::default(),
        config: stores.config.clone(),
        directory: directory.clone(),
        log: stores.log.clone(),
        analytics: stores.analytics.clone(),
        passwords: Passwords::new(settings.sign_in.parallel_max)?,
        attempts: Arc::default(),
        settings: settings.clone(),
    };
    let senders = Arc::new(Senders::new(&directory.borrow(), settings.intake.events_per_second));
    tokio::spawn(tasks.clone().run_until_cancelled_owned(senders.clone().follow(directory)));
    let intake = web::Data::new(Intake {
        keeper: state.keeper.clone(),
        senders: senders.clone(),
        caps: Arc::new(Caps::new(
            settings.intake.requests_in_flight_max,
            settings.intake.bytes_in_flight_max,
        )),
        meters: Meters::default(),
        trusted_proxies: settings.server.trusted_proxies.clone(),
    });
    let mut listeners = Vec::new();
    let admin = listen_admin(&state, metrics, intake.clone(), &mut listeners)?;
    let intake = listen_intake(&state, intake, &mut listeners)?;
    let site = listen_site(&state, &mut listeners)?;
    state.lifecycle.enter(Phase::Ready);
    tracing::info!(%site, %intake, %admin, "serving");
    Ok(Product {
        state,
        site,
        intake,
        admin,
        senders,
        listeners,
        engine,
        facts,
        stores,
        tasks,
    })
}

impl Product {
    /// Leaves in order; everything after the wait for balancers within one deadline.
    pub async fn stop(self, drain: Duration) {
        self.state.lifecycle.enter(Phase::Draining);
        tokio::time::sleep(drain).await;
        self.state.lifecycle.enter(Phase::Closing);
        let deadline = Duration::from_secs(self.state.settings.server.shutdown_seconds);
        let leave = async {
            let ends = self.listeners.into_iter().map(|(handle, task)| async move {
                handle.stop(true).await;
                let _ = task.await;
            });
            futures::future::join_all(ends).await;
            self.tasks.cancel();
            // The groups do not know each other, so they leave at the same time.
            tokio::join!(self.engine.stop(), self.facts.stop());
            self.state.keeper.close();
            drop(self.state);
            self.stores.close().await;
        };
        if tokio::time::timeout(deadline, leave).await.is_err() {
            tracing::error!(seconds = deadline.as_secs(), "stop did not end in time; leaving what is left");
        }
    }
}

type Listeners = Vec<(ServerHandle, tokio::task::JoinHandle<std::io::Result<()>>)>;

/// The same limits on every listener. A macro, because the type of an application cannot be written down.
macro_rules! bound {
    ($app:expr, $setting:literal, $bind:expr, $workers:expr) => {{
        let server = HttpServer::new($app)
            .workers(threads($workers))
            .client_request_timeout(HEAD_TIMEOUT)
            .keep_alive(KEEP_ALIVE)
            .on_connect(give_up_when_stalled)
            // We listen to signals ourselves: the order of leaving is ours.
            .disable_signals()
            .shutdown_timeout(FINISH_REQUESTS.as_secs())
            .bind($bind)
            .with_context(|| {
                format!(
                    "listen on {} = {}; choose another with --set {}=127.0.0.1:PORT",
                    $setting, $bind, $setting
                )
            })?;
        let address = *server.addrs().first().context("a bound listener has an address")?;
        (server.run(), address)
    }};
}

fn listen_site(state: &AppState, listeners: &mut Listeners) -> anyhow::Result<SocketAddr> {
    let data = web::Data::new(state.clone());
    let app = move || {
        App::new()
            .app_data(data.clone())
            .app_data(web::PayloadConfig::new(API_BODY_BYTES))
            .app_data(web::FormConfig::default().limit(API_BODY_BYTES))
            .wrap(Compress::default())
            .wrap(from_fn(cross_site::refuse))
            .wrap(from_fn(request::wrap))
            .configure(routes::site)
    };
    let settings = &state.settings.server;
    Ok(run(bound!(app, "server.bind", settings.bind, settings.workers), listeners))
}

fn listen_intake(state: &AppState, intake: web::Data<Intake>, listeners: &mut Listeners) -> anyhow::Result<SocketAddr> {
    let app = move || App::new().app_data(intake.clone()).configure(routes::intake);
    let settings = &state.settings.intake;
    Ok(run(bound!(app, "intake.bind", settings.bind, settings.workers), listeners))
}

fn listen_admin(
    state: &AppState,
    metrics: PrometheusHandle,
    intake: web::Data<Intake>,
    listeners: &mut Listeners,
) -> anyhow::Result<SocketAddr> {
    let data = web::Data::new(state.clone());
    let metrics = web::Data::new(metrics);
    let app = move || {
        App::new()
            .app_data(data.clone())
            .app_data(metrics.clone())
            .app_data(intake.clone())
            .configure(routes::admin)
    };
    Ok(run(bound!(app, "admin.bind", state.settings.admin.bind, 1), listeners))
}

/// A writer whose peer's window stays closed is never asked again by actix, so no timer of ours would see it.
fn give_up_when_stalled(connection: &dyn Any, _: &mut Extensions) {
    let Some(socket) = connection.downcast_ref::<TcpStream>() else {
        return;
    };
    let milliseconds = STALLED.as_millis() as u32;
    if let Err(error) = rustix::net::sockopt::set_tcp_user_timeout(socket, milliseconds) {
        tracing::warn!(%error, "cannot bound how long a stalled connection is kept");
    }
}

fn run((server, address): (Server, SocketAddr), listeners: &mut Listeners) -> SocketAddr {
    listeners.push((server.handle(), tokio::spawn(server)));
    address
}

fn threads(setting: usize) -> usize {
    if setting == 0 {
        std::thread::available_parallelism().map_or(1, usize::from)
    } else {
        setting
    }
}

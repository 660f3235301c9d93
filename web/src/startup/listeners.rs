//! The sockets: pages and API, intake, admin; each with threads of its own and the same limits.

use std::any::Any;
use std::net::SocketAddr;
use std::time::Duration;

use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::dev::{Extensions, Server, ServerHandle};
use actix_web::middleware::{Compress, from_fn};
use actix_web::{App, HttpServer, web};
use anyhow::Context;
use metrics_exporter_prometheus::PrometheusHandle;
use rustls::ServerConfig;
use tokio::net::TcpStream;
use trunkline_core::limit::API_BODY_BYTES;

use crate::admin::Operation;
use crate::api::{idempotency, media_type};
use crate::identity::cross_site;
use crate::intake::Intake;
use crate::settings::Settings;
use crate::state::AppState;
use crate::{request, routes};

/// Slow request heads are cut off after this (rule A4).
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// Connections without a request are closed after this; longer than the 60 s of usual balancers.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// A peer that takes nothing of what is sent to it for so long is given up by the kernel, and its socket, stream and memory are free; a
/// browser opens its stream again by itself. Longer than a dip of a mobile network.
const STALLED: Duration = Duration::from_secs(20);

/// Requests in progress get this long when a listener stops; a body may take 10 s and its answer 5.
const FINISH_REQUESTS: Duration = Duration::from_secs(20);

pub type Listeners = Vec<(ServerHandle, tokio::task::JoinHandle<std::io::Result<()>>)>;

/// The same limits on every listener. A macro, because the type of an application cannot be written down.
macro_rules! bound {
    ($app:expr, $setting:literal, $bind:expr, $workers:expr, $tls:expr) => {{
        let server = HttpServer::new($app)
            .workers(threads($workers))
            .client_request_timeout(HEAD_TIMEOUT)
            .keep_alive(KEEP_ALIVE)
            .on_connect(give_up_when_stalled)
            // We listen to signals ourselves: the order of leaving is ours.
            .disable_signals()
            .shutdown_timeout(FINISH_REQUESTS.as_secs());
        let server = match $tls {
            Some(tls) => server.bind_rustls_0_23($bind, tls),
            None => server.bind($bind),
        };
        let server = server.with_context(|| {
            format!(
                "listen on {} = {}; choose another with --set {}=127.0.0.1:PORT",
                $setting, $bind, $setting
            )
        })?;
        let address = *server.addrs().first().context("a bound listener has an address")?;
        (server.run(), address)
    }};
}

pub fn listen_site(state: &AppState, tls: Option<ServerConfig>, listeners: &mut Listeners) -> anyhow::Result<SocketAddr> {
    let data = web::Data::new(state.clone());
    let app = move || {
        App::new()
            .app_data(data.clone())
            .app_data(web::PayloadConfig::new(API_BODY_BYTES))
            .app_data(web::FormConfig::default().limit(API_BODY_BYTES))
            .wrap(from_fn(idempotency::once))
            .wrap(Compress::default())
            .wrap(from_fn(media_type::json_only))
            .wrap(from_fn(cross_site::refuse))
            .wrap(from_fn(request::wrap))
            .configure(routes::site)
    };
    let settings = &state.settings.server;
    Ok(run(bound!(app, "server.bind", settings.bind, settings.workers, tls), listeners))
}

pub fn listen_intake(
    settings: &Settings,
    intake: web::Data<Intake>,
    tls: Option<ServerConfig>,
    listeners: &mut Listeners,
) -> anyhow::Result<SocketAddr> {
    let app = move || App::new().app_data(intake.clone()).configure(routes::intake);
    let settings = &settings.intake;
    Ok(run(bound!(app, "intake.bind", settings.bind, settings.workers, tls), listeners))
}

pub fn listen_admin(
    settings: &Settings,
    operation: Operation,
    metrics: PrometheusHandle,
    listeners: &mut Listeners,
) -> anyhow::Result<SocketAddr> {
    let data = web::Data::new(operation);
    let metrics = web::Data::new(metrics);
    let app = move || App::new().app_data(data.clone()).app_data(metrics.clone()).configure(routes::admin);
    // No TLS: nothing but loopback and inner networks may reach it.
    Ok(run(
        bound!(app, "admin.bind", settings.admin.bind, 1, None::<ServerConfig>),
        listeners,
    ))
}

/// A writer whose peer's window stays closed is never asked again by actix, so no timer of ours would see it.
fn give_up_when_stalled(connection: &dyn Any, _: &mut Extensions) {
    let encrypted = || Some(connection.downcast_ref::<TlsStream<TcpStream>>()?.get_ref().0);
    let Some(socket) = connection.downcast_ref::<TcpStream>().or_else(encrypted) else {
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

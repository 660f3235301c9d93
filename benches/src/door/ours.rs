//! Our intake as it is served, on a log of one's choice.

use std::sync::Arc;

use actix_web::{App, HttpServer, web};
use anyhow::Result;
use tokio::runtime::Handle;
use trunkline_stores::log::EventLog;
use trunkline_stores::spool::{Keeper, SpoolOptions};
use trunkline_web::intake::Intake;
use trunkline_web::intake::caps::Caps;
use trunkline_web::intake::meters::Meters;
use trunkline_web::intake::senders::Senders;
use trunkline_web::routes;

use super::bare::announce;
use crate::directory::directory;

/// As in the default settings.
const REQUESTS_IN_FLIGHT: usize = 2_000;
const BYTES_IN_FLIGHT: usize = 256 << 20;
const SPOOL_BYTES: u64 = 1 << 30;

/// Serves until killed.
pub async fn serve(log: Arc<dyn EventLog>) -> Result<()> {
    let place = tempfile::tempdir()?;
    let spool = SpoolOptions {
        directory: place.path().to_owned(),
        bytes_max: SPOOL_BYTES,
    };
    let intake = web::Data::new(Intake {
        keeper: Arc::new(Keeper::open(log, &spool, &Handle::current())?),
        senders: Arc::new(Senders::new(&directory(), 0)),
        caps: Arc::new(Caps::new(REQUESTS_IN_FLIGHT, BYTES_IN_FLIGHT)),
        meters: Meters::default(),
        trusted_proxies: Vec::new(),
    });
    let server = HttpServer::new(move || App::new().app_data(intake.clone()).configure(routes::intake))
        .workers(1)
        .bind(("127.0.0.1", 0))?;
    announce(&server.addrs());
    Ok(server.run().await?)
}

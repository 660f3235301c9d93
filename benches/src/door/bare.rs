//! The price of HTTP alone: read the body, answer 204.

use std::net::SocketAddr;

use actix_web::{App, HttpResponse, HttpServer, web};
use anyhow::Result;

use crate::child::LISTENING;

async fn receive(body: web::Bytes) -> HttpResponse {
    std::hint::black_box(&body);
    HttpResponse::NoContent().finish()
}

/// Serves until killed.
pub async fn serve() -> Result<()> {
    let server = HttpServer::new(|| {
        App::new()
            .app_data(web::PayloadConfig::new(1 << 20))
            .route("/v1/retell/{token}", web::post().to(receive))
    })
    .workers(1)
    .bind(("127.0.0.1", 0))?;
    announce(&server.addrs());
    Ok(server.run().await?)
}

/// Tells the parent where to send.
pub(super) fn announce(addresses: &[SocketAddr]) {
    for address in addresses {
        println!("{LISTENING}{address}");
    }
}

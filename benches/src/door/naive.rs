//! What one writes first, and writes decently: check the signature, parse the body with serde_json, await rdkafka's `FutureProducer`.

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use anyhow::{Context, Result};
use hmac::{Hmac, KeyInit, Mac};
use rdkafka::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::util::Timeout;
use serde::Deserialize;
use sha2::Sha256;

use super::bare::announce;
use crate::sample::KEY;
use crate::topic;

const TOPIC: &str = "bench.door.naive";

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow)]
    call: Call<'a>,
}

#[derive(Deserialize)]
struct Call<'a> {
    #[serde(borrow)]
    call_id: &'a str,
}

async fn receive(request: HttpRequest, body: web::Bytes, producer: web::Data<FutureProducer>) -> HttpResponse {
    let header = request
        .headers()
        .get("x-retell-signature")
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    if !genuine(header, &body) {
        return HttpResponse::Unauthorized().finish();
    }
    let Ok(event) = serde_json::from_slice::<Event<'_>>(&body) else {
        return HttpResponse::BadRequest().finish();
    };
    let record = FutureRecord::to(TOPIC).key(event.call.call_id).payload(&body[..]);
    match producer.send(record, Timeout::Never).await {
        Ok(_) => HttpResponse::NoContent().finish(),
        Err(_) => HttpResponse::ServiceUnavailable().finish(),
    }
}

fn genuine(header: &str, body: &[u8]) -> bool {
    let Some((stamp, digest)) = header.strip_prefix("v=").and_then(|rest| rest.split_once(",d=")) else {
        return false;
    };
    let Ok(digest) = hex::decode(digest) else { return false };
    let mut mac = Hmac::<Sha256>::new_from_slice(KEY.as_bytes()).expect("HMAC takes keys of every length");
    mac.update(body);
    mac.update(stamp.as_bytes());
    mac.verify_slice(&digest).is_ok()
}

/// Serves until killed; acks=all, idempotent, linger 5 ms and the topic's settings as ours.
pub async fn serve(brokers: &str) -> Result<()> {
    // The same topic as ours, so that the broker promises the same.
    topic::is_filled(brokers, TOPIC).await?;
    let producer: FutureProducer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("linger.ms", "5")
        .create()
        .context("make a producer")?;
    let producer = web::Data::new(producer);
    let server = HttpServer::new(move || {
        App::new()
            .app_data(producer.clone())
            .app_data(web::PayloadConfig::new(1 << 20))
            .route("/v1/retell/{token}", web::post().to(receive))
    })
    .workers(1)
    .bind(("127.0.0.1", 0))?;
    announce(&server.addrs());
    Ok(server.run().await?)
}

//! Serves the stand-in for Retell's REST API on a socket: `get-call` and `list-calls` of the simulated conversations.

use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use actix_web::http::StatusCode;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use trunkline_connectors::simulator::StandIn;
use trunkline_connectors::simulator::standin::Answer;
use trunkline_core::instant::Millis;

/// Starts serving at `address`; returns where it really listens (port 0 picks one).
pub fn serve(stand_in: StandIn, address: SocketAddr) -> std::io::Result<SocketAddr> {
    let server = HttpServer::new(move || {
        App::new()
            .app_data(web::Data::new(stand_in.clone()))
            .route("/v2/get-call/{id}", web::get().to(get_call))
            .route("/v3/list-calls", web::post().to(list_calls))
            .default_service(web::to(unknown))
    })
    .workers(1)
    .disable_signals()
    .bind(address)?;
    let served = server.addrs().first().copied().unwrap_or(address);
    tokio::spawn(server.run());
    Ok(served)
}

async fn get_call(request: HttpRequest, stand_in: web::Data<StandIn>, id: web::Path<String>) -> HttpResponse {
    match refused(&request) {
        Some(answer) => answer,
        None => written(stand_in.get_call(&id, now()).await),
    }
}

async fn list_calls(request: HttpRequest, stand_in: web::Data<StandIn>, body: web::Json<serde_json::Value>) -> HttpResponse {
    match refused(&request) {
        Some(answer) => answer,
        None => written(stand_in.list_calls(&body, now()).await),
    }
}

async fn unknown() -> HttpResponse {
    written(Answer {
        status: 404,
        body: serde_json::json!({"status": "error", "message": "Not found"}),
    })
}

/// Retell refuses requests without a bearer key; any key is good here.
fn refused(request: &HttpRequest) -> Option<HttpResponse> {
    let header = request.headers().get("authorization").and_then(|value| value.to_str().ok());
    let keyed = header
        .and_then(|value| value.strip_prefix("Bearer "))
        .is_some_and(|key| !key.trim().is_empty());
    (!keyed).then(|| {
        written(Answer {
            status: 401,
            body: serde_json::json!({"status": "error", "message": "Invalid API Key"}),
        })
    })
}

fn written(answer: Answer) -> HttpResponse {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    HttpResponse::build(status).json(answer.body)
}

fn now() -> Millis {
    Millis(
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_millis() as i64),
    )
}

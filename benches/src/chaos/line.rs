//! The line between sender and nodes: a balancer that forwards to whichever node takes a connection, notes what was acknowledged, and loses
//! a share of the answers on their way back.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use anyhow::{Context, Result};
use bytes::Bytes;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tokio::sync::Mutex;
use trunkline_core::limit;

use super::journal::{Journal, print};

/// Retell waits so long for an answer (EVENTS.md part 9).
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

const SIGNATURE: &str = "x-retell-signature";

struct State {
    nodes: Vec<SocketAddr>,
    next: AtomicUsize,
    client: reqwest::Client,
    journal: Arc<Journal>,
    lost_answers: f64,
    chance: Mutex<ChaCha8Rng>,
    forwarded: AtomicU64,
    lost: AtomicU64,
}

/// The open line.
pub struct Line {
    /// Where the sender sends.
    pub address: SocketAddr,
    state: Arc<State>,
    server: ServerHandle,
}

impl Line {
    /// Opens it on a free port.
    pub fn open(nodes: Vec<SocketAddr>, journal: Arc<Journal>, lost_answers: f64, seed: u64) -> Result<Line> {
        let listener = TcpListener::bind("127.0.0.1:0").context("open the line")?;
        let address = listener.local_addr()?;
        let state = Arc::new(State {
            nodes,
            next: AtomicUsize::new(0),
            client: reqwest::Client::builder().timeout(ANSWER_WITHIN).no_proxy().build()?,
            journal,
            lost_answers,
            chance: Mutex::new(ChaCha8Rng::seed_from_u64(seed)),
            forwarded: AtomicU64::new(0),
            lost: AtomicU64::new(0),
        });
        let data = web::Data::from(state.clone());
        let server = HttpServer::new(move || {
            App::new()
                .app_data(web::PayloadConfig::new(limit::INTAKE_BODY_BYTES))
                .app_data(data.clone())
                .route("/v1/retell/{token}", web::post().to(pass))
        })
        .workers(1)
        .listen(listener)?
        .disable_signals()
        .run();
        let handle = server.handle();
        std::thread::Builder::new()
            .name("line".to_owned())
            .spawn(move || actix_web::rt::System::new().block_on(server))?;
        Ok(Line {
            address,
            state,
            server: handle,
        })
    }

    /// Closes it; requests that reached a node, and answers that were lost.
    pub async fn close(self) -> (u64, u64) {
        self.server.stop(true).await;
        (
            self.state.forwarded.load(Ordering::Relaxed),
            self.state.lost.load(Ordering::Relaxed),
        )
    }
}

/// Tries each node once; 503 when none takes a connection, 504 when there was no answer or it is lost here.
async fn pass(state: web::Data<State>, request: HttpRequest, body: Bytes) -> HttpResponse {
    let first = state.next.fetch_add(1, Ordering::Relaxed);
    let signature = request
        .headers()
        .get(SIGNATURE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let print = print(body.clone());
    for turn in 0..state.nodes.len() {
        let node = state.nodes[(first + turn) % state.nodes.len()];
        // Counted before: a request that is cut off may have been kept.
        state.journal.sent(print);
        let sent = state
            .client
            .post(format!("http://{node}{}", request.path()))
            .header("content-type", "application/json")
            .header(SIGNATURE, signature)
            .body(body.clone())
            .send()
            .await;
        let status = match sent {
            Ok(answer) => answer.status(),
            Err(error) if error.is_connect() => continue,
            Err(_) => {
                state.forwarded.fetch_add(1, Ordering::Relaxed);
                return HttpResponse::GatewayTimeout().finish();
            }
        };
        state.forwarded.fetch_add(1, Ordering::Relaxed);
        if !status.is_success() {
            let status = actix_web::http::StatusCode::from_u16(status.as_u16()).unwrap_or(actix_web::http::StatusCode::BAD_GATEWAY);
            return HttpResponse::build(status).finish();
        }
        if let Err(error) = state.journal.acknowledged(print).await {
            eprintln!("{error:#}");
            return HttpResponse::InternalServerError().finish();
        }
        if state.chance.lock().await.random_bool(state.lost_answers) {
            state.lost.fetch_add(1, Ordering::Relaxed);
            return HttpResponse::GatewayTimeout().finish();
        }
        return HttpResponse::NoContent().finish();
    }
    HttpResponse::ServiceUnavailable().finish()
}

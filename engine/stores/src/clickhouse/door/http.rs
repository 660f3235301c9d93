//! The loopback door itself: HTTP in, ClickHouse's answers out, behind a password.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::blocks::Unpacker;
use super::desk::{Desk, Done};
use super::fault::{Fault, TOO_LARGE};
use super::statement::{Address, Statement};

/// Largest statement with its parameters; the longest we write are some kB, lists of ids some hundred.
const STATEMENT_BYTES: usize = 16 * 1024 * 1024;

/// Largest insert, unpacked: it waits in memory until it is whole, so that half an insert never reaches a table and a slow
/// client holds nobody up. Ours are cut at 32 MiB; restores may be larger.
const INSERT_BYTES: usize = 256 * 1024 * 1024;

/// Connections at once; our own pools hold some dozens.
const CONNECTIONS_AT_ONCE: usize = 256;

/// Longest wait for a request's head.
const HEAD_WAIT_MAX: Duration = Duration::from_secs(30);

const AUTHENTICATION_FAILED: u32 = 516;
const BAD_REQUEST: u32 = 36;
const NETWORK_ERROR: u32 = 210;

/// What every connection shares.
pub(super) struct Door {
    desk: Desk,
    /// Hash of user and password: comparing hashes tells nothing about the secret by its time.
    credentials: [u8; 32],
}

impl Door {
    pub fn new(desk: Desk, user: &str, password: &str) -> Door {
        Door {
            desk,
            credentials: digest(user, password),
        }
    }

    /// Serves until `stop` says so, then lets running requests end.
    pub async fn serve(self: Arc<Self>, listener: TcpListener, stop: CancellationToken) {
        let room = Arc::new(Semaphore::new(CONNECTIONS_AT_ONCE));
        loop {
            let permit = room.clone().acquire_owned().await.expect("this semaphore is never closed");
            let stream = tokio::select! {
                () = stop.cancelled() => break,
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a connection at the analytics door");
                        tokio::time::sleep(Duration::from_millis(50)).await;
                        continue;
                    }
                },
            };
            let (door, stop) = (self.clone(), stop.clone());
            tokio::spawn(async move {
                let _permit = permit;
                let service = service_fn(move |request| door.clone().answer(request));
                let connection = hyper::server::conn::http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(HEAD_WAIT_MAX)
                    .serve_connection(TokioIo::new(stream), service);
                let mut connection = std::pin::pin!(connection);
                let ended = tokio::select! {
                    ended = connection.as_mut() => ended,
                    () = stop.cancelled() => {
                        connection.as_mut().graceful_shutdown();
                        connection.await
                    }
                };
                if let Err(error) = ended {
                    tracing::debug!(%error, "connection at the analytics door ended early");
                }
            });
        }
        self.desk.close().await;
    }

    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        if request.method() == Method::GET && matches!(request.uri().path(), "/ping" | "/") && request.uri().query().is_none() {
            return Ok(Response::new(Full::from("Ok.\n")));
        }
        Ok(match self.work(request).await {
            Ok(done) => {
                let mut response = Response::new(Full::new(done.body));
                if let Ok(summary) = HeaderValue::from_str(&done.summary) {
                    response.headers_mut().insert("x-clickhouse-summary", summary);
                }
                response
            }
            Err(fault) => refusal(fault),
        })
    }

    async fn work(&self, request: Request<Incoming>) -> Result<Done, Fault> {
        let address = Address::read(request.uri().query().unwrap_or_default())?;
        self.admit(request.headers(), &address)?;
        if !matches!(*request.method(), Method::GET | Method::POST) {
            return Err(Fault::new(BAD_REQUEST, "only GET and POST"));
        }
        let reads_only = request.method() == Method::GET;
        let mut statement = self.read(request, address).await?;
        if reads_only {
            statement.settings.push(("readonly".into(), "1".into()));
        }
        self.desk.run(statement).await
    }

    async fn read(&self, request: Request<Incoming>, address: Address) -> Result<Statement, Fault> {
        let limit = if address.carries_rows() { INSERT_BYTES } else { STATEMENT_BYTES };
        let (parts, body) = request.into_parts();
        let text = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let chunks = collect(body, limit, address.compressed).await?;
        address.with_body(text(CONTENT_TYPE.as_str()).as_deref(), text("x-clickhouse-format"), chunks)
    }

    fn admit(&self, headers: &HeaderMap, address: &Address) -> Result<(), Fault> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let basic = text(AUTHORIZATION.as_str())
            .and_then(|value| value.strip_prefix("Basic "))
            .and_then(|encoded| BASE64_STANDARD.decode(encoded).ok())
            .and_then(|plain| String::from_utf8(plain).ok());
        let (user, password) = match (text("x-clickhouse-user"), &basic) {
            (Some(user), _) => (user, text("x-clickhouse-key").unwrap_or_default()),
            (None, Some(pair)) => pair.split_once(':').unwrap_or((pair, "")),
            (None, None) => (
                address.user.as_deref().unwrap_or_default(),
                address.password.as_deref().unwrap_or_default(),
            ),
        };
        if digest(user, password) == self.credentials {
            return Ok(());
        }
        Err(Fault::new(
            AUTHENTICATION_FAILED,
            "authentication failed: user or password is wrong",
        ))
    }
}

/// Reads a body in chunks, unpacked, up to `limit` bytes.
async fn collect(mut body: Incoming, limit: usize, compressed: bool) -> Result<Vec<Bytes>, Fault> {
    let too_large = || Fault::new(TOO_LARGE, format!("the body is larger than {limit} bytes"));
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large());
    }
    let (mut chunks, mut bytes, mut unpacker) = (Vec::new(), 0_usize, Unpacker::default());
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Fault::new(NETWORK_ERROR, format!("the body broke off: {error}")))?;
        let Ok(chunk) = frame.into_data() else { continue };
        if !compressed {
            bytes += chunk.len();
            chunks.push(chunk);
        } else {
            unpacker.push(&chunk);
            while let Some(block) = unpacker.next()? {
                bytes += block.len();
                chunks.push(block);
                if bytes > limit {
                    return Err(too_large());
                }
            }
        }
        if bytes > limit {
            return Err(too_large());
        }
    }
    if !unpacker.is_empty() {
        return Err(Fault::new(NETWORK_ERROR, "the body ends within a compressed block"));
    }
    Ok(chunks)
}

fn refusal(fault: Fault) -> Response<Full<Bytes>> {
    tracing::debug!(code = fault.code, "statement refused at the analytics door");
    let mut response = Response::new(Full::from(format!("{}\n", fault.text)));
    *response.status_mut() = fault.status;
    response
        .headers_mut()
        .insert("x-clickhouse-exception-code", HeaderValue::from(fault.code));
    if fault.code == AUTHENTICATION_FAILED {
        *response.status_mut() = StatusCode::UNAUTHORIZED;
        response
            .headers_mut()
            .insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"ClickHouse\""));
    }
    response
}

fn digest(user: &str, password: &str) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update((user.len() as u64).to_be_bytes());
    hash.update(user);
    hash.update(password);
    hash.finalize().into()
}

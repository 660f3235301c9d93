//! A wire between the nodes and a store that can be cut and slowed, over TCP and over a socket in the file system.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::watch;

/// Each piece that passes a slow wire waits so long; a statement and its answer are two pieces at least.
const SLOW_BY: Duration = Duration::from_millis(150);

/// Passed on at once.
const PIECE_BYTES: usize = 64 << 10;

/// How a wire is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// Passes everything at once.
    Whole,
    /// Passes everything late.
    Slow,
    /// Ends all connections and takes no new ones.
    Cut,
}

/// The wire.
pub struct Wire(watch::Sender<Condition>);

impl Wire {
    /// From a free loopback port to `to`.
    pub async fn tcp(to: SocketAddr) -> Result<(Wire, SocketAddr)> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("lay a wire")?;
        let address = listener.local_addr()?;
        let (set, condition) = watch::channel(Condition::Whole);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let condition = condition.clone();
                tokio::spawn(async move {
                    if *condition.borrow() == Condition::Cut {
                        return;
                    }
                    if let Ok(far) = TcpStream::connect(to).await {
                        // Answers are small; waiting for more of them would be a delay of ours.
                        let _ = (stream.set_nodelay(true), far.set_nodelay(true));
                        join(stream, far, condition).await;
                    }
                });
            }
        });
        Ok((Wire(set), address))
    }

    /// From the new socket `from` to the socket `to`.
    pub fn unix(from: &Path, to: PathBuf) -> Result<Wire> {
        let listener = UnixListener::bind(from).with_context(|| format!("lay a wire at {}", from.display()))?;
        let (set, condition) = watch::channel(Condition::Whole);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (condition, to) = (condition.clone(), to.clone());
                tokio::spawn(async move {
                    if *condition.borrow() == Condition::Cut {
                        return;
                    }
                    if let Ok(far) = UnixStream::connect(to).await {
                        join(stream, far, condition).await;
                    }
                });
            }
        });
        Ok(Wire(set))
    }

    /// From now on it is so.
    pub fn becomes(&self, condition: Condition) {
        self.0.send_replace(condition);
    }
}

async fn join<S: AsyncRead + AsyncWrite>(near: S, far: S, condition: watch::Receiver<Condition>) {
    let ((near_out, near_in), (far_out, far_in)) = (tokio::io::split(near), tokio::io::split(far));
    let mut cut = condition.clone();
    tokio::select! {
        // Whichever side ends, both are closed: half-open connections are not what these stores use.
        () = pump(near_out, far_in, condition.clone()) => {}
        () = pump(far_out, near_in, condition) => {}
        _ = cut.wait_for(|condition| *condition == Condition::Cut) => {}
    }
}

async fn pump(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, condition: watch::Receiver<Condition>) {
    let mut piece = vec![0_u8; PIECE_BYTES];
    while let Ok(read @ 1..) = from.read(&mut piece).await {
        if *condition.borrow() == Condition::Slow {
            tokio::time::sleep(SLOW_BY).await;
        }
        if to.write_all(&piece[..read]).await.is_err() || to.flush().await.is_err() {
            return;
        }
    }
}

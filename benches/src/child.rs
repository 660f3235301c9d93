//! A server under test as a process of its own, so that its CPU time is its alone.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};

/// What a server prints, followed by its address, once it listens.
pub const LISTENING: &str = "listening ";

/// A free address for a server that is killed and comes back there.
///
/// Its port is below those that the system lends to connections (`ip_local_port_range` begins at 32,768): one of them may be lent out by
/// the time the server comes back.
pub fn free_address() -> SocketAddr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Several processes that look at once begin at different places.
    loop {
        let turn = std::process::id().wrapping_mul(101) + NEXT.fetch_add(1, Ordering::Relaxed);
        let port = 20_000 + (turn % 12_000) as u16;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

/// A running server; killed when dropped.
pub struct Server {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Server {
    /// Starts this very program with `arguments` and waits until it says where it listens.
    pub fn start(arguments: &[String]) -> Result<Server> {
        let program = std::env::current_exe().context("find own program")?;
        let mut child = Command::new(program)
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("start server {arguments:?}"))?;
        let output = child.stdout.take().context("read the server's output")?;
        let mut line = String::new();
        let mut reader = BufReader::new(output);
        while reader.read_line(&mut line)? > 0 {
            if let Some(address) = line.trim().strip_prefix(LISTENING) {
                let address = address.parse().context("read the server's address")?;
                return Ok(Server { child, address });
            }
            line.clear();
        }
        let status = child.wait()?;
        anyhow::bail!("server {arguments:?} ended before it listened: {status}")
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Gone already is as good; nothing else can be done here.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

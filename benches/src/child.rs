//! A server under test as a process of its own, so that its CPU time is its alone.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

use crate::ports::free_port;

/// What a server prints, followed by its address, once it listens.
pub const LISTENING: &str = "listening ";

/// A free address for a server that is killed and comes back there.
pub fn free_address() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()))
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

//! Ports for servers that are killed and come back at the same address. The tests of `web` and the benches read this file as well.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};

/// A port that is free now, below those that the system lends to connections (`ip_local_port_range` begins at 32,768): one of them may be lent
/// out by the time the server comes back.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Several processes that look at once begin at different places.
    loop {
        let turn = std::process::id().wrapping_mul(101) + NEXT.fetch_add(1, Ordering::Relaxed);
        let port = 20_000 + (turn % 12_000) as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

//! Analytics: ClickHouse, as a server by URL or as the real engine inside our process behind [`door`].

pub mod door;

//! Sends prepared requests over kept connections and counts answers: as little work as possible, it shares the machine.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use hdrhistogram::Histogram;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Answers are short; a longer head is none of ours.
pub(crate) const ANSWER_BYTES: usize = 4_096;

/// What came of a stretch of load.
pub struct Outcome {
    /// Answers 2xx.
    pub accepted: u64,
    /// All other answers.
    pub refused: u64,
    /// From the first to the last.
    pub took: Duration,
    /// Microseconds from request to answer. Closed loop: these are no latency claims.
    pub answer_us: Histogram<u64>,
}

/// Keeps `connections` busy with `requests` in turn until `lasting` is over.
pub async fn closed_loop(to: SocketAddr, requests: Arc<Vec<Bytes>>, connections: usize, lasting: Duration) -> Result<Outcome> {
    let stop = Arc::new(AtomicBool::new(false));
    let next = Arc::new(AtomicU64::new(0));
    let begun = Instant::now();
    let mut tasks = Vec::with_capacity(connections);
    for _ in 0..connections {
        let stream = TcpStream::connect(to).await.with_context(|| format!("connect to {to}"))?;
        stream.set_nodelay(true)?;
        tasks.push(tokio::spawn(one(stream, requests.clone(), next.clone(), stop.clone())));
    }
    tokio::time::sleep(lasting).await;
    stop.store(true, Ordering::Relaxed);
    let mut total = Outcome {
        accepted: 0,
        refused: 0,
        took: Duration::ZERO,
        answer_us: histogram()?,
    };
    for task in tasks {
        let (accepted, refused, answers) = task.await??;
        total.accepted += accepted;
        total.refused += refused;
        total.answer_us.add(answers)?;
    }
    total.took = begun.elapsed();
    Ok(total)
}

/// Microseconds up to a minute, to three digits.
pub(crate) fn histogram() -> Result<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1, 60_000_000, 3)?)
}

async fn one(
    mut stream: TcpStream,
    requests: Arc<Vec<Bytes>>,
    next: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
) -> Result<(u64, u64, Histogram<u64>)> {
    let mut answers = histogram()?;
    let (mut accepted, mut refused) = (0, 0);
    let mut buffer = vec![0_u8; ANSWER_BYTES];
    while !stop.load(Ordering::Relaxed) {
        let at = next.fetch_add(1, Ordering::Relaxed) as usize % requests.len();
        let sent = Instant::now();
        stream.write_all(&requests[at]).await.context("send request")?;
        let status = answer(&mut stream, &mut buffer).await?;
        answers.saturating_record(sent.elapsed().as_micros() as u64);
        if (200..300).contains(&status) {
            accepted += 1;
        } else {
            refused += 1;
        }
    }
    Ok((accepted, refused, answers))
}

/// Reads one answer to its end and gives its status.
pub(crate) async fn answer(stream: &mut TcpStream, buffer: &mut [u8]) -> Result<u16> {
    let mut filled = 0;
    let head = loop {
        let read = stream.read(&mut buffer[filled..]).await.context("read answer")?;
        if read == 0 {
            bail!("the server closed the connection");
        }
        filled += read;
        if let Some(end) = memchr::memmem::find(&buffer[..filled], b"\r\n\r\n") {
            break end + 4;
        }
    };
    let text = std::str::from_utf8(&buffer[..head]).context("read answer's head")?;
    let status: u16 = text.get(9..12).and_then(|code| code.parse().ok()).context("read answer's status")?;
    let length = text.lines().find_map(|line| {
        line.to_ascii_lowercase()
            .strip_prefix("content-length:")
            .and_then(|v| v.trim().parse::<usize>().ok())
    });
    let mut missing = (head + length.unwrap_or(0)).saturating_sub(filled);
    while missing > 0 {
        let room = missing.min(buffer.len());
        let read = stream.read(&mut buffer[..room]).await.context("read answer's body")?;
        if read == 0 {
            bail!("the server closed the connection in the middle of an answer");
        }
        missing -= read;
    }
    Ok(status)
}

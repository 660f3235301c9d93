//! Posts a script on time, open loop: a slow answer delays no other event.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use hdrhistogram::Histogram;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::script::Cue;
use crate::load::{ANSWER_BYTES, answer, histogram};

/// Requests under way at most. Beyond, events wait, and their wait counts: times are from when they were due.
const UNDER_WAY: usize = 1_024;

/// An answer that takes longer is none: the product answers 503 after five seconds.
const ANSWER: Duration = Duration::from_secs(10);

/// How the intake did.
pub struct Posted {
    /// Events acknowledged.
    pub accepted: u64,
    /// Microseconds from when an event was due to its acknowledgement; those due after `counted_from`.
    pub ack_us: Histogram<u64>,
    /// Microseconds from when an event was due to when it was written: lateness of this program.
    pub late_us: Histogram<u64>,
}

/// Posts all cues, counted from `begun`. Anything but an acknowledgement ends it.
pub async fn post(to: SocketAddr, cues: &[Cue], begun: Instant, counted_from: Duration) -> Result<Posted> {
    let idle: Arc<Mutex<Vec<TcpStream>>> = Arc::default();
    let room = Arc::new(Semaphore::new(UNDER_WAY));
    let mut under_way: JoinSet<Result<(Instant, Instant, Instant)>> = JoinSet::new();
    let mut posted = Posted {
        accepted: 0,
        ack_us: histogram()?,
        late_us: histogram()?,
    };
    let counted_from = begun + counted_from;
    for cue in cues {
        let due = begun + cue.at;
        if due > Instant::now() {
            tokio::time::sleep_until(due.into()).await;
        }
        let place = room.clone().acquire_owned().await.context("wait for room")?;
        let (idle, request) = (idle.clone(), cue.request.clone());
        under_way.spawn(async move {
            let sent = tokio::time::timeout(ANSWER, one(to, &idle, request)).await;
            drop(place);
            let (written, answered) = sent.context("an event was not answered in time")??;
            Ok((due, written, answered))
        });
        while let Some(done) = under_way.try_join_next() {
            posted.note(done??, counted_from);
        }
    }
    while let Some(done) = under_way.join_next().await {
        posted.note(done??, counted_from);
    }
    Ok(posted)
}

impl Posted {
    fn note(&mut self, (due, written, answered): (Instant, Instant, Instant), counted_from: Instant) {
        self.accepted += 1;
        if due >= counted_from {
            let since = |at: Instant| at.saturating_duration_since(due).as_micros() as u64;
            self.late_us.saturating_record(since(written));
            self.ack_us.saturating_record(since(answered));
        }
    }
}

/// Over an idle connection, or a new one.
async fn one(to: SocketAddr, idle: &Mutex<Vec<TcpStream>>, request: Bytes) -> Result<(Instant, Instant)> {
    let held = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let mut stream = match held {
        Some(stream) => stream,
        None => {
            let stream = TcpStream::connect(to).await.with_context(|| format!("connect to {to}"))?;
            stream.set_nodelay(true)?;
            stream
        }
    };
    let written = Instant::now();
    stream.write_all(&request).await.context("send an event")?;
    let mut buffer = [0_u8; ANSWER_BYTES];
    let status = answer(&mut stream, &mut buffer).await?;
    let answered = Instant::now();
    if status != 204 {
        bail!("an event was answered {status}");
    }
    idle.lock().unwrap_or_else(PoisonError::into_inner).push(stream);
    Ok((written, answered))
}

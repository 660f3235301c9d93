//! Events that go on whatever happens: the simulator's conversations, a minute spelled and signed while the one before is sent, open loop.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bytes::Bytes;
use hdrhistogram::Histogram;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};
use trunkline_connectors::simulator::World;
use trunkline_core::signature::SigningKey;

use crate::board::script::{Cue, Line, Role, Wanted};
use crate::board::watch::Mark;
use crate::chaos::ground::Ground;
use crate::chaos::journal::{Journal, print};
use crate::load::{ANSWER_BYTES, answer, histogram};

/// One script: signatures hold for five minutes, and one is spelled while another is sent.
const SCRIPT: Duration = Duration::from_secs(30);

/// Requests under way at most. Beyond, events wait, and their wait counts.
const UNDER_WAY: usize = 2_048;

/// Retell waits so long for an answer (EVENTS.md part 9).
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Where in the run an event was due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Not counted by anybody.
    Warm,
    /// Everything is there.
    Before,
    /// The part is away.
    Away,
    /// It is back, and what came meanwhile is being done.
    CatchUp,
    /// Everything is as before.
    After,
}

impl Phase {
    /// All, in order.
    pub const ALL: [Phase; 5] = [Phase::Warm, Phase::Before, Phase::Away, Phase::CatchUp, Phase::After];

    /// In a table.
    pub fn name(self) -> &'static str {
        ["warm", "before", "away", "catch-up", "after"][self as usize]
    }
}

/// How the intake did in one phase.
pub struct Answers {
    /// Events sent.
    pub sent: u64,
    /// Of these, answered 2xx within Retell's ten seconds.
    pub accepted: u64,
    /// Microseconds from when an event was due to its acknowledgement.
    pub ack_us: Histogram<u64>,
}

struct Shared {
    to: SocketAddr,
    journal: Arc<Journal>,
    phase: AtomicU8,
    stop: AtomicU8,
    idle: Mutex<Vec<TcpStream>>,
    answers: Mutex<Vec<Answers>>,
}

type Due = Vec<(Mark, Instant, Phase)>;

/// The load.
pub struct Load {
    shared: Arc<Shared>,
    task: JoinHandle<Result<Due>>,
}

impl Load {
    /// Begins to send.
    pub fn start(ground: &Ground, world: Arc<World>, journal: Arc<Journal>, rate: f64, seed: u64) -> Load {
        let to = ground.intakes()[0];
        let answers = Phase::ALL.iter().map(|_| Answers {
            sent: 0,
            accepted: 0,
            ack_us: histogram().expect("its bounds are in order"),
        });
        let shared = Arc::new(Shared {
            to,
            journal,
            phase: AtomicU8::new(Phase::Warm as u8),
            stop: AtomicU8::new(0),
            idle: Mutex::default(),
            answers: Mutex::new(answers.collect()),
        });
        let (path, key) = (format!("/v1/retell/{}", ground.secrets.token), ground.secrets.signing_key.clone());
        let spell = move |turn: u64| {
            let line = Line {
                world: &world,
                host: to.to_string(),
                path: path.clone(),
                key: SigningKey::new(&key),
            };
            line.script(&Wanted {
                rate,
                lasting: SCRIPT,
                followed: vec![format!("call_{:027x}", (0xf0_u128 << 96) + u128::from(turn))],
                seed: seed.wrapping_mul(1_000_003).wrapping_add(turn),
            })
        };
        let task = tokio::spawn(send(shared.clone(), Arc::new(spell)));
        Load { shared, task }
    }

    /// From now on events are due in this phase.
    pub fn enter(&self, phase: Phase) {
        self.shared.phase.store(phase as u8, Ordering::Relaxed);
    }

    /// Ends it and waits for the last answers; how each phase did, and when marked calls were due.
    pub async fn over(self) -> Result<(Vec<Answers>, Due)> {
        self.shared.stop.store(1, Ordering::Relaxed);
        let due = self.task.await.context("send")??;
        let answers = std::mem::take(&mut *self.shared.answers.lock().unwrap_or_else(PoisonError::into_inner));
        Ok((answers, due))
    }
}

async fn send(shared: Arc<Shared>, spell: Arc<impl Fn(u64) -> Result<Vec<Cue>> + Send + Sync + 'static>) -> Result<Due> {
    let room = Arc::new(Semaphore::new(UNDER_WAY));
    let (mut under_way, mut due_marks, mut turns) = (JoinSet::new(), Due::new(), Vec::<usize>::new());
    let ahead = |turn| {
        let spell = spell.clone();
        tokio::task::spawn_blocking(move || spell(turn))
    };
    let mut next = ahead(0);
    let mut begun = None;
    for turn in 1.. {
        let cues = next.await.context("spell events")??;
        next = ahead(turn);
        let start = begun.map_or_else(Instant::now, |begun: Instant| begun + SCRIPT);
        begun = Some(start);
        let before = turns.clone();
        for cue in cues {
            let due = start + cue.at;
            if due > Instant::now() {
                tokio::time::sleep_until(due.into()).await;
            }
            if shared.stop.load(Ordering::Relaxed) != 0 {
                while under_way.join_next().await.is_some() {}
                return Ok(due_marks);
            }
            let phase = Phase::ALL[usize::from(shared.phase.load(Ordering::Relaxed))];
            let place = room.clone().acquire_owned().await.context("wait for room")?;
            // A board counts the marked calls of an agent, so each script goes on where the one before ended; one that was refused shifts all.
            if let Role::Begins { business, turn } = cue.role {
                turns.resize(turns.len().max(business + 1), 0);
                let turn = before.get(business).copied().unwrap_or_default() + turn;
                turns[business] = turn + 1;
                due_marks.push((Mark::Begins { business, turn }, due, phase));
            }
            let shared = shared.clone();
            under_way.spawn(async move {
                let outcome = tokio::time::timeout(ANSWER_WITHIN, one(&shared, cue.request)).await;
                drop(place);
                let accepted = matches!(outcome, Ok(Ok(true)));
                let mut answers = shared.answers.lock().unwrap_or_else(PoisonError::into_inner);
                let answers = &mut answers[phase as usize];
                answers.sent += 1;
                answers.accepted += u64::from(accepted);
                answers.ack_us.saturating_record(due.elapsed().as_micros() as u64);
            });
            while under_way.try_join_next().is_some() {}
        }
    }
    Ok(due_marks)
}

/// Over an idle connection, or a new one; true when it was acknowledged, which is noted on disk.
async fn one(shared: &Shared, request: Bytes) -> Result<bool> {
    let head = memchr::memmem::find(&request, b"\r\n\r\n").context("a request has a head")? + 4;
    let print = print(request.slice(head..));
    shared.journal.sent(print);
    let held = shared.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let status = match held {
        Some(stream) => match over(shared, stream, &request).await {
            // The other side may have ended it while it was idle: nobody has lost anything by that.
            Err(_) => over(shared, connect(shared.to).await?, &request).await?,
            status => status?,
        },
        None => over(shared, connect(shared.to).await?, &request).await?,
    };
    let accepted = (200..300).contains(&status);
    if accepted {
        shared.journal.acknowledged(print).await?;
    }
    Ok(accepted)
}

async fn connect(to: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect(to).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn over(shared: &Shared, mut stream: TcpStream, request: &Bytes) -> Result<u16> {
    stream.write_all(request).await?;
    let mut buffer = [0_u8; ANSWER_BYTES];
    let status = answer(&mut stream, &mut buffer).await?;
    shared.idle.lock().unwrap_or_else(PoisonError::into_inner).push(stream);
    Ok(status)
}

//! Writes appends of many callers with one commit, and tells each caller the truth about its own.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_postgres::Statement;
use tokio_postgres::error::Severity;
use tokio_postgres::types::ToSql;
use tokio_util::task::TaskTracker;
use trunkline_core::limit::RECORD_BYTES;

use super::{AppendError, Position, Shared};
use crate::postgres::PostgresError;
use crate::postgres::database::OwnConnection;

const APPEND: &str = include_str!("../sql/append.sql");

/// The door promises an answer within 5 s; we answer before that.
const APPEND_WAIT: Duration = Duration::from_secs(4);
/// A write that takes longer than anybody waits for is given up, and its connection with it.
const WRITE_WAIT: Duration = Duration::from_secs(8);
/// A commit takes no more than this (and one record more): larger ones only make everybody wait longer.
const COMMIT_BYTES: usize = 4 * 1024 * 1024;
/// And no more records than this.
const COMMIT_RECORDS: usize = 2_000;
/// Waiting for the disk may take no more memory than this, in units of 1 KiB; further callers wait outside.
const WAITING_KIB: usize = 96 * 1024;
/// Wait before connecting again.
const AGAIN: Duration = Duration::from_millis(100);

/// The writing side of a log.
pub(super) struct Writers {
    queues: Vec<mpsc::UnboundedSender<Append>>,
    room: Arc<Semaphore>,
    shared: Arc<Shared>,
}

/// One append on its way.
struct Append {
    partition: u32,
    bytes: Bytes,
    stage: Arc<Stage>,
    answer: oneshot::Sender<Result<Position, AppendError>>,
    _room: OwnedSemaphorePermit,
}

/// Settles who comes first: the writer that takes an append, or the caller that stops waiting for it.
#[derive(Default)]
struct Stage(AtomicU8);

const WAITING: u8 = 0;
const TAKEN: u8 = 1;
const GIVEN_UP: u8 = 2;

impl Stage {
    fn move_on(&self, to: u8) -> bool {
        self.0.compare_exchange(WAITING, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    fn is_given_up(&self) -> bool {
        self.0.load(Ordering::Acquire) == GIVEN_UP
    }
}

/// Takes an append back when its caller goes away, if the writer has not taken it: nobody was promised anything.
struct Withdrawal(Arc<Stage>);

impl Drop for Withdrawal {
    fn drop(&mut self) {
        self.0.move_on(GIVEN_UP);
    }
}

impl Writers {
    pub fn start(shared: &Arc<Shared>, count: u32, tasks: &TaskTracker) -> Self {
        let queues = (0..count.min(shared.partitions)).map(|_| {
            let (sender, receiver) = mpsc::unbounded_channel();
            tasks.spawn(
                Writer {
                    shared: shared.clone(),
                    queue: receiver,
                    waiting: Vec::new(),
                    pen: None,
                }
                .run(),
            );
            sender
        });
        Self {
            queues: queues.collect(),
            room: Arc::new(Semaphore::new(WAITING_KIB)),
            shared: shared.clone(),
        }
    }

    pub async fn append(&self, partition: u32, bytes: Bytes) -> Result<Position, AppendError> {
        if bytes.len() > RECORD_BYTES {
            return Err(AppendError::TooLarge {
                bytes: bytes.len(),
                limit: RECORD_BYTES,
            });
        }
        let closed = || AppendError::Unavailable("it has been closed".into());
        if self.shared.closing.is_cancelled() {
            return Err(closed());
        }
        let until = Instant::now() + APPEND_WAIT;
        let size = u32::try_from(bytes.len() / 1024 + 1).expect("at most RECORD_BYTES");
        // Without waiting when there is room: then appends go into the queue in the order in which they were begun.
        let room = match self.room.clone().try_acquire_many_owned(size) {
            Ok(room) => room,
            Err(_) => timeout_at(until, self.room.clone().acquire_many_owned(size))
                .await
                .map_err(|_| AppendError::Unavailable("too much is waiting to be written".into()))?
                .map_err(|_| closed())?,
        };
        let stage = Arc::new(Stage::default());
        let _withdrawal = Withdrawal(stage.clone());
        let (answer, answered) = oneshot::channel();
        let append = Append {
            partition,
            bytes,
            stage: stage.clone(),
            answer,
            _room: room,
        };
        // One writer for each partition, so that appends of one caller keep their order.
        self.queues[partition as usize % self.queues.len()]
            .send(append)
            .map_err(|_| closed())?;
        match timeout_at(until, answered).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) if stage.move_on(GIVEN_UP) => Err(closed()),
            Err(_) if stage.move_on(GIVEN_UP) => Err(AppendError::Unavailable(format!(
                "Postgres took no records for {} s",
                APPEND_WAIT.as_secs()
            ))),
            _ => Err(AppendError::Unknown),
        }
    }
}

struct Writer {
    shared: Arc<Shared>,
    queue: mpsc::UnboundedReceiver<Append>,
    waiting: Vec<Append>,
    pen: Option<Pen>,
}

struct Pen {
    connection: OwnConnection,
    append: Statement,
}

impl Writer {
    async fn run(mut self) {
        let closing = self.shared.closing.clone();
        loop {
            match closing.run_until_cancelled(self.queue.recv()).await {
                Some(Some(append)) => self.waiting.push(append),
                Some(None) => return,
                None => break,
            }
            self.gather();
            self.write_waiting().await;
        }
        // Nothing more comes in; what is here already was promised an attempt.
        self.queue.close();
        while let Some(append) = self.queue.recv().await {
            self.waiting.push(append);
        }
        self.write_waiting().await;
    }

    /// Takes what is in the queue. It fills while the commit before is on its way to the disk, so nobody has to wait for company:
    /// alone, a caller is served at once; the more there are, the more share a commit.
    fn gather(&mut self) {
        let mut size: usize = self.waiting.iter().map(|append| append.bytes.len()).sum();
        while size < COMMIT_BYTES
            && self.waiting.len() < COMMIT_RECORDS
            && let Ok(append) = self.queue.try_recv()
        {
            size += append.bytes.len();
            self.waiting.push(append);
        }
    }

    /// Writes until nothing waits. While Postgres is away, callers that stop waiting are let go.
    async fn write_waiting(&mut self) {
        while !self.waiting.is_empty() {
            if let Err(error) = self.have_pen().await {
                tracing::warn!(%error, waiting = self.waiting.len(), "cannot write to the event log; trying again");
                sleep(AGAIN).await;
                while let Ok(append) = self.queue.try_recv() {
                    self.waiting.push(append);
                }
                self.waiting.retain(|append| !append.stage.is_given_up());
                continue;
            }
            let mut size = 0;
            let fitting = self.waiting.iter().take(COMMIT_RECORDS).take_while(|append| {
                let fits = size < COMMIT_BYTES;
                size += append.bytes.len();
                fits
            });
            let count = fitting.count();
            let batch: Vec<Append> = self.waiting.drain(..count).filter(|append| append.stage.move_on(TAKEN)).collect();
            if !batch.is_empty() {
                self.write(batch).await;
            }
        }
    }

    async fn have_pen(&mut self) -> Result<(), PostgresError> {
        if self.pen.as_ref().is_some_and(|pen| !pen.connection.ended.is_cancelled()) {
            return Ok(());
        }
        self.pen = None;
        let connection = self.shared.database.own_connection(|_| ()).await?;
        let failed = |error: tokio_postgres::Error| PostgresError::from_driver("prepare to append", &error);
        connection
            .client
            .batch_execute(include_str!("../sql/open_writer.sql"))
            .await
            .map_err(failed)?;
        let append = connection.client.prepare(APPEND).await.map_err(failed)?;
        self.pen = Some(Pen { connection, append });
        Ok(())
    }

    /// One commit for all of `batch`.
    async fn write(&mut self, batch: Vec<Append>) {
        let Some(pen) = &self.pen else { return };
        let partitions: Vec<i32> = batch.iter().map(|append| super::number(append.partition)).collect();
        let bodies: Vec<&[u8]> = batch.iter().map(|append| append.bytes.as_ref()).collect();
        let parameters: [&(dyn ToSql + Sync); 2] = [&partitions, &bodies];
        let failure = match timeout(WRITE_WAIT, pen.connection.client.query(&pen.append, &parameters)).await {
            Ok(Ok(rows)) => {
                let firsts = rows
                    .iter()
                    .map(|row| Some((row.try_get::<_, i32>(0).ok()?, row.try_get::<_, i64>(1).ok()?)));
                return self.acknowledge(batch, firsts.flatten().collect());
            }
            Ok(Err(error)) => error,
            Err(_) => {
                self.pen = None;
                tracing::warn!(records = batch.len(), "a write to the event log took too long; its fate is unknown");
                return refuse(batch, || AppendError::Unknown);
            }
        };
        let error = PostgresError::from_driver("append to the event log", &failure);
        tracing::warn!(%error, records = batch.len(), "the event log did not take records");
        // An error within the statement rolled it back. When the session itself was ended, the commit may have been made.
        let refused = failure
            .as_db_error()
            .is_some_and(|db| db.parsed_severity() == Some(Severity::Error));
        if refused {
            refuse(batch, || AppendError::Unavailable(error.to_string()));
        } else {
            self.pen = None;
            refuse(batch, || AppendError::Unknown);
        }
    }

    fn acknowledge(&self, batch: Vec<Append>, mut next: HashMap<i32, i64>) {
        for append in batch {
            let answer = match next.get_mut(&super::number(append.partition)) {
                Some(offset) => {
                    *offset += 1;
                    Ok(Position {
                        partition: append.partition,
                        offset: *offset - 1,
                    })
                }
                None => Err(AppendError::Unknown),
            };
            // A caller that went away has been told that its record's fate is unknown; now it is stored.
            let _ = append.answer.send(answer);
        }
        for (partition, next) in next {
            self.shared.ends.written(partition.unsigned_abs(), next);
        }
    }
}

fn refuse(batch: Vec<Append>, why: impl Fn() -> AppendError) {
    for append in batch {
        let _ = append.answer.send(Err(why()));
    }
}

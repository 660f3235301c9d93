//! One member of a group: holds partitions by advisory locks, reads them, and notes what is done.
//!
//! The locks belong to the member's database session. If the member dies, so does the session, and another member gets its
//! partitions. What the group has done is written through the same session, so a member that has lost its locks cannot write it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, Statement};

use super::read::{self, BATCH_BYTES, BATCH_RECORDS};
use super::{LogError, Shared, column, from_driver, no_partition, number, partition_number};
use crate::log::{Delivery, Mark, Marking, Subscription};
use crate::postgres::database::OwnConnection;

/// How often partitions that another member holds are tried: how long a handover takes when it dies.
const CLAIM_EVERY: Duration = Duration::from_millis(500);
/// Wait before connecting again.
const AGAIN: Duration = Duration::from_millis(250);

pub(super) struct Member {
    shared: Arc<Shared>,
    group: String,
    session: Option<Arc<Session>>,
    news: watch::Receiver<()>,
    parts: Vec<Part>,
    /// Decided, but not yet handed out.
    outbox: VecDeque<Delivery>,
    claim_at: Instant,
    /// Where the next look begins, so that a busy partition does not starve the others.
    turn: usize,
}

struct Session {
    connection: OwnConnection,
    claim: Statement,
    committed: Statement,
    records: Statement,
    commit: Statement,
}

#[derive(Default, Clone)]
struct Part {
    held: bool,
    paused: bool,
    /// Next offset to deliver, once the reader has said where to begin.
    cursor: Option<i64>,
    /// The reader knows that it has seen everything up to the cursor.
    told_end: bool,
}

impl Member {
    pub async fn join(shared: Arc<Shared>, group: &str) -> Result<Self, LogError> {
        let parts = vec![Part::default(); shared.partitions as usize];
        let news = shared.ends.subscribe();
        let mut member = Self {
            shared,
            group: group.to_owned(),
            session: None,
            news,
            parts,
            outbox: VecDeque::new(),
            claim_at: Instant::now(),
            turn: 0,
        };
        member.connect().await?;
        Ok(member)
    }

    async fn connect(&mut self) -> Result<(), LogError> {
        let connection = self.shared.database.own_connection(|_| ()).await?;
        let client = &connection.client;
        let failed = |error: tokio_postgres::Error| from_driver("join a group of the event log", &error);
        client.batch_execute(include_str!("../sql/open_member.sql")).await.map_err(failed)?;
        let claim = client.prepare(include_str!("../sql/claim.sql")).await.map_err(failed)?;
        let committed = client.prepare(include_str!("../sql/committed_of.sql")).await.map_err(failed)?;
        let records = client.prepare(read::RECORDS).await.map_err(failed)?;
        let commit = client.prepare(include_str!("../sql/commit.sql")).await.map_err(failed)?;
        self.session = Some(Arc::new(Session {
            connection,
            claim,
            committed,
            records,
            commit,
        }));
        self.claim_at = Instant::now();
        Ok(())
    }

    /// Forgets a session that has ended: its locks are gone, and so are our partitions.
    fn bury(&mut self) {
        self.session = None;
        let untold: Vec<Delivery> = self.outbox.drain(..).collect();
        for (partition, part) in (0..).zip(&mut self.parts) {
            // What the reader was never given it need not give back.
            let told = !untold
                .iter()
                .any(|delivery| matches!(delivery, Delivery::Assigned { partition: of, .. } if *of == partition));
            if part.held && told {
                self.outbox.push_back(Delivery::Revoked { partition });
            }
            *part = Part::default();
        }
    }

    /// Tries to get the partitions nobody holds. Locks first, then reads what is done: its last holder can change it no more.
    async fn claim(&mut self) -> Result<(), LogError> {
        let wanted: Vec<i32> = (0..)
            .zip(&self.parts)
            .filter(|(_, part)| !part.held)
            .map(|(partition, _)| partition)
            .collect();
        let keys: Vec<i64> = wanted.iter().map(|partition| lock_key(&self.group, *partition)).collect();
        let Some(session) = &self.session else { return Ok(()) };
        let won = session.ask("claim partitions", &session.claim, &[&wanted, &keys]).await?;
        let won: Vec<i32> = won.iter().map(|row| column(row, 0)).collect::<Result<_, _>>()?;
        if !won.is_empty() {
            let rows = session
                .ask("read what the group has done", &session.committed, &[&self.group, &won])
                .await?;
            let mut done = Vec::new();
            for row in &rows {
                done.push((partition_number(row, 0)?, column::<i64>(row, 1)?, column::<Option<String>>(row, 2)?));
            }
            for partition in won.iter().map(|partition| partition.unsigned_abs()) {
                let noted = done.iter().find(|(of, _, _)| *of == partition);
                let (next, intent) = (noted.map(|(_, next, _)| *next), noted.and_then(|(_, _, intent)| intent.clone()));
                self.parts[partition as usize] = Part {
                    held: true,
                    ..Part::default()
                };
                self.outbox.push_back(Delivery::Assigned { partition, next, intent });
            }
        }
        self.claim_at = Instant::now() + CLAIM_EVERY;
        Ok(())
    }

    /// A partition with records to deliver, or else one whose reader does not know yet that it has seen all.
    fn due(&self) -> Option<(u32, i64, bool)> {
        let count = self.parts.len();
        let turns = (0..count).map(|step| (self.turn + step) % count);
        let mut at_end = None;
        for place in turns {
            let (part, partition) = (&self.parts[place], place as u32);
            let Some(cursor) = part.cursor.filter(|_| part.held && !part.paused) else {
                continue;
            };
            if cursor < self.shared.ends.get(partition) {
                return Some((partition, cursor, true));
            }
            if !part.told_end && at_end.is_none() {
                at_end = Some((partition, cursor, false));
            }
        }
        at_end
    }

    async fn fetch(&mut self, partition: u32, cursor: i64) -> Result<Option<Delivery>, LogError> {
        let Some(session) = &self.session else { return Ok(None) };
        let rows = session
            .ask(
                "read records",
                &session.records,
                &[&number(partition), &cursor, &BATCH_RECORDS, &BATCH_BYTES],
            )
            .await?;
        let (mut next, mut records) = (cursor, Vec::new());
        let taken = if rows.is_empty() {
            // The log ends further on than here, yet nothing is here: it was forgotten while we were away.
            let begins = read::span(&self.shared, partition).await?.0;
            Err(LogError::Gone {
                partition,
                wanted: cursor,
                begins,
            })
        } else {
            read::take(partition, &mut next, &rows, &mut records)
        };
        let part = &mut self.parts[partition as usize];
        if let Err(error) = taken {
            // Only the reader can decide where to go on; until it does, this partition rests.
            part.cursor = None;
            return Err(error);
        }
        (part.cursor, part.told_end) = (Some(next), false);
        self.turn = (partition as usize + 1) % self.parts.len();
        Ok(Some(Delivery::Batch { partition, records }))
    }

    fn part(&mut self, partition: u32) -> Result<&mut Part, LogError> {
        self.parts.get_mut(partition as usize).ok_or_else(|| no_partition(partition))
    }

    fn held(&mut self, partition: u32) -> Result<&mut Part, LogError> {
        let part = self.part(partition)?;
        if part.held {
            Ok(part)
        } else {
            Err(LogError::Unavailable(format!("partition {partition} is not ours any more")))
        }
    }
}

#[async_trait]
impl Subscription for Member {
    // Cancel-safe: state changes only after an answer is in, in one step; a lock won by a cancelled question is won again.
    async fn next(&mut self) -> Result<Delivery, LogError> {
        loop {
            self.shared.must_be_open()?;
            if self.session.as_ref().is_some_and(|session| session.connection.ended.is_cancelled()) {
                self.bury();
            }
            if let Some(delivery) = self.outbox.pop_front() {
                return Ok(delivery);
            }
            if self.session.is_none()
                && let Err(error) = self.connect().await
            {
                sleep(AGAIN).await;
                return Err(error);
            }
            let incomplete = self.parts.iter().any(|part| !part.held);
            if incomplete && Instant::now() >= self.claim_at {
                self.claim().await?;
                continue;
            }
            self.news.borrow_and_update();
            match self.due() {
                Some((partition, cursor, true)) => {
                    if let Some(delivery) = self.fetch(partition, cursor).await? {
                        return Ok(delivery);
                    }
                }
                Some((partition, next, false)) => {
                    self.parts[partition as usize].told_end = true;
                    return Ok(Delivery::CaughtUp { partition, next });
                }
                None => self.wait(incomplete).await,
            }
        }
    }

    async fn start(&mut self, partition: u32, offset: i64) -> Result<(), LogError> {
        self.held(partition)?;
        // Asked, not remembered: whoever is told "caught up" next must be.
        let (begins, end) = read::span(&self.shared, partition).await?;
        if offset < begins || offset > end {
            return Err(LogError::Gone {
                partition,
                wanted: offset,
                begins,
            });
        }
        self.shared.ends.raise(partition, end);
        let part = self.held(partition)?;
        (part.cursor, part.told_end) = (Some(offset), false);
        Ok(())
    }

    fn pause(&mut self, partition: u32) {
        if let Ok(part) = self.part(partition) {
            part.paused = true;
        }
    }

    fn resume(&mut self, partition: u32) {
        if let Ok(part) = self.part(partition) {
            part.paused = false;
        }
    }

    fn mark(&mut self, marks: &[Mark]) -> Marking {
        let lost = marks.iter().find_map(|mark| self.held(mark.partition).err());
        let session = self.session.clone();
        let (group, marks) = (self.group.clone(), marks.to_vec());
        Box::pin(async move {
            if let Some(lost) = lost {
                return Err(lost);
            }
            let session = session.ok_or_else(|| LogError::Unavailable("the member's session has ended".into()))?;
            let partitions: Vec<i32> = marks.iter().map(|mark| number(mark.partition)).collect();
            let nexts: Vec<i64> = marks.iter().map(|mark| mark.next).collect();
            let intents: Vec<Option<&str>> = marks.iter().map(|mark| mark.intent.as_deref()).collect();
            let values: [&(dyn ToSql + Sync); 4] = [&group, &partitions, &nexts, &intents];
            session.ask("note what the group has done", &session.commit, &values).await?;
            Ok(())
        })
    }

    async fn close(mut self: Box<Self>) {
        if let Some(session) = self.session.take() {
            // Locks go with the session anyway; said explicitly, the next member need not wait for the server to notice.
            if let Err(error) = session.connection.client.batch_execute(include_str!("../sql/unlock_all.sql")).await {
                tracing::debug!(%error, "the member's locks go with its session");
            }
        }
    }
}

impl Member {
    async fn wait(&mut self, incomplete: bool) {
        let Some(session) = &self.session else { return };
        tokio::select! {
            _ = self.news.changed() => {}
            () = sleep_until(self.claim_at), if incomplete => {}
            () = session.connection.ended.cancelled() => {}
            () = self.shared.closing.cancelled() => {}
        }
    }
}

impl Session {
    async fn ask(&self, doing: &'static str, statement: &Statement, with: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, LogError> {
        self.connection
            .client
            .query(statement, with)
            .await
            .map_err(|error| from_driver(doing, &error))
    }
}

/// The advisory lock of one partition for one group: a hash, so that names cannot collide by accident.
fn lock_key(group: &str, partition: i32) -> i64 {
    let print = Sha256::digest(format!("trunkline log {partition} {group}"));
    i64::from_be_bytes(*print.first_chunk().expect("SHA-256 is longer than 8 bytes"))
}

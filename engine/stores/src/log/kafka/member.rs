//! One member of a group, on a thread of its own: polls the client, so that no reader can hold up the group.
//!
//! Each assigned partition has its own queue in the client. A queue that is not polled is back-pressure enough: the client
//! stops fetching for it, and nothing that was fetched is thrown away.

mod asking;
mod ownerless;
mod polling;
mod starting;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::BaseConsumer;
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::error::KafkaError;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use super::reader::{Noted, Reader};
use super::rebalance::{Ear, News, Notes};
use crate::log::{Delivery, LogError};
pub(super) use asking::Asking;
use asking::{Answer, Question};
use ownerless::Look;
use starting::{By, Start};

/// Longest sleep: everything rings the bell, so this only bounds the harm of a ring that was missed.
const SLEEP_MAX: Duration = Duration::from_millis(100);

/// Longest wait for a broker's answer while the group is not being polled.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(2);

/// Between two tries to learn something.
const ASK_AGAIN: Duration = Duration::from_millis(250);

/// What the reader asks of the thread.
pub(super) enum Command {
    Start {
        partition: u32,
        offset: i64,
        done: oneshot::Sender<Result<(), LogError>>,
    },
    Pause(u32),
    Resume(u32),
    Close,
}

/// A delivery with the epoch in which it is valid; 0 for those that are valid always.
pub(super) struct Parcel {
    pub epoch: u64,
    pub delivery: Result<Delivery, LogError>,
}

struct Part {
    /// The first epoch of its assignment.
    assigned: u64,
    epoch: u64,
    queue: PartitionQueue<Ear>,
    /// The offset that the next record must have; none until the reader has said where it begins.
    expected: Option<i64>,
    paused: bool,
}

/// What the thread is given.
pub(super) struct Member {
    pub topic: String,
    /// It has a name that survives restarts, in a group that shares out its partitions by itself.
    pub is_static: bool,
    pub consumer: Arc<BaseConsumer<Ear>>,
    pub asking: Asking,
    pub notes: Arc<Notes>,
    pub commands: std::sync::mpsc::Receiver<Command>,
    pub parcels: mpsc::Sender<Parcel>,
}

/// The thread's own state.
struct Work {
    member: Member,
    parts: BTreeMap<u32, Part>,
    /// Assigned partitions of which we do not know yet what the group has committed.
    unknown: Vec<u32>,
    /// When to ask that; none while it is being asked.
    ask_at: Option<Instant>,
    /// Partitions have come since it was asked.
    stale: bool,
    /// What has not begun yet.
    starts: Vec<Start>,
    outbox: VecDeque<Parcel>,
    turn: u32,
    look: Look,
}

impl Member {
    /// Runs until it is told to close or its reader is gone. Leaving the group happens at the end, in the client's drop.
    pub fn run(self) {
        let mut work = Work {
            look: Look::new(self.is_static),
            member: self,
            parts: BTreeMap::new(),
            unknown: Vec::new(),
            ask_at: Some(Instant::now()),
            stale: false,
            starts: Vec::new(),
            outbox: VecDeque::new(),
            turn: 0,
        };
        while work.round() {
            if !work.has_room() || !work.read() {
                work.member.notes.wake.wait(SLEEP_MAX);
            }
        }
        work.parts.clear();
    }
}

impl Work {
    /// Everything but reading; false when it is time to leave.
    fn round(&mut self) -> bool {
        if !self.obey() || self.member.parcels.is_closed() {
            return false;
        }
        self.listen();
        while let Some(answer) = self.member.asking.answer() {
            match answer {
                Answer::Noted(noted) => self.assign(noted),
                Answer::Span { partition, span } => self.begin(partition, span),
                Answer::Ownerless(ownerless) => self.looked(ownerless),
            }
        }
        self.ask();
        self.look();
        true
    }

    fn obey(&mut self) -> bool {
        while let Ok(command) = self.member.commands.try_recv() {
            match command {
                Command::Close => return false,
                Command::Pause(partition) => self.set_paused(partition, true),
                Command::Resume(partition) => self.set_paused(partition, false),
                Command::Start { partition, offset, done } => self.order(partition, offset, By::Reader(done)),
            }
        }
        true
    }

    fn set_paused(&mut self, partition: u32, paused: bool) {
        if let Some(part) = self.parts.get_mut(&partition) {
            part.paused = paused;
        }
    }

    /// Serves the group: rebalances, answers to commits, errors.
    fn listen(&mut self) {
        loop {
            let consumer = self.member.consumer.clone();
            let polled = consumer.poll(Duration::ZERO);
            let mut heard = polled.is_some();
            while let Some(news) = self.member.notes.take() {
                heard = true;
                self.learn(news);
            }
            match polled {
                Some(Ok(message)) => self.misdirected(&message),
                Some(Err(error)) => self.trouble(None, &error),
                None => {}
            }
            if !heard {
                return;
            }
        }
    }

    fn learn(&mut self, news: News) {
        self.look.later();
        match news {
            News::Assigned(partitions) => {
                self.unknown.extend(partitions);
                // What is being asked may have been answered before these were ours.
                self.stale |= self.ask_at.is_none();
                self.ask_at = self.ask_at.map(|_| Instant::now());
            }
            News::Revoked(partitions) => {
                for partition in partitions {
                    self.unknown.retain(|unknown| *unknown != partition);
                    self.outbox.retain(|parcel| of(parcel) != Some(partition));
                    if self.parts.remove(&partition).is_some() {
                        self.tell(0, Ok(Delivery::Revoked { partition }));
                    }
                }
            }
        }
    }

    /// Asks what is not known yet and is due.
    fn ask(&mut self) {
        let (now, asking) = (Instant::now(), &self.member.asking);
        if !self.unknown.is_empty() && self.ask_at.is_some_and(|at| at <= now) {
            self.ask_at = None;
            asking.ask(Question::Noted);
        }
        for start in &mut self.starts {
            if start.ask_at.is_some_and(|at| at <= now) {
                start.ask_at = None;
                asking.ask(Question::Span(start.partition));
            }
        }
    }

    /// Tells the reader of new partitions, now that it is known what the group has done of them.
    fn assign(&mut self, noted: Result<Vec<Noted>, LogError>) {
        if std::mem::take(&mut self.stale) {
            self.ask_at = Some(Instant::now());
            return;
        }
        self.ask_at = Some(Instant::now() + ASK_AGAIN);
        let noted = match noted {
            Ok(noted) => noted,
            Err(error) => {
                tracing::warn!(%error, "cannot learn what the group has committed; trying again");
                return;
            }
        };
        for Noted { partition, next, intent } in noted {
            if !self.unknown.contains(&partition) {
                continue;
            }
            let Some(queue) = self.split(partition) else { continue };
            self.unknown.retain(|unknown| *unknown != partition);
            let epoch = self.member.notes.epochs.assign(partition);
            self.parts.insert(
                partition,
                Part {
                    assigned: epoch,
                    epoch,
                    queue,
                    expected: None,
                    paused: false,
                },
            );
            self.hang_bell(partition);
            self.tell(epoch, Ok(Delivery::Assigned { partition, next, intent }));
        }
    }

    /// Takes the partition's records out of the common queue. Where it is kept, it gets a bell.
    fn split(&self, partition: u32) -> Option<PartitionQueue<Ear>> {
        let consumer = &self.member.consumer;
        consumer.split_partition_queue(&self.member.topic, i32::try_from(partition).ok()?)
    }

    /// Takes the partition's records out of the common queue again.
    fn split_again(&mut self, partition: u32) -> Option<&mut Part> {
        let queue = self.split(partition)?;
        self.parts.get_mut(&partition)?.queue = queue;
        self.hang_bell(partition);
        self.parts.get_mut(&partition)
    }

    /// Has the partition's records wake this thread. Only when the queue is kept: all queues of a partition share what lies beneath them, and the
    /// one that was kept before takes the bell off it when it is dropped.
    fn hang_bell(&mut self, partition: u32) {
        let Some(part) = self.parts.get_mut(&partition) else { return };
        let notes = self.member.notes.clone();
        part.queue.set_nonempty_callback(move || notes.wake.ring());
        // What came in between rang nobody.
        self.member.notes.wake.ring();
    }

    fn tell(&mut self, epoch: u64, delivery: Result<Delivery, LogError>) {
        self.outbox.push_back(Parcel { epoch, delivery });
        self.has_room();
    }

    /// Sends what waits; true when nothing waits any more.
    fn has_room(&mut self) -> bool {
        while let Some(parcel) = self.outbox.pop_front() {
            if let Err(TrySendError::Full(parcel)) = self.member.parcels.try_send(parcel) {
                self.outbox.push_front(parcel);
                return false;
            }
        }
        true
    }
}

/// The partition of a delivery that is void once the partition moves on.
fn of(parcel: &Parcel) -> Option<u32> {
    match parcel.delivery {
        Ok(Delivery::Assigned { partition, .. } | Delivery::Batch { partition, .. } | Delivery::CaughtUp { partition, .. }) => {
            Some(partition)
        }
        Ok(Delivery::Revoked { .. }) | Err(_) => None,
    }
}

pub(super) fn not_ours(partition: u32) -> LogError {
    LogError::Unavailable(format!("partition {partition} is not ours any more"))
}

fn away(doing: &str, error: &KafkaError) -> LogError {
    LogError::Unavailable(format!("cannot {doing}: {error}"))
}

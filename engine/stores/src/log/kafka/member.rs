//! One member of a group, on a thread of its own: polls the client, so that no reader can hold up the group.
//!
//! Each assigned partition has its own queue in the client. A queue that is not polled is back-pressure enough: the client
//! stops fetching for it, and nothing that was fetched is thrown away.

mod polling;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use super::order::place;
use super::reader::Reader;
use super::rebalance::{Ear, News, Notes};
use crate::log::{Delivery, LogError};

/// Longest sleep: everything rings the bell, so this only bounds the harm of a ring that was missed.
const SLEEP_MAX: Duration = Duration::from_millis(100);

/// Longest wait for a broker's answer while the group is not being polled.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(2);

/// Longest wait until a partition can be begun: a leader is elected within seconds.
const START_WAIT_MAX: Duration = Duration::from_secs(15);

/// Between two tries to learn what the group has committed.
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
    epoch: u64,
    queue: PartitionQueue<Ear>,
    /// The offset that the next record must have; none until the reader has said where it begins.
    expected: Option<i64>,
    paused: bool,
}

struct Start {
    partition: u32,
    offset: i64,
    done: oneshot::Sender<Result<(), LogError>>,
    until: Instant,
}

/// What the thread is given.
pub(super) struct Member {
    pub topic: String,
    pub consumer: Arc<BaseConsumer<Ear>>,
    /// Asks where partitions begin and end: the consumer's own questions wait behind its fetches, and with them all that is read here.
    pub reader: Arc<Reader>,
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
    ask_at: Instant,
    /// What readers have asked to begin and has not begun yet.
    starts: Vec<Start>,
    outbox: VecDeque<Parcel>,
    turn: u32,
}

impl Member {
    /// Runs until it is told to close or its reader is gone. Leaving the group happens at the end, in the client's drop.
    pub fn run(self) {
        let mut work = Work {
            member: self,
            parts: BTreeMap::new(),
            unknown: Vec::new(),
            ask_at: Instant::now(),
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
        self.begin();
        if !self.unknown.is_empty() && Instant::now() >= self.ask_at {
            self.ask_committed();
        }
        true
    }

    fn obey(&mut self) -> bool {
        while let Ok(command) = self.member.commands.try_recv() {
            match command {
                Command::Close => return false,
                Command::Pause(partition) => self.set_paused(partition, true),
                Command::Resume(partition) => self.set_paused(partition, false),
                Command::Start { partition, offset, done } => self.starts.push(Start {
                    partition,
                    offset,
                    done,
                    until: Instant::now() + START_WAIT_MAX,
                }),
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
        match news {
            News::Assigned(partitions) => {
                self.unknown.extend(partitions);
                self.ask_at = Instant::now();
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

    /// Tells the reader of new partitions once it is known what the group has done of them.
    fn ask_committed(&mut self) {
        let mut list = TopicPartitionList::new();
        for partition in &self.unknown {
            list.add_partition(&self.member.topic, i32::try_from(*partition).unwrap_or(i32::MAX));
        }
        let answer = match self.member.consumer.committed_offsets(list, ANSWER_WAIT_MAX) {
            Ok(answer) => answer,
            Err(error) => {
                tracing::warn!(%error, "cannot learn what the group has committed; trying again");
                self.ask_at = Instant::now() + ASK_AGAIN;
                return;
            }
        };
        for element in answer.elements() {
            let partition = element.partition().unsigned_abs();
            if element.error().is_err() {
                continue;
            }
            let next = match element.offset() {
                Offset::Offset(next) => Some(next),
                _ => None,
            };
            let intent = Some(element.metadata()).filter(|text| !text.is_empty()).map(str::to_owned);
            let Some(queue) = self.split(partition) else { continue };
            self.unknown.retain(|unknown| *unknown != partition);
            let epoch = self.member.notes.epochs.assign(partition);
            self.parts.insert(
                partition,
                Part {
                    epoch,
                    queue,
                    expected: None,
                    paused: false,
                },
            );
            self.hang_bell(partition);
            self.tell(epoch, Ok(Delivery::Assigned { partition, next, intent }));
        }
        self.ask_at = Instant::now() + ASK_AGAIN;
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

    /// Tries what readers have asked to begin; while a partition has no leader, again in the next round.
    fn begin(&mut self) {
        for start in std::mem::take(&mut self.starts) {
            match self.start(start.partition, start.offset) {
                Err(LogError::Unavailable(_)) if self.parts.contains_key(&start.partition) && Instant::now() < start.until => {
                    self.starts.push(start);
                }
                outcome => drop(start.done.send(outcome)),
            }
        }
    }

    fn start(&mut self, partition: u32, offset: i64) -> Result<(), LogError> {
        let number = i32::try_from(partition).unwrap_or(i32::MAX);
        if !self.parts.contains_key(&partition) {
            return Err(LogError::Unavailable(format!("partition {partition} is not ours any more")));
        }
        let (topic, consumer) = (self.member.topic.clone(), self.member.consumer.clone());
        let (begins, end) = self.member.reader.span_within(partition, ANSWER_WAIT_MAX)?;
        if offset < begins || offset > end {
            return Err(LogError::Gone {
                partition,
                wanted: offset,
                begins,
            });
        }
        let epoch = self.member.notes.epochs.begin(partition);
        self.outbox.retain(|parcel| of(parcel) != Some(partition));
        if let Some(part) = self.parts.get_mut(&partition) {
            (part.epoch, part.expected) = (epoch, None);
        }
        place(&consumer, &topic, number, offset).map_err(|error| away("begin reading a partition", &error))?;
        // Assigning may have led the partition back into the common queue (CO-06); where it stands now is certain.
        if let Some(part) = self.split_again(partition) {
            part.expected = Some(offset);
        }
        Ok(())
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

fn away(doing: &str, error: &KafkaError) -> LogError {
    LogError::Unavailable(format!("cannot {doing}: {error}"))
}

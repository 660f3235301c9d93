//! One member of a group, on a thread of its own: polls the client, so that no reader can hold up the group.
//!
//! Each assigned partition has its own queue in the client. A queue that is not polled is back-pressure enough: the client
//! stops fetching for it, and nothing that was fetched is thrown away.

mod asking;
mod polling;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::BaseConsumer;
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::error::KafkaError;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use super::order::place;
use super::reader::{Noted, Reader};
use super::rebalance::{Ear, News, Notes};
use crate::log::{Delivery, LogError};
pub(super) use asking::Asking;
use asking::{Answer, Question};

/// Longest sleep: everything rings the bell, so this only bounds the harm of a ring that was missed.
const SLEEP_MAX: Duration = Duration::from_millis(100);

/// Longest wait for a broker's answer while the group is not being polled.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(2);

/// Longest wait until a partition can be begun: a leader is elected within seconds.
const START_WAIT_MAX: Duration = Duration::from_secs(15);

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

/// A place at which a partition is to go on, if it is there.
struct Start {
    partition: u32,
    /// The assignment in which it was ordered.
    assigned: u64,
    offset: i64,
    by: By,
    until: Instant,
    /// When it is to be asked where the partition begins and ends; none while that is being asked.
    ask_at: Option<Instant>,
}

/// Whose order a start is.
enum By {
    /// A reader begins, or moves on: whatever was handed over before is void.
    Reader(oneshot::Sender<Result<(), LogError>>),
    /// The client said that the place is not there. Where it is, the complaint was about an earlier one, and what was handed over is good.
    Client,
}

/// What the thread is given.
pub(super) struct Member {
    pub topic: String,
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
}

impl Member {
    /// Runs until it is told to close or its reader is gone. Leaving the group happens at the end, in the client's drop.
    pub fn run(self) {
        let mut work = Work {
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
            }
        }
        self.ask();
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

    fn order(&mut self, partition: u32, offset: i64, by: By) {
        let now = Instant::now();
        match (self.parts.get(&partition), by) {
            (Some(part), by) => self.starts.push(Start {
                partition,
                assigned: part.assigned,
                offset,
                by,
                until: now + START_WAIT_MAX,
                ask_at: Some(now),
            }),
            (None, By::Reader(done)) => drop(done.send(Err(not_ours(partition)))),
            (None, By::Client) => {}
        }
    }

    /// Begins what was ordered, now that it is known where the partition begins and ends; while it has no leader, that is asked again.
    fn begin(&mut self, partition: u32, span: Result<(i64, i64), LogError>) {
        // Answers come in the order of the questions.
        let asked = |start: &Start| start.partition == partition && start.ask_at.is_none();
        let Some(place) = self.starts.iter().position(asked) else { return };
        let mut start = self.starts.remove(place);
        let begins = span.as_ref().map_or(0, |(begins, _)| *begins);
        let outcome = match span.and_then(|span| self.start(&start, span)) {
            Err(LogError::Unavailable(_)) if self.is_ours(&start) && Instant::now() < start.until => {
                start.ask_at = Some(Instant::now() + ASK_AGAIN);
                return self.starts.push(start);
            }
            outcome => outcome,
        };
        let (is_ours, wanted) = (self.is_ours(&start), start.offset);
        match start.by {
            By::Reader(done) => drop(done.send(outcome)),
            // Only its reader can decide where it goes on.
            By::Client if outcome.is_err() && is_ours => self.tell(0, Err(LogError::Gone { partition, wanted, begins })),
            By::Client => {}
        }
    }

    /// The partition is still, and not again, the member's.
    fn is_ours(&self, start: &Start) -> bool {
        self.parts.get(&start.partition).is_some_and(|part| part.assigned == start.assigned)
    }

    fn start(&mut self, start: &Start, (begins, end): (i64, i64)) -> Result<(), LogError> {
        let (partition, offset) = (start.partition, start.offset);
        if !self.is_ours(start) {
            return Err(not_ours(partition));
        }
        if offset < begins || offset > end {
            return Err(LogError::Gone {
                partition,
                wanted: offset,
                begins,
            });
        }
        if let By::Client = start.by {
            // A reader has said meanwhile where it goes on.
            if self.parts.get(&partition).is_some_and(|part| part.expected.is_some()) {
                return Ok(());
            }
        } else {
            let epoch = self.member.notes.epochs.begin(partition);
            self.outbox.retain(|parcel| of(parcel) != Some(partition));
            if let Some(part) = self.parts.get_mut(&partition) {
                (part.epoch, part.expected) = (epoch, None);
            }
        }
        let (topic, number) = (&self.member.topic, i32::try_from(partition).unwrap_or(i32::MAX));
        place(&self.member.consumer, topic, number, offset).map_err(|error| away("begin reading a partition", &error))?;
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

pub(super) fn not_ours(partition: u32) -> LogError {
    LogError::Unavailable(format!("partition {partition} is not ours any more"))
}

fn away(doing: &str, error: &KafkaError) -> LogError {
    LogError::Unavailable(format!("cannot {doing}: {error}"))
}

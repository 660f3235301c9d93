//! The reader's side of a group membership: takes what the member's thread sends, and lets nothing void through.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use rdkafka::config::FromClientConfigAndContext as _;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::{mpsc, oneshot};

use super::member::{Asking, Command, Member, Parcel, not_ours};
use super::reader::Reader;
use super::rebalance::{Ear, Notes};
use super::settings::{self, GroupProtocol, KafkaOptions};
use super::topic::unusable;
use crate::log::{Delivery, LogError, Mark, Marking, Subscription};

/// Deliveries between the thread and its reader: enough to keep both busy, few enough to be void quickly.
const PARCELS: usize = 16;

/// Longest wait for the answer to a commit.
const COMMIT_WAIT_MAX: Duration = Duration::from_secs(10);

/// Longest wait for leaving a group; without its coordinator the client would take far longer (CO-11).
const LEAVE_WAIT_MAX: Duration = Duration::from_secs(5);

/// One member of a group.
pub(super) struct KafkaSubscription {
    topic: String,
    /// The thread's; it lives until the thread has left the group.
    consumer: Weak<BaseConsumer<Ear>>,
    notes: Arc<Notes>,
    commands: std::sync::mpsc::Sender<Command>,
    parcels: mpsc::Receiver<Parcel>,
    ended: oneshot::Receiver<()>,
    /// Partitions of which the reader knows that it has them.
    told: BTreeMap<u32, u64>,
    paused: BTreeSet<u32>,
    /// Deliveries of paused partitions that were on their way when they were paused.
    held: VecDeque<Parcel>,
}

impl KafkaSubscription {
    /// Joins `group`. Blocks for a moment.
    pub fn join(options: &KafkaOptions, reader: Arc<Reader>, group: &str) -> Result<KafkaSubscription, LogError> {
        let notes = Arc::new(Notes::new(options.partitions));
        let config = settings::member(options, group)?;
        let mut consumer = BaseConsumer::from_config_and_context(&config, Ear(notes.clone())).map_err(|error| unusable(&error))?;
        let bell = notes.clone();
        consumer.set_nonempty_callback(move || bell.wake.ring());
        consumer.subscribe(&[&options.topic]).map_err(|error| unusable(&error))?;
        let (commands, orders) = std::sync::mpsc::channel();
        let (sender, parcels) = mpsc::channel(PARCELS);
        let (over, ended) = oneshot::channel();
        let consumer = Arc::new(consumer);
        let held = Arc::downgrade(&consumer);
        let thread = |error| LogError::Unavailable(format!("cannot start the group member's threads: {error}"));
        let asking = Asking::start(reader, group, notes.clone()).map_err(thread)?;
        let member = Member {
            topic: options.topic.clone(),
            is_static: options.static_member.is_some() && options.group_protocol == GroupProtocol::Classic,
            consumer,
            asking,
            notes: notes.clone(),
            commands: orders,
            parcels: sender,
        };
        std::thread::Builder::new()
            .name(format!("log-{group}"))
            .spawn(move || {
                member.run();
                let _ = over.send(());
            })
            .map_err(thread)?;
        Ok(KafkaSubscription {
            topic: options.topic.clone(),
            consumer: held,
            notes,
            commands,
            parcels,
            ended,
            told: BTreeMap::new(),
            paused: BTreeSet::new(),
            held: VecDeque::new(),
        })
    }

    fn order(&self, command: Command) -> Result<(), LogError> {
        self.commands.send(command).map_err(|_| left())?;
        self.notes.wake.ring();
        Ok(())
    }

    /// A delivery that was held back and is due now.
    fn due(&mut self) -> Option<Parcel> {
        let at = self
            .held
            .iter()
            .position(|parcel| !partition_of(parcel).is_some_and(|partition| self.paused.contains(&partition)))?;
        self.held.remove(at)
    }

    /// What the reader may see of a parcel.
    fn open(&mut self, parcel: Parcel) -> Option<Result<Delivery, LogError>> {
        let delivery = match parcel.delivery {
            Ok(delivery) => delivery,
            Err(error) => return Some(Err(error)),
        };
        match delivery {
            Delivery::Revoked { partition } => {
                self.paused.remove(&partition);
                self.held.retain(|parcel| partition_of(parcel) != Some(partition));
                self.told.remove(&partition).map(|_| Ok(delivery))
            }
            Delivery::Assigned { partition, .. } => {
                let holds = self.notes.epochs.holds(partition, parcel.epoch);
                (holds && self.told.insert(partition, parcel.epoch).is_none()).then_some(Ok(delivery))
            }
            Delivery::Batch { partition, .. } | Delivery::CaughtUp { partition, .. } => {
                if !self.notes.epochs.holds(partition, parcel.epoch) {
                    return None;
                }
                if self.paused.contains(&partition) {
                    self.held.push_back(Parcel {
                        epoch: parcel.epoch,
                        delivery: Ok(delivery),
                    });
                    return None;
                }
                Some(Ok(delivery))
            }
        }
    }
}

#[async_trait]
impl Subscription for KafkaSubscription {
    // Cancel-safe: the only waiting is for the channel, and a parcel that was taken is opened at once.
    async fn next(&mut self) -> Result<Delivery, LogError> {
        loop {
            let parcel = match self.due() {
                Some(parcel) => parcel,
                None => {
                    let parcel = self.parcels.recv().await.ok_or_else(left)?;
                    // There is room again.
                    self.notes.wake.ring();
                    parcel
                }
            };
            if let Some(delivery) = self.open(parcel) {
                return delivery;
            }
        }
    }

    async fn start(&mut self, partition: u32, offset: i64) -> Result<(), LogError> {
        let (done, answer) = oneshot::channel();
        self.order(Command::Start { partition, offset, done })?;
        answer.await.map_err(|_| left())?
    }

    fn pause(&mut self, partition: u32) {
        if self.paused.insert(partition) {
            // A member that has ended has nothing to pause.
            let _ = self.order(Command::Pause(partition));
        }
    }

    fn resume(&mut self, partition: u32) {
        if self.paused.remove(&partition) {
            let _ = self.order(Command::Resume(partition));
        }
    }

    fn mark(&mut self, marks: &[Mark]) -> Marking {
        // Of the assignment that the reader was told of: what it has of an earlier one may be old by now.
        let is_ours = |mark: &Mark| {
            let told = self.told.get(&mark.partition);
            told.is_some_and(|epoch| self.notes.epochs.is_assigned(mark.partition, *epoch))
        };
        let lost = marks.iter().find(|mark| !is_ours(mark)).map(|mark| mark.partition);
        let (consumer, topic, marks) = (self.consumer.upgrade(), self.topic.clone(), marks.to_vec());
        Box::pin(async move {
            if let Some(lost) = lost {
                return Err(not_ours(lost));
            }
            let consumer = consumer.ok_or_else(left)?;
            // Waiting for the answer, on a thread that may: this client's commits without waiting never say how they ended.
            let answer = tokio::task::spawn_blocking(move || {
                let mut list = TopicPartitionList::new();
                for mark in marks {
                    let mut element = list.add_partition(&topic, i32::try_from(mark.partition).unwrap_or(i32::MAX));
                    element.set_offset(Offset::Offset(mark.next))?;
                    if let Some(intent) = &mark.intent {
                        element.set_metadata(intent);
                    }
                }
                consumer.commit(&list, CommitMode::Sync)
            });
            match tokio::time::timeout(COMMIT_WAIT_MAX, answer).await {
                Ok(Ok(Ok(()))) => Ok(()),
                Ok(Ok(Err(error))) => Err(LogError::Unavailable(format!("cannot commit: {error}"))),
                Ok(Err(broken)) => Err(LogError::Unavailable(format!("committing broke off: {broken}"))),
                Err(_) => Err(LogError::Unavailable("the broker did not answer a commit in time".into())),
            }
        })
    }

    async fn close(mut self: Box<Self>) {
        let _ = self.order(Command::Close);
        if tokio::time::timeout(LEAVE_WAIT_MAX, &mut self.ended).await.is_err() {
            tracing::warn!("left a group without the coordinator's answer; its partitions move when the session runs out");
        }
    }
}

impl Drop for KafkaSubscription {
    fn drop(&mut self) {
        let _ = self.order(Command::Close);
    }
}

fn partition_of(parcel: &Parcel) -> Option<u32> {
    match parcel.delivery {
        Ok(Delivery::Batch { partition, .. } | Delivery::CaughtUp { partition, .. }) => Some(partition),
        _ => None,
    }
}

fn left() -> LogError {
    LogError::Unavailable("this member has left its group".into())
}

//! What the group tells a member, noted inside the client's callbacks and acted on outside of them.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientContext, Offset, TopicPartitionList};

use super::voice;

/// Something the group said.
#[derive(Debug)]
pub(super) enum News {
    /// These partitions are ours now.
    Assigned(Vec<u32>),
    /// These are ours no more.
    Revoked(Vec<u32>),
}

/// Wakes the member's thread.
#[derive(Default)]
pub(super) struct Wake {
    rung: Mutex<bool>,
    bell: Condvar,
}

impl Wake {
    /// Rings; cheap when it is ringing already.
    pub fn ring(&self) {
        let mut rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        if !*rung {
            *rung = true;
            self.bell.notify_one();
        }
    }

    /// Sleeps until somebody rings, at most `longest`.
    pub fn wait(&self, longest: Duration) {
        let rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut rung, _) = self
            .bell
            .wait_timeout_while(rung, longest, |rung| !*rung)
            .unwrap_or_else(PoisonError::into_inner);
        *rung = false;
    }
}

/// Which assignment of each partition is in force. Records carry theirs; those of an older one are void (CO-02).
pub(super) struct Epochs {
    current: Vec<AtomicU64>,
    /// The first epoch of the assignment in force; later ones begin with each [`crate::log::Subscription::start`].
    assigned: Vec<AtomicU64>,
    last: AtomicU64,
}

impl Epochs {
    pub fn new(partitions: u32) -> Epochs {
        Epochs {
            current: (0..partitions).map(|_| AtomicU64::new(0)).collect(),
            assigned: (0..partitions).map(|_| AtomicU64::new(0)).collect(),
            last: AtomicU64::new(0),
        }
    }

    /// Begins a new epoch of `partition`; whatever was read before is void.
    pub fn begin(&self, partition: u32) -> u64 {
        let epoch = self.last.fetch_add(1, Ordering::AcqRel) + 1;
        if let Some(current) = self.current.get(partition as usize) {
            current.store(epoch, Ordering::Release);
        }
        epoch
    }

    /// Begins the first epoch of an assignment.
    pub fn assign(&self, partition: u32) -> u64 {
        let epoch = self.begin(partition);
        if let Some(assigned) = self.assigned.get(partition as usize) {
            assigned.store(epoch, Ordering::Release);
        }
        epoch
    }

    /// Ends: nothing of `partition` is valid.
    pub fn end(&self, partition: u32) {
        if let Some(assigned) = self.assigned.get(partition as usize) {
            assigned.store(0, Ordering::Release);
        }
        if let Some(current) = self.current.get(partition as usize) {
            current.store(0, Ordering::Release);
        }
    }

    /// True when `epoch` of `partition` is still in force.
    pub fn holds(&self, partition: u32, epoch: u64) -> bool {
        epoch != 0
            && self
                .current
                .get(partition as usize)
                .is_some_and(|current| current.load(Ordering::Acquire) == epoch)
    }

    /// True when the assignment that began with `epoch` is still in force. Another one after it does not do: in between somebody else may
    /// have had the partition and gone on with it.
    pub fn is_assigned(&self, partition: u32, epoch: u64) -> bool {
        epoch != 0
            && self
                .assigned
                .get(partition as usize)
                .is_some_and(|assigned| assigned.load(Ordering::Acquire) == epoch)
    }
}

/// What callbacks share with the member's thread.
pub(super) struct Notes {
    pub epochs: Epochs,
    pub wake: Wake,
    news: Mutex<VecDeque<News>>,
}

impl Notes {
    pub fn new(partitions: u32) -> Notes {
        Notes {
            epochs: Epochs::new(partitions),
            wake: Wake::default(),
            news: Mutex::default(),
        }
    }

    /// The oldest piece of news.
    pub fn take(&self) -> Option<News> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    fn put(&self, news: News) {
        self.news.lock().unwrap_or_else(PoisonError::into_inner).push_back(news);
        self.wake.ring();
    }
}

/// The member's side of the client's callbacks. They note and assign, and do nothing slow (D13).
pub(super) struct Ear(pub std::sync::Arc<Notes>);

impl ClientContext for Ear {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        voice::say(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        voice::complain(&error, reason);
    }
}

impl ConsumerContext for Ear {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, event: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let partitions = numbers(list);
        if event == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            // Paused until the reader says where it begins, before as well as after, so that nothing is fetched between. At an
            // offset and not at "the end": that one has to be looked up, and the client repeats a look-up whose answer came
            // late, also after a seek, and jumps to where it points.
            let assigned = consumer
                .pause(list)
                .and_then(|()| list.set_all_offsets(Offset::Offset(0)))
                .and_then(|()| consumer.incremental_assign(list))
                .and_then(|()| consumer.pause(list));
            if let Err(error) = assigned {
                tracing::error!(%error, "cannot take the partitions that the group gave us");
            }
            self.0.put(News::Assigned(partitions));
        } else {
            for partition in &partitions {
                self.0.epochs.end(*partition);
            }
            if let Err(error) = consumer.incremental_unassign(list) {
                tracing::error!(%error, "cannot give up the partitions that the group took");
            }
            self.0.put(News::Revoked(partitions));
        }
    }
}

fn numbers(list: &TopicPartitionList) -> Vec<u32> {
    list.elements().iter().map(|element| element.partition().unsigned_abs()).collect()
}

//! Takes and reads the next records while a batch is being written, so that ClickHouse and we need not wait for each other.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::task::yield_now;
use trunkline_stores::log::{Delivery, LogError, LogRecord, Subscription};

use super::batch::bytes_of;
use super::reading::Read;

/// Records read in one go; after that others have their turn: a millisecond or two.
const AT_ONCE: usize = 16;

/// What the subscription said, with its records read.
pub(super) enum Taken {
    Records {
        partition: u32,
        records: Vec<Read>,
        bytes: usize,
    },
    CaughtUp {
        partition: u32,
        next: i64,
    },
    Assigned {
        partition: u32,
        next: Option<i64>,
        intent: Option<String>,
    },
    Revoked {
        partition: u32,
    },
    Lost(LogError),
}

/// Records that are being read.
struct Opened {
    partition: u32,
    coming: std::vec::IntoIter<LogRecord>,
    read: Vec<Read>,
    bytes: usize,
}

/// What was taken ahead, in the order in which it came.
#[derive(Default)]
pub(super) struct Ahead {
    taken: VecDeque<Taken>,
    opened: Option<Opened>,
}

impl Ahead {
    /// Whether to take more: not beyond one batch, and nothing behind news of the group. What is noted for a batch under way holds for the
    /// assignment that the subscription has told of last.
    pub fn has_room(&self, max_records: usize, max_bytes: usize) -> bool {
        let (mut all_records, mut all_bytes) = (0, 0);
        for taken in &self.taken {
            match taken {
                Taken::Records { records, bytes, .. } => {
                    all_records += records.len();
                    all_bytes += bytes;
                }
                Taken::CaughtUp { .. } => {}
                Taken::Assigned { .. } | Taken::Revoked { .. } | Taken::Lost(_) => return false,
            }
        }
        all_records < max_records && all_bytes < max_bytes
    }

    /// Takes a delivery, or reads some records of the last one. Dropped halfway it loses nothing.
    pub async fn step(&mut self, subscription: &mut dyn Subscription, log: &Arc<str>) {
        if self.opened.is_none() {
            let delivery = subscription.next().await;
            self.put(delivery);
        } else {
            self.read_some(log);
            yield_now().await;
        }
    }

    fn put(&mut self, delivery: Result<Delivery, LogError>) {
        let taken = match delivery {
            Ok(Delivery::Batch { partition, records }) => {
                self.opened = Some(Opened {
                    partition,
                    bytes: bytes_of(&records),
                    read: Vec::with_capacity(records.len()),
                    coming: records.into_iter(),
                });
                return;
            }
            Ok(Delivery::CaughtUp { partition, next }) => Taken::CaughtUp { partition, next },
            Ok(Delivery::Assigned { partition, next, intent }) => Taken::Assigned { partition, next, intent },
            Ok(Delivery::Revoked { partition }) => Taken::Revoked { partition },
            Err(error) => Taken::Lost(error),
        };
        self.taken.push_back(taken);
    }

    /// Reads some of what is opened, and closes it when it is read.
    fn read_some(&mut self, log: &Arc<str>) {
        let Some(mut opened) = self.opened.take() else { return };
        opened
            .read
            .extend(opened.coming.by_ref().take(AT_ONCE).map(|record| Read::new(log, record)));
        if opened.coming.len() > 0 {
            self.opened = Some(opened);
            return;
        }
        self.taken.push_back(Taken::Records {
            partition: opened.partition,
            records: opened.read,
            bytes: opened.bytes,
        });
    }

    /// The next delivery: one that was taken ahead, else from the subscription. Dropped halfway it loses nothing.
    pub async fn next(&mut self, subscription: &mut dyn Subscription, log: &Arc<str>) -> Taken {
        loop {
            if let Some(taken) = self.taken.pop_front() {
                return taken;
            }
            self.step(subscription, log).await;
        }
    }

    /// Forgets the records of a partition that is begun anew somewhere else.
    pub fn forget(&mut self, partition: u32) {
        self.opened = self.opened.take().filter(|opened| opened.partition != partition);
        let of_it = |taken: &Taken| match taken {
            Taken::Records { partition: of, .. } | Taken::CaughtUp { partition: of, .. } => *of == partition,
            Taken::Assigned { .. } | Taken::Revoked { .. } | Taken::Lost(_) => false,
        };
        self.taken.retain(|taken| !of_it(taken));
    }

    /// Whether something waits that was taken ahead.
    pub fn is_empty(&self) -> bool {
        self.taken.is_empty() && self.opened.is_none()
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use bytes::Bytes;
    use futures::FutureExt as _;
    use trunkline_core::instant::Millis;
    use trunkline_stores::log::{Mark, Marking, Position};

    use super::*;

    /// Says what it was given, then nothing.
    struct Said(VecDeque<Delivery>);

    #[async_trait]
    impl Subscription for Said {
        async fn next(&mut self) -> Result<Delivery, LogError> {
            match self.0.pop_front() {
                Some(delivery) => Ok(delivery),
                None => std::future::pending().await,
            }
        }

        async fn start(&mut self, _: u32, _: i64) -> Result<(), LogError> {
            Ok(())
        }

        fn pause(&mut self, _: u32) {}

        fn resume(&mut self, _: u32) {}

        fn mark(&mut self, _: &[Mark]) -> Marking {
            Box::pin(std::future::ready(Ok(())))
        }

        async fn close(self: Box<Self>) {}
    }

    fn batch(partition: u32, offsets: std::ops::Range<i64>) -> Delivery {
        let record = |offset| LogRecord {
            position: Position { partition, offset },
            appended_at: Millis(0),
            bytes: Bytes::from_static(b"no record of ours"),
        };
        Delivery::Batch {
            partition,
            records: offsets.map(record).collect(),
        }
    }

    /// Takes as much as there is room for.
    async fn fill(ahead: &mut Ahead, said: &mut Said, max_records: usize) {
        while ahead.has_room(max_records, usize::MAX) && (ahead.opened.is_some() || !said.0.is_empty()) {
            ahead.step(said, &Arc::from("log")).await;
        }
    }

    fn told(taken: &Taken) -> String {
        match taken {
            Taken::Records { partition, records, .. } => {
                let offsets: Vec<i64> = records.iter().map(|read| read.record.position.offset).collect();
                assert!(offsets.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{offsets:?}");
                format!("records {partition}:{}-{}", offsets[0], offsets[offsets.len() - 1])
            }
            Taken::CaughtUp { partition, next } => format!("end {partition}:{next}"),
            Taken::Assigned { partition, .. } => format!("assigned {partition}"),
            Taken::Revoked { partition } => format!("revoked {partition}"),
            Taken::Lost(error) => format!("lost {error}"),
        }
    }

    #[tokio::test]
    async fn what_was_taken_comes_in_order_and_nothing_is_taken_past_news_of_the_group() {
        let end = Delivery::CaughtUp { partition: 0, next: 40 };
        let lost = Delivery::Revoked { partition: 0 };
        let mut said = Said([batch(0, 0..40), end, lost, batch(1, 5..6)].into());
        let (mut ahead, log) = (Ahead::default(), Arc::from("log"));
        fill(&mut ahead, &mut said, 1_000).await;
        assert_eq!(said.0.len(), 1, "what comes after the news waits");
        let mut came = Vec::new();
        for _ in 0..4 {
            came.push(told(&ahead.next(&mut said, &log).await));
        }
        assert_eq!(came, ["records 0:0-39", "end 0:40", "revoked 0", "records 1:5-5"]);
        assert!(ahead.is_empty() && ahead.has_room(1, 1));
    }

    #[tokio::test]
    async fn no_more_is_taken_than_one_batch() {
        let mut said = Said((0..10).map(|n| batch(0, n * 20..(n + 1) * 20)).collect());
        let mut ahead = Ahead::default();
        fill(&mut ahead, &mut said, 50).await;
        assert_eq!((ahead.taken.len(), said.0.len()), (3, 7));
    }

    #[tokio::test]
    async fn a_question_that_is_dropped_loses_nothing() {
        let mut said = Said([batch(0, 0..100)].into());
        let (mut ahead, log) = (Ahead::default(), Arc::from("log"));
        let mut dropped = 0;
        let taken = loop {
            match ahead.next(&mut said, &log).now_or_never() {
                Some(taken) => break taken,
                None => dropped += 1,
            }
        };
        assert!(dropped > 3, "read in pieces");
        assert_eq!(told(&taken), "records 0:0-99");
    }

    #[tokio::test]
    async fn a_partition_that_is_begun_anew_is_forgotten_and_no_other() {
        let mut said = Said([batch(0, 0..3), batch(1, 0..3), Delivery::Revoked { partition: 0 }, batch(0, 9..10)].into());
        let (mut ahead, log) = (Ahead::default(), Arc::from("log"));
        fill(&mut ahead, &mut said, 1_000).await;
        ahead.forget(0);
        let mut came = Vec::new();
        for _ in 0..3 {
            came.push(told(&ahead.next(&mut said, &log).await));
        }
        assert_eq!(came, ["records 1:0-2", "revoked 0", "records 0:9-9"]);
    }
}

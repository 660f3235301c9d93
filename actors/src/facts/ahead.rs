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
    /// Something came that has to be dealt with before anything else is taken.
    is_held_up: bool,
}

impl Ahead {
    /// Whether to take more: not beyond one batch, and nothing behind news of the group. What is noted for a batch under way holds for the
    /// assignment that the subscription has told of last.
    pub fn has_room(&self, max_records: usize, max_bytes: usize) -> bool {
        let (mut records, mut bytes) = (0, 0);
        for taken in &self.taken {
            if let Taken::Records {
                records: some, bytes: of, ..
            } = taken
            {
                records += some.len();
                bytes += of;
            }
        }
        !self.is_held_up && records < max_records && bytes < max_bytes
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
        self.is_held_up |= !matches!(taken, Taken::CaughtUp { .. });
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
                self.is_held_up &= !self.taken.is_empty();
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

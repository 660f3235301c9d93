//! Takes records out of the client's queues, partition by partition, as long as there is room for them.

use std::time::Duration;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;

use super::{By, Part, Work};
use crate::log::kafka::order::accept;
use crate::log::kafka::voice;
use crate::log::{Delivery, LogError, LogRecord};

/// Most records of one delivery: enough to spread the cost of a hand-over, few enough to be done in milliseconds.
const BATCH_RECORDS: usize = 500;

/// Most bytes of one delivery, but for a single larger record.
const BATCH_BYTES: usize = 1024 * 1024;

impl Work {
    /// A record that came by the common queue: in order before everything in the partition's own, which is led out again.
    pub(super) fn misdirected(&mut self, message: &impl Message) {
        let partition = message.partition().unsigned_abs();
        let Some(part) = self.parts.get_mut(&partition) else { return };
        let mut records = Vec::new();
        let accepted = accept(partition, &mut part.expected, message, &mut records);
        self.hand_over(partition, records);
        if let Err(error) = accepted {
            self.tell(0, Err(error));
        }
        self.split_again(partition);
    }

    /// Reads one batch of the next partition that has any; false when there is nothing to read.
    pub(super) fn read(&mut self) -> bool {
        let ready = |part: &Part| !part.paused && part.expected.is_some();
        let later: Vec<u32> = self
            .parts
            .range(self.turn..)
            .filter(|(_, part)| ready(part))
            .map(|(number, _)| *number)
            .collect();
        let earlier: Vec<u32> = self
            .parts
            .range(..self.turn)
            .filter(|(_, part)| ready(part))
            .map(|(number, _)| *number)
            .collect();
        let mut any = false;
        for partition in later.into_iter().chain(earlier) {
            if !self.has_room() {
                return true;
            }
            any |= self.read_partition(partition);
            self.turn = partition + 1;
        }
        any
    }

    fn read_partition(&mut self, partition: u32) -> bool {
        let mut records = Vec::new();
        let (mut bytes, mut polled) = (0, 0);
        while polled < BATCH_RECORDS && bytes < BATCH_BYTES {
            let Some(part) = self.parts.get_mut(&partition) else { break };
            let Some(result) = part.queue.poll(Duration::ZERO) else { break };
            polled += 1;
            let outcome = match result {
                Ok(message) if message.partition().unsigned_abs() == partition => {
                    bytes += message.payload_len();
                    accept(partition, &mut part.expected, &message, &mut records).map_err(Trouble::Hole)
                }
                // The queue was led back into the common one while we looked; what is in it now is anybody's.
                Ok(message) => Err(Trouble::Misdirected(message.detach())),
                Err(error) => Err(Trouble::Client(error)),
            };
            if let Err(trouble) = outcome {
                self.hand_over(partition, std::mem::take(&mut records));
                match trouble {
                    Trouble::Hole(error) => self.tell(0, Err(error)),
                    Trouble::Client(error) => self.trouble(Some(partition), &error),
                    Trouble::Misdirected(message) => self.misdirected(&message),
                }
            }
        }
        self.hand_over(partition, records);
        polled > 0
    }

    pub(super) fn trouble(&mut self, partition: Option<u32>, error: &KafkaError) {
        match error {
            KafkaError::PartitionEOF(number) => {
                let partition = number.unsigned_abs();
                if let Some((epoch, next)) = self.parts.get(&partition).and_then(|part| Some((part.epoch, part.expected?))) {
                    self.tell(epoch, Ok(Delivery::CaughtUp { partition, next }));
                }
            }
            KafkaError::MessageConsumption(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) => {
                let Some((partition, part)) = partition.and_then(|number| Some((number, self.parts.get_mut(&number)?))) else {
                    return;
                };
                if let Some(wanted) = part.expected.take() {
                    self.order(partition, wanted, By::Client);
                }
            }
            other => match voice::verdict(other) {
                Some(verdict) => self.tell(0, Err(verdict)),
                // Brokers that come and go: the client goes on by itself.
                None => tracing::warn!(error = %other, "reading the event log"),
            },
        }
    }

    fn hand_over(&mut self, partition: u32, records: Vec<LogRecord>) {
        if let (false, Some(epoch)) = (records.is_empty(), self.parts.get(&partition).map(|part| part.epoch)) {
            self.tell(epoch, Ok(Delivery::Batch { partition, records }));
        }
    }
}

/// Why a poll gave no record of the partition.
enum Trouble {
    Hole(LogError),
    Client(KafkaError),
    Misdirected(rdkafka::message::OwnedMessage),
}

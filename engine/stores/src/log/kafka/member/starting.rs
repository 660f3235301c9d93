//! Begins a partition, or goes on with it somewhere else: once it is known that the place is there.

use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::{ASK_AGAIN, Work, away, not_ours, of};
use crate::log::LogError;
use crate::log::kafka::order::place;

/// Longest wait until a partition can be begun: a leader is elected within seconds.
const START_WAIT_MAX: Duration = Duration::from_secs(15);

/// A place at which a partition is to go on, if it is there.
pub(super) struct Start {
    pub(super) partition: u32,
    /// The assignment in which it was ordered.
    assigned: u64,
    offset: i64,
    by: By,
    until: Instant,
    /// When it is to be asked where the partition begins and ends; none while that is being asked.
    pub(super) ask_at: Option<Instant>,
}

/// Whose order a start is.
pub(super) enum By {
    /// A reader begins, or moves on: whatever was handed over before is void.
    Reader(oneshot::Sender<Result<(), LogError>>),
    /// The client said that the place is not there. Where it is, the complaint was about an earlier one, and what was handed over is good.
    Client,
}

impl Work {
    pub(super) fn order(&mut self, partition: u32, offset: i64, by: By) {
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
    pub(super) fn begin(&mut self, partition: u32, span: Result<(i64, i64), LogError>) {
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
}

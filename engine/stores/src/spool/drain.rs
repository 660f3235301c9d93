//! Hands what is spooled to the log, in order of arrival per call, as soon as the log takes it.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use tokio::time::{sleep, timeout};

use super::frame::{Frame, Frames};
use super::{Spool, opening};
use crate::log::{AppendError, EventLog};

/// Records handed over at once. Enough to fill the log's batches; so few that a crash repeats little.
const WAVE_RECORDS: usize = 512;

/// And no more bytes than this (and one record more).
const WAVE_BYTES: usize = 8 * 1024 * 1024;

/// The log has to answer within this time; both adapters do within four seconds.
const APPEND_WAIT: Duration = Duration::from_secs(8);

/// Pauses between two tries while the log is away: short, because every event until then has to go through the disk.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// A disk that cannot be read is asked again after this.
const READ_AGAIN: Duration = Duration::from_secs(1);

/// Until cancelled.
pub(super) async fn run(log: Arc<dyn EventLog>, spool: Arc<Spool>) {
    loop {
        let piece = spool.books().piece();
        let Some(piece) = piece else {
            // Nothing is left that a try could be made with: the next event tries the log itself.
            if spool.books().records() == 0 {
                spool.set_away(false);
            }
            spool.more.notified().await;
            continue;
        };
        let stored = match spool.disk.piece(piece.number, piece.from, piece.to).await {
            Ok(stored) => stored,
            Err(error) => {
                tracing::error!(%error, segment = piece.number, "cannot read the spool; trying again");
                sleep(READ_AGAIN).await;
                continue;
            }
        };
        let mut frames = Frames::new(stored, 0, piece.mark);
        let mut next = frames.next();
        while next.is_some() {
            let (wave, end) = wave(&mut next, &mut frames);
            spool.books().oldest = wave.first().map(|frame| frame.at);
            hand_over(&*log, &spool, wave).await;
            let gone = spool.change(|books| books.drained(piece.number, piece.from + end));
            spool.delete(gone);
        }
        opening::report(piece.number, &frames);
        // Whatever is no frame at the end of a piece is damage as well; nothing more can be made of it.
        let gone = spool.change(|books| books.drained(piece.number, piece.to));
        spool.delete(gone);
    }
}

/// The next records that may be under way together: of each call only one, so that a call's records arrive in their order. Also
/// where the last of them ends.
fn wave(next: &mut Option<Frame>, frames: &mut Frames) -> (Vec<Frame>, u64) {
    let mut wave: Vec<Frame> = Vec::new();
    let (mut calls, mut bytes, mut end) = (HashSet::new(), 0, 0);
    while wave.len() < WAVE_RECORDS
        && bytes < WAVE_BYTES
        && let Some(frame) = next.take_if(|frame| calls.insert(frame.key.clone()))
    {
        bytes += frame.record.len();
        end = frames.end();
        wave.push(frame);
        *next = frames.next();
    }
    (wave, end)
}

/// Returns when all of `wave` is in the log.
async fn hand_over(log: &dyn EventLog, spool: &Spool, mut wave: Vec<Frame>) {
    let mut pause = PAUSE_MIN;
    while !wave.is_empty() {
        // While the log is away one record is enough to find out; more would only be there twice if it was merely slow.
        let tried = if spool.is_away() { 1 } else { wave.len() };
        let appends = wave[..tried]
            .iter()
            .map(|frame| timeout(APPEND_WAIT, log.append(&frame.key, frame.record.clone())));
        let outcomes = join_all(appends).await;
        let mut outcomes = outcomes.into_iter();
        let mut failed = false;
        wave.retain(|frame| {
            let settled = match outcomes.next() {
                Some(Ok(Ok(_))) => true,
                Some(Ok(Err(error @ AppendError::TooLarge { .. }))) => set_apart(spool, frame, &error),
                Some(_) => {
                    failed = true;
                    false
                }
                None => false,
            };
            if settled {
                spool.change(|books| books.handed_over(&frame.key));
            }
            !settled
        });
        spool.set_away(failed);
        if failed {
            sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        } else {
            metrics::counter!("trunkline_spool_drained_total").increment(tried as u64);
            pause = PAUSE_MIN;
        }
    }
}

/// A record that the log refuses for good would hold up all others for ever: it is kept in a file of its own. True when it is.
fn set_apart(spool: &Spool, frame: &Frame, error: &AppendError) -> bool {
    metrics::counter!("trunkline_spool_refused_total").increment(1);
    let name = format!("refused-{}-{:08x}.record", frame.at.0, crc32fast::hash(&frame.record));
    match spool.disk.set_apart(&name, &frame.record) {
        Ok(()) => {
            tracing::error!(%error, "the event log refuses a spooled record for good; it is kept in a file beside the spool");
            true
        }
        Err(failed) => {
            tracing::error!(%error, %failed, "the event log refuses a spooled record for good, and it cannot be set apart; trying again");
            false
        }
    }
}

//! Hands what is spooled to the log, in order of arrival per call, as soon as the log takes it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use tokio::time::{sleep, timeout};

use super::frame::{Frame, Frames};
use super::{Spool, opening};
use crate::log::{AppendError, EventLog};

/// Records handed over at once. Enough to fill the log's batches; so few that a crash repeats little.
const WAVE_RECORDS: usize = 512;

/// And no more bytes than this (and one record more).
const WAVE_BYTES: usize = 8 * 1024 * 1024;

/// The log has to answer within this time for each record; both adapters do within four seconds.
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

/// The next records that are handed over together. Also where the last of them ends.
fn wave(next: &mut Option<Frame>, frames: &mut Frames) -> (Vec<Frame>, u64) {
    let mut wave: Vec<Frame> = Vec::new();
    let (mut bytes, mut end) = (0, 0);
    while wave.len() < WAVE_RECORDS
        && bytes < WAVE_BYTES
        && let Some(frame) = next.take()
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
        let lanes = by_call(&wave[..tried]);
        let handed = join_all(lanes.iter().map(|lane| in_order(log, spool, lane))).await;
        spool.set_away(handed.iter().any(|handed| handed.is_away));
        let settled: usize = handed.iter().map(|handed| handed.settled).sum();
        let of_call = lanes
            .iter()
            .zip(&handed)
            .map(|(lane, handed)| (lane[0].key.clone(), handed.settled));
        let mut of_call: HashMap<String, usize> = of_call.collect();
        wave.retain(|frame| {
            let left = of_call.get_mut(&frame.key).filter(|left| **left > 0);
            left.map(|left| *left -= 1).is_none()
        });
        metrics::counter!("trunkline_spool_drained_total").increment(settled as u64);
        if settled < tried {
            sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        } else {
            pause = PAUSE_MIN;
        }
    }
}

/// The records of each call, in their order; calls as they first appear.
fn by_call(wave: &[Frame]) -> Vec<Vec<&Frame>> {
    let mut lanes: Vec<Vec<&Frame>> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    for frame in wave {
        let place = *places.entry(&frame.key).or_insert(lanes.len());
        if place == lanes.len() {
            lanes.push(Vec::new());
        }
        lanes[place].push(frame);
    }
    lanes
}

/// What became of a call's records.
struct Handed {
    /// So many of them, from the first on, need no further try.
    settled: usize,
    /// The log did not take the next one, or did not say so.
    is_away: bool,
}

/// Hands over the records of one call, and ends at the first that has to be tried again: none may overtake it. All are on their way at once where
/// the log keeps their order by itself, and calls go side by side, so a wave is a few large batches of the log's.
async fn in_order(log: &dyn EventLog, spool: &Spool, lane: &[&Frame]) -> Handed {
    let mut settled = 0;
    while settled < lane.len() {
        let (stored, error) = append(log, &lane[settled..]).await;
        for frame in &lane[settled..settled + stored] {
            spool.change(|books| books.handed_over(&frame.key));
        }
        settled += stored;
        match (error, lane.get(settled)) {
            (None, _) => {}
            (Some(error @ AppendError::TooLarge { .. }), Some(frame)) if set_apart(spool, frame, &error) => {
                spool.change(|books| books.handed_over(&frame.key));
                settled += 1;
            }
            (Some(AppendError::TooLarge { .. }), _) => return Handed { settled, is_away: false },
            (Some(_), _) => return Handed { settled, is_away: true },
        }
    }
    Handed { settled, is_away: false }
}

/// One attempt: how many of the records are in the log, and why the next one is not.
async fn append(log: &dyn EventLog, lane: &[&Frame]) -> (usize, Option<AppendError>) {
    let records: Vec<Bytes> = lane.iter().map(|frame| frame.record.clone()).collect();
    let patience = APPEND_WAIT * u32::try_from(records.len()).unwrap_or(u32::MAX);
    let appended = timeout(patience, log.append_in_order(&lane[0].key, &records)).await;
    appended.unwrap_or((0, Some(AppendError::Unknown)))
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

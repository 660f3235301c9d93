//! A node's own copy of the partitions of a compacted topic that it keeps: what it once read, and since then what it writes itself.
//!
//! A node that comes back after a crash has then only to ask the broker for what is newer. That is worth it only if the copy is exact, so it is
//! used and continued under conditions that can be seen:
//!
//! - A record is added only behind the one that is at the end: a gap in the offsets is a record of somebody else, or one whose fate is not known.
//! - It is used only while the partition's leader has the epoch that it had for a record in the copy. Within one epoch a leader only
//!   adds; between two it may have lost its newest records and given their offsets to others.
//! - It is used only if it was continued not long ago: a removal that came meanwhile is told by the broker for a day only.
//!
//! Whatever else is wrong with it (another topic, damage, a full disk), the topic is read instead, and a new copy begins.

mod form;
mod values;

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;

#[cfg(doc)]
use super::topic::REMOVALS_TOLD;

pub(super) use self::form::{Frame, What};
pub(super) use self::values::Values;

/// A copy that was continued longer ago is not used: well below [`REMOVALS_TOLD`], whatever clocks and cleaners do.
const AGE_MAX: Duration = Duration::from_secs(6 * 3600);

/// A file is written anew without what is superseded when it has doubled, and is at least so much longer.
const REPACK_MIN_BYTES: u64 = 1024 * 1024;

/// What was read at the start and nobody asked for is dropped after this time: the group has formed long before, and gave it to others.
const UNASKED_MAX: Duration = Duration::from_secs(60);

/// Writes that may wait for the disk. What finds no room is a gap: the copy ends before it, and nobody waits.
const WAITING: usize = 256;

/// The copies of one topic. Its thread ends with it.
pub(super) struct Mirror {
    files: Arc<Files>,
    notes: SyncSender<(u32, Run)>,
    /// Held as long as this lives: the directory has one owner.
    _lock: File,
}

/// What a copy held when it was looked at.
pub(super) struct Loaded {
    /// What its records come to.
    pub values: Values,
    /// Every record up to this offset is in it, or superseded by one that is.
    pub through: i64,
    /// The epoch of the partition's leader at the last claim in it.
    pub leader_epoch: i32,
}

/// All that the topic holds of a range of offsets, in its stored form.
#[derive(Debug)]
pub(super) struct Run {
    from: i64,
    through: i64,
    encoded: Vec<u8>,
}

impl Run {
    /// Nothing yet, from this offset on.
    pub fn from(from: i64) -> Run {
        Run {
            from,
            through: from - 1,
            encoded: Vec::new(),
        }
    }

    /// Adds the next record that there is.
    pub fn add(&mut self, frame: &Frame) {
        self.through = frame.offset;
        frame.encode(&mut self.encoded);
    }

    /// Whether this offset is the one behind all that is in it.
    pub fn is_next(&self, offset: i64) -> bool {
        offset == self.through + 1
    }
}

impl Mirror {
    /// The copies of a topic in `directory`, which is made when it is missing; nothing where that cannot be, or another process has it.
    pub fn open(directory: &Path, topic: &str, identity: &str, partitions: u32) -> Option<Mirror> {
        let files = Arc::new(Files {
            directory: directory.join(topic),
            identity: identity.to_owned(),
            slots: (0..partitions).map(|_| Mutex::default()).collect(),
        });
        let (notes, noted) = sync_channel(WAITING);
        let opened = files.lock().and_then(|lock| {
            let files = Arc::clone(&files);
            std::thread::Builder::new()
                .name("mirror".to_owned())
                .spawn(move || files.work(&noted))?;
            Ok(lock)
        });
        let lock = opened.inspect_err(|error| {
            tracing::warn!(%error, topic, "no copy of the checkpoints is kept on this node's disk; after a crash it reads them from Kafka");
        });
        Some(Mirror {
            files,
            notes,
            _lock: lock.ok()?,
        })
    }

    /// What a copy holds, if there is one that may be used; it goes on behind that. Blocks.
    pub fn load(&self, partition: u32) -> Option<Loaded> {
        let mut slot = self.files.slot(partition)?;
        let (open, loaded) = match std::mem::take(&mut *slot) {
            Slot::Loaded(found) => *found,
            Slot::Closed | Slot::Open(_) => self.files.find(partition)?,
        };
        *slot = Slot::Open(open);
        Some(loaded)
    }

    /// Adds nothing more to a copy that may not be used.
    pub fn leave(&self, partition: u32) {
        if let Some(mut slot) = self.files.slot(partition) {
            *slot = Slot::Closed;
        }
    }

    /// Begins a copy anew with all that the topic holds up to the end of `run`. Blocks.
    pub fn replace(&self, partition: u32, run: &Run) {
        let Some(mut slot) = self.files.slot(partition) else { return };
        *slot = Slot::Closed;
        match self.files.write(partition, &run.encoded, run.through) {
            Ok(open) => *slot = Slot::Open(open),
            Err(error) => self.files.give_up(partition, &error),
        }
    }

    /// Adds what was read behind the end. Blocks.
    pub fn extend(&self, partition: u32, run: Run) {
        self.files.extend(partition, run);
    }

    /// Adds what was written, soon; never waits.
    pub fn note(&self, partition: u32, run: Run) {
        // Where there is no room, the next one finds a gap.
        let _ = self.notes.try_send((partition, run));
    }
}

struct Files {
    directory: PathBuf,
    identity: String,
    /// By partition.
    slots: Vec<Mutex<Slot>>,
}

#[derive(Default)]
enum Slot {
    /// There is no copy that goes on.
    #[default]
    Closed,
    /// Read before anybody asked.
    Loaded(Box<(Open, Loaded)>),
    /// A copy that goes on.
    Open(Open),
}

struct Open {
    file: File,
    bytes: u64,
    /// Bytes when it was written anew the last time.
    packed: u64,
    through: i64,
}

impl Files {
    /// Makes the directory and takes it for this process.
    fn lock(&self) -> io::Result<File> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.directory)?;
        let lock = writable().create(true).open(self.directory.join("lock"))?;
        lock.try_lock()?;
        Ok(lock)
    }

    fn slot(&self, partition: u32) -> Option<MutexGuard<'_, Slot>> {
        let slot = self.slots.get(partition as usize)?;
        Some(slot.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The thread: reads what is there while the group still forms, then writes what is noted, until nobody notes anything any more.
    fn work(&self, noted: &Receiver<(u32, Run)>) {
        let partitions = 0..self.slots.len() as u32;
        for partition in partitions.clone() {
            if let Some(mut slot) = self.slot(partition)
                && matches!(*slot, Slot::Closed)
                && let Some(found) = self.find(partition)
            {
                *slot = Slot::Loaded(Box::new(found));
            }
        }
        let mut until = Some(Instant::now() + UNASKED_MAX);
        loop {
            let wait = until.map_or(Duration::MAX, |until| until.saturating_duration_since(Instant::now()));
            match noted.recv_timeout(wait) {
                Ok((partition, run)) => self.extend(partition, run),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if until.take_if(|until| Instant::now() >= *until).is_some() {
                for mut slot in partitions.clone().filter_map(|partition| self.slot(partition)) {
                    if matches!(*slot, Slot::Loaded(_)) {
                        *slot = Slot::Closed;
                    }
                }
            }
        }
    }

    /// What is there of a partition and may be used.
    fn find(&self, partition: u32) -> Option<(Open, Loaded)> {
        match self.load(partition) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                self.give_up(partition, &error);
                None
            }
        }
    }

    fn path(&self, partition: u32) -> PathBuf {
        self.directory.join(format!("{partition}.mirror"))
    }

    fn load(&self, partition: u32) -> io::Result<Option<(Open, Loaded)>> {
        let path = self.path(partition);
        let file = writable().read(true).open(&path)?;
        let Some((frames, end)) = form::read(&Bytes::from(fs::read(&path)?), &self.identity) else {
            return Ok(None);
        };
        let leader_epoch = frames.iter().rev().find_map(|frame| match frame.what {
            What::Claim { leader_epoch } => Some(leader_epoch),
            _ => None,
        });
        let continued_at = frames.iter().rev().find_map(|frame| match frame.what {
            What::Through { at } => Some(at),
            _ => None,
        });
        // A broker that tells no epochs cannot tell what it has lost either.
        let (Some(leader_epoch @ 0..), Some(continued_at), Some(last)) = (leader_epoch, continued_at, frames.last()) else {
            return Ok(None);
        };
        if now().saturating_sub(continued_at) > AGE_MAX.as_millis() as i64 {
            return Ok(None);
        }
        let bytes = end as u64;
        if file.metadata()?.len() > bytes {
            // A crash has torn it.
            file.set_len(bytes)?;
        }
        let open = Open {
            file,
            bytes,
            packed: bytes,
            through: last.offset,
        };
        let mut loaded = Loaded {
            values: Values::default(),
            through: last.offset,
            leader_epoch,
        };
        frames.into_iter().for_each(|frame| loaded.values.take(frame));
        Ok(Some((open, loaded)))
    }

    /// Writes a copy anew. Whoever crashes meanwhile finds the one before.
    fn write(&self, partition: u32, encoded: &[u8], through: i64) -> io::Result<Open> {
        let (path, beside) = (self.path(partition), self.directory.join(format!("{partition}.new")));
        let mut file = writable().create(true).truncate(true).open(&beside)?;
        let mut stored = form::head(&self.identity);
        stored.extend_from_slice(encoded);
        through_now(through).encode(&mut stored);
        file.write_all(&stored)?;
        fs::rename(&beside, &path)?;
        let bytes = stored.len() as u64;
        Ok(Open {
            file,
            bytes,
            packed: bytes,
            through,
        })
    }

    /// Adds a run, unless it is in it already; where something is missing before it, the copy ends.
    fn extend(&self, partition: u32, run: Run) {
        let Some(mut slot) = self.slot(partition) else { return };
        let Slot::Open(open) = &mut *slot else { return };
        if run.through <= open.through {
            return;
        }
        if run.from != open.through + 1 {
            tracing::debug!(
                log.partition = partition,
                "the copy of the checkpoints on this node's disk ends at a gap"
            );
            *slot = Slot::Closed;
            return;
        }
        if let Err(error) = self.add(partition, open, run) {
            *slot = Slot::Closed;
            self.give_up(partition, &error);
        }
    }

    fn add(&self, partition: u32, open: &mut Open, mut run: Run) -> io::Result<()> {
        through_now(run.through).encode(&mut run.encoded);
        open.file.write_all_at(&run.encoded, open.bytes)?;
        open.bytes += run.encoded.len() as u64;
        open.through = run.through;
        if open.bytes > open.packed.saturating_mul(2).saturating_add(REPACK_MIN_BYTES) {
            let stored = Bytes::from(fs::read(self.path(partition))?);
            let read = form::read(&stored, &self.identity);
            // Behind damage there may be what counts.
            let (frames, _) = read
                .filter(|(_, end)| *end as u64 == open.bytes)
                .ok_or(io::ErrorKind::InvalidData)?;
            *open = self.write(partition, &packed(&frames), open.through)?;
        }
        Ok(())
    }

    /// No copy is better than half of one.
    fn give_up(&self, partition: u32, error: &io::Error) {
        tracing::warn!(
            log.partition = partition,
            %error,
            "the copy of the checkpoints on this node's disk is given up; after a crash they are read from Kafka"
        );
        // Where even that fails, what is left is exact up to where it ends.
        let _ = fs::remove_file(self.path(partition));
    }
}

/// The frames that still count, with the claims that tell which of them are late.
fn packed(frames: &[Frame]) -> Vec<u8> {
    let newest: HashMap<&Bytes, i64> = frames.iter().filter_map(|frame| Some((frame.what.key()?, frame.offset))).collect();
    let (mut out, mut claim) = (Vec::new(), None);
    for frame in frames {
        match &frame.what {
            What::Claim { .. } => claim = Some(frame),
            What::Value { key, .. } if newest.get(key) == Some(&frame.offset) => {
                claim.take().iter().for_each(|claim| claim.encode(&mut out));
                frame.encode(&mut out);
            }
            What::Value { .. } | What::Removed { .. } | What::Through { .. } => {}
        }
    }
    claim.iter().for_each(|claim| claim.encode(&mut out));
    out
}

fn through_now(through: i64) -> Frame {
    Frame {
        offset: through,
        what: What::Through { at: now() },
    }
}

/// The wall clock in milliseconds: the age of a file outlives the process.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// For this user alone: there are phone numbers in it.
fn writable() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).mode(0o600);
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDENTITY: &str = "kafka:cluster:topic";

    pub(super) fn value(offset: i64, epoch: i64, key: &str, value: &str) -> Frame {
        Frame {
            offset,
            what: What::Value {
                epoch,
                key: Bytes::copy_from_slice(key.as_bytes()),
                value: Bytes::copy_from_slice(value.as_bytes()),
            },
        }
    }

    pub(super) fn removed(offset: i64, epoch: i64, key: &str) -> Frame {
        Frame {
            offset,
            what: What::Removed {
                epoch,
                key: Bytes::copy_from_slice(key.as_bytes()),
            },
        }
    }

    pub(super) fn claim(offset: i64, leader_epoch: i32) -> Frame {
        Frame {
            offset,
            what: What::Claim { leader_epoch },
        }
    }

    fn mirror(directory: &Path) -> Mirror {
        Mirror::open(directory, "t", IDENTITY, 2).unwrap()
    }

    fn run(frames: &[Frame]) -> Run {
        let mut run = Run::from(frames[0].offset);
        frames.iter().for_each(|frame| run.add(frame));
        run
    }

    /// A copy with a claim and two values.
    fn begun(mirror: &Mirror) -> Vec<Frame> {
        let frames = vec![value(1, 0, "a", "1"), value(3, 0, "b", "1"), claim(7, 4)];
        mirror.replace(1, &run(&frames));
        frames
    }

    /// The records of a copy, and how far it goes.
    fn loaded(mirror: &Mirror) -> (Vec<Frame>, i64) {
        let loaded = mirror.load(1).unwrap();
        assert_eq!(loaded.leader_epoch, 4);
        let stored = Bytes::from(fs::read(mirror.files.path(1)).unwrap());
        let (mut frames, _) = form::read(&stored, IDENTITY).unwrap();
        frames.retain(|frame| !matches!(frame.what, What::Through { .. }));
        let mut values = Values::default();
        frames.iter().cloned().for_each(|frame| values.take(frame));
        assert_eq!(sorted(values), sorted(loaded.values));
        (frames, loaded.through)
    }

    fn sorted(values: Values) -> Vec<(Bytes, Bytes, bool)> {
        let mut sorted: Vec<_> = values
            .kept()
            .into_iter()
            .map(|kept| (kept.key, kept.value.unwrap(), kept.late))
            .collect();
        sorted.sort_unstable();
        sorted
    }

    #[test]
    fn what_is_written_one_behind_the_other_is_there_for_the_next_process() {
        let place = tempfile::tempdir().unwrap();
        let first = mirror(place.path());
        assert!(first.load(1).is_none());
        let mut frames = begun(&first);
        let more = [value(8, 7, "a", "2"), removed(9, 7, "b")];
        first.extend(1, run(&more));
        frames.extend(more);
        assert!(Mirror::open(place.path(), "t", IDENTITY, 2).is_none(), "it has one owner");
        drop(first);
        let second = mirror(place.path());
        assert_eq!(loaded(&second), (frames.clone(), 9));
        let last = value(10, 7, "c", "1");
        second.extend(1, run(std::slice::from_ref(&last)));
        frames.push(last);
        assert_eq!(loaded(&second), (frames, 10));
        assert!(second.load(0).is_none() && second.load(2).is_none());
    }

    #[test]
    fn a_copy_ends_at_a_gap_and_takes_nothing_twice() {
        let place = tempfile::tempdir().unwrap();
        let mirror = mirror(place.path());
        let mut frames = begun(&mirror);
        mirror.extend(1, run(&[value(8, 7, "a", "2")]));
        frames.push(value(8, 7, "a", "2"));
        mirror.extend(1, run(&[value(8, 7, "a", "2")]));
        mirror.extend(1, run(&[value(10, 7, "a", "4")]));
        // It would follow, had it not ended.
        mirror.extend(1, run(&[value(9, 7, "a", "3")]));
        assert_eq!(loaded(&mirror), (frames, 8));
    }

    #[test]
    fn a_torn_end_is_cut_off_and_gone_on_behind() {
        let place = tempfile::tempdir().unwrap();
        let mirror = mirror(place.path());
        let mut frames = begun(&mirror);
        mirror.extend(1, run(&[value(8, 7, "a", "2"), value(9, 7, "a", "3")]));
        let path = mirror.files.path(1);
        let whole = fs::read(&path).unwrap();
        // The mark of the time is 25 bytes long, and the last byte in front of it is a value's.
        fs::write(&path, &whole[..whole.len() - 26]).unwrap();
        frames.push(value(8, 7, "a", "2"));
        assert_eq!(loaded(&mirror), (frames.clone(), 8));
        mirror.extend(1, run(&[value(9, 7, "a", "")]));
        frames.push(value(9, 7, "a", ""));
        assert_eq!(loaded(&mirror), (frames, 9));
    }

    #[test]
    fn a_copy_of_another_topic_or_without_the_brokers_epoch_or_from_yesterday_is_not_used() {
        let place = tempfile::tempdir().unwrap();
        let mirror = mirror(place.path());
        let mut stored = form::head(IDENTITY);
        let continued = |ago: Duration| Frame {
            offset: 7,
            what: What::Through {
                at: now() - ago.as_millis() as i64,
            },
        };
        [value(1, 0, "a", "1"), claim(7, 4), continued(AGE_MAX + Duration::from_secs(60))]
            .iter()
            .for_each(|frame| frame.encode(&mut stored));
        fs::write(mirror.files.path(1), &stored).unwrap();
        assert!(mirror.load(1).is_none());
        continued(AGE_MAX - Duration::from_secs(60)).encode(&mut stored);
        fs::write(mirror.files.path(1), &stored).unwrap();
        assert!(mirror.load(1).is_some());
        mirror.replace(1, &run(&[value(1, 0, "a", "1"), claim(7, -1)]));
        assert!(mirror.load(1).is_none());
        begun(&mirror);
        assert!(mirror.load(1).is_some());
        drop(mirror);
        let other = Mirror::open(place.path(), "t", "kafka:cluster:made-again", 2).unwrap();
        assert!(other.load(1).is_none());
    }

    #[test]
    fn a_copy_that_cannot_be_written_is_given_up() {
        let place = tempfile::tempdir().unwrap();
        let mirror = mirror(place.path());
        begun(&mirror);
        *mirror.files.slot(1).unwrap() = Slot::Open(Open {
            file: File::open(mirror.files.path(1)).unwrap(),
            bytes: 0,
            packed: 0,
            through: 7,
        });
        mirror.extend(1, run(&[value(8, 7, "a", "2")]));
        assert!(!mirror.files.path(1).exists());
        assert!(mirror.load(1).is_none());
    }

    #[test]
    fn a_damaged_copy_is_not_packed() {
        let place = tempfile::tempdir().unwrap();
        let mirror = mirror(place.path());
        begun(&mirror);
        let large = "x".repeat(REPACK_MIN_BYTES as usize + 1_000);
        let path = mirror.files.path(1);
        let mut stored = fs::read(&path).unwrap();
        let damaged = stored.len() - 1;
        stored[damaged] ^= 1;
        fs::write(&path, &stored).unwrap();
        mirror.extend(1, run(&[value(8, 7, "a", &large), value(9, 7, "a", "2")]));
        assert!(!path.exists());
        assert!(mirror.load(1).is_none());
    }

    #[test]
    fn what_is_superseded_goes_and_what_is_late_stays_late() {
        let frames = [
            value(0, 0, "a", "1"),
            claim(1, 4),
            value(2, 1, "b", "1"),
            claim(3, 4),
            value(4, 1, "a", "late"),
            removed(5, 3, "b"),
            value(6, 3, "c", "1"),
            claim(7, 4),
            value(8, 7, "c", "2"),
            removed(9, 7, "d"),
        ];
        let place = tempfile::tempdir().unwrap();
        let mirror = mirror(place.path());
        *mirror.files.slot(1).unwrap() = Slot::Open(mirror.files.write(1, &packed(&frames), 9).unwrap());
        let left = vec![claim(3, 4), value(4, 1, "a", "late"), claim(7, 4), value(8, 7, "c", "2")];
        assert_eq!(loaded(&mirror), (left.clone(), 9));
        let (mut all, mut after) = (Values::default(), Values::default());
        frames.into_iter().for_each(|frame| all.take(frame));
        left.into_iter().for_each(|frame| after.take(frame));
        let all = sorted(all);
        assert_eq!(all, sorted(after));
        assert_eq!(all, [("a".into(), "late".into(), true), ("c".into(), "2".into(), false)]);
    }

    #[test]
    fn what_is_there_is_read_before_anybody_asks() {
        let place = tempfile::tempdir().unwrap();
        let first = mirror(place.path());
        begun(&first);
        drop(first);
        let second = mirror(place.path());
        let begun = Instant::now();
        while !matches!(*second.files.slot(1).unwrap(), Slot::Loaded(_)) {
            assert!(begun.elapsed() < Duration::from_secs(30));
            std::thread::sleep(Duration::from_millis(1));
        }
        fs::remove_file(second.files.path(1)).unwrap();
        let loaded = second.load(1).unwrap();
        assert_eq!((loaded.through, loaded.values.by_key.len()), (7, 2));
    }

    #[test]
    fn a_file_stays_in_proportion_to_what_it_holds() {
        let place = tempfile::tempdir().unwrap();
        let mirror = mirror(place.path());
        begun(&mirror);
        let text = "x".repeat(10_000);
        for offset in 8..2_000 {
            mirror.extend(1, run(&[value(offset, 7, &format!("key {}", offset % 10), &text)]));
            let length = fs::metadata(mirror.files.path(1)).unwrap().len();
            assert!(length < 2 * 110_000 + REPACK_MIN_BYTES + 20_000, "{length} bytes");
        }
        let found = mirror.load(1).unwrap();
        assert_eq!((found.values.by_key.len(), found.through), (12, 1_999));
        drop(mirror);
        assert_eq!(loaded(&super::tests::mirror(place.path())).1, 1_999);
    }
}

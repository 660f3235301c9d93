//! Messages of one topic, written once and shared by all its readers. Lives while somebody reads.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::Instant;
use trunkline_actors::Live;
use trunkline_core::id::TenantId;

use super::Streams;
use super::topic::{Topic, Writer};

/// Messages of one topic are at least this far apart: ten a second are more than an eye follows.
const GATHER: Duration = Duration::from_millis(100);

/// Partitions publish with the pulse, one shortly after the other: what they say within this time goes into one message.
const SETTLE: Duration = Duration::from_millis(20);

/// Boards are written this often without a change as well: ages and windows move with time alone.
const STILL: Duration = Duration::from_secs(1);

/// A channel without readers ends after this long, so that a reconnect finds it.
const LINGER: Duration = Duration::from_secs(10);

/// Catch-ups kept with a frame; readers that lag have mostly missed the same frames.
const CATCH_UPS_MAX: usize = 8;

/// A catch-up is given out again for this long; its `as_of` must not be old.
const CATCH_UP_AGE: Duration = Duration::from_secs(1);

/// What changed since a state, for all readers that have that one.
struct CatchUp {
    since: u64,
    written: Instant,
    message: Bytes,
}

/// The newest state of a topic.
pub struct Frame {
    /// The state this frame's delta goes on from.
    pub from: u64,
    /// The state it leads to.
    pub version: u64,
    /// What changed.
    pub delta: Option<Bytes>,
    /// What changed since other states, written when a reader needs it; since 0 is everything.
    catch_ups: Mutex<Vec<CatchUp>>,
    source: Arc<Writer>,
}

impl Frame {
    fn new(from: u64, version: u64, delta: Option<Bytes>, source: Arc<Writer>) -> Arc<Frame> {
        Arc::new(Frame {
            from,
            version,
            delta,
            catch_ups: Mutex::default(),
            source,
        })
    }

    /// Everything, for a new reader.
    pub fn snapshot(&self) -> Bytes {
        self.since(0)
    }

    /// What changed since `version`. It may lead beyond the frame's own state: what comes again later is the same state.
    pub fn since(&self, version: u64) -> Bytes {
        let mut kept = self.catch_ups.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|held| held.written.elapsed() < CATCH_UP_AGE);
        if let Some(held) = kept.iter().find(|held| held.since == version) {
            return held.message.clone();
        }
        let message = self.source.since(version).1;
        if kept.len() < CATCH_UPS_MAX {
            kept.push(CatchUp {
                since: version,
                written: Instant::now(),
                message: message.clone(),
            });
        }
        message
    }
}

/// One topic of one tenant.
pub struct Channel {
    newest: watch::Sender<Arc<Frame>>,
}

impl Streams {
    /// Follows a topic; the first reader starts its channel.
    pub fn follow(self: &Arc<Self>, tenant: TenantId, topic: &Topic, live: &Live) -> watch::Receiver<Arc<Frame>> {
        let key = (tenant, topic.clone());
        if let Some(channel) = self.channels.get(&key) {
            return channel.newest.subscribe();
        }
        // Subscribed while the entry is held: a channel cannot end between being found and being followed.
        let entry = self.channels.entry(key).or_insert_with(|| {
            let source = Arc::new(Writer::new(tenant, topic.clone(), live.clone(), self.epoch));
            let channel = Channel::start(source, live.version(tenant));
            self.runtime
                .spawn(keep(self.clone(), tenant, topic.clone(), live.clone(), channel.clone()));
            channel
        });
        entry.newest.subscribe()
    }

    /// The version of `Last-Event-ID`, if this process gave it out.
    pub fn known(&self, last: &str) -> Option<u64> {
        let (epoch, version) = last.split_once('-')?;
        (u32::from_str_radix(epoch, 16).ok()? == self.epoch)
            .then(|| version.parse().ok())
            .flatten()
    }
}

impl Channel {
    fn start(source: Arc<Writer>, version: u64) -> Arc<Channel> {
        Arc::new(Channel {
            newest: watch::Sender::new(Frame::new(0, version, None, source)),
        })
    }
}

/// Writes a frame after each change, until nobody reads for a while.
async fn keep(streams: Arc<Streams>, tenant: TenantId, topic: Topic, live: Live, channel: Arc<Channel>) {
    let mut writer = Writer::new(tenant, topic.clone(), live.clone(), streams.epoch);
    let source = Arc::new(Writer::new(tenant, topic.clone(), live.clone(), streams.epoch));
    // A board is made once a pulse at most: a change that came too early for the last one is shown by the next.
    let mut late = false;
    let mut written = Instant::now();
    let mut changed = live.changed(tenant);
    let mut idle_since: Option<Instant> = None;
    loop {
        // The sender lives in the engine; when that is gone, time still passes here.
        match tokio::time::timeout(if late { GATHER } else { STILL }, changed.changed()).await {
            Ok(Ok(())) => tokio::time::sleep_until((written + GATHER).max(Instant::now() + SETTLE)).await,
            Ok(Err(_)) => tokio::time::sleep(STILL).await,
            Err(_) => {}
        }
        if channel.newest.receiver_count() == 0 {
            let since = *idle_since.get_or_insert_with(Instant::now);
            let gone = since.elapsed() >= LINGER
                && streams
                    .channels
                    .remove_if(&(tenant, topic.clone()), |_, held| held.newest.receiver_count() == 0)
                    .is_some();
            if gone {
                return;
            }
            continue;
        }
        idle_since = None;
        changed.mark_unchanged();
        written = Instant::now();
        let from = channel.newest.borrow().version;
        if let Some(message) = writer.step(from) {
            let frame = Frame::new(from, message.version, message.delta, source.clone());
            channel.newest.send_replace(frame);
            late = false;
        } else {
            late = matches!(topic, Topic::Board(_)) && live.version(tenant) != from;
        }
    }
}

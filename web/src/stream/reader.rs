//! One open stream: takes the newest frame of each topic when its socket has room, and ends when it must.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use futures::future::select_all;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::Instant;
use trunkline_core::id::TenantId;
use trunkline_core::instant::Millis;

use super::Place;
use super::channel::Frame;
use super::topic::{Topic, message};
use crate::identity::Caller;
use crate::state::AppState;

/// A sign of life when nothing changes: screens call themselves delayed after five seconds of silence (LV-04), and only what is
/// written shows that a reader is gone.
const BEAT: Duration = Duration::from_secs(2);

/// Browsers come back after this many ms, spread so that they do not come all at once (LV-07).
const RETRY_MS: std::ops::Range<u32> = 500..4_000;

/// One topic as this reader has it.
struct Following {
    frames: watch::Receiver<Arc<Frame>>,
    /// The last frame the reader got.
    last: Arc<Frame>,
}

/// One open stream.
pub struct Reader {
    state: AppState,
    caller: Caller,
    following: Vec<Following>,
    waiting: VecDeque<Bytes>,
    /// Whether the credential still holds.
    holds: watch::Receiver<bool>,
    /// The last word was said.
    ended: bool,
    beaten: Instant,
    pulse: Millis,
    _place: Place,
}

impl Reader {
    /// Begins with a snapshot of each topic, or, after a reconnect, with what was missed where that is known.
    pub(super) fn new(state: AppState, caller: Caller, topics: Vec<Topic>, last: Option<String>, place: Place) -> Reader {
        let tenant: TenantId = caller.tenant;
        let known = last.and_then(|last| state.streams.known(&last));
        let mut waiting = VecDeque::from([Bytes::from(format!("retry: {}\n\n", rand::random_range(RETRY_MS)))]);
        let following = topics
            .into_iter()
            .map(|topic| {
                let mut frames = state.streams.follow(tenant, &topic, &state.live);
                let frame = frames.borrow_and_update().clone();
                match (known, &topic) {
                    (Some(since), Topic::Calls { .. }) => waiting.push_back(frame.since(since)),
                    _ => waiting.push_back(frame.snapshot()),
                }
                Following { last: frame, frames }
            })
            .collect();
        let now = Instant::now();
        let pulse = state.live.now();
        let holds = state.streams.watch(&caller, &state);
        Reader {
            state,
            caller,
            following,
            waiting,
            holds,
            ended: false,
            beaten: now,
            pulse,
            _place: place,
        }
    }

    /// The body of the response. Nothing is prepared ahead: what is not yet asked for is not held.
    pub fn messages(self) -> impl Stream<Item = Result<Bytes, actix_web::Error>> {
        futures::stream::unfold(self, |mut reader| async move {
            let message = reader.next().await?;
            Some((Ok(message), reader))
        })
    }

    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if !*self.holds.borrow() {
                // A screen that only lost its stream would show on what its reader may not see any more, and wait for it to come back.
                let last = (!self.ended).then(|| message("end", None, &json!({ "as_of": self.state.live.now(), "why": "access" })));
                self.ended = true;
                return last;
            }
            if let Some(message) = self.waiting.pop_front() {
                self.beaten = Instant::now();
                return Some(message);
            }
            self.collect();
            if !self.waiting.is_empty() {
                continue;
            }
            let closing = self.state.lifecycle.closing();
            let changed = select_all(self.following.iter_mut().map(|following| Box::pin(following.frames.changed())));
            tokio::select! {
                () = closing => return None,
                (change, _, _) = changed => if change.is_err() { return None },
                () = tokio::time::sleep_until(self.beaten + BEAT) => {}
                looked = self.holds.changed() => if looked.is_err() { return None },
            }
            if self.beaten.elapsed() >= BEAT {
                self.beat();
            }
        }
    }

    /// Takes the newest frame of each topic that has one; a reader that missed some gets what they changed in one.
    fn collect(&mut self) {
        for following in &mut self.following {
            let frame = following.frames.borrow_and_update().clone();
            // Waiting has marked it as seen already, so the frame itself tells whether it is new.
            if Arc::ptr_eq(&frame, &following.last) {
                continue;
            }
            let message = match &frame.delta {
                Some(delta) if frame.from == following.last.version => delta.clone(),
                _ => frame.since(following.last.version),
            };
            following.last = frame;
            self.waiting.push_back(message);
        }
    }

    /// A sign of life of the engine, not of this task: without a new pulse there is only a comment, which shows a dead reader.
    fn beat(&mut self) {
        self.beaten = Instant::now();
        let now = self.state.live.now();
        if now == self.pulse {
            self.waiting.push_back(Bytes::from_static(b": \n\n"));
            return;
        }
        self.pulse = now;
        let body = json!({ "as_of": now, "completeness": self.state.live.completeness(self.caller.tenant) });
        self.waiting.push_back(message("beat", None, &body));
    }
}

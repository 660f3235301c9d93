//! What a stream can be about, and how its messages are written.

use bytes::Bytes;
use serde::Serialize;
use serde_json::json;
use trunkline_actors::{BoardScope, CallScope, Live};
use trunkline_core::access::{Permission, Sight};
use trunkline_core::facts::Item;
use trunkline_core::id::{CallKey, Kind, TenantId};
use trunkline_core::instant::Millis;

use crate::api::form::{CallDetail, turns};
use crate::api::query::calls_of;
use crate::error::Problem;
use crate::identity::Caller;
use crate::pages::detail::runs;
use crate::pages::row::{LiveRow, Prices};
use crate::state::AppState;

/// How often the prices behind estimated costs are looked up anew: they move with every ended call, and nobody sees that.
const PRICES_MS: i64 = 10_000;

/// What is followed, within one tenant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Topic {
    /// A wallboard.
    Board(BoardScope),
    /// Calls in progress.
    Calls {
        /// Which.
        scope: CallScope,
        /// Of which ones the last words may be shown.
        words: Sight,
    },
    /// One call with its transcript.
    Call {
        /// Which.
        key: CallKey,
        /// Whose calls may be read.
        calls: Sight,
        /// Of which ones numbers may be shown in full.
        numbers: Sight,
    },
}

impl Topic {
    /// Reads a name of `topics=`.
    pub fn read(name: &str, caller: &Caller, scope: &BoardScope) -> Result<Topic, Problem> {
        let key = |kind, id: &str| {
            let key = CallKey {
                tenant: caller.tenant,
                kind,
                id: id.into(),
            };
            Ok(Topic::Call {
                key,
                calls: caller.sight(Permission::Calls)?,
                numbers: caller.access.sight(Permission::Numbers),
            })
        };
        match name.split_once(':') {
            Some((_, id)) if id.len() > trunkline_core::limit::ID_BYTES || id.chars().any(char::is_control) => Err(Problem::not_found()),
            None if name == "board" => Ok(Topic::Board(scope.clone())),
            None if name == "calls" => Ok(Topic::Calls {
                scope: calls_of(scope, false),
                words: caller.access.sight(Permission::Calls),
            }),
            Some(("call", id)) if !id.is_empty() => key(Kind::Call, id),
            Some(("chat", id)) if !id.is_empty() => key(Kind::Chat, id),
            _ => Err(Problem::field(
                "topics",
                "unknown_value",
                format!("There is no topic {name}; there are board, calls, call:<id>, chat:<id>."),
            )),
        }
    }

    /// Refuses a call in memory that the reader may not see: for them it does not exist (S-010).
    pub fn check(&self, state: &AppState) -> Result<(), Problem> {
        match self {
            Topic::Call { key, calls, .. } if state.live.call(key, &Sight::All).is_some() && state.live.call(key, calls).is_none() => {
                Err(Problem::not_found())
            }
            _ => Ok(()),
        }
    }

    /// Name of its messages.
    pub fn name(&self) -> &'static str {
        match self {
            Topic::Board(_) => "board",
            Topic::Calls { .. } => "calls",
            Topic::Call { .. } => "call",
        }
    }
}

/// What a topic's messages are made from; remembers what the last one said.
pub struct Writer {
    tenant: TenantId,
    topic: Topic,
    live: Live,
    epoch: u32,
    transcript: Vec<Item>,
    last_call: u64,
    last_board: Millis,
    prices: Prices,
    priced_at: Millis,
}

/// One message: what changed since the one before, for readers that have that one.
pub struct Message {
    /// State of the tenant's figures that this message leads to.
    pub version: u64,
    /// The message; `None` when the change is better told by a snapshot.
    pub delta: Option<Bytes>,
}

impl Writer {
    /// For one topic of one tenant.
    pub fn new(tenant: TenantId, topic: Topic, live: Live, epoch: u32) -> Writer {
        let mut writer = Writer {
            tenant,
            topic,
            live,
            epoch,
            transcript: Vec::new(),
            last_call: 0,
            last_board: Millis(0),
            prices: Prices::default(),
            priced_at: Millis(i64::MIN),
        };
        writer.price();
        writer
    }

    /// Looks prices up when they are too old; boards need none.
    fn price(&mut self) {
        let now = self.live.now();
        if !matches!(self.topic, Topic::Board(_)) && now.0.saturating_sub(self.priced_at.0) >= PRICES_MS {
            let sight = match &self.topic {
                Topic::Board(scope) => &scope.sight,
                Topic::Calls { scope, .. } => &scope.sight,
                Topic::Call { calls, .. } => calls,
            };
            self.prices = Prices::of(&self.live.board(self.tenant, &BoardScope::whole(sight.clone())));
            self.priced_at = now;
        }
    }

    /// What changed since `since`; `None` when nothing did.
    pub fn step(&mut self, since: u64) -> Option<Message> {
        self.price();
        match &self.topic {
            Topic::Board(scope) => {
                // An engine whose pulse stands still makes no new board, and so sends no sign of life (LV-04).
                let as_of = self.live.board(self.tenant, scope).as_of;
                if as_of == self.last_board {
                    return None;
                }
                let (version, message) = self.board(scope);
                self.last_board = as_of;
                Some(Message {
                    version,
                    delta: Some(message),
                })
            }
            Topic::Calls { scope, words } => {
                let version = self.live.version(self.tenant);
                if version == since {
                    return None;
                }
                let (version, message) = self.calls(scope, words, since);
                Some(Message {
                    version,
                    delta: Some(message),
                })
            }
            Topic::Call { key, calls, numbers } => {
                let (key, calls, numbers) = (key.clone(), calls.clone(), numbers.clone());
                let (call, items) = self.live.call(&key, &calls)?;
                if call.version == self.last_call {
                    return None;
                }
                // Entries before the first difference are known; a long transcript is not sent again for each word.
                let same = self.transcript.iter().zip(items.iter()).take_while(|(a, b)| a == b).count();
                let (_, message) = self.call(&key, (&calls, &numbers), same);
                self.last_call = call.version;
                self.transcript = items.to_vec();
                Some(Message {
                    version: call.version,
                    delta: Some(message),
                })
            }
        }
    }

    /// What changed since a state that only some readers have; since 0 is everything.
    pub fn since(&self, since: u64) -> (u64, Bytes) {
        match &self.topic {
            Topic::Board(scope) => self.board(scope),
            Topic::Calls { scope, words } => self.calls(scope, words, since),
            Topic::Call { key, calls, numbers } => self.call(key, (calls, numbers), 0),
        }
    }

    fn board(&self, scope: &BoardScope) -> (u64, Bytes) {
        #[derive(Serialize)]
        struct Body<'a> {
            version: u64,
            as_of: i64,
            completeness: trunkline_actors::Completeness,
            board: &'a trunkline_core::metric::Board,
        }
        // Read first: a newer board under an older version does no harm, the reverse would.
        let version = self.live.version(self.tenant);
        let board = self.live.board(self.tenant, scope);
        let body = Body {
            version,
            as_of: board.as_of.0,
            completeness: self.live.completeness(self.tenant),
            board: &board,
        };
        (version, message("board", None, &body))
    }

    fn calls(&self, scope: &CallScope, words: &Sight, since: u64) -> (u64, Bytes) {
        let changes = self.live.changes(self.tenant, scope, since);
        let rows: Vec<LiveRow> = changes.calls.iter().map(|call| LiveRow::seen(call, &self.prices, words)).collect();
        let removed: Vec<_> = changes.gone.iter().map(|key| json!({ "kind": key.kind, "id": key.id })).collect();
        let body = json!({ "version": changes.version, "as_of": self.live.now(), "full": changes.whole, "rows": rows, "removed": removed });
        let id = format!("{:08x}-{}", self.epoch, changes.version);
        (changes.version, message("calls", Some(&id), &body))
    }

    fn call(&self, key: &CallKey, (calls, numbers): (&Sight, &Sight), from: usize) -> (u64, Bytes) {
        let as_of = self.live.now();
        match self.live.call(key, calls) {
            Some((call, items)) => {
                let mut entries = turns(&items);
                entries.drain(..from.min(entries.len()));
                let body = json!({
                    "version": call.version, "as_of": as_of, "gone": false, "from": from,
                    "row": LiveRow::of(&call.facts, &self.prices), "call": CallDetail::seen(&call.facts, call.business, numbers), "turns": entries,
                    "events": runs(&call.facts.events), "records": call.facts.records, "repeats": call.facts.repeats,
                });
                (call.version, message("call", None, &body))
            }
            // Not in memory: over for a while, or not begun.
            None => (
                0,
                message(
                    "call",
                    None,
                    &json!({ "version": 0, "as_of": as_of, "gone": true, "kind": key.kind, "id": key.id }),
                ),
            ),
        }
    }
}

/// One server-sent event. JSON has no line breaks of its own, so one `data:` line holds it.
pub fn message(event: &str, id: Option<&str>, body: &impl Serialize) -> Bytes {
    let mut text = format!("event: {event}\n").into_bytes();
    if let Some(id) = id {
        text.extend_from_slice(format!("id: {id}\n").as_bytes());
    }
    text.extend_from_slice(b"data: ");
    serde_json::to_writer(&mut text, body).expect("plain values always serialise into memory");
    text.extend_from_slice(b"\n\n");
    text.into()
}

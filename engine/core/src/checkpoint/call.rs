//! The stored form of one call and of what its reader knows of it.

use std::sync::Arc;

use uuid::Uuid;

use super::{call_key, seal};
use crate::call::Call;
use crate::event::word;
use crate::facts::{CallState, DIRECTIONS, Direction, STATES};
use crate::id::{CallKey, WorkspaceId};
use crate::instant::Millis;
use crate::metric::PackedContribution;
use crate::wire::{In, Out, place};

/// A call as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredCall<'a> {
    /// Every record of the call below this offset is in it.
    pub as_of: i64,
    /// The workspace it belongs to.
    pub workspace: WorkspaceId,
    /// Latest receipt of any of its records.
    pub heard_at: Millis,
    /// Offsets of all its records, rising.
    pub trail: Vec<i64>,
    /// `None`: it has to be built from its records, because some of them could not be applied.
    pub state: Option<StoredState<'a>>,
}

/// What the records have made of a call.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredState<'a> {
    /// It had ended and left the lists.
    pub idle: bool,
    /// The agent whose business it counts for (rule A13).
    pub owner_agent: Option<Arc<str>>,
    /// `None` while only undocumented events came (rule A10).
    pub standing: Option<Standing>,
    /// What [`Call::encode`] wrote.
    pub call: &'a [u8],
}

/// How a call stands: what lists and figures need without looking into it.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// Registered, ongoing, ended.
    pub state: CallState,
    /// Inbound or outbound.
    pub direction: Direction,
    /// Closed by the reaper, and nothing came since.
    pub presumed_ended: bool,
    /// A bridged transfer has not ended.
    pub open_transfer: bool,
    /// Latest receipt of a documented event.
    pub last_received_at: Millis,
    /// Agent by the merge rules.
    pub agent: Option<Arc<str>>,
    /// What that agent is called.
    pub agent_name: Option<Arc<str>>,
    /// What the call adds to the figures.
    pub contribution: PackedContribution,
}

impl Call {
    /// The call in few bytes, without the text of what was said.
    pub fn encode(&self) -> Box<[u8]> {
        let mut out = Out::default();
        self.write(&mut out);
        out.0.into_boxed_slice()
    }

    /// Reads what [`Call::encode`] wrote of the call `key`; `None` if it is anything else.
    pub fn decode(key: CallKey, bytes: &[u8]) -> Option<Call> {
        let mut from = In(bytes);
        Call::read(key, &mut from).filter(|_| from.is_empty())
    }
}

impl StoredCall<'_> {
    /// Key and value to store.
    pub fn encode(&self, key: &CallKey) -> (Vec<u8>, Vec<u8>) {
        let key = call_key(key);
        let value = seal(&key, |out| self.write(out));
        (key, value)
    }

    fn write(&self, out: &mut Out) {
        out.number(self.as_of);
        out.bytes(self.workspace.0.as_bytes());
        out.moment(self.heard_at);
        let mut before = 0;
        out.list(self.trail.iter(), |out, offset| {
            out.number(offset - before);
            before = *offset;
        });
        out.option(self.state.as_ref(), |out, state| {
            out.flag(state.idle);
            out.option(state.owner_agent.as_deref(), Out::text);
            out.option(state.standing.as_ref(), |out, standing| standing.write(out));
            out.block(state.call);
        });
    }
}

impl<'a> StoredCall<'a> {
    pub(super) fn read(from: &mut In<'a>) -> Option<StoredCall<'a>> {
        let as_of = from.number()?;
        let workspace = WorkspaceId(Uuid::from_bytes(from.bytes()?));
        let heard_at = from.moment()?;
        let mut before = 0i64;
        let trail = from.list(|from| {
            before = before.checked_add(from.number()?)?;
            Some(before)
        })?;
        let state = from.option(|from| {
            Some(StoredState {
                idle: from.flag()?,
                owner_agent: from.option(shared)?,
                standing: from.option(Standing::read)?,
                call: from.block()?,
            })
        })?;
        Some(StoredCall {
            as_of,
            workspace,
            heard_at,
            trail,
            state,
        })
    }
}

impl Standing {
    fn write(&self, out: &mut Out) {
        out.byte(place(&STATES, &self.state));
        out.byte(place(&DIRECTIONS, &self.direction));
        out.flag(self.presumed_ended);
        out.flag(self.open_transfer);
        out.moment(self.last_received_at);
        out.option(self.agent.as_deref(), Out::text);
        out.option(self.agent_name.as_deref(), Out::text);
        out.block(self.contribution.as_bytes());
    }

    fn read(from: &mut In<'_>) -> Option<Standing> {
        Some(Standing {
            state: *STATES.get(usize::from(from.byte()?))?,
            direction: *DIRECTIONS.get(usize::from(from.byte()?))?,
            presumed_ended: from.flag()?,
            open_transfer: from.flag()?,
            last_received_at: from.moment()?,
            agent: from.option(shared)?,
            agent_name: from.option(shared)?,
            contribution: PackedContribution::from_bytes(from.block()?)?,
        })
    }
}

fn shared(from: &mut In<'_>) -> Option<Arc<str>> {
    from.str().map(word::shared)
}

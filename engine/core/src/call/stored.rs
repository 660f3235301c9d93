//! The stored form of a call: everything that may still decide, and of what was said only how much, who spoke last, and by what it is
//! recognised. The text itself is in the records; applying them once more brings it back ([`Call::lacks_text`]).
//!
//! Part of the checkpoints' stored form ([`crate::checkpoint`]): a change here is a new version there. Lists have their length before
//! them; moments of receipts count from the one before.

mod field;

use std::sync::Arc;

use uuid::Uuid;

use super::receipts::{Receipt, Receipts, Repeat};
use super::shelf::{Shelf, Shelves, Version};
use super::transfers::{Attempt, Transfers};
use super::voice::{Candidate, Few, Voice};
use super::{Call, NEVER};
use crate::event::{TransferTo, word};
use crate::id::{CallKey, WorkspaceId};
use crate::instant::Millis;
use crate::limit::RECORDS_PER_CALL;
use crate::name::{NAMES, Name};
use crate::transcript::Transcript;
use crate::wire::{In, Out, lasting};

impl Call {
    pub(crate) fn write(&self, out: &mut Out) {
        out.bytes(self.workspace.0.as_bytes());
        out.flag(self.voice.ongoing_seen);
        out.option((self.presumed_at != NEVER).then_some(self.presumed_at), Out::moment);
        write_receipts(&self.receipts, out);
        out.list(self.shelves.all.iter(), |out, shelf| write_shelf(shelf, out));
        write_voice(&self.voice, out);
        out.list(self.transfers.events.iter(), |out, attempt| {
            out.count(u64::from(attempt.receipt));
            out.byte(attempt.name as u8);
            out.text(&attempt.to.number);
            out.option(attempt.to.extension.as_deref(), Out::text);
        });
    }

    /// Reads what [`Call::write`] wrote; `None` if it is anything else.
    pub(crate) fn read(key: CallKey, from: &mut In<'_>) -> Option<Call> {
        let workspace = WorkspaceId(Uuid::from_bytes(from.bytes()?));
        let ongoing_seen = from.flag()?;
        let presumed_at = from.option(In::moment)?.unwrap_or(NEVER);
        let receipts = read_receipts(from)?;
        let shelves = Shelves {
            all: from.list(read_shelf)?,
        };
        let voice = read_voice(from, ongoing_seen)?;
        let transfers = Transfers {
            events: from.list(read_attempt)?.into(),
        };
        let call = Call {
            key,
            workspace,
            receipts,
            shelves,
            voice,
            transfers,
            presumed_at,
        };
        call.holds_together().then_some(call)
    }

    /// Whether every place that is referred to is there.
    fn holds_together(&self) -> bool {
        let Receipts {
            all,
            repeats,
            unknown,
            agents,
        } = &self.receipts;
        let is_there = |place: u32| (place as usize) < all.len();
        let has_version = |receipt: &Receipt| {
            let Some(name) = receipt.known() else {
                return usize::from(receipt.name) < NAMES.len() + unknown.len();
            };
            let mut shelves = self.shelves.all.iter().filter(|shelf| shelf.rank == name.rank());
            shelves.all(|shelf| usize::from(receipt.version) < shelf.versions.len())
        };
        let candidates = self.voice.live.iter().chain(&self.voice.canonical);
        all.len() <= RECORDS_PER_CALL
            && repeats.len() <= RECORDS_PER_CALL
            && all
                .iter()
                .all(|receipt| has_version(receipt) && usize::from(receipt.agent) <= agents.len())
            && repeats.iter().all(|repeat| is_there(repeat.of))
            && candidates.flat_map(|candidate| &candidate.receipts).all(|place| is_there(*place))
            && self.transfers.events.iter().all(|attempt| is_there(attempt.receipt))
            && self.shelves.all.is_sorted_by(|one, next| one.rank < next.rank)
    }
}

fn write_receipts(receipts: &Receipts, out: &mut Out) {
    let mut before = Millis::default();
    out.list(receipts.all.iter(), |out, receipt| {
        out.number(receipt.received_at.since(before));
        before = receipt.received_at;
        out.bytes(&receipt.content.to_be_bytes());
        out.bytes(&receipt.whole.to_be_bytes());
        out.count(u64::from(receipt.version));
        out.byte(receipt.name);
        out.byte(receipt.agent);
    });
    out.list(receipts.repeats.iter(), |out, repeat| {
        out.count(u64::from(repeat.of));
        out.moment(repeat.received_at);
        out.bytes(&repeat.whole.to_be_bytes());
    });
    out.list(receipts.unknown.iter(), |out, name| out.text(name));
    out.list(receipts.agents.iter(), |out, agent| out.text(agent));
}

fn read_receipts(from: &mut In<'_>) -> Option<Receipts> {
    let mut before = Millis::default();
    let all = from.list(|from| {
        before = before.plus(from.number()?);
        Some(Receipt {
            received_at: before,
            content: u64::from_be_bytes(from.bytes()?),
            whole: u32::from_be_bytes(from.bytes()?),
            version: from.small()?,
            name: from.byte()?,
            agent: from.byte()?,
        })
    })?;
    let repeats = from.list(|from| {
        Some(Repeat {
            of: from.small()?,
            received_at: from.moment()?,
            whole: u32::from_be_bytes(from.bytes()?),
        })
    })?;
    Some(Receipts {
        all,
        repeats: repeats.into(),
        unknown: from.list(In::text)?.into(),
        agents: from.list(|from| from.str().map(word::shared))?.into(),
    })
}

fn write_shelf(shelf: &Shelf, out: &mut Out) {
    out.byte(shelf.rank);
    out.list(shelf.common.iter(), |out, one| field::write(one, out));
    out.list(shelf.versions.iter(), |out, version| {
        out.list(version.own.iter(), |out, one| field::write(one, out));
        out.list(version.unreadable.iter(), |out, name| out.text(name));
    });
}

fn read_shelf(from: &mut In<'_>) -> Option<Shelf> {
    Some(Shelf {
        rank: from.byte()?,
        common: from.list(field::read)?.into(),
        versions: from
            .list(|from| {
                Some(Version {
                    own: from.list(field::read)?.into(),
                    unreadable: from.list(|from| from.str().map(lasting))?.into(),
                })
            })?
            .into(),
    })
}

fn write_voice(voice: &Voice, out: &mut Out) {
    out.count(u64::from(voice.largest_turns));
    out.count(voice.largest_characters);
    out.byte(voice.rank);
    for candidates in [&voice.live[..], &voice.canonical] {
        out.list(candidates.iter(), |out, candidate| {
            out.option(candidate.transcript.as_deref(), |out, transcript| transcript.write(out));
            out.list(candidate.receipts.iter(), |out, place| out.count(u64::from(*place)));
        });
    }
}

fn read_voice(from: &mut In<'_>, ongoing_seen: bool) -> Option<Voice> {
    let (largest_turns, largest_characters) = (from.small()?, from.count()?);
    let rank = from.byte()?;
    let candidate = |from: &mut In<'_>| {
        Some(Candidate {
            transcript: from.option(Transcript::read_outline)?.map(Arc::new),
            receipts: from.list(In::small)?.into(),
        })
    };
    Some(Voice {
        largest_turns,
        largest_characters,
        rank,
        ongoing_seen,
        live: Few::from(from.list(candidate)?),
        canonical: from.list(candidate)?,
    })
}

fn read_attempt(from: &mut In<'_>) -> Option<Attempt> {
    let receipt = from.small()?;
    let name: Name = NAMES.get(usize::from(from.byte()?)).map(|(_, name)| *name)?;
    let to = TransferTo {
        number: from.text()?,
        extension: from.option(In::text)?,
    };
    Some(Attempt { receipt, name, to })
}

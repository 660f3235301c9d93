//! The stored form of one field: its tag and its value. Tags are for ever.

use std::sync::Arc;

use crate::event::field::{Field, Latency, Map, Time};
use crate::event::word;
use crate::facts::{CHANNELS, Cost, DIRECTIONS, STAGES};
use crate::wire::{In, Out, place};

pub(super) fn write(field: &Field, out: &mut Out) {
    match field {
        Field::AgentId(value) => text(out, 1, value),
        Field::AgentVersion(value) => number(out, 2, *value),
        Field::AgentName(value) => text(out, 3, value),
        Field::AgentTag(value) => text(out, 4, value),
        Field::Channel(value) => byte(out, 5, place(&CHANNELS, value)),
        Field::Direction(value) => byte(out, 6, place(&DIRECTIONS, value)),
        Field::From(value) => text(out, 7, value),
        Field::To(value) => text(out, 8, value),
        Field::Status(value) => text(out, 9, value),
        Field::Reason(value) => text(out, 10, value),
        Field::TransferDestination(value) => text(out, 11, value),
        Field::Start(value) => time(out, 12, *value),
        Field::End(value) => time(out, 13, *value),
        Field::TransferEnd(value) => time(out, 14, *value),
        Field::Duration(value) => number(out, 15, *value),
        Field::Recording(value) => text(out, 16, value),
        Field::Summary(value) => text(out, 17, value),
        Field::Successful(value) => byte(out, 18, u8::from(*value)),
        Field::Sentiment(value) => text(out, 19, value),
        Field::InVoicemail(value) => byte(out, 20, u8::from(*value)),
        Field::Custom(value) => map(out, 21, value),
        Field::Metadata(value) => map(out, 22, value),
        Field::Variables(value) => map(out, 23, value),
        Field::Collected(value) => map(out, 24, value),
        Field::Cost(value) => {
            out.byte(25);
            cost(out, value);
        }
        Field::Latency(value) => {
            out.byte(26);
            out.list(value.iter(), |out, (stage, values)| {
                out.byte(place(&STAGES, stage));
                out.list(values.iter(), |out, value| out.float(*value));
            });
        }
    }
}

/// Reads what [`write`] wrote. Texts that many calls have in common are kept once, as when they are read from events.
pub(super) fn read(from: &mut In<'_>) -> Option<Field> {
    let shared = |from: &mut In<'_>| from.str().map(word::shared);
    Some(match from.byte()? {
        1 => Field::AgentId(shared(from)?),
        2 => Field::AgentVersion(from.number()?),
        3 => Field::AgentName(shared(from)?),
        4 => Field::AgentTag(shared(from)?),
        5 => Field::Channel(*CHANNELS.get(usize::from(from.byte()?))?),
        6 => Field::Direction(*DIRECTIONS.get(usize::from(from.byte()?))?),
        7 => Field::From(from.text()?),
        8 => Field::To(shared(from)?),
        9 => Field::Status(word::status(from.str()?)),
        10 => Field::Reason(word::reason(from.str()?)),
        11 => Field::TransferDestination(from.text()?),
        12 => Field::Start(read_time(from)?),
        13 => Field::End(read_time(from)?),
        14 => Field::TransferEnd(read_time(from)?),
        15 => Field::Duration(from.number()?),
        16 => Field::Recording(from.text()?),
        17 => Field::Summary(from.text()?),
        18 => Field::Successful(from.flag()?),
        19 => Field::Sentiment(from.text()?),
        20 => Field::InVoicemail(from.flag()?),
        21 => Field::Custom(read_map(from)?),
        22 => Field::Metadata(read_map(from)?),
        23 => Field::Variables(read_map(from)?),
        24 => Field::Collected(read_map(from)?),
        25 => Field::Cost(Arc::new(read_cost(from)?)),
        26 => Field::Latency(read_latency(from)?),
        _ => return None,
    })
}

fn byte(out: &mut Out, tag: u8, value: u8) {
    out.bytes(&[tag, value]);
}

fn number(out: &mut Out, tag: u8, value: i64) {
    out.byte(tag);
    out.number(value);
}

fn text(out: &mut Out, tag: u8, value: &str) {
    out.byte(tag);
    out.text(value);
}

fn time(out: &mut Out, tag: u8, value: Time) {
    byte(out, tag, u8::from(value.repaired));
    out.moment(value.at);
}

fn read_time(from: &mut In<'_>) -> Option<Time> {
    Some(Time {
        repaired: from.flag()?,
        at: from.moment()?,
    })
}

fn map(out: &mut Out, tag: u8, value: &Map) {
    out.byte(tag);
    out.list(value.iter(), |out, (name, value)| {
        out.text(name);
        out.text(value);
    });
}

fn read_map(from: &mut In<'_>) -> Option<Map> {
    let pairs = from.list(|from| Some((word::shared(from.str()?), from.text()?)))?;
    // The merge searches by halves.
    pairs.is_sorted_by(|one, next| one.0 < next.0).then(|| pairs.into())
}

fn cost(out: &mut Out, cost: &Cost) {
    for amount in [
        cost.combined_cents,
        cost.parts_cents,
        cost.transfer_leg_cents,
        cost.total_seconds,
        cost.unit_price_cents,
    ] {
        out.option(amount, Out::float);
    }
    out.list(cost.parts.iter(), |out, (product, cents)| {
        out.text(product);
        out.float(*cents);
    });
}

fn read_cost(from: &mut In<'_>) -> Option<Cost> {
    Some(Cost {
        combined_cents: from.option(In::float)?,
        parts_cents: from.option(In::float)?,
        transfer_leg_cents: from.option(In::float)?,
        total_seconds: from.option(In::float)?,
        unit_price_cents: from.option(In::float)?,
        parts: from.list(|from| Some((word::shared(from.str()?), from.float()?)))?,
    })
}

fn read_latency(from: &mut In<'_>) -> Option<Latency> {
    let stages = from.list(|from| {
        let stage = *STAGES.get(usize::from(from.byte()?))?;
        Some((stage, from.list(In::float)?.into()))
    })?;
    Some(stages.into())
}

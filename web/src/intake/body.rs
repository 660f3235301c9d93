//! Reads a body as it arrives: within the size limit, within the time limit, within what the node may hold.

use std::time::Duration;

use actix_web::web;
use bytes::{Bytes, BytesMut};
use futures::StreamExt;

use super::caps::Permit;
use super::meters::Outcome;
use super::{Refusal, overloaded};
use crate::error::{Kind, Problem};

/// The whole body has to arrive within this time (rule A4).
const DEADLINE: Duration = Duration::from_secs(10);

/// The bytes as sent. A body of one piece is not copied.
pub async fn read(payload: web::Payload, limit: usize, permit: &mut Permit) -> Result<Bytes, Refusal> {
    match tokio::time::timeout(DEADLINE, collect(payload, limit, permit)).await {
        Ok(result) => result,
        Err(_) => Err((
            Outcome::Slow,
            Problem::new(Kind::Slow, "The body has to arrive within ten seconds.").closing(),
        )),
    }
}

async fn collect(mut payload: web::Payload, limit: usize, permit: &mut Permit) -> Result<Bytes, Refusal> {
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(piece) = payload.next().await {
        let piece = piece.map_err(|_| (Outcome::Broken, Problem::new(Kind::BadRequest, "The body ended early.").closing()))?;
        if first.len() + rest.len() + piece.len() > limit {
            return Err(too_large());
        }
        permit.hold(piece.len()).map_err(|_| overloaded())?;
        if first.is_empty() && rest.is_empty() {
            first = piece;
        } else {
            if rest.is_empty() {
                rest.extend_from_slice(&std::mem::take(&mut first));
            }
            rest.extend_from_slice(&piece);
        }
    }
    Ok(if rest.is_empty() { first } else { rest.freeze() })
}

/// Over the limit, by its own word or by what came.
pub fn too_large() -> Refusal {
    (
        Outcome::TooLarge,
        Problem::new(Kind::TooLarge, "An event may have at most 10 MiB.").closing(),
    )
}

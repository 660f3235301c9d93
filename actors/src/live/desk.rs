//! The subscription's side of one reader, and how a reader is started.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::reader::{Notice, Parcel, Reader, Recipe};
use crate::system::{Arbiters, Health, Role};

/// The subscription's side of one reader.
pub(super) struct Desk {
    pub(super) epoch: u64,
    pub(super) inbox: Option<mpsc::UnboundedSender<Parcel>>,
    pub(super) revoked: CancellationToken,
    pub(super) waiting_records: usize,
    pub(super) waiting_bytes: usize,
    /// Its reader has said where it begins; what comes before that is of an earlier reader.
    pub(super) begun: bool,
    pub(super) paused: bool,
    pub(super) published: i64,
    pub(super) committed: i64,
    /// Where delivery has to begin, and when that is tried again.
    pub(super) wants: Option<(i64, Instant)>,
}

impl Desk {
    /// What is delivered is its reader's, and not of an earlier one or from before the place where it begins.
    pub(super) fn is_read(&self) -> bool {
        self.begun && self.wants.is_none()
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        // At a stop the inbox is gone first, and the reader ends by itself.
        if self.inbox.is_some() {
            self.revoked.cancel();
        }
    }
}

/// Starts a reader on its thread, and something that hears of its end. False when the thread is gone.
pub(super) fn spawn_reader(arbiters: &Arbiters, recipe: Recipe, role: Arc<Role>) -> bool {
    let (partition, epoch, notices) = (recipe.partition, recipe.epoch, recipe.notices.clone());
    role.born();
    arbiters.spawn(partition, move || {
        let task = actix_rt::spawn(async move { Reader::new(recipe).run().await });
        actix_rt::spawn(async move {
            let died = task.await.is_err_and(|error| error.is_panic());
            if died {
                role.died("panic");
            } else {
                role.ended();
                role.tell(Health::Stopped, None);
            }
            let _ = notices.send(Notice::Ended { partition, epoch, died });
        });
    })
}

//! Whether the credentials of open streams still hold: one look per credential every few seconds, however many streams it has open.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use trunkline_core::id::{KeyId, LinkId, TenantId};
use trunkline_stores::postgres::row::Hash32;

use super::Streams;
use crate::identity::{Caller, Who};
use crate::state::AppState;

/// How often a credential is looked at (LV-06: streams are closed within five seconds).
const LOOK_EVERY: Duration = Duration::from_secs(4);

/// What a stream was opened with, and when that ends by itself, in ms.
pub(super) type Credential = (Opened, Option<i64>);

/// What a stream was opened with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Opened {
    /// A session, by the hash that is kept of it.
    Session(Hash32),
    /// An API key.
    Key(TenantId, KeyId),
    /// The link of a screen.
    Screen(TenantId, LinkId),
}

fn opened(caller: &Caller) -> Credential {
    let with = match &caller.who {
        Who::Person(person) => Opened::Session(person.session.hash()),
        Who::Program { key, .. } => Opened::Key(caller.tenant, *key),
        Who::Screen { link, .. } => Opened::Screen(caller.tenant, *link),
    };
    (with, caller.until.map(|until| until.0))
}

impl Streams {
    /// Tells when the caller's credential no longer holds. The first stream of a credential starts its looks.
    pub(super) fn watch(self: &Arc<Self>, caller: &Caller, state: &AppState) -> watch::Receiver<bool> {
        let credential = opened(caller);
        // Subscribed while the entry is held: looks cannot end between being found and being followed.
        let entry = self.credentials.entry(credential).or_insert_with(|| {
            let holds = Arc::new(watch::Sender::new(true));
            let look = look(self.clone(), credential, caller.clone(), state.clone(), holds.clone());
            self.runtime.spawn(look);
            holds
        });
        entry.subscribe()
    }
}

/// Looks until nobody follows or the credential is gone.
async fn look(streams: Arc<Streams>, credential: Credential, caller: Caller, state: AppState, holds: Arc<watch::Sender<bool>>) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        if holds.receiver_count() == 0
            && streams
                .credentials
                .remove_if(&credential, |_, held| held.receiver_count() == 0)
                .is_some()
        {
            return;
        }
        if !caller.still_holds(&state).await {
            streams.credentials.remove(&credential);
            holds.send_replace(false);
            return;
        }
    }
}

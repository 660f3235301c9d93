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

/// What a stream was opened with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Credential {
    /// A browser session, by the hash of its secret.
    Session(Hash32),
    /// An API key.
    Key(TenantId, KeyId),
    /// The link of a screen.
    Screen(TenantId, LinkId),
}

impl Credential {
    fn of(caller: &Caller) -> Credential {
        match &caller.who {
            Who::Person(person) => Credential::Session(person.session.hash()),
            Who::Program { key, .. } => Credential::Key(caller.tenant, *key),
            Who::Screen { link, .. } => Credential::Screen(caller.tenant, *link),
        }
    }
}

impl Streams {
    /// Tells when the caller's credential no longer holds. The first stream of a credential starts its looks.
    pub(super) fn watch(self: &Arc<Self>, caller: &Caller, state: &AppState) -> watch::Receiver<bool> {
        let credential = Credential::of(caller);
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

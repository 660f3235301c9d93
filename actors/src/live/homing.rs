//! Whose call is it: moves calls between businesses when the directory changes (rule A13).

use std::sync::Arc;

use trunkline_stores::postgres::Directory;

use super::partition::{Changes, Partition};

impl Partition {
    /// Takes over a new directory: calls whose business changed leave the old one's figures and enter the new one's.
    pub(crate) async fn rehome(&mut self, directory: Arc<Directory>) {
        let before = std::mem::replace(&mut self.directory, Arc::clone(&directory));
        if before.agents == directory.agents && before.unassigned == directory.unassigned {
            return;
        }
        let mut changes = Changes::new();
        let mut moved = 0u64;
        for entry in self.calls.iter_mut() {
            let home = directory.business_of(entry.key.tenant, entry.workspace, entry.owner_agent.as_deref());
            if home == entry.home {
                continue;
            }
            moved += 1;
            let contribution = entry.folded.clone().map(|packed| (packed, None));
            entry.move_to(home, contribution, &mut changes);
            if entry.is_shown() {
                let dirty = self.dirty.entry(entry.key.tenant).or_default();
                dirty.calls.insert(entry.key.clone());
            }
        }
        if moved > 0 {
            tracing::info!(log.partition = self.number, calls.moved = moved, "calls moved to other businesses");
        }
        self.fold(changes).await;
    }
}

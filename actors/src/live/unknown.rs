//! Names that Retell sends and we do not know yet: kept, counted, shown.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use trunkline_core::id::TenantId;

use super::glance::Oddities;

/// Different names remembered per kind and partition: a sender of random names must not fill our memory.
const NAMES_MAX: usize = 200;

/// Longest name kept, in characters.
const NAME_CHARS: usize = 64;

/// What kind of name it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum UnknownKind {
    /// An event name (rule A10).
    Event,
    /// A value of an enumeration, as `field=value`.
    Value,
    /// A field that was there but unreadable (rule A8).
    Unreadable,
}

/// A name and how often it came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unknown {
    /// What kind of name.
    pub kind: UnknownKind,
    /// The name.
    pub name: String,
    /// How often it came within the horizon.
    pub count: u64,
}

type Counts = BTreeMap<(u32, TenantId, UnknownKind), BTreeMap<String, u64>>;

/// All unknown names.
#[derive(Debug, Default)]
pub(crate) struct Unknowns(Mutex<Counts>);

impl Unknowns {
    pub(crate) fn add(&self, partition: u32, tenant: TenantId, kind: UnknownKind, name: &str, times: u64) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let names = counts.entry((partition, tenant, kind)).or_default();
        let name: String = name.chars().take(NAME_CHARS).collect();
        if let Some(count) = names.get_mut(&name) {
            *count += times;
        } else if names.len() < NAMES_MAX {
            names.insert(name, times);
        }
    }

    /// Counts the unknown values and unreadable fields that `now` has and `before` had not.
    pub(crate) fn compare(&self, partition: u32, tenant: TenantId, before: Option<&Oddities>, now: &Oddities) {
        let new = |was: fn(&Oddities) -> &Option<Arc<str>>| was(now).as_ref().filter(|is| before.and_then(|b| was(b).as_ref()) != Some(is));
        if let Some(reason) = new(|odd| &odd.reason) {
            self.add(partition, tenant, UnknownKind::Value, &format!("disconnection_reason={reason}"), 1);
        }
        if let Some(mood) = new(|odd| &odd.mood) {
            self.add(partition, tenant, UnknownKind::Value, &format!("user_sentiment={mood}"), 1);
        }
        for (name, count) in &now.unreadable {
            let known = before
                .and_then(|odd| odd.unreadable.iter().find(|(other, _)| other == name))
                .map_or(0, |(_, count)| *count);
            if *count > known {
                self.add(partition, tenant, UnknownKind::Unreadable, name, u64::from(count - known));
            }
        }
    }

    /// All names of a tenant, most frequent first.
    pub(crate) fn of(&self, tenant: TenantId) -> Vec<Unknown> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sums: BTreeMap<(UnknownKind, &str), u64> = BTreeMap::new();
        for ((_, whose, kind), names) in counts.iter() {
            for (name, count) in names {
                if *whose == tenant {
                    *sums.entry((*kind, name)).or_default() += count;
                }
            }
        }
        let mut rows: Vec<Unknown> = sums
            .into_iter()
            .map(|((kind, name), count)| Unknown {
                kind,
                name: name.to_owned(),
                count,
            })
            .collect();
        rows.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.name.cmp(&b.name)));
        rows
    }

    /// Forgets what came from one partition: its rebuild finds it again.
    pub(crate) fn forget(&self, partition: u32) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|(from, _, _), _| *from != partition);
    }
}

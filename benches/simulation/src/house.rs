//! Who is there: two organisations, their workspaces, businesses and agents, and how the directory maps them at a moment.

use std::collections::HashMap;
use std::sync::Arc;

use rand::Rng as _;
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use trunkline_core::id::{BusinessId, TenantId, WorkspaceId};
use trunkline_stores::postgres::Directory;
use trunkline_stores::postgres::directory::BusinessEntry;
use uuid::Uuid;

/// Organisations.
pub const TENANTS: usize = 2;
/// Workspaces of each.
const WORKSPACES: usize = 2;
/// Businesses of each, beside one for calls of unmapped agents in each workspace.
const BUSINESSES: usize = 2;
/// Agents of each. The last is never mapped.
pub const AGENTS: usize = 3;

/// One of the organisations.
pub fn tenant(number: usize) -> TenantId {
    TenantId(Uuid::from_u128(1 + number as u128))
}

/// The name that everything of an organisation bears, so that it is known when it turns up elsewhere.
pub fn brand(number: usize) -> &'static str {
    ["of-acme", "of-brio"][number]
}

/// A workspace of an organisation.
pub fn workspace(of: usize, number: usize) -> WorkspaceId {
    WorkspaceId(Uuid::from_u128(0x100 * (1 + of as u128) + number as u128))
}

/// One of its workspaces, by chance.
pub fn any_workspace(of: usize, chance: &mut ChaCha8Rng) -> WorkspaceId {
    workspace(of, chance.random_range(0..WORKSPACES))
}

fn business(of: usize, number: usize) -> BusinessId {
    BusinessId(Uuid::from_u128(0x10_000 * (1 + of as u128) + number as u128))
}

/// Name of an agent; both organisations have agents of the same names.
pub fn agent(number: usize) -> String {
    format!("agent_{number}")
}

/// Which agent's calls count for which of the businesses: the part of the directory that changes.
pub type Mapping = [[usize; AGENTS]; TENANTS];

/// A mapping by chance.
pub fn any_mapping(chance: &mut ChaCha8Rng) -> Mapping {
    std::array::from_fn(|_| std::array::from_fn(|_| chance.random_range(0..BUSINESSES)))
}

/// The directory under a mapping.
pub fn directory(mapping: &Mapping, version: u64) -> Arc<Directory> {
    let mut directory = Directory {
        by_token: HashMap::new(),
        version,
        ..Directory::default()
    };
    for (of, agents) in mapping.iter().enumerate() {
        for number in 0..BUSINESSES + WORKSPACES {
            let entry = BusinessEntry {
                tenant: tenant(of),
                name: format!("Business {number} {}", brand(of)),
                zone: ["UTC", "Asia/Kolkata", "America/New_York", "UTC"][number].to_owned(),
                day_start_minute: 0,
                concurrency_limit: None,
                targets: Value::Null,
            };
            directory.businesses.insert(business(of, number), entry);
        }
        for number in 0..WORKSPACES {
            directory
                .unassigned
                .insert(workspace(of, number), business(of, BUSINESSES + number));
        }
        for (number, to) in agents.iter().enumerate().take(AGENTS - 1) {
            directory.agents.insert((tenant(of), agent(number)), business(of, *to));
        }
    }
    Arc::new(directory)
}

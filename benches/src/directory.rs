//! The configuration that benches run with: one tenant, one workspace whose token is `bench`, one business.

use std::collections::HashMap;
use std::sync::Arc;

use trunkline_core::id::{BusinessId, TenantId, WorkspaceId};
use trunkline_stores::postgres::{BusinessEntry, Directory, WorkspaceEntry};
use uuid::Uuid;

use crate::sample::KEY;

/// The tenant.
pub const TENANT: TenantId = TenantId(Uuid::from_u128(1));
/// Its workspace.
pub const WORKSPACE: WorkspaceId = WorkspaceId(Uuid::from_u128(2));
const BUSINESS: BusinessId = BusinessId(Uuid::from_u128(3));

/// What Postgres would say.
pub fn directory() -> Directory {
    let workspace = WorkspaceEntry {
        tenant: TENANT,
        workspace: WORKSPACE,
        name: "bench".into(),
        enabled: true,
        signing_keys: vec![KEY.into()],
        allowed_sources: Vec::new(),
        rate_per_second: None,
        api_key: None,
    };
    let business = BusinessEntry {
        tenant: TENANT,
        name: "Unassigned".into(),
        zone: "UTC".into(),
        day_start_minute: 0,
        concurrency_limit: Some(1_000),
        targets: serde_json::Value::Null,
    };
    Directory {
        by_token: HashMap::from([("bench".to_owned(), Arc::new(workspace))]),
        agents: HashMap::new(),
        unassigned: HashMap::from([(WORKSPACE, BUSINESS)]),
        businesses: HashMap::from([(BUSINESS, business)]),
        version: 1,
        ..Directory::default()
    }
}

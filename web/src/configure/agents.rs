//! Agents of a workspace: those that were heard, those that Retell lists, and which business each belongs to.

use std::collections::BTreeMap;

use secrecy::SecretString;
use trunkline_connectors::retell::{Client, ListedAgent, RetellError};
use trunkline_core::access::Permission;
use trunkline_core::id::BusinessId;
use trunkline_core::instant::Millis;
use trunkline_stores::postgres::row::Workspace;

use super::refused;
use crate::error::Problem;
use crate::identity::Caller;
use crate::identity::session::now;
use crate::state::AppState;

/// How far back agents are looked for: one without a call in that time is known by Retell's list alone.
const HEARD_MS: i64 = 90 * 86_400_000;

/// Pages of Retell's list read: a workspace with more agents than 10,000 is shown incompletely rather than waited for.
const PAGES_MAX: usize = 10;

/// One agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentSeen {
    /// Retell's id.
    pub id: String,
    /// Its name; empty when nobody told one.
    pub name: String,
    /// The business it is mapped to; none: Unassigned.
    pub business: Option<BusinessId>,
    /// Calls and chats of the last 90 days.
    pub conversations: u64,
    /// When the last event of one of them came.
    pub last_heard: Option<Millis>,
}

/// Agents of a workspace, those to be mapped first.
#[derive(Debug, Clone, Default)]
pub struct Agents {
    /// The agents.
    pub all: Vec<AgentSeen>,
    /// Retell could be asked, or there is no key to ask with.
    pub retell_answered: bool,
    /// ClickHouse could be asked.
    pub heard_known: bool,
}

/// Agents of a workspace. A source that is away is left out and said.
pub async fn all(state: &AppState, caller: &Caller, workspace: &Workspace) -> Result<Agents, Problem> {
    caller.needs(Permission::Workspaces)?;
    let since = now().plus(-HEARD_MS);
    let (mapped, heard, listed) = futures::join!(
        state.config.agents(caller.tenant),
        state.analytics.workspace_agents(caller.tenant, workspace.id, since),
        listed(state, workspace),
    );
    let mapped = mapped.map_err(|error| refused("list agents", error))?;
    let heard_known = heard.is_ok();
    let mut agents: BTreeMap<String, AgentSeen> = BTreeMap::new();
    let blank = |id: &str| AgentSeen {
        id: id.to_owned(),
        name: String::new(),
        business: None,
        conversations: 0,
        last_heard: None,
    };
    for agent in heard.unwrap_or_default() {
        let entry = agents.entry(agent.agent_id.clone()).or_insert_with(|| blank(&agent.agent_id));
        entry.name = agent.name;
        entry.conversations = agent.conversations;
        entry.last_heard = Some(Millis(agent.last_at));
    }
    let retell_answered = listed.is_some();
    for agent in listed.unwrap_or_default() {
        let entry = agents.entry(agent.agent_id.clone()).or_insert_with(|| blank(&agent.agent_id));
        // Retell's own list is the newest word on names.
        if let Some(name) = agent.agent_name.filter(|name| !name.is_empty()) {
            entry.name = name;
        }
    }
    for mapping in mapped {
        if let Some(entry) = agents.get_mut(&mapping.agent_id) {
            entry.business = Some(mapping.business);
            if entry.name.is_empty() {
                entry.name = mapping.name;
            }
        }
    }
    let mut all: Vec<AgentSeen> = agents.into_values().collect();
    all.sort_by_key(|agent| {
        (
            agent.business.is_some(),
            std::cmp::Reverse(agent.last_heard),
            agent.name.to_lowercase(),
        )
    });
    Ok(Agents {
        all,
        retell_answered,
        heard_known,
    })
}

/// Says which business an agent belongs to; `None`: Unassigned again.
pub async fn map(
    state: &AppState,
    caller: &Caller,
    workspace: &Workspace,
    agent: &str,
    business: Option<BusinessId>,
) -> Result<AgentSeen, Problem> {
    let known = all(state, caller, workspace).await?.all.into_iter().find(|known| known.id == agent);
    let mut known = known.ok_or_else(Problem::not_found)?;
    match business {
        Some(business) => {
            if !caller.knows(state, business) {
                return Err(unknown_business());
            }
            let name: String = known.name.chars().take(super::NAME_CHARS).collect();
            let done = state.config.map_agent(caller.tenant, &caller.by(), agent, business, &name).await;
            done.map_err(|error| refused("map an agent", error))?;
        }
        None if known.business.is_some() => {
            let done = state.config.unmap_agent(caller.tenant, &caller.by(), agent).await;
            done.map_err(|error| refused("unmap an agent", error))?;
        }
        None => {}
    }
    known.business = business;
    Ok(known)
}

/// S-004: a business of somebody else is no business.
pub fn unknown_business() -> Problem {
    Problem::field(
        "/business_id",
        "unknown_reference",
        "There is no such business in this organisation.",
    )
}

/// Retell's list, as far as it can be read while a person waits; `None` when Retell does not answer.
async fn listed(state: &AppState, workspace: &Workspace) -> Option<Vec<ListedAgent>> {
    let Some(key) = &workspace.api_key else {
        return Some(Vec::new());
    };
    pages(&state.settings.retell.api_url, key)
        .await
        .inspect_err(|error| tracing::warn!(workspace = %workspace.id, %error, "Retell did not list its agents"))
        .ok()
}

async fn pages(api_url: &str, key: &SecretString) -> Result<Vec<ListedAgent>, RetellError> {
    let client = Client::probing(api_url, key.clone())?;
    let (mut agents, mut after) = (Vec::new(), None);
    for _ in 0..PAGES_MAX {
        let page = client.list_agents(after.as_deref()).await?;
        after = page.next();
        agents.extend(page.items);
        if after.is_none() {
            break;
        }
    }
    Ok(agents)
}

//! Agents as far as their events are concerned: where they are sent and which are switched on (`API.md` part 3).

use std::collections::BTreeMap;

use serde::Deserialize;

/// A page of list-agents. Items hold no settings: each agent is read on its own.
#[derive(Debug, Clone, Deserialize)]
pub struct AgentPage {
    /// Agents of all channels.
    pub items: Vec<ListedAgent>,
    /// Whether more follow.
    #[serde(default)]
    pub has_more: bool,
    /// What to send back for the next page.
    #[serde(default)]
    pub pagination_key: Option<String>,
}

impl AgentPage {
    /// What to send for the page after this one; `None` at the end, also when Retell says that more follow and not where.
    pub fn next(&self) -> Option<String> {
        self.pagination_key.clone().filter(|_| self.has_more)
    }
}

/// An agent as listed.
#[derive(Debug, Clone, Deserialize)]
pub struct ListedAgent {
    /// Retell's id.
    pub agent_id: String,
    /// Its name.
    #[serde(default)]
    pub agent_name: Option<String>,
    /// `voice` or `chat`.
    #[serde(default)]
    pub channel: Option<String>,
    /// Versions by tag.
    #[serde(default)]
    pub tags: BTreeMap<String, Tagged>,
}

/// Where a tag points.
#[derive(Debug, Clone, Deserialize)]
pub struct Tagged {
    /// The version.
    #[serde(default)]
    pub version: Option<i64>,
}

impl ListedAgent {
    /// True for agents that hold calls.
    pub fn is_voice(&self) -> bool {
        self.channel.as_deref() != Some("chat")
    }

    /// Versions that a tag points to: calls may use each of them beside the latest.
    pub fn tagged(&self) -> Vec<i64> {
        let mut versions: Vec<i64> = self.tags.values().filter_map(|tag| tag.version).collect();
        versions.sort_unstable();
        versions.dedup();
        versions
    }
}

/// One version of an agent.
#[derive(Debug, Clone, Deserialize)]
pub struct Agent {
    /// Retell's id.
    pub agent_id: String,
    /// Which version.
    #[serde(default)]
    pub version: Option<i64>,
    /// Where its events go; `None`: to the account's address, which the API does not tell.
    #[serde(default)]
    pub webhook_url: Option<String>,
    /// Events switched on; `None`: started, ended and analysed.
    #[serde(default)]
    pub webhook_events: Option<Vec<String>>,
}

impl Agent {
    /// Whether it sends events of this name.
    pub fn sends(&self, event: &str) -> bool {
        match &self.webhook_events {
            Some(events) => events.iter().any(|on| on == event),
            None => matches!(event, "call_started" | "call_ended" | "call_analyzed"),
        }
    }
}

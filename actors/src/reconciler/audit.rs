//! The audit of webhook settings: what an agent is set to at Retell so that its events do not come here, or not all of them. Each blind
//! spot is a notice; one that is gone is settled.

use std::collections::BTreeSet;

use trunkline_connectors::retell::{Agent, Client, ListedAgent, PAGES_MAX, RetellError};
use trunkline_stores::postgres::reconciler::Progress;
use trunkline_stores::postgres::{Directory, PostgresError, WorkspaceEntry};

use super::pass::Passed;
use super::{Ground, PassError, note};
use crate::system::wall_clock;

/// How often settings are read: people change them seldom, and each agent is a request.
const AUDIT_EVERY_MS: i64 = 3_600_000;
/// Tagged versions looked at beside the latest.
const TAGGED_MAX: usize = 3;
/// So many ended calls of an agent, none of them heard of, are no accident.
const SILENT_CALLS: u64 = 3;

/// The agent's own address replaces the account's and leads elsewhere.
const EVENTS_ELSEWHERE: &str = "events_elsewhere";
/// The agent's own address is that of another workspace of the organisation.
const EVENTS_AT_OTHER_WORKSPACE: &str = "events_at_other_workspace";
/// `call_started` is off: calls appear when they end.
const STARTED_OFF: &str = "call_started_off";
/// `call_ended` is off: ends are found by the reconciler only.
const ENDED_OFF: &str = "call_ended_off";
/// `call_analyzed` is off: verdicts are found by the reconciler only.
const ANALYZED_OFF: &str = "call_analyzed_off";
/// `transcript_updated` is off: transcripts do not grow while a call runs.
const TRANSCRIPT_OFF: &str = "transcript_updated_off";
/// The agent uses the account's address, and nothing of its calls came: that address is probably not ours.
const ACCOUNT_SILENT: &str = "account_address_silent";

/// Every kind of notice that the audit writes.
const KINDS: [&str; 7] = [
    EVENTS_ELSEWHERE,
    EVENTS_AT_OTHER_WORKSPACE,
    STARTED_OFF,
    ENDED_OFF,
    ANALYZED_OFF,
    TRANSCRIPT_OFF,
    ACCOUNT_SILENT,
];

/// Reads the settings of every voice agent if they have not been read for a while.
pub(super) async fn audit_if_due(
    ground: &Ground,
    entry: &WorkspaceEntry,
    client: &Client,
    progress: &mut Progress,
    passed: &Passed,
) -> Result<(), PassError> {
    let now = wall_clock();
    if progress.audited_at.is_some_and(|at| now.since(at) < AUDIT_EVERY_MS) {
        return Ok(());
    }
    let mut spots = BTreeSet::new();
    let (mut page, mut pages) = (None::<String>, 0);
    loop {
        let found = client.list_agents(page.as_deref()).await?;
        for listed in found.items.iter().filter(|listed| listed.is_voice()) {
            for agent in versions(client, listed).await? {
                let directory = ground.directory.borrow().clone();
                spots.extend(blind_spots(&agent, listed, entry, &directory, passed));
            }
        }
        page = found.next();
        pages += 1;
        if page.is_none() {
            break;
        }
        if pages == PAGES_MAX {
            return Err(RetellError::endless("agents").into());
        }
    }
    for (kind, subject) in &spots {
        note(ground, entry, kind, subject).await?;
    }
    for notice in ground.config.notices(entry.tenant).await? {
        let ours = notice.workspace == entry.workspace && KINDS.contains(&notice.kind.as_str());
        let stands = spots
            .iter()
            .any(|(kind, subject)| *kind == notice.kind && *subject == notice.subject);
        if ours && !stands {
            let settled = ground
                .config
                .settle_notice(entry.tenant, entry.workspace, &notice.kind, &notice.subject)
                .await;
            match settled {
                // A person was quicker.
                Ok(()) | Err(PostgresError::Missing { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    progress.audited_at = Some(now);
    Ok(())
}

/// The versions that calls may use: the latest and those that a tag points to.
async fn versions(client: &Client, listed: &ListedAgent) -> Result<Vec<Agent>, RetellError> {
    let wanted = std::iter::once(None).chain(listed.tagged().into_iter().rev().map(Some));
    let mut agents: Vec<Agent> = Vec::new();
    for version in wanted.take(1 + TAGGED_MAX) {
        if version.is_some() && agents.iter().any(|agent| agent.version == version) {
            continue;
        }
        match client.get_agent(&listed.agent_id, version).await {
            Ok(agent) => agents.push(agent),
            // Deleted meanwhile.
            Err(RetellError::NotFound) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(agents)
}

/// What of an agent's events does not come here: kind of notice and subject.
fn blind_spots(
    agent: &Agent,
    listed: &ListedAgent,
    entry: &WorkspaceEntry,
    directory: &Directory,
    passed: &Passed,
) -> Vec<(&'static str, String)> {
    let name = listed.agent_name.as_deref().map(str::trim).filter(|name| !name.is_empty());
    let subject = match name {
        Some(name) => format!("{} · {name}", agent.agent_id),
        None => agent.agent_id.clone(),
    };
    let mut spots = Vec::new();
    match agent.webhook_url.as_deref().map(str::trim).filter(|url| !url.is_empty()) {
        Some(url) => match directory.by_token.get(token_of(url)) {
            Some(owner) if owner.workspace == entry.workspace => {}
            Some(owner) if owner.tenant == entry.tenant => {
                spots.push((EVENTS_AT_OTHER_WORKSPACE, format!("{subject} → {}", owner.name)));
            }
            _ => spots.push((EVENTS_ELSEWHERE, format!("{subject} → {}", host_of(url)))),
        },
        None => {
            let (ended, unheard) = passed.by_agent.get(&agent.agent_id).copied().unwrap_or_default();
            if ended >= SILENT_CALLS && unheard == ended {
                spots.push((ACCOUNT_SILENT, subject.clone()));
            }
        }
    }
    for (event, kind) in [
        ("call_started", STARTED_OFF),
        ("call_ended", ENDED_OFF),
        ("call_analyzed", ANALYZED_OFF),
        ("transcript_updated", TRANSCRIPT_OFF),
    ] {
        if !agent.sends(event) {
            spots.push((kind, subject.clone()));
        }
    }
    // As the store keeps them, so that they are known again.
    spots
        .iter_mut()
        .for_each(|(_, subject)| *subject = subject.chars().take(256).collect());
    spots
}

/// What our intake addresses end in. Whatever stands before it (another name of ours, a proxy) or behind it (variables in the query that
/// Retell fills in) does not matter.
fn token_of(url: &str) -> &str {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    path.trim_end_matches('/').rsplit('/').next().unwrap_or_default()
}

/// Host of an address; the rest of it may hold secrets of others.
fn host_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority.rsplit('@').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use trunkline_core::id::{TenantId, WorkspaceId};
    use uuid::Uuid;

    use super::*;

    fn workspace(number: u128, tenant: u128) -> Arc<WorkspaceEntry> {
        Arc::new(WorkspaceEntry {
            tenant: TenantId(Uuid::from_u128(tenant)),
            workspace: WorkspaceId(Uuid::from_u128(number)),
            name: format!("W{number}"),
            enabled: true,
            signing_keys: Vec::new(),
            allowed_sources: Vec::new(),
            rate_per_second: None,
            api_key: None,
        })
    }

    #[test]
    fn blind_spots_are_named() {
        let mut directory = Directory::default();
        for (token, number, tenant) in [("ours", 1, 1), ("second", 2, 1), ("foreign", 3, 2)] {
            directory.by_token.insert(token.to_owned(), workspace(number, tenant));
        }
        let listed = ListedAgent {
            agent_id: "a".into(),
            agent_name: Some("Front".into()),
            channel: None,
            tags: Default::default(),
        };
        let mut passed = Passed::default();
        passed.by_agent.insert("a".into(), (4, 4));
        let all = ["call_started", "call_ended", "call_analyzed", "transcript_updated"];
        let spots = |url: Option<&str>, events: Option<&[&str]>, passed: &Passed| {
            let agent = Agent {
                agent_id: "a".into(),
                version: None,
                webhook_url: url.map(str::to_owned),
                webhook_events: events.map(|events| events.iter().map(|event| (*event).to_owned()).collect()),
            };
            blind_spots(&agent, &listed, &workspace(1, 1), &directory, passed)
        };
        let fine = Passed::default();
        for ours in [
            "https://calls.example/v1/retell/ours",
            "http://10.0.0.1:8081/v1/retell/ours/?x={{tenant}}",
        ] {
            assert_eq!(spots(Some(ours), Some(&all), &passed), [], "{ours}");
        }
        let elsewhere = spots(Some("https://user:pass@crm.example/hooks/ours2?key=1"), Some(&all), &fine);
        assert_eq!(elsewhere, [(EVENTS_ELSEWHERE, "a · Front → crm.example".to_owned())]);
        let other = spots(Some("https://calls.example/v1/retell/second"), Some(&all), &fine);
        assert_eq!(other, [(EVENTS_AT_OTHER_WORKSPACE, "a · Front → W2".to_owned())]);
        let foreign = spots(Some("https://calls.example/v1/retell/foreign"), Some(&all), &fine);
        assert_eq!(foreign[0].0, EVENTS_ELSEWHERE, "another organisation's workspace is not named");
        assert_eq!(spots(None, Some(&all), &fine), []);
        assert_eq!(spots(None, Some(&all), &passed), [(ACCOUNT_SILENT, "a · Front".to_owned())]);
        let kinds: Vec<&str> = spots(None, None, &fine).iter().map(|(kind, _)| *kind).collect();
        assert_eq!(kinds, [TRANSCRIPT_OFF], "the default three are on");
        let kinds: Vec<&str> = spots(None, Some(&["call_ended"]), &fine).iter().map(|(kind, _)| *kind).collect();
        assert_eq!(kinds, [STARTED_OFF, ANALYZED_OFF, TRANSCRIPT_OFF]);
    }
}

//! `/v1/workspaces`: Retell workspaces whose events come here.

use actix_web::{HttpRequest, HttpResponse, delete, get, patch, post, put, web};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use trunkline_core::id::BusinessId;
use trunkline_core::instant::Millis;
use trunkline_stores::postgres::config::workspace::last_four;
use trunkline_stores::postgres::row::Workspace;
use utoipa::ToSchema;

use super::calls::unread;
use super::etag::{must_match, name_of};
use super::form::{given, json, moment};
use crate::configure::agents::{self, AgentSeen, unknown_business};
use crate::configure::workspace::{self, Change, Link, Trial, key_id, webhook_url};
use crate::error::{Problem, Written};
use crate::identity::Caller;
use crate::state::AppState;

/// Workspaces of the organisation.
#[derive(Debug, Serialize, ToSchema)]
pub struct Workspaces {
    /// By name.
    pub data: Vec<WorkspaceForm>,
}

/// One workspace. Keys are never shown again.
#[derive(Debug, Serialize, ToSchema)]
pub struct WorkspaceForm {
    /// Always `workspace`.
    pub object: &'static str,
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its address takes events; else it answers 404.
    pub enabled: bool,
    /// The address to paste at Retell.
    pub webhook_url: String,
    /// Keys that sign its events; two while they are rotated.
    pub signing_keys: Vec<KeyForm>,
    /// Key of Retell's API, with which calls that fell silent and names of agents are asked for.
    pub api_key: Option<KeyForm>,
    /// Networks its events may come from; empty: any.
    pub allowed_sources: Vec<String>,
    /// Most events a second; null: the installation's limit.
    pub events_per_second: Option<u32>,
    /// Business of calls whose agent is not mapped.
    pub unassigned_business_id: String,
    /// When it was linked.
    pub created_at: Option<String>,
    /// What Retell said of the API key; only where one was given in this request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_check: Option<KeyCheck>,
}

/// A key, to recognise it by.
#[derive(Debug, Serialize, ToSchema)]
pub struct KeyForm {
    /// Its name in addresses.
    pub id: String,
    /// Its last four characters.
    pub last_four: String,
}

/// What Retell said of a key.
#[derive(Debug, Serialize, ToSchema)]
pub struct KeyCheck {
    /// `accepted`, or `no_answer`: Retell gave no verdict, and the key was saved untested. A refused key is answered with 422.
    pub outcome: &'static str,
    /// Retell's name of the workspace.
    pub workspace_name: Option<String>,
    /// Why there was no verdict.
    pub detail: Option<String>,
}

/// What has come through a workspace.
#[derive(Debug, Serialize, ToSchema)]
pub struct Activity {
    /// When our door took the first event; null: it waits for it.
    pub first_event_at: Option<String>,
    /// When our door took the last one that is stored.
    pub last_event_at: Option<String>,
}

/// A workspace to be linked.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkspaceDraft {
    /// Its name.
    pub name: String,
    /// IANA time zone of the business that catches calls of agents nobody has mapped.
    pub time_zone: String,
    /// Key of Retell's API; it is tried at once.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub api_key: Option<SecretString>,
    /// Key that signs webhooks, when it is not the API key.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub signing_key: Option<SecretString>,
}

/// What is to be changed; what is not named stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkspaceChange {
    /// Another name.
    #[serde(default)]
    pub name: Option<String>,
    /// Open or close its address.
    #[serde(default)]
    pub enabled: Option<bool>,
    /// Networks (CIDR) events may come from; empty: any.
    #[serde(default)]
    pub allowed_sources: Option<Vec<String>>,
    /// Most events a second; null: the installation's limit.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u32>)]
    pub events_per_second: Option<Option<u32>>,
    /// Another API key, which is tried at once; null removes it.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub api_key: Option<Option<SecretString>>,
}

/// A key that signs webhooks.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSigningKey {
    /// The key.
    #[schema(value_type = String)]
    pub key: SecretString,
}

/// Agents of a workspace.
#[derive(Debug, Serialize, ToSchema)]
pub struct WorkspaceAgents {
    /// Those that are not mapped first.
    pub data: Vec<AgentForm>,
    /// False: Retell did not answer, so agents without calls and new names are missing.
    pub retell_answered: bool,
}

/// An agent of a workspace.
#[derive(Debug, Serialize, ToSchema)]
pub struct AgentForm {
    /// Always `agent`.
    pub object: &'static str,
    /// Retell's id.
    pub id: String,
    /// Its name.
    pub name: Option<String>,
    /// The business its calls belong to; null: not mapped.
    pub business_id: Option<String>,
    /// Calls and chats of the last 90 days.
    pub conversations: u64,
    /// When the last event of one of them came.
    pub last_heard_at: Option<String>,
}

/// Which business an agent belongs to.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    /// The business.
    pub business_id: String,
}

/// Workspaces of the organisation.
#[utoipa::path(tag = "configuration", operation_id = "listWorkspaces", responses((status = 200, description = "All workspaces", body = Workspaces),
    (status = 401, description = "No credential", body = Written), (status = 403, description = "Not allowed", body = Written)))]
#[get("/v1/workspaces", wrap = "actix_web::middleware::from_fn(super::etag::conditional)")]
pub async fn list(caller: Caller, state: web::Data<AppState>) -> Result<web::Json<Workspaces>, Problem> {
    let found = workspace::all(&state, &caller).await?;
    Ok(web::Json(Workspaces {
        data: found.iter().map(|workspace| WorkspaceForm::of(&state, workspace, None)).collect(),
    }))
}

/// Links a Retell workspace. The API key is tried at once; one that Retell refuses links nothing (422).
#[utoipa::path(tag = "configuration", operation_id = "linkWorkspace", request_body = WorkspaceDraft,
    responses((status = 201, description = "The workspace, with what Retell said of the key", body = WorkspaceForm),
    (status = 401, description = "No credential", body = Written), (status = 403, description = "Not allowed", body = Written),
    (status = 422, description = "A field that cannot be, or a key that Retell refuses", body = Written)))]
#[post("/v1/workspaces")]
pub async fn create(caller: Caller, state: web::Data<AppState>, body: web::Bytes) -> Result<HttpResponse, Problem> {
    caller.needs(trunkline_core::access::Permission::Workspaces)?;
    let draft: WorkspaceDraft = json(&body)?;
    let link = Link {
        name: draft.name,
        time_zone: draft.time_zone,
        api_key: draft.api_key,
        signing_key: draft.signing_key,
    };
    let (made, trial) = workspace::link(&state, &caller, link).await?;
    Ok(HttpResponse::Created()
        .insert_header(("location", format!("/v1/workspaces/{}", made.id)))
        .json(WorkspaceForm::of(&state, &made, trial)))
}

/// One workspace.
#[utoipa::path(tag = "configuration", operation_id = "getWorkspace", params(("id" = String, Path, description = "Its id")),
    responses((status = 200, description = "The workspace", body = WorkspaceForm),
    (status = 401, description = "No credential", body = Written), (status = 404, description = "Not there", body = Written)))]
#[get("/v1/workspaces/{id}", wrap = "actix_web::middleware::from_fn(super::etag::conditional)")]
pub async fn show(caller: Caller, state: web::Data<AppState>, path: web::Path<String>) -> Result<web::Json<WorkspaceForm>, Problem> {
    let found = workspace::find(&state, &caller, &path).await?;
    Ok(web::Json(WorkspaceForm::of(&state, &found, None)))
}

/// Changes a workspace; `If-Match` is needed.
#[utoipa::path(tag = "configuration", operation_id = "updateWorkspace", params(("id" = String, Path, description = "Its id"),
    ("If-Match" = String, Header, description = "ETag of the state that is to be changed")),
    request_body = WorkspaceChange, responses((status = 200, description = "The workspace", body = WorkspaceForm),
    (status = 401, description = "No credential", body = Written), (status = 404, description = "Not there", body = Written),
    (status = 412, description = "Changed meanwhile", body = Written),
    (status = 422, description = "A field that cannot be, or a key that Retell refuses", body = Written),
    (status = 428, description = "No If-Match", body = Written)))]
#[patch("/v1/workspaces/{id}")]
pub async fn update(
    caller: Caller,
    request: HttpRequest,
    state: web::Data<AppState>,
    path: web::Path<String>,
    body: web::Bytes,
) -> Result<web::Json<WorkspaceForm>, Problem> {
    let before = workspace::find(&state, &caller, &path).await?;
    let change: WorkspaceChange = json(&body)?;
    must_match(&request, &WorkspaceForm::of(&state, &before, None))?;
    let change = Change {
        name: change.name,
        enabled: change.enabled,
        allowed_sources: change.allowed_sources,
        events_per_second: change.events_per_second,
        api_key: change.api_key,
    };
    let (after, trial) = workspace::change(&state, &caller, &before, change).await?;
    Ok(web::Json(WorkspaceForm::of(&state, &after, trial)))
}

/// Adds a signing key beside the one in force: the first half of a rotation.
#[utoipa::path(tag = "configuration", operation_id = "addSigningKey", params(("id" = String, Path, description = "Id of the workspace")),
    request_body = NewSigningKey, responses((status = 200, description = "The workspace", body = WorkspaceForm),
    (status = 401, description = "No credential", body = Written), (status = 404, description = "Not there", body = Written),
    (status = 422, description = "No key, or two are valid already", body = Written)))]
#[post("/v1/workspaces/{id}/signing-keys")]
pub async fn add_key(
    caller: Caller,
    state: web::Data<AppState>,
    path: web::Path<String>,
    body: web::Bytes,
) -> Result<web::Json<WorkspaceForm>, Problem> {
    let before = workspace::find(&state, &caller, &path).await?;
    let new: NewSigningKey = json(&body)?;
    let after = workspace::add_signing_key(&state, &caller, &before, new.key).await?;
    Ok(web::Json(WorkspaceForm::of(&state, &after, None)))
}

/// Removes a signing key: the second half of a rotation. The last one stays.
#[utoipa::path(tag = "configuration", operation_id = "removeSigningKey", params(("id" = String, Path, description = "Id of the workspace"),
    ("key" = String, Path, description = "Id of the key")), responses((status = 200, description = "The workspace", body = WorkspaceForm),
    (status = 401, description = "No credential", body = Written), (status = 404, description = "Not there", body = Written),
    (status = 422, description = "It is the last one", body = Written)))]
#[delete("/v1/workspaces/{id}/signing-keys/{key}")]
pub async fn remove_key(
    caller: Caller,
    state: web::Data<AppState>,
    path: web::Path<(String, String)>,
) -> Result<web::Json<WorkspaceForm>, Problem> {
    let before = workspace::find(&state, &caller, &path.0).await?;
    let after = workspace::remove_signing_key(&state, &caller, &before, &path.1).await?;
    Ok(web::Json(WorkspaceForm::of(&state, &after, None)))
}

/// Whether events have come, and when.
#[utoipa::path(tag = "configuration", operation_id = "getWorkspaceActivity", params(("id" = String, Path, description = "Id of the workspace")),
    responses((status = 200, description = "First and last event", body = Activity),
    (status = 401, description = "No credential", body = Written), (status = 404, description = "Not there", body = Written),
    (status = 503, description = "ClickHouse is away", body = Written)))]
#[get("/v1/workspaces/{id}/activity")]
pub async fn activity(caller: Caller, state: web::Data<AppState>, path: web::Path<String>) -> Result<web::Json<Activity>, Problem> {
    let found = workspace::find(&state, &caller, &path).await?;
    let events = state
        .analytics
        .workspace_events(caller.tenant, found.id, found.created_at)
        .await
        .map_err(|error| unread("look for the events of a workspace", error))?;
    Ok(web::Json(Activity {
        first_event_at: events.and_then(|events| moment(Millis(events.first_at))),
        last_event_at: events.and_then(|events| moment(Millis(events.last_at))),
    }))
}

/// Agents whose calls came through the workspace, and those that Retell lists.
#[utoipa::path(tag = "configuration", operation_id = "listWorkspaceAgents", params(("id" = String, Path, description = "Id of the workspace")),
    responses((status = 200, description = "Agents", body = WorkspaceAgents),
    (status = 401, description = "No credential", body = Written), (status = 404, description = "Not there", body = Written)))]
#[get("/v1/workspaces/{id}/agents")]
pub async fn list_agents(
    caller: Caller,
    state: web::Data<AppState>,
    path: web::Path<String>,
) -> Result<web::Json<WorkspaceAgents>, Problem> {
    let found = workspace::find(&state, &caller, &path).await?;
    let agents = agents::all(&state, &caller, &found).await?;
    Ok(web::Json(WorkspaceAgents {
        data: agents.all.into_iter().map(AgentForm::of).collect(),
        retell_answered: agents.retell_answered,
    }))
}

/// Says which business an agent belongs to; its earlier calls move there too.
#[utoipa::path(tag = "configuration", operation_id = "mapAgent", params(("id" = String, Path, description = "Id of the workspace"),
    ("agent" = String, Path, description = "Retell's id of the agent")), request_body = Mapping,
    responses((status = 200, description = "The agent", body = AgentForm), (status = 401, description = "No credential", body = Written),
    (status = 404, description = "Not there", body = Written), (status = 422, description = "No such business", body = Written)))]
#[put("/v1/workspaces/{id}/agents/{agent}")]
pub async fn map_agent(
    caller: Caller,
    state: web::Data<AppState>,
    path: web::Path<(String, String)>,
    body: web::Bytes,
) -> Result<web::Json<AgentForm>, Problem> {
    let found = workspace::find(&state, &caller, &path.0).await?;
    let mapping: Mapping = json(&body)?;
    let business: BusinessId = mapping.business_id.parse().map_err(|_| unknown_business())?;
    let agent = agents::map(&state, &caller, &found, &path.1, Some(business)).await?;
    Ok(web::Json(AgentForm::of(agent)))
}

/// Takes an agent's business away; its calls go to Unassigned.
#[utoipa::path(tag = "configuration", operation_id = "unmapAgent", params(("id" = String, Path, description = "Id of the workspace"),
    ("agent" = String, Path, description = "Retell's id of the agent")), responses((status = 204, description = "It is mapped no more"),
    (status = 401, description = "No credential", body = Written), (status = 404, description = "Not there", body = Written)))]
#[delete("/v1/workspaces/{id}/agents/{agent}")]
pub async fn unmap_agent(caller: Caller, state: web::Data<AppState>, path: web::Path<(String, String)>) -> Result<HttpResponse, Problem> {
    let found = workspace::find(&state, &caller, &path.0).await?;
    agents::map(&state, &caller, &found, &path.1, None).await?;
    Ok(HttpResponse::NoContent().finish())
}

impl WorkspaceForm {
    fn of(state: &AppState, workspace: &Workspace, trial: Option<Trial>) -> WorkspaceForm {
        let key = |key: &SecretString| KeyForm {
            id: key_id(key),
            last_four: last_four(key),
        };
        WorkspaceForm {
            object: "workspace",
            id: workspace.id.to_string(),
            name: workspace.name.clone(),
            enabled: workspace.enabled,
            webhook_url: webhook_url(state, workspace),
            signing_keys: workspace.signing_keys.iter().map(key).collect(),
            api_key: workspace.api_key.as_ref().map(key),
            allowed_sources: workspace.allowed_sources.clone(),
            events_per_second: workspace.rate_per_second,
            unassigned_business_id: workspace.unassigned.to_string(),
            created_at: moment(workspace.created_at),
            key_check: trial.map(KeyCheck::of),
        }
    }
}

/// A name of a workspace's state, for the form of the page: the ETag that the API has of it, without its quotes.
pub fn tag(state: &AppState, workspace: &Workspace) -> Result<String, Problem> {
    name_of(&WorkspaceForm::of(state, workspace, None)).map(|tag| tag.trim_matches('"').to_owned())
}

impl KeyCheck {
    fn of(trial: Trial) -> KeyCheck {
        match trial {
            Trial::Accepted(name) => KeyCheck {
                outcome: "accepted",
                workspace_name: Some(name),
                detail: None,
            },
            Trial::NoAnswer(why) => KeyCheck {
                outcome: "no_answer",
                workspace_name: None,
                detail: Some(why),
            },
        }
    }
}

impl AgentForm {
    fn of(agent: AgentSeen) -> AgentForm {
        AgentForm {
            object: "agent",
            id: agent.id,
            name: Some(agent.name).filter(|name| !name.is_empty()),
            business_id: agent.business.map(|business| business.to_string()),
            conversations: agent.conversations,
            last_heard_at: agent.last_heard.and_then(moment),
        }
    }
}

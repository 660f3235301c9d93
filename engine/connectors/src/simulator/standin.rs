//! Plays Retell's REST API for the simulated conversations: what `get-call`, `list-calls`, `list-agents`, `get-agent` and
//! `get-api-key-info` would answer now.
//!
//! Requests are checked against Retell's published schema (`schemas/request.list_calls.schema.json`), so that a client that passes
//! here sends what Retell takes; tests hold that the answers pass the schemas of answers. No sockets here: `web` serves it.

use std::sync::{Arc, OnceLock};

use jsonschema::Validator;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use trunkline_core::instant::Millis;

use super::body;
use super::life::Plan;
use super::sender::{Recent, step_at};
use super::world::{Job, SimAgent, World};

/// Page length when the request names none (API.md, limits).
const PAGE_DEFAULT: usize = 50;
/// Longest page (API.md, limits).
const PAGE_MAX: usize = 1_000;

/// A sender further behind the clock plays a past: what it will send of that is not to be compared yet.
const BEHIND_MS: i64 = 2_000;
/// When every agent was last changed.
const MODIFIED_MS: i64 = 1_793_455_200_000;
/// An agent of the workspace that has no calls and sends its events to somebody else: what an audit of webhook settings is for.
const ELSEWHERE: (&str, &str, &str) = (
    "agent_00000000000000007121ffff01",
    "Night line (trial)",
    "https://crm.example.invalid/hooks/retell",
);

/// An answer: HTTP status and JSON body, as Retell spells errors: `{"status":"error","message":...}`.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Body.
    pub body: Value,
}

impl Answer {
    fn error(status: u16, message: impl Into<String>) -> Answer {
        Answer {
            status,
            body: json!({"status": "error", "message": message.into()}),
        }
    }
}

/// The stand-in over a running simulator.
#[derive(Clone)]
pub struct StandIn {
    world: Arc<World>,
    recent: Arc<Mutex<Recent>>,
}

impl StandIn {
    /// Answers for the conversations of `recent`.
    pub fn new(world: Arc<World>, recent: Arc<Mutex<Recent>>) -> StandIn {
        StandIn { world, recent }
    }

    /// `GET /v2/get-call/{id}`.
    pub async fn get_call(&self, id: &str, now: Millis) -> Answer {
        let recent = self.recent.lock().await;
        let (plan, now) = (recent.get(id), as_of(&recent, now));
        drop(recent);
        match plan.filter(|plan| !plan.is_chat()).and_then(|plan| self.object(&plan, now)) {
            Some(body) => Answer { status: 200, body },
            None => Answer::error(404, "Cannot find requested asset under given api key."),
        }
    }

    /// `POST /v3/list-calls`: items without transcripts, oldest or newest first, filtered by start, end, id and status. Unavailable (503) while
    /// the simulator plays a past: calls that it has not told of yet would look as if they had been lost.
    pub async fn list_calls(&self, request: &Value, now: Millis) -> Answer {
        if let Some(error) = list_calls_schema().iter_errors(request).next() {
            return Answer::error(
                400,
                format!("request body does not match the schema at {}: {error}", error.instance_path()),
            );
        }
        let ascending = request["sort_order"] == "ascending";
        let limit = request["limit"]
            .as_u64()
            .map_or(PAGE_DEFAULT, |limit| (limit as usize).clamp(1, PAGE_MAX));
        let skip = match request["pagination_key"].as_str().map(str::parse::<usize>) {
            Some(Err(_)) => return Answer::error(400, "pagination_key is not one of ours"),
            Some(Ok(place)) => place,
            None => request["skip"].as_u64().unwrap_or(0) as usize,
        };
        let recent = self.recent.lock().await;
        if as_of(&recent, now) != now {
            return Answer::error(503, "The simulator is still playing the past.");
        }
        let mut plans: Vec<Arc<Plan>> = recent.all().filter(|plan| !plan.is_chat()).cloned().collect();
        drop(recent);
        plans.sort_by_key(|plan| plan.start_ms);
        if !ascending {
            plans.reverse();
        }
        let mut items: Vec<Value> = plans
            .iter()
            .filter_map(|plan| self.object(plan, now))
            .filter(|call| passes(&request["filter_criteria"], call))
            .skip(skip)
            .take(limit + 1)
            .collect();
        let has_more = items.len() > limit;
        items.truncate(limit);
        for item in &mut items {
            if let Some(fields) = item.as_object_mut() {
                fields.retain(|name, _| !name.contains("transcript"));
            }
        }
        let mut body = json!({"items": items, "has_more": has_more});
        if has_more {
            body["pagination_key"] = json!((skip + limit).to_string());
        }
        Answer { status: 200, body }
    }

    /// `POST /v2/list-agents`: short items of all channels, in pages.
    pub fn list_agents(&self, limit: Option<usize>, page: Option<&str>) -> Answer {
        let from = match page.map(str::parse::<usize>) {
            Some(Err(_)) => return Answer::error(400, "pagination_key is not one of ours"),
            Some(Ok(place)) => place,
            None => 0,
        };
        let limit = limit.unwrap_or(PAGE_DEFAULT).clamp(1, PAGE_MAX);
        let item = |id: &str, name: &str, channel: &str, version: Option<u32>| {
            let tags = version.map_or_else(|| json!({}), |version| json!({"prod": {"version": version}}));
            json!({"agent_id": id, "agent_name": name, "channel": channel, "is_suspended": false, "is_transfer_agent": false,
                "tags": tags, "user_modified_timestamp": MODIFIED_MS})
        };
        let mut items: Vec<Value> = self
            .world
            .agents()
            .map(|(_, who)| item(&who.id, &who.name, channel(who), Some(who.version)))
            .chain([item(ELSEWHERE.0, ELSEWHERE.1, "voice", None)])
            .skip(from)
            .take(limit + 1)
            .collect();
        let has_more = items.len() > limit;
        items.truncate(limit);
        let mut body = json!({"items": items, "has_more": has_more});
        if has_more {
            body["pagination_key"] = json!((from + limit).to_string());
        }
        Answer { status: 200, body }
    }

    /// `GET /get-api-key-info`.
    pub fn key_info() -> Answer {
        Answer {
            status: 200,
            body: json!({"org_id": "org_simulated", "org_name": "Simulated workspace", "api_key_name": "trunkline"}),
        }
    }

    /// `GET /get-agent/{id}`: voice agents only; of chat agents Retell tells elsewhere. All but one send everything to the account's address.
    pub fn get_agent(&self, id: &str, version: Option<u32>) -> Answer {
        let known = self.world.agents().find(|(_, who)| who.id == id && who.job != Job::Chat);
        let (name, latest) = match known {
            Some((_, who)) => (who.name.as_str(), who.version),
            None if id == ELSEWHERE.0 => (ELSEWHERE.1, 0),
            None => return Answer::error(404, "Cannot find requested asset under given api key."),
        };
        let mut body = json!({
            "agent_id": id, "agent_name": name, "version": version.unwrap_or(latest), "is_published": true, "voice_id": "11labs-Adrian",
            "response_engine": {"type": "retell-llm", "llm_id": format!("llm_{}", &id["agent_".len()..])}, "language": "en-US",
            "last_modification_timestamp": MODIFIED_MS,
            "webhook_events": ["call_started", "call_ended", "call_analyzed", "transcript_updated", "transfer_started", "transfer_bridged",
                "transfer_cancelled", "transfer_ended"],
        });
        if known.is_none() {
            body["webhook_url"] = json!(ELSEWHERE.2);
            body["webhook_events"] = json!(["call_started", "call_ended"]);
        }
        Answer { status: 200, body }
    }

    fn object(&self, plan: &Plan, now: Millis) -> Option<Value> {
        step_at(plan, now).map(|step| Value::Object(body::call(&self.world, plan, step)))
    }
}

/// The moment as of which the world is told: the clock's, or where the simulator is while it plays a past.
fn as_of(recent: &Recent, now: Millis) -> Millis {
    match recent.present() {
        Some(present) if now.since(present) > BEHIND_MS => present,
        _ => now,
    }
}

fn channel(who: &SimAgent) -> &'static str {
    if who.job == Job::Chat { "chat" } else { "voice" }
}

/// The filters our client uses; one it does not use would pass everything, so it is refused by letting nothing through.
fn passes(filter: &Value, call: &Value) -> bool {
    let Some(filter) = filter.as_object() else { return true };
    filter.iter().all(|(name, filter)| match (name.as_str(), filter["op"].as_str()) {
        ("start_timestamp" | "end_timestamp", Some("bt")) => {
            let bound = |place: usize| filter["value"][place].as_i64();
            matches!((call[name].as_i64(), bound(0), bound(1)), (Some(at), Some(low), Some(high)) if (low..=high).contains(&at))
        }
        ("call_status", Some("in")) => filter["value"].as_array().is_some_and(|wanted| wanted.contains(&call[name])),
        ("call_id", Some("eq")) => filter["value"] == call[name],
        _ => false,
    })
}

fn list_calls_schema() -> &'static Validator {
    static SCHEMA: OnceLock<Validator> = OnceLock::new();
    SCHEMA.get_or_init(|| {
        let schema: Value =
            serde_json::from_str(include_str!("../../schemas/request.list_calls.schema.json")).expect("the schema is part of the build");
        jsonschema::validator_for(&schema).expect("Retell's schema is valid")
    })
}

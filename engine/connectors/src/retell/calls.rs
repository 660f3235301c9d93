//! Calls as Retell's API tells of them: pages of its list, and the events that a call object amounts to.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use trunkline_core::instant::Millis;
use trunkline_core::limit::ID_BYTES;
use trunkline_core::name::Name;
use trunkline_core::reconcile::Listed;

/// Longest page of a list (API.md part 1, limits).
pub const PAGE_MAX: u32 = 1_000;
/// Pages of one list that are followed: a million calls of one stretch of time. A list that goes on beyond has no end.
pub const PAGES_MAX: usize = 1_000;
/// What `call_started` carries (EVENTS.md part 2): ids, agent, type, direction and numbers, start, status, what was given with it.
const STARTED: [&str; 16] = [
    "call_id",
    "call_type",
    "agent_id",
    "agent_version",
    "agent_name",
    "agent_tag",
    "call_status",
    "access_token",
    "direction",
    "from_number",
    "to_number",
    "telephony_identifier",
    "start_timestamp",
    "metadata",
    "retell_llm_dynamic_variables",
    "custom_sip_headers",
];

/// A page of list-calls.
#[derive(Debug, Clone, Deserialize)]
pub struct CallPage {
    /// Call objects without transcripts.
    pub items: Vec<Value>,
    /// Whether more follow.
    #[serde(default)]
    pub has_more: bool,
    /// What to send back for the next page.
    #[serde(default)]
    pub pagination_key: Option<String>,
}

impl CallPage {
    /// What to send for the page after this one; `None` at the end, also when Retell says that more follow and not where.
    pub fn next(&self) -> Option<String> {
        self.pagination_key.clone().filter(|_| self.has_more)
    }
}

/// What to list, oldest first.
#[derive(Debug, Clone, Serialize)]
pub struct ListCalls {
    filter_criteria: Value,
    limit: u32,
    sort_order: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pagination_key: Option<String>,
}

impl ListCalls {
    /// Calls whose end lies in `[from, to)`. By the end and not by the start, because calls that never connected have none.
    pub fn ended_between(from: Millis, to: Millis) -> ListCalls {
        ListCalls::of(json!({"end_timestamp": {"type": "range", "op": "bt", "value": [from.0, to.0 - 1]}}))
    }

    /// Calls that run.
    pub fn running() -> ListCalls {
        ListCalls::of(json!({"call_status": {"type": "enum", "op": "in", "value": ["ongoing"]}}))
    }

    fn of(filter_criteria: Value) -> ListCalls {
        ListCalls {
            filter_criteria,
            limit: PAGE_MAX,
            sort_order: "ascending",
            pagination_key: None,
        }
    }

    /// The page that is asked for; none: the first.
    pub(super) fn page(&self) -> Option<&str> {
        self.pagination_key.as_deref()
    }

    /// The same with pages of `limit` (1 to [`PAGE_MAX`]).
    #[must_use]
    pub fn paged(self, limit: u32) -> ListCalls {
        ListCalls {
            limit: limit.clamp(1, PAGE_MAX),
            ..self
        }
    }

    /// The page that this key leads to.
    #[must_use]
    pub fn at(self, page: Option<String>) -> ListCalls {
        ListCalls {
            pagination_key: page,
            ..self
        }
    }
}

/// True when a call of this object is over: its status is final, or one that Retell has added since and an end stands beside it.
pub fn is_over(call: &Value) -> bool {
    match call["call_status"].as_str() {
        Some("registered" | "ongoing") => false,
        Some("ended" | "error" | "not_connected") => true,
        _ => call["end_timestamp"].is_number(),
    }
}

/// What of a listed call is compared; `None` for what has no usable id.
pub fn listed(call: &Value) -> Option<Listed> {
    let text = |name: &str| call[name].as_str().unwrap_or_default();
    let at = |name: &str| call[name].as_f64().map(|ms| Millis(ms.round() as i64));
    Some(Listed {
        call_id: call["call_id"].as_str().filter(|id| is_usable(id))?.into(),
        agent_id: text("agent_id").into(),
        over: is_over(call),
        started_at: at("start_timestamp"),
        ended_at: at("end_timestamp"),
        transfer_ended_at: at("transfer_end_timestamp"),
        analysed: is_analysed(&call["call_analysis"]),
        combined_cents: call["call_cost"]["combined_cost"].as_f64(),
    })
}

/// As at the intake (rule A7).
fn is_usable(id: &str) -> bool {
    !id.is_empty() && id.len() <= ID_BYTES && !id.chars().any(char::is_control)
}

/// Content makes a call analysed (rule B5): at least one field that says something.
fn is_analysed(analysis: &Value) -> bool {
    let words = |name: &str| analysis[name].as_str().is_some_and(|text| !text.trim().is_empty());
    let verdict = |name: &str| analysis[name].is_boolean();
    words("call_summary")
        || words("user_sentiment")
        || verdict("call_successful")
        || verdict("in_voicemail")
        || analysis["custom_analysis_data"]
            .as_object()
            .is_some_and(|custom| !custom.is_empty())
}

/// The bodies of these events as Retell would have sent them: the object of get-call is the one that webhooks carry (EVENTS.md part 5),
/// `call_started` with its basic fields, `call_ended` without the analysis. So the real event, when it comes late, is the same event.
pub fn events_of(call: &Value, names: &[Name]) -> Vec<(Name, Vec<u8>)> {
    let fields = call.as_object().cloned().unwrap_or_default();
    let carried = |name: Name| -> Map<String, Value> {
        let kept = |field: &str| match name {
            Name::CallStarted => STARTED.contains(&field),
            Name::CallEnded => field != "call_analysis",
            _ => true,
        };
        fields
            .iter()
            .filter(|(field, _)| kept(field))
            .map(|(field, value)| (field.clone(), value.clone()))
            .collect()
    };
    let body = |name: &Name| {
        (
            *name,
            json!({"event": name.as_str(), "call": carried(*name)}).to_string().into_bytes(),
        )
    };
    names.iter().map(body).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_object_becomes_the_events_that_retell_would_have_sent() {
        let call = json!({
            "call_id": "call_1", "agent_id": "agent_1", "call_status": "ended", "start_timestamp": 1, "end_timestamp": 2,
            "transcript": "Agent: Hello\n", "call_analysis": {"call_successful": true}, "direction": "inbound",
        });
        let names = [Name::CallStarted, Name::CallEnded, Name::CallAnalyzed];
        let bodies: Vec<Value> = events_of(&call, &names)
            .into_iter()
            .map(|(_, body)| serde_json::from_slice(&body).expect("we wrote it"))
            .collect();
        let has = |place: usize, field: &str| bodies[place]["call"].get(field).is_some();
        assert_eq!(bodies[0]["event"], "call_started");
        assert!(has(0, "direction") && !has(0, "transcript") && !has(0, "end_timestamp"));
        assert_eq!(bodies[1]["event"], "call_ended");
        assert!(has(1, "transcript") && !has(1, "call_analysis"));
        assert_eq!((&bodies[2]["event"], &bodies[2]["call"]), (&json!("call_analyzed"), &call));
    }

    #[test]
    fn what_is_over_and_what_is_analysed_is_read_as_the_rules_say() {
        for (call, over) in [
            (json!({"call_status": "ongoing", "end_timestamp": 5}), false),
            (json!({"call_status": "registered"}), false),
            (json!({"call_status": "not_connected"}), true),
            (json!({"call_status": "parked"}), false),
            (json!({"call_status": "parked", "end_timestamp": 5}), true),
        ] {
            assert_eq!(is_over(&call), over, "{call}");
        }
        for (analysis, analysed) in [
            (json!(null), false),
            (json!({}), false),
            (json!({"call_summary": " ", "custom_analysis_data": {}}), false),
            (json!({"in_voicemail": false}), true),
            (json!({"call_summary": "Booked."}), true),
        ] {
            let call = json!({"call_id": "c", "call_analysis": analysis});
            assert_eq!(listed(&call).expect("it has an id").analysed, analysed, "{call}");
        }
        assert_eq!(listed(&json!({"call_id": ""})), None);
    }
}

//! Spells the events of a [`Plan`] as Retell spells them: `{"event", "call"}` or `{"event", "chat"}`, compact JSON.
//!
//! Fields and units: `EVENTS.md` sections 2, 3, 5, 6. The objects are checked in tests against Retell's own schemas.

use serde_json::{Map, Value, json};

use super::entry::Entry;
use super::life::{Plan, Step};
use super::world::{Job, World};

/// The event's name and body for `step` of `plan`.
pub fn event(world: &World, plan: &Plan, step: Step) -> (&'static str, Vec<u8>) {
    let name = event_name(plan, step);
    let object = if plan.is_chat() {
        chat(world, plan, step)
    } else {
        call(world, plan, step)
    };
    let mut body = Map::new();
    body.insert("event".into(), json!(name));
    body.insert(if plan.is_chat() { "chat" } else { "call" }.into(), Value::Object(object));
    if let (Step::TransferStarted | Step::TransferBridged | Step::TransferCancelled, Some(number)) = (step, plan.destination) {
        body.insert("transfer_destination".into(), json!({"type": "predefined", "number": number}));
        body.insert(
            "transfer_option".into(),
            json!({"type": "warm_transfer", "showTransfereeAsCaller": false}),
        );
    }
    (
        name,
        serde_json::to_vec(&Value::Object(body)).expect("maps of plain values always serialise"),
    )
}

/// Retell's name for `step`.
pub fn event_name(plan: &Plan, step: Step) -> &'static str {
    match (step, plan.is_chat()) {
        (Step::Started, false) => "call_started",
        (Step::Started, true) => "chat_started",
        (Step::Transcript(_), _) => "transcript_updated",
        (Step::TransferStarted, _) => "transfer_started",
        (Step::TransferBridged, _) => "transfer_bridged",
        (Step::TransferCancelled, _) => "transfer_cancelled",
        (Step::TransferEnded, _) => "transfer_ended",
        (Step::Ended, false) => "call_ended",
        (Step::Ended, true) => "chat_ended",
        (Step::Analyzed, false) => "call_analyzed",
        (Step::Analyzed, true) => "chat_analyzed",
    }
}

/// The call object as it stands after `step`; what get-call would answer then.
pub fn call(world: &World, plan: &Plan, step: Step) -> Map<String, Value> {
    let (firm, who) = (
        &world.businesses[plan.business],
        &world.businesses[plan.business].agents[plan.agent],
    );
    let over = matches!(step, Step::Ended | Step::Analyzed | Step::TransferEnded)
        || matches!(step, Step::Transcript(seen) if seen == plan.entries.len() && plan.steps.iter().any(|s| s.1 == Step::Ended && s.0 == 0));
    let mut call = Map::new();
    let mut put = |key: &str, value: Value| {
        call.insert(key.to_owned(), value);
    };
    put("call_id", json!(plan.id));
    put("call_type", json!(if who.job == Job::Web { "web_call" } else { "phone_call" }));
    put("agent_id", json!(who.id));
    put("agent_version", json!(who.version));
    put("agent_name", json!(who.name));
    put("call_status", json!(status(plan, over)));
    match who.job {
        Job::Web => put("access_token", json!(format!("sim_{}", &plan.id[5..]))),
        Job::Inbound => {
            put("direction", json!("inbound"));
            put("from_number", json!(plan.party));
            put("to_number", json!(firm.number));
        }
        Job::Outbound | Job::Chat => {
            put("direction", json!("outbound"));
            put("from_number", json!(firm.number));
            put("to_number", json!(plan.party));
            put("metadata", json!({"campaign": "recall-2026w47", "attempt": 1}));
        }
    }
    put("data_storage_setting", json!("everything"));
    put("opt_in_signed_url", json!(false));
    if plan.connected {
        put("start_timestamp", json!(plan.start_ms));
    }
    let seen = match step {
        Step::Started => 0,
        Step::Transcript(seen) => seen,
        _ => plan.entries.len(),
    };
    if seen > 0 {
        transcript(plan, seen, &mut put);
    }
    if over {
        if plan.connected {
            put("end_timestamp", json!(plan.start_ms + plan.duration_ms));
            put("duration_ms", json!(plan.duration_ms));
            put(
                "recording_url",
                json!(format!("https://recordings.example.invalid/{}/recording.wav", plan.id)),
            );
            if !plan.latency_ms.is_empty() {
                put("latency", latency(plan));
            }
            put("call_cost", cost(plan, step));
        } else if let Some((after, _)) = plan.steps.iter().find(|(_, step)| *step == Step::Ended) {
            // Without a start, but with an end (EVENTS.md part 2).
            put("end_timestamp", json!(plan.start_ms + after));
        }
        put("disconnection_reason", json!(plan.reason));
        if let Some(number) = plan.destination.filter(|_| plan.reason == "call_transfer") {
            put("transfer_destination", json!(number));
        }
    }
    if step == Step::TransferEnded
        && let Some(end) = plan.transfer_end_ms
    {
        put("transfer_end_timestamp", json!(plan.start_ms + end));
    }
    if matches!(step, Step::Analyzed | Step::TransferEnded) && plan.connected {
        put("call_analysis", analysis(plan, "call_summary", "call_successful", true));
    }
    call
}

fn status(plan: &Plan, over: bool) -> &'static str {
    match (over, plan.connected) {
        (false, _) => "ongoing",
        (true, _) if plan.reason.starts_with("error_") || plan.reason == "concurrency_limit_reached" => "error",
        (true, false) => "not_connected",
        (true, true) => "ended",
    }
}

fn transcript(plan: &Plan, seen: usize, put: &mut impl FnMut(&str, Value)) {
    let mut lines = String::new();
    let (mut spoken, mut all) = (Vec::new(), Vec::new());
    for (place, entry) in plan.entries[..seen].iter().enumerate() {
        match entry {
            Entry::Said { role, text, words } => {
                lines.push_str(if *role == "agent" { "Agent: " } else { "User: " });
                lines.push_str(text);
                lines.push('\n');
                let words: Vec<Value> = words
                    .iter()
                    .map(|(word, start, end)| json!({"word": word, "start": start, "end": end}))
                    .collect();
                let item = json!({"role": role, "content": text, "words": words});
                spoken.push(item.clone());
                all.push(item);
            }
            Entry::Tool {
                name,
                arguments,
                result,
                successful,
                at,
                took,
            } => {
                let id = format!("tool_call_{}_{place}", &plan.id[5..13]);
                all.push(json!({"role": "tool_call_invocation", "tool_call_id": id, "name": name, "arguments": arguments, "type": "custom", "time_sec": at}));
                all.push(json!({"role": "tool_call_result", "tool_call_id": id, "content": result, "successful": successful, "time_sec": at + took}));
            }
        }
    }
    put("transcript", json!(lines));
    put("transcript_object", Value::Array(spoken));
    put("transcript_with_tool_calls", Value::Array(all));
}

fn latency(plan: &Plan) -> Value {
    let stage = |share: f64| {
        let mut values: Vec<f64> = plan
            .latency_ms
            .iter()
            .map(|sample| (sample * share * 100.0).round() / 100.0)
            .collect();
        let list = values.clone();
        values.sort_by(f64::total_cmp);
        let at = |p: f64| {
            let place = p * (values.len() - 1) as f64;
            let (low, high) = (values[place.floor() as usize], values[place.ceil() as usize]);
            low + (high - low) * place.fract()
        };
        json!({"p50": at(0.5), "p90": at(0.9), "p95": at(0.95), "p99": at(0.99), "max": at(1.0), "min": at(0.0), "num": list.len(), "values": list})
    };
    json!({"e2e": stage(1.0), "asr": stage(0.14), "llm": stage(0.52), "tts": stage(0.27)})
}

/// Cents by the rule of EVENTS.md 5.3: seconds rounded up, the whole is the sum of the parts.
fn cost(plan: &Plan, step: Step) -> Value {
    let seconds = (plan.duration_ms + 999) / 1_000;
    let mut parts = vec![("elevenlabs_tts", 0.116_666_7), ("gpt_5_4_mini", 0.03)];
    if !plan.party.is_empty() {
        parts.push(("us_telephony", 0.025));
    }
    let unit: f64 = parts.iter().map(|part| part.1).sum();
    let mut costs: Vec<Value> = parts
        .iter()
        .map(|(product, price)| json!({"product": product, "unit_price": price, "cost": price * seconds as f64}))
        .collect();
    let mut combined = unit * seconds as f64;
    if let (Step::TransferEnded, Some(end)) = (step, plan.transfer_end_ms) {
        let leg = 0.025 * ((end - plan.duration_ms).max(0) as f64 / 1_000.0).ceil();
        costs.push(json!({"product": "us_telephony", "unit_price": 0.025, "cost": leg, "is_transfer_leg_cost": true}));
        combined += leg;
    }
    json!({"product_costs": costs, "total_duration_seconds": seconds, "total_duration_unit_price": unit, "combined_cost": combined})
}

fn analysis(plan: &Plan, summary: &str, successful: &str, voice: bool) -> Value {
    let mut analysis = Map::new();
    analysis.insert(summary.into(), json!(plan.summary));
    analysis.insert("user_sentiment".into(), json!(plan.sentiment));
    if let Some(verdict) = plan.successful {
        analysis.insert(successful.into(), json!(verdict));
    }
    if voice {
        analysis.insert("in_voicemail".into(), json!(plan.voicemail));
    }
    analysis.insert("custom_analysis_data".into(), json!({"intent": plan.scenario}));
    Value::Object(analysis)
}

/// The chat object as it stands after `step`.
pub fn chat(world: &World, plan: &Plan, step: Step) -> Map<String, Value> {
    let who = &world.businesses[plan.business].agents[plan.agent];
    let over = matches!(step, Step::Ended | Step::Analyzed);
    let mut chat = Map::new();
    let mut put = |key: &str, value: Value| {
        chat.insert(key.to_owned(), value);
    };
    put("chat_id", json!(plan.id));
    put("agent_id", json!(who.id));
    put("version", json!(who.version));
    put("chat_status", json!(if over { "ended" } else { "ongoing" }));
    put("chat_type", json!("api_chat"));
    put("start_timestamp", json!(plan.start_ms));
    let seen = match step {
        Step::Started => 0,
        Step::Transcript(seen) => seen,
        _ => plan.entries.len(),
    };
    if seen > 0 {
        let mut lines = String::new();
        let mut messages = Vec::new();
        for (place, entry) in plan.entries[..seen].iter().enumerate() {
            let at = plan.start_ms + (entry.end() * 1_000.0) as i64;
            let id = format!("msg_{}_{place}", &plan.id[5..13]);
            match entry {
                Entry::Said { role, text, .. } => {
                    lines.push_str(if *role == "agent" { "Agent: " } else { "User: " });
                    lines.push_str(text);
                    lines.push('\n');
                    messages.push(json!({"role": role, "content": text, "message_id": id, "created_timestamp": at}));
                }
                Entry::Tool {
                    name,
                    arguments,
                    result,
                    successful,
                    ..
                } => {
                    messages.push(json!({"role": "tool_call_invocation", "tool_call_id": id, "name": name, "arguments": arguments, "type": "custom", "message_id": id, "created_timestamp": at}));
                    messages.push(json!({"role": "tool_call_result", "tool_call_id": id, "content": result, "successful": successful, "message_id": format!("{id}r"), "created_timestamp": at}));
                }
            }
        }
        put("transcript", json!(lines));
        put("message_with_tool_calls", Value::Array(messages));
    }
    if over {
        put("end_timestamp", json!(plan.start_ms + plan.duration_ms));
        put(
            "chat_cost",
            json!({"product_costs": [{"product": "gpt_5_4_mini", "unit_price": 0.2, "cost": 0.2}], "combined_cost": 0.2}),
        );
    }
    if step == Step::Analyzed {
        put("chat_analysis", analysis(plan, "chat_summary", "chat_successful", false));
    }
    chat
}

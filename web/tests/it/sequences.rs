//! The eleven sequences of deliveries that the samples' README asks for, each told of a call of its own and read from `/v1`.

use std::time::Duration;

use serde_json::{Value, json};

use crate::process::{Product, eventually, shared};
use crate::signer::Signer;

const INBOUND: [&str; 6] = [
    "call_started.phone_inbound",
    "transcript_updated.turn",
    "transcript_updated.turn_inside_call",
    "call_ended.phone_inbound.agent_hangup",
    "transcript_updated.final",
    "call_analyzed.phone_inbound",
];

/// One sequence: the bodies in order of delivery and what the call is like afterwards.
struct Sequence {
    id: &'static str,
    bodies: Vec<Value>,
    /// Distinct records that belong to the call (name and content).
    distinct: usize,
    expected: Value,
}

fn sample(name: &str) -> Value {
    let path = shared("retell/payloads").join(format!("{name}.json"));
    serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Samples retold of the call `id`.
fn told_of(id: &str, names: &[&str]) -> Vec<Value> {
    let retold = names.iter().map(|name| {
        let mut body = sample(name);
        body["call"]["call_id"] = json!(id);
        body
    });
    retold.collect()
}

fn sequences() -> Vec<Sequence> {
    let whole = json!({"state": "ended", "connected": true, "analysed": true, "end_inferred": false, "turns": 8,
        "duration_ms": 35_921, "reason": "agent_hangup", "successful": true, "sentiment": "positive", "direction": "inbound"});
    let mut all = Vec::new();
    let mut add = |id: &'static str, bodies: Vec<Value>, distinct: usize, expected: Value| {
        all.push(Sequence {
            id,
            bodies,
            distinct,
            expected,
        });
    };

    let mut inbound = vec![sample("call_inbound")];
    inbound.extend(told_of("sequence_1", &INBOUND));
    add("sequence_1", inbound, 6, whole.clone());

    let failed = told_of("sequence_2", &["edge.dial_failed.call_ended", "edge.dial_failed.call_analyzed"]);
    let never = json!({"state": "ended", "connected": false, "duration_ms": null, "reason": "dial_failed", "turns": 0});
    add("sequence_2", failed, 2, never);

    let late = told_of(
        "sequence_3",
        &["call_ended.phone_inbound.agent_hangup", "call_started.phone_inbound"],
    );
    let ended = json!({"state": "ended", "connected": true, "end_inferred": false, "reason": "agent_hangup"});
    add("sequence_3", late, 2, ended);

    let once = told_of("sequence_4", &INBOUND);
    // Five and six have no common divisor: every event three times, never twice in a row.
    let thrice = (0..18).map(|place| once[place * 5 % 6].clone()).collect();
    add("sequence_4", thrice, 6, whole.clone());

    let function_first = told_of(
        "sequence_5",
        &["custom_function.request.before_call_started", "call_started.phone_inbound"],
    );
    add("sequence_5", function_first, 1, json!({"state": "ongoing", "connected": true}));

    let mut transfer = told_of(
        "sequence_6",
        &[
            "transfer_started.warm",
            "transfer_cancelled.warm",
            "transfer_started.warm",
            "transfer_bridged.warm",
            "call_ended.phone_inbound.call_transfer",
            "call_analyzed.phone_inbound",
            "transfer_ended",
        ],
    );
    // Two attempts with equal bodies are one (rule B7); the second tells a little more.
    transfer[2]["call"]["duration_ms"] = json!(9_000);
    let passed_on = json!({"state": "ended", "connected": true, "analysed": true, "transfers": 2, "reason": "call_transfer"});
    add("sequence_6", transfer, 7, passed_on);

    let tail = told_of("sequence_7", &["call_started.phone_inbound"]);
    add(
        "sequence_7",
        tail,
        1,
        json!({"state": "ongoing", "connected": true, "closed_at": null}),
    );

    let analysis = told_of("sequence_8", &["call_analyzed.phone_inbound"]);
    let inferred = json!({"state": "ended", "end_inferred": true, "analysed": true, "connected": true});
    add("sequence_8", analysis, 1, inferred);

    let mut rerun = told_of("sequence_9", &["call_analyzed.phone_inbound", "call_analyzed.phone_inbound"]);
    rerun[1]["call"]["call_analysis"]["call_summary"] = json!("second opinion");
    add("sequence_9", rerun, 2, json!({"state": "ended", "summary": "second opinion"}));

    let twice = told_of("sequence_11", &["call_ended.phone_inbound.agent_hangup"; 2]);
    add(
        "sequence_11",
        twice,
        1,
        json!({"state": "ended", "end_inferred": false, "turns": 8}),
    );
    all
}

/// Delivers all of them, one event after the other, and reads each call as the call log and as memory have it.
pub async fn all(product: &Product<'_>, signer: &mut Signer) {
    let hooks_before = hooks(product).await;
    for sequence in sequences() {
        for body in &sequence.bodies {
            let answer = signer.post(product, &body.to_string()).await;
            assert!(answer.status().is_success(), "{}: {}", sequence.id, answer.status());
        }
    }
    // Sequence 10: an inbound call that was rejected. The hook was asked, and then nothing comes.
    let answer = signer.post(product, &sample("call_inbound").to_string()).await;
    assert_eq!(answer.status(), 200);
    for sequence in sequences() {
        let what = format!("the call of {} is as expected", sequence.id);
        eventually(&what, Duration::from_secs(20), async || is_right(product, &sequence).await).await;
    }
    eventually("the hooks are kept", Duration::from_secs(20), async || {
        let found = hooks(product).await;
        if found == hooks_before + 2 { Ok(()) } else { Err(found) }
    })
    .await;
    assert_eq!(product.find("/v1/calls/sequence_10").await, None, "a hook makes no call");
    transfers_in_order(product).await;
}

/// Whether the call log and the live side say of the call what is expected, and every record of it is kept.
async fn is_right(product: &Product<'_>, sequence: &Sequence) -> Result<(), String> {
    let (id, delivered) = (sequence.id, records_of(sequence));
    let listed = product.get(&format!("/v1/calls?id={id}")).await;
    let logged = listed["data"].as_array().unwrap().iter().find(|call| call["id"] == id);
    let logged = logged.ok_or("not in the call log")?;
    let whole = product.find(&format!("/v1/calls/{id}")).await.ok_or("not in memory")?;
    for (name, value) in sequence.expected.as_object().unwrap() {
        for (place, call) in [("log", logged), ("memory", &whole)] {
            if &call[name] != value {
                return Err(format!("{name} is {} in {place}, not {value}", call[name]));
            }
        }
    }
    let kept = product.get(&format!("/v1/calls/{id}/events")).await;
    let kept = kept["data"].as_array().unwrap();
    let distinct: std::collections::BTreeSet<_> = kept
        .iter()
        .map(|record| (record["event"].to_string(), record["content"].to_string()))
        .collect();
    match (kept.len(), distinct.len()) {
        found if found == (delivered, sequence.distinct) => Ok(()),
        found => Err(format!("{found:?} records, not {:?}", (delivered, sequence.distinct))),
    }
}

/// Bodies of the sequence that belong to its call: hooks and function requests do not.
fn records_of(sequence: &Sequence) -> usize {
    let of_call = |body: &&Value| body["event"].as_str().is_some_and(|event| event != "call_inbound");
    sequence.bodies.iter().filter(of_call).count()
}

async fn transfers_in_order(product: &Product<'_>) {
    let call = product.get("/v1/calls/sequence_6").await;
    let attempts = call["transfer_attempts"].as_array().unwrap();
    let has = |attempt: &Value, name: &str| !attempt[name].is_null();
    assert!(
        has(&attempts[0], "cancelled_at") && !has(&attempts[0], "bridged_at"),
        "{attempts:?}"
    );
    assert!(has(&attempts[1], "bridged_at") && has(&attempts[1], "ended_at"), "{attempts:?}");
}

async fn hooks(product: &Product<'_>) -> u64 {
    let answer = product.get("/v1/received").await;
    let classes = answer["data"].as_array().unwrap().iter();
    let of_hooks = classes.filter(|class| class["event"] == "call_inbound");
    of_hooks.map(|class| class["records"].as_u64().unwrap()).sum()
}

//! Every sample of Retell's requests through the real door, signed by Retell's own SDK, and found again where it belongs.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};
use trunkline_core::door;
use trunkline_core::event::{Reading, read};
use trunkline_core::id::{TenantId, WorkspaceId};
use trunkline_core::instant::Millis;
use trunkline_core::record::Source;

use crate::process::{Place, Product, eventually, shared};
use crate::signer::Signer;

/// What a sample is, judged by its file name alone.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Belongs {
    /// To a call or chat.
    To(&'static str),
    /// Nowhere: kept aside for this reason.
    Aside(&'static str),
    /// An inbound hook, answered as such.
    Hook(&'static str),
    /// To the workspace.
    Alert,
}

fn belongs(name: &str) -> Belongs {
    match name {
        "edge.missing_call_id" | "edge.call_is_null" | "edge.unknown_event_no_call_object" => Belongs::Aside("no_id"),
        _ if name.starts_with("custom_function.") => Belongs::Aside("no_event_name"),
        _ if name.starts_with("call_inbound") => Belongs::Hook("call_inbound"),
        _ if name.starts_with("chat_inbound") => Belongs::Hook("chat_inbound"),
        _ if name.starts_with("alert_") => Belongs::Alert,
        _ if name.starts_with("chat_") || name.starts_with("edge.chat_") => Belongs::To("chat"),
        _ => Belongs::To("call"),
    }
}

/// Calls of which no sample tells the end.
const OPEN: [&str; 2] = ["call_4a31d07e5e224f3ea2f178c9b80", "call_1c586fbec2c2a47faea14b55286"];

struct Sample {
    name: String,
    body: String,
    value: Value,
}

impl Sample {
    /// Kind and id of the call or chat it belongs to.
    fn key(&self) -> Option<(&'static str, String)> {
        let Belongs::To(kind) = belongs(&self.name) else { return None };
        Some((kind, self.value[kind][format!("{kind}_id")].as_str().unwrap().to_owned()))
    }

    fn event(&self) -> &str {
        self.value["event"].as_str().unwrap_or_default()
    }

    /// Hash of its content as we write it (rule B1), made by the pure core.
    fn content(&self) -> String {
        let (routed, body) = door::route(self.body.clone().into_bytes().into());
        let (tenant, workspace) = (TenantId(uuid::Uuid::nil()), WorkspaceId(uuid::Uuid::nil()));
        let record = door::record(routed, body, Millis(1_793_600_000_000), tenant, workspace, Source::Webhook);
        match read(&record) {
            Reading::Event(event) => hex::encode(event.stamp().content),
            _ => String::new(),
        }
    }
}

fn samples() -> Vec<Sample> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(shared("retell/payloads")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if path.extension().is_some_and(|extension| extension == "json") && !name.contains(".response.") {
            let text = std::fs::read_to_string(&path).unwrap();
            let value = serde_json::from_str(&text).unwrap();
            let body = on_one_line(&text);
            found.push(Sample { name, body, value });
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(found.len() >= 64, "only {} samples found", found.len());
    found
}

/// A body as it comes over the wire: without the white space between its tokens, every token spelled as it was.
fn on_one_line(text: &str) -> String {
    let (mut line, mut in_text, mut escaped) = (String::with_capacity(text.len()), false, false);
    for character in text.chars() {
        if in_text || !character.is_ascii_whitespace() {
            line.push(character);
        }
        in_text ^= character == '"' && !escaped;
        escaped = in_text && character == '\\' && !escaped;
    }
    line
}

#[tokio::test(flavor = "multi_thread")]
async fn every_sample_is_answered_as_the_rules_demand_and_found_again() {
    let samples = samples();
    let place = Place::new(&[]).await;
    let product = place.start().await;
    let mut signer = Signer::start();
    for sample in &samples {
        answered(&product, &mut signer, sample).await;
    }
    let classes = classes_of(&samples);
    eventually("every sample is in ClickHouse", Duration::from_secs(30), async || {
        let found = received(&product).await;
        if found == classes { Ok(()) } else { Err(found) }
    })
    .await;
    found_under_their_calls(&product, &samples).await;
    set_aside(&product, &samples).await;
    listed_and_live(&product, &samples).await;
    crate::sequences::all(&product, &mut signer).await;

    // What one process made of the log, the next makes of it again.
    let before = live_ids(&product, "").await;
    product.stop().await;
    let product = place.start().await;
    eventually("the same calls are live after a restart", Duration::from_secs(30), async || {
        let found = live_ids(&product, "").await;
        if found == before { Ok(()) } else { Err((found, before.clone())) }
    })
    .await;
    product.stop().await;
}

/// 204 without a body, but 200 with JSON for a hook, whose caller waits (rules A1, A11).
async fn answered(product: &Product<'_>, signer: &mut Signer, sample: &Sample) {
    let answer = signer.post(product, &sample.body).await;
    let (status, name) = (answer.status(), &sample.name);
    let text = answer.text().await.unwrap();
    match belongs(name) {
        Belongs::Hook(field) => {
            assert_eq!(status, StatusCode::OK, "{name}: {text}");
            let value: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error} in {text}"));
            assert_eq!(value, json!({ field: {} }), "{name}");
        }
        _ => assert_eq!((status, text.as_str()), (StatusCode::NO_CONTENT, ""), "{name}"),
    }
}

type Classes = BTreeMap<(String, bool, Option<String>), u64>;

/// How many records of each class the samples make.
fn classes_of(samples: &[Sample]) -> Classes {
    let mut classes = Classes::new();
    for sample in samples {
        let aside = match belongs(&sample.name) {
            Belongs::Aside(reason) => Some(reason.to_owned()),
            _ => None,
        };
        let class = (sample.event().to_owned(), sample.key().is_some(), aside);
        *classes.entry(class).or_default() += 1;
    }
    classes
}

async fn received(product: &Product<'_>) -> Classes {
    let answer = product.get("/v1/received").await;
    let mut classes = Classes::new();
    for class in answer["data"].as_array().unwrap() {
        assert_eq!(class["source"], "webhook");
        let key = (
            class["event"].as_str().unwrap().to_owned(),
            class["of_a_call"].as_bool().unwrap(),
            class["set_aside"].as_str().map(str::to_owned),
        );
        *classes.entry(key).or_default() += class["records"].as_u64().unwrap();
    }
    classes
}

/// Each sample of a call or chat is among the records of that call, byte for byte as long as it was sent.
async fn found_under_their_calls(product: &Product<'_>, samples: &[Sample]) {
    /// Event, content hash, bytes, whether a credential was masked.
    type Shown = (String, String, u64, bool);
    let mut expected: BTreeMap<(&str, String), BTreeSet<Shown>> = BTreeMap::new();
    for sample in samples {
        if let Some(key) = sample.key() {
            let masked = sample.value["call"]["access_token"].is_string();
            let record = (sample.event().to_owned(), sample.content(), sample.body.len() as u64, masked);
            assert!(expected.entry(key).or_default().insert(record), "{} is there twice", sample.name);
        }
    }
    for ((kind, id), records) in expected {
        let answer = product.get(&format!("/v1/calls/{id}/events?kind={kind}")).await;
        let found: Vec<_> = answer["data"].as_array().unwrap().iter().map(record_of).collect();
        assert_eq!(found.len(), records.len(), "{id} has no record twice");
        assert_eq!(BTreeSet::from_iter(found), records, "records of {id}");
    }
}

fn record_of(record: &Value) -> (String, String, u64, bool) {
    let text = |name: &str| record[name].as_str().unwrap().to_owned();
    assert_eq!(record["set_aside"], Value::Null);
    (
        text("event"),
        text("content"),
        record["bytes"].as_u64().unwrap(),
        record["masked"].as_bool().unwrap(),
    )
}

/// What could not be read is listed with its reason, and nothing else is.
async fn set_aside(product: &Product<'_>, samples: &[Sample]) {
    let mut expected = Vec::new();
    for sample in samples {
        if let Belongs::Aside(reason) = belongs(&sample.name) {
            expected.push((reason.to_owned(), sample.event().to_owned(), sample.body.len() as u64));
        }
    }
    let listed = product.list("/v1/set-aside").await;
    let text = |entry: &Value, name: &str| entry[name].as_str().unwrap().to_owned();
    let mut found: Vec<_> = listed
        .iter()
        .map(|entry| (text(entry, "reason"), text(entry, "event"), entry["bytes"].as_u64().unwrap()))
        .collect();
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
    let counted = product.get("/v1/completeness").await["set_aside"].clone();
    assert_eq!(counted, json!({"no_event_name": 5, "no_id": 3}), "the live side counts them too");
}

/// The call log has each call of a known event once; the live side has those without an end in progress, and the rest as ended.
async fn listed_and_live(product: &Product<'_>, samples: &[Sample]) {
    let expected: BTreeSet<String> = samples.iter().filter_map(|sample| Some(sample.key()?.1)).collect();
    let listed = product.list("/v1/calls").await;
    let ids: Vec<String> = listed.iter().map(id_of).collect();
    assert_eq!(ids.len(), expected.len(), "no call is listed twice");
    assert_eq!(BTreeSet::from_iter(ids), expected);
    for call in &listed {
        let open = OPEN.contains(&call["id"].as_str().unwrap());
        assert_eq!(call["state"], if open { "ongoing" } else { "ended" }, "{}", call["id"]);
        // The same call from memory and from ClickHouse.
        let (id, kind) = (id_of(call), call["kind"].as_str().unwrap());
        let whole = product.get(&format!("/v1/calls/{id}?kind={kind}")).await;
        for (name, value) in call.as_object().unwrap() {
            assert_eq!(&whole[name], value, "{name} of {id}");
        }
    }
    let open = BTreeSet::from(OPEN.map(str::to_owned));
    assert_eq!(live_ids(product, "").await, open);
    assert_eq!(live_ids(product, "&with_ended=true").await, expected);
    let board = product.get("/v1/board").await;
    assert_eq!(board["now"]["in_progress"], 2, "{}", board["now"]);
    assert_eq!(board["gaps"], 0);
}

fn id_of(call: &Value) -> String {
    call["id"].as_str().unwrap().to_owned()
}

async fn live_ids(product: &Product<'_>, with: &str) -> BTreeSet<String> {
    let answer = product.get(&format!("/v1/live/calls?limit=1000{with}")).await;
    answer["data"].as_array().unwrap().iter().map(id_of).collect()
}

#[test]
fn a_body_on_one_line_says_the_same() {
    let text = "{\n  \"a b\": [1.50, \"\\\" x \\\\\" , {} ],\n\t\"c\": \"  \" }\r\n";
    assert_eq!(on_one_line(text), "{\"a b\":[1.50,\"\\\" x \\\\\",{}],\"c\":\"  \"}");
    for sample in samples() {
        assert!(!sample.body.contains('\n'), "{}", sample.name);
        assert_eq!(
            serde_json::from_str::<Value>(&sample.body).unwrap(),
            sample.value,
            "{}",
            sample.name
        );
    }
}

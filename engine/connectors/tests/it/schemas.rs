//! Every object the simulator makes passes the types of Retell's published schema.

use std::path::PathBuf;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use trunkline_connectors::simulator::life::Step;
use trunkline_connectors::simulator::{Mix, Plan, World, body};

/// The shared reference folder: beside the checkout, or where the variable says.
pub fn shared() -> PathBuf {
    let folder = std::env::var_os("TRUNKLINE_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), PathBuf::from);
    assert!(
        folder.join("retell").is_dir(),
        "no reference folder at {}; set TRUNKLINE_SHARED to it",
        folder.display()
    );
    folder
}

pub fn validator(name: &str) -> jsonschema::Validator {
    let text = std::fs::read_to_string(shared().join("retell/schemas").join(name)).expect("the schema is in the reference folder");
    jsonschema::validator_for(&serde_json::from_str(&text).expect("a schema is JSON")).expect("Retell's schema is valid")
}

#[test]
fn every_simulated_object_passes_retells_schema() {
    let (phone, web, chat) = (
        validator("phone_call.schema.json"),
        validator("web_call.schema.json"),
        validator("chat.schema.json"),
    );
    let world = World::new();
    let mut random = ChaCha8Rng::seed_from_u64(11);
    let mut seen = [0_usize; 3];
    for _ in 0..400 {
        let plan = Plan::draw(&world, &Mix::default(), 1_793_541_600_000, &mut random);
        for (_, step) in &plan.steps {
            let (name, bytes) = body::event(&world, &plan, *step);
            let body: Value = serde_json::from_slice(&bytes).expect("a body is JSON");
            assert_eq!(body["event"], name);
            let (place, schema, object) = match (&body["call"], &body["chat"]) {
                (Value::Null, chat_object) => (2, &chat, chat_object),
                (call, _) if call["call_type"] == "web_call" => (1, &web, call),
                (call, _) => (0, &phone, call),
            };
            seen[place] += 1;
            if let Some(error) = schema.iter_errors(object).next() {
                panic!("{name} at {}: {error}", error.instance_path());
            }
            // RULES.md C: a call that never connected has neither start nor duration.
            if !plan.connected && *step == Step::Ended {
                assert!(object.get("start_timestamp").is_none() && object.get("duration_ms").is_none());
            }
        }
    }
    assert!(
        seen.iter().all(|count| *count > 20),
        "phone, web and chat objects were all checked: {seen:?}"
    );
}

#[test]
fn our_copy_of_the_request_schema_is_the_published_one() {
    let published = std::fs::read_to_string(shared().join("retell/schemas/request.list_calls.schema.json")).expect("it is in the folder");
    assert_eq!(include_str!("../../schemas/request.list_calls.schema.json"), published);
}

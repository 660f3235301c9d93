//! What every operation of the description may be refused with: said once, for all of them.

use serde_json::{Map, Value, json};

/// Status, what it means, and whether an operation can answer it: with a body, with an id in its address, or any.
const COMMON: [(&str, &str, When); 8] = [
    ("400", "The address or the body cannot be read", When::Always),
    ("403", "Not allowed", When::Always),
    ("404", "Not there, or not the caller's", When::Always),
    ("408", "The body did not come in time", When::WithBody),
    ("413", "The body is too large", When::WithBody),
    ("415", "The body is no JSON", When::WithBody),
    ("422", "A parameter or field is refused", When::Always),
    ("429", "More often than limits allow; see Retry-After", When::Always),
];

/// A store that is away, which any operation may find.
const AWAY: &str = "A store does not answer at this moment; see Retry-After";

#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    Always,
    WithBody,
}

/// Adds what is common, and gives every refusal the media type that it has.
pub fn describe(document: &mut Value) {
    let paths = document["paths"].as_object_mut().into_iter().flatten();
    for (_, operations) in paths {
        for (_, operation) in operations.as_object_mut().into_iter().flatten() {
            let has_body = operation.get("requestBody").is_some();
            let Some(responses) = operation["responses"].as_object_mut() else {
                continue;
            };
            for (status, response) in responses.iter_mut() {
                if status.starts_with(['4', '5']) {
                    response["content"] = content();
                }
            }
            for (status, means, when) in COMMON {
                if when == When::Always || has_body {
                    add(responses, status, means);
                }
            }
            add(responses, "503", AWAY);
        }
    }
}

fn add(responses: &mut Map<String, Value>, status: &str, means: &str) {
    let made = || json!({ "description": means, "content": content() });
    responses.entry(status).or_insert_with(made);
}

fn content() -> Value {
    json!({ "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } })
}

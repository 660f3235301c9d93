//! The rows as ClickHouse keeps them: fields in the order of the tables' columns.

mod call;
mod event;
mod transcript;

use std::sync::Arc;

use serde::Serialize;
use trunkline_core::facts::Role;
use trunkline_core::instant::Millis;

pub use call::CallRow;
pub use event::{EventRow, Raw};
pub use transcript::TranscriptRow;

/// The stored word of an enumeration: the one its JSON form has; empty for a missing one.
pub(super) fn word<T: Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

/// The enumeration of a stored word; `None` for an empty or unknown one.
pub(super) fn of_word<T: serde::de::DeserializeOwned>(word: &str) -> Option<T> {
    serde_json::from_value(serde_json::Value::String(word.to_owned())).ok()
}

/// The role of a stored word; a word from a newer version is shown as it is.
pub(super) fn role_of(word: &str) -> Role {
    of_word(word).unwrap_or(Role::Other)
}

fn text(value: &Option<Arc<str>>) -> Arc<str> {
    value.clone().unwrap_or_default()
}

fn millis(value: Option<Millis>) -> Option<i64> {
    value.map(|at| at.0)
}

/// JSON texts as people filter them: a JSON string without its quotes, everything else as JSON.
fn map(pairs: &[(Arc<str>, Arc<str>)]) -> Vec<(Arc<str>, String)> {
    let plain = |json: &str| serde_json::from_str::<String>(json).unwrap_or_else(|_| json.to_owned());
    pairs.iter().map(|(name, json)| (name.clone(), plain(json))).collect()
}

//! Raw records of a call or of the operator page, inside a page or as one.

use askama::Template;

use crate::pages::shell::Shell;

/// A record with its body.
pub struct Record {
    /// Time.
    pub at: String,
    /// Event.
    pub event: String,
    /// Partition and offset.
    pub place: String,
    /// Body, indented.
    pub body: String,
}

/// Raw records inside a page that is there.
#[derive(Template)]
#[template(path = "parts/raw.html")]
pub struct RawPart {
    /// Frame.
    pub s: Shell,
    /// Records.
    pub records: Vec<Record>,
}

/// Raw records as a page of their own.
#[derive(Template)]
#[template(path = "raw.html")]
pub struct RawPage {
    /// Frame.
    pub s: Shell,
    /// Records.
    pub records: Vec<Record>,
}

/// A body for people: indented where it is JSON, else as it came.
pub fn indented(body: &[u8]) -> String {
    let value = serde_json::from_slice::<serde_json::Value>(body).ok();
    value
        .and_then(|value| serde_json::to_string_pretty(&value).ok())
        .unwrap_or_else(|| String::from_utf8_lossy(body).into_owned())
}

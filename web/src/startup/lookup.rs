//! Asks Retell what became of a call that fell silent: `get-call` with the key of its workspace.

use async_trait::async_trait;
use bytes::Bytes;
use secrecy::SecretString;
use serde_json::{Value, json};
use trunkline_actors::{CallLookup, Lookup};
use trunkline_connectors::retell::{Client, RetellError};
use trunkline_core::id::{CallKey, Kind};
use trunkline_stores::postgres::WorkspaceEntry;

/// Retell's API as the reaper sees it.
pub struct RetellLookup {
    /// Retell's address, or that of a stand-in.
    pub api_url: String,
}

#[async_trait]
impl CallLookup for RetellLookup {
    async fn look_up(&self, workspace: &WorkspaceEntry, key: &CallKey) -> Lookup {
        let Some(api_key) = &workspace.api_key else {
            return Lookup::Unknown;
        };
        // Retell has no answer for single chats that we could fold; silence presumes their end.
        if key.kind == Kind::Chat {
            return Lookup::Unknown;
        }
        match ask(&self.api_url, api_key, &key.id).await {
            Ok(call) => ending(&call),
            Err(RetellError::NotFound) => Lookup::Unknown,
            Err(error) => {
                tracing::warn!(workspace = %workspace.workspace, %error, "Retell did not say what became of a silent call; asking again later");
                Lookup::Unavailable
            }
        }
    }
}

async fn ask(api_url: &str, key: &SecretString, id: &str) -> Result<Value, RetellError> {
    Client::new(api_url, key.clone())?.get_call(id).await
}

/// The event that the call object amounts to: the object of get-call is the one webhooks carry (EVENTS.md part 5).
fn ending(call: &Value) -> Lookup {
    match call["call_status"].as_str() {
        Some("registered" | "ongoing") => Lookup::Running,
        Some(_) => {
            let analysed = call["call_analysis"].as_object().is_some_and(|analysis| !analysis.is_empty());
            let event = if analysed { "call_analyzed" } else { "call_ended" };
            Lookup::Ended(Bytes::from(json!({"event": event, "call": call}).to_string()))
        }
        None => Lookup::Unavailable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_object_becomes_the_event_that_retell_would_have_sent() {
        assert_eq!(ending(&json!({"call_id": "call_1", "call_status": "ongoing"})), Lookup::Running);
        assert_eq!(ending(&json!({"message": "not a call"})), Lookup::Unavailable);
        let event = |call: Value| match ending(&call) {
            Lookup::Ended(body) => serde_json::from_slice::<Value>(&body).expect("we wrote it"),
            other => panic!("{other:?}"),
        };
        let ended = event(json!({"call_id": "call_1", "call_status": "not_connected", "call_analysis": {}}));
        assert_eq!(
            (&ended["event"], &ended["call"]["call_id"]),
            (&json!("call_ended"), &json!("call_1"))
        );
        let analysed = event(json!({"call_id": "call_1", "call_status": "ended", "call_analysis": {"call_successful": true}}));
        assert_eq!(analysed["event"], "call_analyzed");
    }
}

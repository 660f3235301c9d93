//! Asks Retell what became of a call that fell silent: `get-call` with the key of its workspace.

use async_trait::async_trait;
use bytes::Bytes;
use secrecy::SecretString;
use serde_json::Value;
use trunkline_actors::{CallLookup, Lookup};
use trunkline_connectors::retell::{Client, Pace, RetellError, events_of, is_over, listed};
use trunkline_core::id::{CallKey, Kind};
use trunkline_core::name::Name;
use trunkline_stores::postgres::WorkspaceEntry;

/// Repeats of a question are spaced by the client; this only bounds them.
const QUESTIONS_PER_SECOND: u32 = 5;

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
    // One silent call after the other: no faster than the reaper asks.
    Client::new(api_url, key.clone(), Pace::per_second(QUESTIONS_PER_SECOND))?
        .get_call(id)
        .await
}

/// The events that the call object amounts to.
fn ending(call: &Value) -> Lookup {
    let Some(listed) = listed(call) else { return Lookup::Unavailable };
    if !is_over(call) {
        return Lookup::Running;
    }
    let analysis = listed.analysed.then_some(Name::CallAnalyzed);
    let names: Vec<Name> = [Name::CallEnded].into_iter().chain(analysis).collect();
    Lookup::Ended(events_of(call, &names).into_iter().map(|(_, body)| Bytes::from(body)).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_silent_call_ends_as_retell_says() {
        assert_eq!(ending(&json!({"call_id": "call_1", "call_status": "ongoing"})), Lookup::Running);
        assert_eq!(ending(&json!({"message": "not a call"})), Lookup::Unavailable);
        let events = |call: Value| match ending(&call) {
            Lookup::Ended(bodies) => bodies
                .iter()
                .map(|body| serde_json::from_slice::<Value>(body).expect("we wrote it")["event"].clone())
                .collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        };
        let dialled = json!({"call_id": "call_1", "call_status": "not_connected", "call_analysis": {}});
        assert_eq!(events(dialled), [json!("call_ended")]);
        let analysed = json!({"call_id": "call_1", "call_status": "ended", "call_analysis": {"call_successful": true}});
        assert_eq!(events(analysed), [json!("call_ended"), json!("call_analyzed")]);
    }
}

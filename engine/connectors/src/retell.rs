//! Retell's REST API, as far as Trunkline calls it: what is the truth about this call, which calls are there.
//!
//! Paths, fields and limits: `API.md` parts 1 and 9. Idempotent requests are repeated as Retell's own SDKs do.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Retell's public address.
pub const PUBLIC_URL: &str = "https://api.retellai.com";
/// Connecting takes this long at most.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// A get-call is small; list-calls may take long with their SDKs' 300 s, which no job of ours waits for.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);
/// Repeats after the first attempt, as Retell's SDKs.
const RETRIES: u32 = 2;
/// First pause before a repeat; doubles.
const RETRY_PAUSE: Duration = Duration::from_millis(500);
/// Longest pause that a `Retry-After` may ask for.
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(8);

/// Why Retell did not give an answer.
#[derive(Debug, thiserror::Error)]
pub enum RetellError {
    /// The key is wrong or revoked.
    #[error("Retell refuses the API key (status {0}); check the workspace's key")]
    Key(u16),
    /// Nothing by that id. Retell uses 404 and 422 for it alike.
    #[error("Retell does not know it")]
    NotFound,
    /// Any other answer, with Retell's own message.
    #[error("Retell answered {status}: {message}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// What Retell says.
        message: String,
    },
    /// No answer, or not one that can be read.
    #[error("Retell could not be reached: {0}")]
    Unreachable(String),
}

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

/// What to list: calls that started in a half-open interval, oldest first.
#[derive(Debug, Clone, Serialize)]
pub struct ListCalls {
    filter_criteria: Value,
    limit: u32,
    sort_order: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pagination_key: Option<String>,
}

impl ListCalls {
    /// Calls whose start lies in `[from_ms, to_ms)`, up to `limit` (at most 1,000) a page.
    pub fn started_between(from_ms: i64, to_ms: i64, limit: u32, page: Option<String>) -> ListCalls {
        ListCalls {
            filter_criteria: serde_json::json!({
                "start_timestamp": {"type": "range", "op": "bt", "value": [from_ms, to_ms - 1]}
            }),
            limit: limit.clamp(1, 1_000),
            sort_order: "ascending",
            pagination_key: page,
        }
    }
}

/// A client for one workspace.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    key: SecretString,
}

impl Client {
    /// A client that speaks to `base` ([`PUBLIC_URL`] unless it is a stand-in) with the workspace's API key.
    pub fn new(base: &str, key: SecretString) -> Result<Client, RetellError> {
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(REQUEST_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| RetellError::Unreachable(error.to_string()))?;
        Ok(Client {
            http,
            base: base.trim_end_matches('/').to_owned(),
            key,
        })
    }

    /// `GET /v2/get-call/{id}`: the call object as it stands.
    pub async fn get_call(&self, id: &str) -> Result<Value, RetellError> {
        let path: String = id
            .bytes()
            .map(|byte| {
                if byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-' {
                    char::from(byte).to_string()
                } else {
                    format!("%{byte:02X}")
                }
            })
            .collect();
        self.send(Method::GET, &format!("/v2/get-call/{path}"), None).await
    }

    /// `POST /v3/list-calls`: one page.
    pub async fn list_calls(&self, list: &ListCalls) -> Result<CallPage, RetellError> {
        let body = serde_json::to_value(list).map_err(|error| RetellError::Unreachable(error.to_string()))?;
        let answer = self.send(Method::POST, "/v3/list-calls", Some(body)).await?;
        serde_json::from_value(answer).map_err(|error| RetellError::Unreachable(format!("unreadable page of calls: {error}")))
    }

    async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Result<Value, RetellError> {
        let mut pause = RETRY_PAUSE;
        let mut attempt = 0;
        loop {
            let mut request = self
                .http
                .request(method.clone(), format!("{}{path}", self.base))
                .bearer_auth(self.key.expose_secret());
            if let Some(body) = &body {
                request = request.json(body);
            }
            let outcome = request.send().await;
            let (again, error) = match outcome {
                Ok(answer) if answer.status().is_success() => {
                    return answer
                        .json()
                        .await
                        .map_err(|error| RetellError::Unreachable(error.without_url().to_string()));
                }
                Ok(answer) => {
                    let asked = answer
                        .headers()
                        .get("retry-after")
                        .and_then(|value| value.to_str().ok()?.parse().ok());
                    if let Some(seconds) = asked {
                        pause = Duration::from_secs(seconds).min(RETRY_PAUSE_MAX);
                    }
                    let status = answer.status();
                    (worth_repeating(status), refusal(status, answer).await)
                }
                Err(error) => (true, RetellError::Unreachable(error.without_url().to_string())),
            };
            if !again || attempt == RETRIES {
                return Err(error);
            }
            attempt += 1;
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(RETRY_PAUSE_MAX);
        }
    }
}

fn worth_repeating(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 409 | 429) || status.is_server_error()
}

async fn refusal(status: StatusCode, answer: reqwest::Response) -> RetellError {
    match status.as_u16() {
        401 | 403 => RetellError::Key(status.as_u16()),
        404 | 422 => RetellError::NotFound,
        code => {
            let message = answer
                .json::<Value>()
                .await
                .ok()
                .and_then(|body| body["message"].as_str().map(str::to_owned))
                .unwrap_or_default();
            RetellError::Refused { status: code, message }
        }
    }
}

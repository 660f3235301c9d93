//! Retell's REST API, as far as Trunkline calls it: what is the truth about this call, which calls are there, where do agents send
//! their events, whose is this key.
//!
//! Paths, fields and limits: `API.md` parts 1, 3 and 9. Every request is idempotent and repeated as Retell's own SDKs repeat. Nothing
//! is logged here, and no error repeats a key, a number or a word of a call.

mod agents;
mod answer;
mod calls;
mod pace;

use std::time::Duration;

use reqwest::{Method, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use agents::{Agent, AgentPage, ListedAgent};
pub use answer::ANSWER_BYTES;
pub use calls::{CallPage, ListCalls, PAGE_MAX, PAGES_MAX, events_of, is_over, listed};
pub use pace::Pace;

/// Retell's public address.
pub const PUBLIC_URL: &str = "https://api.retellai.com";
/// Connecting takes this long at most.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// What is asked of one call or agent is small.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);
/// Retell's SDKs wait 300 s for list-calls; a page of ours is small, and a job that waits so long had better try again later.
const LIST_TIMEOUT: Duration = Duration::from_secs(60);
/// Repeats after the first attempt, as Retell's SDKs.
const RETRIES: u32 = 2;
/// While a person waits for the answer there is one attempt, and it may take this long.
const PROBE_TIMEOUT: Duration = Duration::from_secs(8);
/// And pages of one answer follow each other this fast.
const PROBE_PER_SECOND: u32 = 20;
/// First pause before a repeat; doubles.
const RETRY_PAUSE: Duration = Duration::from_millis(500);
/// Longest pause before a repeat, also when a `Retry-After` asks for more: then the caller is told, who can wait better.
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(8);
/// Largest `Retry-After` that is believed.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);

/// Why Retell did not give an answer.
#[derive(Debug, thiserror::Error)]
pub enum RetellError {
    /// The key is wrong or revoked.
    #[error("Retell refuses the API key (status {0}); check the workspace's key")]
    Key(u16),
    /// Nothing by that id. Retell uses 404 and 422 for it alike.
    #[error("Retell does not know it")]
    NotFound,
    /// Too many requests for the account, also after the repeats.
    #[error("Retell limits the rate of requests of this account")]
    Limited {
        /// What Retell asked to wait.
        retry_after: Option<Duration>,
    },
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

impl RetellError {
    /// A list that has more pages than there can be calls or agents.
    pub fn endless(what: &str) -> RetellError {
        RetellError::Unreachable(format!("its list of {what} has no end"))
    }
}

/// A client for one workspace. Clones share its connections and its pace.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    key: SecretString,
    pace: Pace,
    retries: u32,
    longest: Duration,
}

/// What an API key is, as Retell tells it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct KeyInfo {
    /// Retell's workspace.
    #[serde(default)]
    pub org_id: String,
    /// Its name.
    #[serde(default)]
    pub org_name: String,
    /// What the key is called there.
    #[serde(default)]
    pub api_key_name: String,
}

impl Client {
    /// A client that speaks to `base` ([`PUBLIC_URL`] unless it is a stand-in) with the workspace's API key, at most as fast as `pace`.
    pub fn new(base: &str, key: SecretString, pace: Pace) -> Result<Client, RetellError> {
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| RetellError::Unreachable(error.to_string()))?;
        Ok(Client {
            http,
            base: base.trim_end_matches('/').to_owned(),
            key,
            pace,
            retries: RETRIES,
            longest: LIST_TIMEOUT,
        })
    }

    /// The same for questions that a person waits for: one attempt, soon over.
    pub fn probing(base: &str, key: SecretString) -> Result<Client, RetellError> {
        Ok(Client {
            retries: 0,
            longest: PROBE_TIMEOUT,
            ..Client::new(base, key, Pace::per_second(PROBE_PER_SECOND))?
        })
    }

    /// `GET /get-api-key-info`: whether the key is good, and whose it is.
    pub async fn key_info(&self) -> Result<KeyInfo, RetellError> {
        read(
            "answer about the key",
            self.send(Method::GET, "/get-api-key-info", None, REQUEST_TIMEOUT).await?,
        )
    }

    /// `GET /v2/get-call/{id}`: the call object as it stands.
    pub async fn get_call(&self, id: &str) -> Result<Value, RetellError> {
        let path = format!("/v2/get-call/{}", escaped(id));
        self.send(Method::GET, &path, None, REQUEST_TIMEOUT).await
    }

    /// `POST /v3/list-calls`: one page.
    pub async fn list_calls(&self, list: &ListCalls) -> Result<CallPage, RetellError> {
        let body = serde_json::to_value(list).map_err(|error| RetellError::Unreachable(error.to_string()))?;
        let answer = self.send(Method::POST, "/v3/list-calls", Some(body), LIST_TIMEOUT).await?;
        let page: CallPage = read("page of calls", answer)?;
        goes_on("page of calls", list.page(), page.next())?;
        Ok(page)
    }

    /// `POST /v2/list-agents`: one page, by the `pagination_key` of the page before. Limit and key go into the query, as the SDK sends them.
    pub async fn list_agents(&self, page: Option<&str>) -> Result<AgentPage, RetellError> {
        let key = page.map(|key| format!("&pagination_key={}", escaped(key))).unwrap_or_default();
        let path = format!("/v2/list-agents?limit={PAGE_MAX}{key}");
        let answer = self
            .send(Method::POST, &path, Some(Value::Object(Default::default())), LIST_TIMEOUT)
            .await?;
        let found: AgentPage = read("page of agents", answer)?;
        goes_on("page of agents", page, found.next())?;
        Ok(found)
    }

    /// `GET /get-agent/{id}`: one version of a voice agent; the latest unless another is named.
    pub async fn get_agent(&self, id: &str, version: Option<i64>) -> Result<Agent, RetellError> {
        let version = version.map(|version| format!("?version={version}")).unwrap_or_default();
        let path = format!("/get-agent/{}{version}", escaped(id));
        read("agent", self.send(Method::GET, &path, None, REQUEST_TIMEOUT).await?)
    }

    async fn send(&self, method: Method, path: &str, body: Option<Value>, timeout: Duration) -> Result<Value, RetellError> {
        let mut pause = RETRY_PAUSE;
        let mut attempt = 0;
        loop {
            self.pace.turn().await;
            let mut request = self
                .http
                .request(method.clone(), format!("{}{path}", self.base))
                .timeout(timeout.min(self.longest))
                .bearer_auth(self.key.expose_secret());
            if let Some(body) = &body {
                request = request.json(body);
            }
            let outcome = request.send().await;
            let (again, error) = match outcome {
                Ok(answer) if answer.status().is_success() => {
                    return answer::read(answer).await;
                }
                Ok(answer) => {
                    let asked = retry_after(&answer);
                    if let Some(asked) = asked {
                        pause = asked.min(RETRY_PAUSE_MAX);
                    }
                    let status = answer.status();
                    (worth_repeating(status), refusal(status, asked, answer).await)
                }
                Err(error) => (true, RetellError::Unreachable(error.without_url().to_string())),
            };
            if !again || attempt == self.retries {
                return Err(error);
            }
            attempt += 1;
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(RETRY_PAUSE_MAX);
        }
    }
}

/// An id as a segment of a path.
fn escaped(id: &str) -> String {
    id.bytes()
        .map(|byte| match byte {
            b'_' | b'-' => char::from(byte).to_string(),
            _ if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

/// An answer of another shape than asked for is none. What was found in its place is not repeated: it may be a word of a call.
fn read<T: DeserializeOwned>(what: &str, answer: Value) -> Result<T, RetellError> {
    serde_json::from_value(answer).map_err(|_| RetellError::Unreachable(format!("its {what} is not what was asked for")))
}

/// A page that names itself as the one that follows would be asked for again and again.
fn goes_on(what: &str, asked: Option<&str>, next: Option<String>) -> Result<(), RetellError> {
    match (asked, next) {
        (Some(asked), Some(next)) if asked == next => Err(RetellError::Unreachable(format!("its {what} leads back to itself"))),
        _ => Ok(()),
    }
}

fn retry_after(answer: &reqwest::Response) -> Option<Duration> {
    let seconds = answer.headers().get("retry-after")?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX))
}

fn worth_repeating(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 409 | 429) || status.is_server_error()
}

async fn refusal(status: StatusCode, retry_after: Option<Duration>, answer: reqwest::Response) -> RetellError {
    match status.as_u16() {
        401 | 403 => RetellError::Key(status.as_u16()),
        404 | 422 => RetellError::NotFound,
        429 => RetellError::Limited { retry_after },
        code => RetellError::Refused {
            status: code,
            message: answer::message(answer).await,
        },
    }
}

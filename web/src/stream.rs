//! `GET /v1/stream`: live boards and calls by server-sent events. A snapshot, then the newest state of each key, never increments;
//! a slow reader gets the newest state only.

pub mod channel;
mod credential;
pub mod reader;
pub mod topic;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, get, web};
use dashmap::DashMap;
use tokio::runtime::Handle;
use tokio::sync::watch;
use trunkline_core::id::TenantId;
use uuid::Uuid;

use crate::api::query::Parameters;
use crate::api::seen::{self, Part};
use crate::error::{Kind, Problem, Written};
use crate::identity::{Caller, Who};
use crate::settings::Server;
use crate::state::AppState;
use channel::Channel;
use credential::Credential;
use reader::Reader;
use topic::Topic;

/// Topics of one stream at most: a screen shows a board, a list and a call.
const TOPICS_MAX: usize = 4;

/// All streams of this process: what is made once for every reader of the same thing.
pub struct Streams {
    channels: DashMap<(TenantId, Topic), Arc<Channel>>,
    credentials: DashMap<Credential, Arc<watch::Sender<bool>>>,
    open: AtomicUsize,
    open_max: usize,
    each: DashMap<Uuid, usize>,
    each_max: usize,
    runtime: Handle,
    /// Tells versions of this process from those before a restart.
    epoch: u32,
}

impl Streams {
    /// No stream yet. What readers share is made on `runtime`, not on the threads that serve requests.
    pub fn new(settings: &Server, runtime: Handle) -> Streams {
        Streams {
            channels: DashMap::new(),
            credentials: DashMap::new(),
            open: AtomicUsize::new(0),
            open_max: settings.streams_max,
            each: DashMap::new(),
            each_max: settings.streams_each_max,
            runtime,
            epoch: rand::random(),
        }
    }

    /// Open streams now.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }
}

/// One open stream; counted while it lives.
struct Place {
    streams: Arc<Streams>,
    /// The person, key or link.
    whose: Uuid,
    topic: &'static str,
}

impl Place {
    /// A refused one is given back as it is dropped.
    fn take(streams: &Arc<Streams>, caller: &Caller, topic: &'static str) -> Result<Place, Problem> {
        let whose = match &caller.who {
            Who::Person(person) => person.user.0,
            Who::Program { key, .. } => key.0,
            Who::Screen { link, .. } => link.0,
        };
        let place = Place {
            streams: streams.clone(),
            whose,
            topic,
        };
        metrics::gauge!("trunkline_sse_clients", "topic" => topic).increment(1.0);
        let each = {
            let mut count = streams.each.entry(whose).or_default();
            *count += 1;
            *count
        };
        let open = streams.open.fetch_add(1, Ordering::Relaxed);
        if each > streams.each_max {
            let most = streams.each_max;
            let detail = format!("You have {most} live streams open, the most that one person, key or screen may have; close some.");
            return Err(Problem::new(Kind::TooMany, detail).retry_after(5));
        }
        if open >= streams.open_max {
            return Err(Problem::new(Kind::Unavailable, "As many live streams are open as this node takes; try again.").retry_after(2));
        }
        Ok(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.streams.open.fetch_sub(1, Ordering::Relaxed);
        if let Some(mut count) = self.streams.each.get_mut(&self.whose) {
            *count -= 1;
        }
        self.streams.each.remove_if(&self.whose, |_, count| *count == 0);
        metrics::gauge!("trunkline_sse_clients", "topic" => self.topic).decrement(1.0);
    }
}

/// Follows topics: `board`, `calls`, `call:<id>`, `chat:<id>`. Each message carries the newest state. Events are named after their
/// topic (`board`, `calls`, `call`); `beat` tells that nothing is wrong when nothing changes. `end` is the last one: what the stream
/// was opened with holds no more, or allows something else; ask anew with what you have now.
#[utoipa::path(tag = "live", operation_id = "stream", params(
    ("topics" = String, Query, description = "board, calls, call:<id>, chat:<id>; separated by commas"),
    ("business" = Option<String>, Query, description = "One business"),
    ("agent" = Option<String>, Query, description = "One agent, by Retell's id"),
    ("direction" = Option<String>, Query, description = "inbound or outbound"),
    ("channel" = Option<String>, Query, description = "phone, web or chat; of the board"),
    ("window_minutes" = Option<u32>, Query, description = "Window of the board"),
    ("Last-Event-ID" = Option<String>, Header, description = "Sent by browsers when they reconnect"),
), responses(
    (status = 200, description = "Server-sent events", content_type = "text/event-stream", body = String),
    (status = 401, description = "No credential", body = Written), (status = 422, description = "A topic is refused", body = Written),
    (status = 429, description = "More requests than limits allow, or more streams than one caller may have; see Retry-After", body = Written),
    (status = 503, description = "Too many streams, or leaving", body = Written),
))]
#[get("/v1/stream")]
pub async fn stream(caller: Caller, request: HttpRequest, state: web::Data<AppState>) -> Result<HttpResponse, Problem> {
    let mut parameters = Parameters::of(&request)?;
    let names = parameters.list("topics")?;
    let scope = parameters.board_scope(&state, &caller)?;
    parameters.end()?;
    if names.is_empty() || names.len() > TOPICS_MAX {
        return Err(Problem::field(
            "topics",
            "count",
            format!("topics must name one to {TOPICS_MAX} of board, calls, call:<id>, chat:<id>."),
        ));
    }
    let mut topics = Vec::new();
    for name in &names {
        let topic = Topic::read(name, &caller, &scope)?;
        topic.check(&state)?;
        if let Topic::Call { key, .. } = &topic {
            seen::note(&state, &caller, key, Part::Call).await?;
        }
        if !topics.contains(&topic) {
            topics.push(topic);
        }
    }
    if state.lifecycle.phase() >= crate::shutdown::Phase::Draining {
        return Err(Problem::new(Kind::Unavailable, "This node is leaving; another one takes over.").retry_after(2));
    }
    let place = Place::take(&state.streams, &caller, topics[0].name())?;
    let last = request
        .headers()
        .get("last-event-id")
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    let reader = Reader::new(state.get_ref().clone(), caller, topics, last, place);
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "text/event-stream"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        // Proxies that buffer would hold messages back; compression would too.
        .insert_header(("X-Accel-Buffering", "no"))
        .insert_header((header::CONTENT_ENCODING, "identity"))
        .streaming(reader.messages()))
}

//! Everybody of another organisation asks for everything of ours, by name and without: nothing that is ours comes back, in no body, no
//! header and no stream, nothing of ours changes, and what is personal stands in no line of the log.

use std::time::Instant;

use futures::StreamExt as _;
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use trunkline_core::access::Permission;
use trunkline_core::audit::By;
use trunkline_stores::postgres::row::NewBusiness;

use super::askers::{Asker, askers};
use super::operations;
use super::pages::{PAGES, bare, form_token};
use crate::app::{Line, PATIENCE, app, client, event, fresh};

/// An organisation with one of everything, each with a word in it that stands nowhere else.
struct Ours {
    line: Line,
    /// In every name that we gave.
    name: String,
    /// In everything personal or secret: words, numbers, addresses.
    personal: [String; 2],
    /// Our things, by the path that shows them.
    ids: Vec<(&'static str, String)>,
    key: String,
}

impl Ours {
    async fn new() -> Ours {
        let line = app().line().await;
        let name = format!("Canary{}", hex::encode(rand::random::<[u8; 8]>()));
        let words = format!("birdsong{}", hex::encode(rand::random::<[u8; 8]>()));
        let digits = format!("{:08}", rand::random_range(10_000_000..99_999_999));
        let scopes: Vec<&str> = Permission::ALL.iter().map(|permission| permission.scope()).collect();
        let key = line.api_key(&scopes).await;
        let agent = fresh("agent");
        let new = NewBusiness::plain(format!("{name} Shop"), "UTC");
        let business = line.config.create_business(line.tenant, &By::system(), &new).await.unwrap();
        let (by, named) = (By::system(), format!("{name} agent"));
        let mapped = line.config.map_agent(line.tenant, &by, &agent, business, &named);
        mapped.await.unwrap();
        let mut ids = vec![("businesses", business.to_string()), ("workspaces", line.workspace.to_string())];
        for (place, draft) in [
            ("api-keys", json!({ "name": format!("{name} key"), "scopes": ["live:read"] })),
            ("tv-links", json!({ "name": format!("{name} lobby") })),
            (
                "webhook-endpoints",
                json!({ "url": format!("https://{}.example/hook", name.to_lowercase()), "events": ["call.ended"] }),
            ),
            (
                "invitations",
                json!({ "email": format!("{words}@people.invalid"), "name": format!("{name} guest"), "role": "viewer" }),
            ),
        ] {
            let made = client().post(app().url(&format!("/v1/{place}"))).bearer_auth(&key).json(&draft);
            let answer = made.send().await.unwrap();
            let (status, made): (_, Value) = (answer.status(), answer.json().await.unwrap());
            assert_eq!(status, StatusCode::CREATED, "{place}: {made}");
            ids.push((place, made["id"].as_str().unwrap().to_owned()));
        }
        let email = super::askers::email_of_somebody(&line, &format!("{name} Person"), &words).await;
        let user = line.config.user_by_email(&email).await.unwrap().unwrap().id;
        ids.push(("people", user.to_string()));
        let (running, over) = (fresh("call"), fresh("call"));
        for (id, names) in [(&running, &["call_started"][..]), (&over, &["call_started", "call_ended"][..])] {
            for event_name in names {
                line.keep(&spoken(event_name, id, &agent, &name, &words, &digits)).await;
            }
        }
        ids.push(("calls", over.clone()));
        ids.push(("live/calls", running));
        line.until(&key, "/v1/calls?state=ended", |page| page["data"][0]["id"] == over.as_str())
            .await;
        Ours {
            line,
            name,
            personal: [words, digits],
            ids,
            key,
        }
    }

    /// The path with the id of our thing of that kind.
    fn of(&self, pattern: &str) -> String {
        let place = |pattern: &str| {
            let rest = pattern.trim_start_matches("/v1/").trim_start_matches("/settings/");
            let found = self
                .ids
                .iter()
                .find(|(place, _)| rest.starts_with(&format!("{place}/")) || rest.starts_with(&format!("{}/", page_of(place))));
            found.map_or_else(|| self.line.tenant.to_string(), |(_, id)| id.clone())
        };
        let key = pattern.replace("{kind}", "call");
        let id = if pattern.starts_with("/calls/") {
            self.ids.iter().find(|(place, _)| *place == "calls").unwrap().1.clone()
        } else {
            place(pattern)
        };
        key.replace("{id}", &id)
            .replace("{organisation}", "x")
            .replace("{token}", "x")
            .replace("{key}", "x")
            .replace("{agent}", "x")
            .replace("{act}", "revoke")
    }

    /// What of ours stands in a text that no address of ours was given to.
    fn found_in(&self, text: &str, with_ids: bool) -> Vec<&str> {
        let names = std::iter::once(&self.name).chain(&self.personal);
        let ids = self.ids.iter().map(|(_, id)| id).filter(|_| with_ids);
        let lower = text.to_lowercase();
        names
            .chain(ids)
            .filter(|ours| lower.contains(&ours.to_lowercase()))
            .map(String::as_str)
            .collect()
    }

    /// Everything that the API shows of us, to be compared.
    async fn everything(&self) -> Vec<Value> {
        let mut all = Vec::new();
        for place in [
            "businesses",
            "workspaces",
            "api-keys",
            "tv-links",
            "webhook-endpoints",
            "invitations",
            "people",
            "organisation",
        ] {
            let (status, mut found) = self.line.get(&self.key, &format!("/v1/{place}?limit=100")).await;
            let (status, found) = match status {
                StatusCode::OK => (status, found.take()),
                _ => self.line.get(&self.key, &format!("/v1/{place}")).await,
            };
            assert_eq!(status, StatusCode::OK, "{place}: {found}");
            all.push(without_clocks(found));
        }
        all
    }
}

/// The same without what moves by our own looking, and by the product's own work.
fn without_clocks(mut value: Value) -> Value {
    match &mut value {
        Value::Array(all) => all.iter_mut().for_each(|one| *one = without_clocks(one.take())),
        Value::Object(fields) => {
            fields.retain(|name, _| !matches!(name.as_str(), "last_used_at" | "last_seen_at" | "failing_since"));
            fields.values_mut().for_each(|field| *field = without_clocks(field.take()));
        }
        _ => {}
    }
    value
}

/// What a thing's pages call it.
fn page_of(place: &str) -> &str {
    match place {
        "api-keys" => "keys",
        "tv-links" => "screens",
        "webhook-endpoints" => "webhooks",
        "invitations" => "people/invitations",
        other => other,
    }
}

fn spoken(event_name: &str, id: &str, agent: &str, name: &str, words: &str, digits: &str) -> Value {
    let mut event = event(event_name, id);
    event["call"]["agent_id"] = agent.into();
    event["call"]["agent_name"] = format!("{name} agent").into();
    event["call"]["from_number"] = format!("+4930{digits}").into();
    event["call"]["metadata"] = json!({ "customer": words });
    event["call"]["transcript_object"] = json!([{ "role": "user", "content": format!("My name is {words}.") }]);
    event
}

/// Status line, headers and body of an answer, as one text.
async fn whole(answer: Response) -> (StatusCode, String) {
    let status = answer.status();
    let headers: String = answer
        .headers()
        .iter()
        .map(|(name, value)| format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes())))
        .collect();
    (status, format!("{status}\n{headers}\n{}", answer.text().await.unwrap()))
}

#[tokio::test]
async fn s001_s003_whoever_is_of_another_organisation_gets_no_byte_of_ours_and_changes_nothing() {
    let ours = Ours::new().await;
    let before = ours.everything().await;
    assert!(
        before.iter().any(|part| !ours.found_in(&part.to_string(), true).is_empty()),
        "what is looked for is there to be found"
    );
    let other = app().line().await;
    let new = NewBusiness::plain("Theirs", "UTC");
    let business = other.config.create_business(other.tenant, &By::system(), &new).await.unwrap();
    let mut wrong = Vec::new();
    let mut asked = 0;
    for asker in askers(&other, business).await {
        let token = form_token(&asker).await;
        let mut look = |what: String, pattern: &str, (status, text): (StatusCode, String)| {
            asked += 1;
            let named = pattern.contains("{id}");
            // Whoever runs the platform sees organisations, and what they are called is theirs to know.
            let platform = asker.platform && pattern.contains("/platform/");
            let found = ours.found_in(&text, !named);
            if !found.is_empty() {
                wrong.push(format!("{} asks {what}: it shows {found:?}", asker.what));
            }
            if named && !platform && status.is_success() {
                wrong.push(format!("{} asks {what}: {status}", asker.what));
            }
        };
        for operation in operations() {
            // It has no end; below it is read on.
            if operation.id == "stream" || (operation.id == "closeOpening" && asker.platform) {
                continue;
            }
            // The organisation itself is changed and suspended by those who run the platform, rightly.
            if asker.platform && operation.method != "GET" && operation.path.starts_with("/v1/platform/organisations/{id}") {
                continue;
            }
            let path = ours.of(&operation.path);
            let mut request = asker.request(operation.method.clone(), &path);
            if operation.method != "GET" {
                request = request
                    .header("if-match", "*")
                    .header("content-type", "application/json")
                    .body("{}");
            }
            look(
                format!("{} {path}", operation.method),
                &operation.path,
                whole(request.send().await.unwrap()).await,
            );
        }
        for (method, pattern, _) in PAGES {
            if matches!(*pattern, "/signout" | "/platform/close")
                || (asker.platform && *method == "POST" && pattern.starts_with("/platform/"))
            {
                continue;
            }
            let path = ours.of(pattern);
            let mut request = bare(&asker, method, &path);
            if *method == "POST" {
                request = request.body(format!("form_token={token}"));
            }
            look(format!("{method} {path}"), pattern, whole(request.send().await.unwrap()).await);
        }
    }
    assert!(wrong.is_empty(), "{} of {asked}: {wrong:#?}", wrong.len());
    assert!(asked >= 14 * (PAGES.len() + 60), "{asked}");
    println!("asked {asked} times");
    assert_eq!(ours.everything().await, before, "nothing of ours has changed");
}

/// Reads until the wanted word has come; gives all that was read.
async fn read_until(answer: Response, word: &str) -> String {
    let mut text = String::new();
    let mut stream = answer.bytes_stream();
    let begun = Instant::now();
    while !text.contains(word) {
        assert!(begun.elapsed() < PATIENCE, "{word} does not come: {text}");
        text.push_str(&String::from_utf8_lossy(&stream.next().await.unwrap().unwrap()));
    }
    text
}

#[tokio::test]
async fn s001_s136_a_stream_of_another_organisation_and_the_log_hold_nothing_of_ours() {
    let ours = Ours::new().await;
    let other = app().line().await;
    let new = NewBusiness::plain("Theirs", "UTC");
    let business = other.config.create_business(other.tenant, &By::system(), &new).await.unwrap();
    let may = |asker: &Asker| asker.access.as_ref().is_some_and(|access| access.may(Permission::Live));
    let mut streams = Vec::new();
    let running = &ours.ids.iter().find(|(place, _)| *place == "live/calls").unwrap().1;
    for asker in askers(&other, business).await.into_iter().filter(may) {
        let topics = match asker.access.as_ref().is_some_and(|access| access.may(Permission::Calls)) {
            true => format!("board,calls,call:{running}"),
            false => "board,calls".to_owned(),
        };
        let opened = asker
            .request(reqwest::Method::GET, &format!("/v1/stream?topics={topics}"))
            .send()
            .await
            .unwrap();
        assert_eq!(opened.status(), StatusCode::OK, "{}", asker.what);
        streams.push((asker.what, opened));
    }
    assert!(streams.len() > 5, "{}", streams.len());
    // Something happens here, and then there: when that has come, this would have.
    let (here, there) = (fresh("call"), fresh("call"));
    ours.line
        .keep(&spoken(
            "call_started",
            &here,
            "agent_1",
            &ours.name,
            &ours.personal[0],
            &ours.personal[1],
        ))
        .await;
    ours.line
        .until(&ours.key, "/v1/live/calls", |live| live.to_string().contains(&here))
        .await;
    other.keep(&event("call_started", &there)).await;
    for (what, opened) in streams {
        let text = read_until(opened, &there).await;
        let found = ours.found_in(&text, false);
        assert!(found.is_empty() && !text.contains(&here), "{what} is told {found:?}");
    }
    let log = app().log();
    assert!(log.contains("\"message\""), "the log is kept");
    for personal in &ours.personal {
        assert!(!log.contains(personal.as_str()), "the log says {personal}");
    }
}

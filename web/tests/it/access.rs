//! What people of single businesses see: theirs and nothing else, on every way in, from one moment to the next.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use reqwest::StatusCode;
use secrecy::SecretString;
use serde_json::{Value, json};
use trunkline_core::access::{Agents, Grant, Role};
use trunkline_core::audit;
use trunkline_core::id::{BusinessId, UserId};
use trunkline_stores::postgres::row::{NewBusiness, NewUser, PersonState};
use trunkline_web::identity::password::Passwords;

use crate::app::{Line, PATIENCE, SOON, app, client, event, fresh};
use crate::identity::{PASSWORD, cookie, enter};

/// Two businesses with an agent each, one of them with a second agent; a call of each agent, in progress and ended.
struct Ground {
    line: Line,
    ours: BusinessId,
    theirs: BusinessId,
}

fn of(agent: &str, name: &str, id: &str) -> Value {
    let mut event = event(name, id);
    event["call"]["agent_id"] = agent.into();
    event["call"]["agent_name"] = format!("Name of {agent}").into();
    event
}

impl Ground {
    async fn new() -> Ground {
        let line = app().line().await;
        let ours = line
            .config
            .create_business(line.tenant, &audit::By::operator(), &NewBusiness::plain("Ours", "UTC"))
            .await
            .unwrap();
        let theirs = line
            .config
            .create_business(line.tenant, &audit::By::operator(), &NewBusiness::plain("Theirs", "UTC"))
            .await
            .unwrap();
        for (agent, business) in [("agent_o", ours), ("agent_p", ours), ("agent_t", theirs)] {
            line.config
                .map_agent(line.tenant, &audit::By::operator(), agent, business, agent)
                .await
                .unwrap();
        }
        // The engine hears of the mapping a moment later; calls that came before would be of nobody.
        let key = line.api_key(&["live:read"]).await;
        let begun = Instant::now();
        loop {
            let id = fresh("probe");
            line.keep(&of("agent_t", "call_started", &id)).await;
            line.keep(&of("agent_t", "call_ended", &id)).await;
            let board = line.get(&key, &format!("/v1/board?business={theirs}")).await.1;
            if board["offered"]["total"].as_u64().is_some_and(|total| total > 0) {
                break;
            }
            assert!(begun.elapsed() < PATIENCE, "{board:#}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Ground { line, ours, theirs }
    }

    /// Somebody with these grants only; gives their id and their cookie.
    async fn person(&self, grants: Vec<Grant>) -> (UserId, String) {
        let email = format!("{}@people.invalid", fresh("p"));
        let password_hash = Passwords::new(1)
            .unwrap()
            .hash(&SecretString::from(PASSWORD.to_owned()))
            .await
            .unwrap();
        let new = NewUser {
            email: email.clone(),
            name: "Ana".to_owned(),
            role: None,
            grants,
            password_hash,
        };
        let user = self
            .line
            .config
            .create_user(self.line.tenant, &audit::By::system(), &new)
            .await
            .unwrap();
        (user, cookie(&enter(&email, PASSWORD, &[]).await).unwrap())
    }

    async fn get(&self, cookie: &str, path: &str) -> (StatusCode, String) {
        let answer = client().get(app().url(path)).header("cookie", cookie).send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    }
}

fn grant(business: BusinessId, role: Role, agents: &[&str]) -> Grant {
    let agents: BTreeSet<Arc<str>> = agents.iter().map(|agent| Arc::from(*agent)).collect();
    Grant {
        business,
        role,
        agents: if agents.is_empty() { Agents::All } else { Agents::Only(agents) },
    }
}

#[tokio::test]
async fn s001_a_supervisor_of_one_business_sees_it_and_no_byte_of_another() {
    let ground = Ground::new().await;
    let (line, whole) = (
        &ground.line,
        ground.line.api_key(&["live:read", "calls:read", "numbers:read"]).await,
    );
    let (ours, theirs, over) = (fresh("ours"), fresh("theirs"), fresh("over"));
    line.keep(&of("agent_o", "call_started", &ours)).await;
    line.keep(&of("agent_t", "call_started", &theirs)).await;
    line.keep(&of("agent_t", "call_ended", &over)).await;
    line.until(&whole, "/v1/board", |board| board["now"]["in_progress"] == 2).await;
    line.until(&whole, &format!("/v1/calls?id={over}"), |page| {
        page["data"].as_array().is_some_and(|data| data.len() == 1)
    })
    .await;
    line.until(&whole, &format!("/v1/calls?id={ours}"), |page| {
        page["data"].as_array().is_some_and(|data| data.len() == 1)
    })
    .await;

    let (_, session) = ground.person(vec![grant(ground.ours, Role::Supervisor, &[])]).await;
    let board: Value = serde_json::from_str(&ground.get(&session, "/v1/board").await.1).unwrap();
    assert_eq!(
        (&board["now"]["in_progress"], &board["offered"]["total"]),
        (&json!(1), &json!(1)),
        "{board:#}"
    );
    // Everything that shows lists of something, or everything at once.
    let shown = [
        "/v1/board",
        "/v1/live/calls?with_ended=true",
        "/v1/calls?limit=100",
        "/v1/businesses",
        "/wall",
        "/live",
        "/calls?range=week",
    ];
    for path in shown {
        let (status, body) = ground.get(&session, path).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        for foreign in [
            &theirs,
            &over,
            &ground.theirs.to_string(),
            &"agent_t".to_owned(),
            &"Theirs".to_owned(),
        ] {
            assert!(!body.contains(foreign.as_str()), "{path} shows {foreign}");
        }
        if path != "/v1/businesses" && path != "/v1/board" {
            assert!(body.contains(&ours), "{path} shows what is theirs to see");
        }
    }
    // Everything that shows one thing: as if it were not there.
    let hidden = [
        format!("/v1/board?business={}", ground.theirs),
        format!("/v1/calls?business={}", ground.theirs),
        format!("/v1/live/calls/{theirs}"),
        format!("/v1/calls/{theirs}"),
        format!("/v1/calls/{over}"),
        format!("/v1/calls/{over}/turns"),
        format!("/v1/calls/{over}/events"),
        format!("/v1/stream?topics=call:{theirs}"),
        format!("/v1/stream?topics=board&business={}", ground.theirs),
        format!("/calls/call/{over}"),
        format!("/calls/call/{theirs}"),
        format!("/calls/call/{over}/raw"),
        format!("/wall?business={}", ground.theirs),
    ];
    let nowhere = ground.get(&session, &format!("/v1/calls/{}", fresh("no-such"))).await.1;
    for path in hidden {
        let (status, body) = ground.get(&session, &path).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}: {body}");
        assert!(!body.contains(&over) && !body.contains(&theirs), "{path}");
        if path.starts_with("/v1/calls/") {
            let same = |text: &str| {
                let mut problem: Value = serde_json::from_str(text).unwrap();
                problem["request_id"].take();
                problem
            };
            assert_eq!(same(&body), same(&nowhere), "{path}: just as what does not exist");
        }
    }
    for path in [
        format!("/v1/live/calls/{ours}"),
        format!("/v1/calls/{ours}"),
        format!("/calls/call/{ours}"),
    ] {
        assert_eq!(ground.get(&session, &path).await.0, StatusCode::OK, "{path}");
    }
    // What belongs to the organisation is not for people of one business.
    for path in ["/operator", "/v1/set-aside", "/v1/received", "/v1/webhook-endpoints", "/v1/usage"] {
        assert_eq!(ground.get(&session, path).await.0, StatusCode::FORBIDDEN, "{path}");
    }
}

#[tokio::test]
async fn a_grant_for_some_agents_holds_for_them_only_and_an_analyst_sees_no_numbers() {
    let ground = Ground::new().await;
    let (line, whole) = (
        &ground.line,
        ground.line.api_key(&["live:read", "calls:read", "numbers:read"]).await,
    );
    let (o, p) = (fresh("o"), fresh("p"));
    for (agent, id) in [("agent_o", &o), ("agent_p", &p)] {
        line.keep(&of(agent, "call_started", id)).await;
        line.keep(&of(agent, "call_ended", id)).await;
        let there = |page: &Value| page["data"][0]["state"] == "ended";
        line.until(&whole, &format!("/v1/calls?id={id}"), there).await;
    }
    let (_, session) = ground.person(vec![grant(ground.ours, Role::Analyst, &["agent_p"])]).await;
    let board: Value = serde_json::from_str(&ground.get(&session, "/v1/board").await.1).unwrap();
    assert_eq!(board["offered"]["total"], 1);
    let page: Value = serde_json::from_str(&ground.get(&session, "/v1/calls").await.1).unwrap();
    assert_eq!(page["data"].as_array().unwrap().len(), 1);
    let call = &page["data"][0];
    assert_eq!((&call["id"], &call["from_number"]), (&json!(p), &json!("+1 202 ··· 0101")));
    assert_eq!(ground.get(&session, &format!("/v1/calls/{o}")).await.0, StatusCode::NOT_FOUND);
    let (status, detail) = ground.get(&session, &format!("/calls/call/{p}")).await;
    assert_eq!(status, StatusCode::OK);
    assert!(detail.contains("I would like a table for two.") && !detail.contains("2025550101") && !detail.contains("202 555"));
    // Raw records show every number, and a search by digits would tell them one by one.
    assert_eq!(ground.get(&session, &format!("/calls/call/{p}/raw")).await.0, StatusCode::FORBIDDEN);
    assert_eq!(ground.get(&session, "/v1/calls?number=0101").await.0, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_viewer_sees_calls_but_not_what_is_said() {
    let ground = Ground::new().await;
    let whole = ground.line.api_key(&["live:read"]).await;
    let id = fresh("c");
    let mut turns = of("agent_o", "call_started", &id);
    turns["event"] = "transcript_updated".into();
    turns["call"]["transcript_object"] = json!([{ "role": "user", "content": "my secret words" }]);
    ground.line.keep(&of("agent_o", "call_started", &id)).await;
    ground.line.keep(&turns).await;
    ground
        .line
        .until(&whole, "/v1/board", |board| board["now"]["in_progress"] == 1)
        .await;
    let (_, session) = ground.person(vec![grant(ground.ours, Role::Viewer, &[])]).await;
    for path in ["/live", "/wall", "/v1/live/calls"] {
        let (status, body) = ground.get(&session, path).await;
        assert_eq!(status, StatusCode::OK);
        assert!(body.contains(&id) && !body.contains("secret words"), "{path}: {body}");
    }
    assert_eq!(ground.get(&session, &format!("/calls/call/{id}")).await.0, StatusCode::FORBIDDEN);
    assert_eq!(
        ground.get(&session, &format!("/v1/stream?topics=call:{id}")).await.0,
        StatusCode::FORBIDDEN
    );
}

#[tokio::test]
async fn s011_a_stream_ends_within_five_seconds_of_a_role_taken_away() {
    let ground = Ground::new().await;
    let (user, session) = ground.person(vec![grant(ground.ours, Role::Supervisor, &[])]).await;
    let answer = client()
        .get(app().url("/v1/stream?topics=board,calls"))
        .header("cookie", &session)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let mut body = answer.bytes_stream();
    body.next().await.unwrap().unwrap();
    let had = PersonState {
        role: None,
        grants: vec![grant(ground.ours, Role::Supervisor, &[])],
        disabled: false,
    };
    let fewer = PersonState {
        grants: vec![grant(ground.ours, Role::Viewer, &[])],
        ..had.clone()
    };
    ground
        .line
        .config
        .change_person(ground.line.tenant, &audit::By::operator(), user, &had, &fewer)
        .await
        .unwrap();
    let begun = Instant::now();
    while let Some(Ok(_)) = body.next().await {
        assert!(begun.elapsed() < SOON, "still open");
    }
    // Opened again, it shows what is left.
    assert_eq!(ground.get(&session, "/v1/board").await.0, StatusCode::OK);
    assert_eq!(ground.get(&session, "/v1/calls").await.0, StatusCode::FORBIDDEN);
}

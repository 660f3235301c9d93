//! Screens without a seat: what a link shows, what it never shows, and how it ends.

use std::time::Instant;

use futures::StreamExt as _;
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use trunkline_core::access::Role;
use trunkline_stores::postgres::row::NewBusiness;

use crate::app::{Line, SOON, app, browser, client, event, fresh};
use crate::identity::{PASSWORD, cookie, enter, person};

async fn make(line: &Line, key: &str, link: &Value) -> (StatusCode, Value) {
    let sent = client().post(line.app.url("/v1/tv-links")).bearer_auth(key).json(link);
    let answer = sent.send().await.unwrap();
    (answer.status(), answer.json().await.unwrap_or_default())
}

/// What the screen keeps after opening an address.
fn kept(answer: &Response, name: &str) -> String {
    let mut all = answer.headers().get_all("set-cookie").iter().map(|value| value.to_str().unwrap());
    let set = all.rfind(|set| set.starts_with(name)).expect("the screen keeps a cookie");
    assert!(set.contains("HttpOnly"), "{set}");
    set.split(';').next().unwrap().to_owned()
}

async fn get(path: &str, cookie: &str) -> (StatusCode, String) {
    let answer = browser().get(app().url(path)).header("cookie", cookie).send().await.unwrap();
    (answer.status(), answer.text().await.unwrap())
}

#[tokio::test]
async fn a_screen_shows_its_board_and_nothing_else_until_its_link_is_taken_back() {
    let line = app().line().await;
    let ours = line
        .config
        .create_business(
            line.tenant,
            &trunkline_core::audit::By::operator(),
            &NewBusiness::plain("Ours", "UTC"),
        )
        .await
        .unwrap();
    let theirs = line
        .config
        .create_business(
            line.tenant,
            &trunkline_core::audit::By::operator(),
            &NewBusiness::plain("Theirs", "UTC"),
        )
        .await
        .unwrap();
    let key = line.api_key(&["links:write", "live:read", "calls:read"]).await;
    // The process hears of a new business a moment later.
    let known = |board: &serde_json::Value| board["tiles"].is_array();
    line.until(&key, &format!("/v1/board?business={theirs}"), known).await;
    let (status, made) = make(&line, &key, &json!({ "name": "Lobby", "business_id": ours.to_string() })).await;
    assert_eq!(status, StatusCode::CREATED, "{made:#}");
    let (address, id) = (made["url"].as_str().unwrap(), made["id"].as_str().unwrap());
    // The tests' listener is on a port that the system chose, which its settings do not say.
    let address = &app().url(&address[address.find("/tv/").unwrap()..]);
    let listed = line.get(&key, "/v1/tv-links").await.1;
    assert!(
        listed["data"][0]["url"].is_null() && listed["data"][0]["last_seen_at"].is_null(),
        "{listed:#}"
    );

    let opened = browser().get(address).send().await.unwrap();
    let board = opened.headers()["location"].to_str().unwrap().to_owned();
    assert_eq!(
        (opened.status(), board.as_str()),
        (StatusCode::SEE_OTHER, format!("/wall?tv=1&business={ours}").as_str())
    );
    let held = kept(&opened, "trunkline_screen");
    let call = fresh("call");
    line.keep(&event("call_started", &call)).await;
    line.until(&key, "/v1/board", |board| board["now"]["in_progress"] == 1).await;
    let (status, wall) = get(&board, &held).await;
    assert_eq!(status, StatusCode::OK);
    assert!(
        wall.contains("class=\"tv\"") && wall.contains("Ours") && !wall.contains("Theirs") && !wall.contains(&call),
        "{wall}"
    );
    assert_eq!(get(&format!("/v1/board?business={theirs}"), &held).await.0, StatusCode::NOT_FOUND);
    for path in [
        "/v1/calls",
        "/calls",
        "/usage",
        "/v1/usage",
        "/settings/audit",
        "/v1/audit",
        "/v1/tv-links",
        "/settings/screens",
    ] {
        assert_eq!(get(path, &held).await.0, StatusCode::FORBIDDEN, "{path}");
    }
    for path in [format!("/calls/call/{call}"), format!("/v1/live/calls/{call}")] {
        assert_eq!(get(&path, &held).await.0, StatusCode::FORBIDDEN, "{path}");
    }
    assert_eq!(get("/account", &held).await.0, StatusCode::NOT_FOUND);
    let listed = line.get(&key, "/v1/tv-links").await.1;
    assert!(listed["data"][0]["last_seen_at"].is_string(), "{listed:#}");

    let stream = browser().get(app().url("/v1/stream?topics=board,calls")).header("cookie", &held);
    let mut stream = stream.send().await.unwrap().bytes_stream();
    stream.next().await.unwrap().unwrap();
    let revoked = client()
        .delete(app().url(&format!("/v1/tv-links/{id}")))
        .bearer_auth(&key)
        .send()
        .await
        .unwrap();
    assert_eq!(revoked.status(), StatusCode::NO_CONTENT);
    let begun = Instant::now();
    while stream.next().await.is_some_and(|message| message.is_ok()) {
        assert!(begun.elapsed() < SOON, "the stream goes on");
    }
    assert_eq!(get("/v1/board", &held).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(browser().get(address).send().await.unwrap().status(), StatusCode::NOT_FOUND);
    let auditor = line.api_key(&["audit:read"]).await;
    let deeds = line.get(&auditor, "/v1/audit?action=tv_link").await.1;
    let actions: Vec<&str> = deeds["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|deed| deed["action"].as_str().unwrap())
        .collect();
    assert_eq!(actions, ["tv_link.revoke", "tv_link.create"]);
    assert!(!deeds.to_string().contains(address.rsplit('/').next().unwrap()));
}

#[tokio::test]
async fn nobody_gives_away_a_board_that_is_not_theirs() {
    let (line, other) = (app().line().await, app().line().await);
    let theirs = other
        .config
        .create_business(
            other.tenant,
            &trunkline_core::audit::By::operator(),
            &NewBusiness::plain("Theirs", "UTC"),
        )
        .await
        .unwrap();
    let key = line.api_key(&["links:write", "live:read"]).await;
    let reader = line.api_key(&["live:read"]).await;
    assert_eq!(
        make(&line, &key, &json!({ "name": "x", "business_id": theirs.to_string() }))
            .await
            .0,
        StatusCode::NOT_FOUND
    );
    assert_eq!(make(&line, &reader, &json!({ "name": "x" })).await.0, StatusCode::FORBIDDEN);
    assert_eq!(line.get(&reader, "/v1/tv-links").await.0, StatusCode::FORBIDDEN);
    for wrong in [
        json!({ "name": " " }),
        json!({ "name": "x", "agent_id": "a" }),
        json!({ "name": "x", "days": 10_000 }),
        json!({ "name": "x", "of": 1 }),
    ] {
        assert_eq!(make(&line, &key, &wrong).await.0, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
    }
    let made = make(&other, &other.api_key(&["links:write"]).await, &json!({ "name": "Theirs" }))
        .await
        .1;
    let foreign = client()
        .delete(app().url(&format!("/v1/tv-links/{}", made["id"].as_str().unwrap())))
        .bearer_auth(&key);
    assert_eq!(foreign.send().await.unwrap().status(), StatusCode::NOT_FOUND);
    assert_eq!(
        browser().get(app().url("/tv/not-a-secret")).send().await.unwrap().status(),
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn a_screen_is_paired_by_a_code_typed_elsewhere() {
    let line = app().line().await;
    let shown = browser().get(app().url("/tv")).send().await.unwrap();
    let pairing = kept(&shown, "trunkline_pairing");
    let page = shown.text().await.unwrap();
    let code = page
        .split("class=\"pair-code\" dir=\"ltr\">")
        .nth(1)
        .unwrap()
        .split('<')
        .next()
        .unwrap()
        .to_owned();
    assert_eq!(get("/tv/wait", &pairing).await.0, StatusCode::NO_CONTENT);
    let session = cookie(&enter(&person(&line, Role::Supervisor).await, PASSWORD, &[]).await).unwrap();
    let settings = get("/settings/screens", &session).await.1;
    let token = settings
        .split("name=\"form_token\" value=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap()
        .to_owned();
    let send = |code: String| {
        let form = format!("form_token={token}&name=Hall&business=&agent=&code={}", code.replace(' ', "+"));
        let request = browser().post(app().url("/settings/screens")).header("cookie", &session);
        request
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form)
            .send()
    };
    assert_eq!(
        send("AAAA AAAA".to_owned()).await.unwrap().status(),
        StatusCode::UNPROCESSABLE_ENTITY
    );
    let done = send(code.to_lowercase()).await.unwrap();
    assert_eq!(done.status(), StatusCode::OK);
    assert!(
        !done.text().await.unwrap().contains("/tv/"),
        "a paired screen's secret is shown to nobody"
    );
    let go = browser()
        .get(app().url("/tv/wait"))
        .header("cookie", &pairing)
        .send()
        .await
        .unwrap();
    let held = kept(&go, "trunkline_screen");
    assert_eq!(get("/v1/board", &held).await.0, StatusCode::OK);
    assert_eq!(send(code).await.unwrap().status(), StatusCode::UNPROCESSABLE_ENTITY, "once");
}

#[tokio::test]
async fn a_screen_that_is_bound_to_a_direction_shows_no_other() {
    let line = app().line().await;
    let key = line.api_key(&["links:write", "live:read"]).await;
    let (inbound, outbound) = (fresh("inbound"), fresh("outbound"));
    line.keep(&event("call_started", &inbound)).await;
    let mut dialled = event("call_started", &outbound);
    dialled["call"]["direction"] = "outbound".into();
    line.keep(&dialled).await;
    let both = |calls: &Value| [&inbound, &outbound].iter().all(|id| calls.to_string().contains(id.as_str()));
    line.until(&key, "/v1/live/calls", both).await;
    let (status, refused) = make(&line, &key, &json!({ "name": "Hall", "direction": "sideways" })).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{refused:#}");
    let (status, made) = make(&line, &key, &json!({ "name": "Hall", "direction": "inbound" })).await;
    assert_eq!((status, &made["direction"]), (StatusCode::CREATED, &json!("inbound")), "{made:#}");
    let address = made["url"].as_str().unwrap();
    let opened = browser()
        .get(app().url(&address[address.find("/tv/").unwrap()..]))
        .send()
        .await
        .unwrap();
    assert_eq!(opened.headers()["location"], "/wall?tv=1&direction=inbound");
    let held = kept(&opened, "trunkline_screen");
    for path in [
        "/v1/live/calls",
        "/v1/live/calls?direction=inbound",
        "/wall?tv=1",
        "/wall?tv=1&direction=inbound",
    ] {
        let (status, shown) = get(path, &held).await;
        assert_eq!(status, StatusCode::OK, "{path}");
        assert!(!shown.contains(&outbound), "{path} shows a call of the other direction");
        assert!(shown.contains(&inbound), "{path}");
    }
    for path in [
        "/v1/live/calls?direction=outbound",
        "/v1/board?direction=outbound",
        "/v1/stream?topics=board&direction=outbound",
        "/wall?direction=outbound",
    ] {
        assert_eq!(get(path, &held).await.0, StatusCode::FORBIDDEN, "{path}");
    }
    let (_, board) = get("/v1/board", &held).await;
    let board: Value = serde_json::from_str(&board).unwrap();
    assert_eq!(board["now"]["in_progress"], 1, "its figures are of its direction");
}

//! Those who run the platform: what they see, what they change, and that an organisation's data is open to them for a while only, with a
//! reason and a fresh code, in sight of the organisation.

use std::io::Write as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::StreamExt as _;
use reqwest::{Method, Response, StatusCode};
use secrecy::SecretString;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use trunkline_core::access::Role;
use trunkline_core::audit::By;
use trunkline_core::id::UserId;
use trunkline_stores::postgres::Config;
use trunkline_stores::postgres::config::deeds::DeedFilter;
use trunkline_stores::postgres::config::second_factor::Proof;
use trunkline_stores::postgres::row::{NewSession, NewUser, Span};
use trunkline_web::identity::password::Passwords;

use crate::app::{Line, PATIENCE, app, browser, client, event, fresh, now, program};
use crate::identity::{PASSWORD, cookie, enter};
use crate::people::Somebody;
use crate::second_factor::code;

/// The secret of every test's authenticator app.
const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

/// Longest time that a change of the configuration may take until everything follows it (S-011).
const FOLLOWS: Duration = Duration::from_secs(5);

/// Somebody who runs the platform, signed in with both steps.
pub struct Admin {
    pub user: UserId,
    pub email: String,
    pub name: String,
    pub cookie: String,
}

impl Admin {
    /// A new one, with a second factor.
    pub async fn new(config: &Config) -> Admin {
        let (email, name) = (format!("{}@platform.invalid", fresh("p")), fresh("Petra"));
        let password_hash = Passwords::new(1)
            .unwrap()
            .hash(&SecretString::from(PASSWORD.to_owned()))
            .await
            .unwrap();
        let new = NewUser {
            email: email.clone(),
            name: name.clone(),
            role: Some(Role::Owner),
            grants: Vec::new(),
            password_hash,
        };
        let user = config.create_platform_admin(&By::operator(), &new).await.unwrap();
        let home = config.platform().await.unwrap().unwrap();
        config
            .begin_second_factor(home, user, &SecretString::from(SECRET.to_owned()), now())
            .await
            .unwrap();
        let step = now().0 / 30_000 - 10;
        config
            .confirm_second_factor(home, (&By::system(), user), &Proof::Code(&|_| Some(step)), &[], now())
            .await
            .unwrap();
        // Signed in without a code, so that each test has those of this time step and the next.
        let token: [u8; 32] = rand::random();
        let new = NewSession {
            user,
            token_hash: Sha256::digest(token).into(),
            created_at: now(),
            expires_at: now().plus(3_600_000),
            idle_ms: 3_600_000,
            source: String::new(),
            device: String::new(),
        };
        config.create_session(home, &By::system(), &new).await.unwrap();
        let admin = Admin {
            user,
            email,
            name,
            cookie: format!("trunkline_session={}", URL_SAFE_NO_PAD.encode(token)),
        };
        // The process hears of the first of them a moment later.
        let begun = Instant::now();
        while admin.ask(Method::GET, "/v1/platform/overview", None).await.0 != StatusCode::OK {
            assert!(begun.elapsed() < PATIENCE, "the platform is not known");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        admin
    }

    pub async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        let mut request = client().request(method, app().url(path)).header("cookie", &self.cookie);
        if let Some(body) = body {
            request = request.header("if-match", "*").json(&body);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status();
        (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default())
    }

    async fn page(&self, path: &str) -> (StatusCode, String) {
        let answer = browser().get(app().url(path)).header("cookie", &self.cookie).send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    }

    /// Opens an organisation's data with the code of `steps` from now.
    pub async fn open(&self, line: &Line, reason: &str, steps: i64) -> (StatusCode, Value) {
        self.open_with(line, reason, &code(SECRET, steps)).await
    }

    async fn open_with(&self, line: &Line, reason: &str, code: &str) -> (StatusCode, Value) {
        let body = json!({ "reason": reason, "code": code });
        let path = format!("/v1/platform/organisations/{}/openings", line.tenant);
        self.ask(Method::POST, &path, Some(body)).await
    }

    async fn change(&self, line: &Line, change: Value) -> (StatusCode, Value) {
        let path = format!("/v1/platform/organisations/{}", line.tenant);
        self.ask(Method::PATCH, &path, Some(change)).await
    }
}

/// Asks until the answer has the status, for as long as a change may take.
async fn until(what: &str, wanted: StatusCode, mut ask: impl AsyncFnMut() -> StatusCode) {
    let begun = Instant::now();
    loop {
        let found = ask().await;
        if found == wanted {
            return;
        }
        assert!(begun.elapsed() < FOLLOWS, "{what}: {found}, not {wanted}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn status_of(request: reqwest::RequestBuilder) -> StatusCode {
    request.send().await.unwrap().status()
}

#[tokio::test]
async fn s009_s036_an_organisations_data_is_open_for_a_reason_and_a_fresh_code_only_and_it_sees_who_looks() {
    let line = app().line().await;
    let petra = Admin::new(&line.config).await;
    let owner = Somebody::with(&line, Role::Owner).await;
    let call = fresh("call");
    line.keep(&event("call_ended", &call)).await;
    let key = line.api_key(&["calls:read"]).await;
    line.until(&key, &format!("/v1/calls/{call}"), |answer| answer["id"] == call).await;
    let theirs = format!("/v1/calls/{call}");
    let data = [
        "/v1/board",
        "/v1/calls",
        "/v1/live/calls",
        "/v1/usage",
        "/v1/audit",
        "/v1/people",
        theirs.as_str(),
    ];
    for path in data {
        let (status, body) = petra.ask(Method::GET, path, None).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{path} {body}");
    }
    assert_eq!(petra.open(&line, "", 0).await.0, StatusCode::FORBIDDEN, "without a reason");
    let openings = format!("/v1/platform/organisations/{}/openings", line.tenant);
    for wrong in ["", "000000"] {
        let body = json!({ "reason": "A ticket of theirs: 4711", "code": wrong });
        let (status, body) = petra.ask(Method::POST, &openings, Some(body)).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "code {wrong}: {body}");
        assert_eq!(body["code"], "reauth_required");
    }
    assert_eq!(petra.ask(Method::GET, "/v1/board", None).await.0, StatusCode::FORBIDDEN);

    let reason = "A ticket of theirs: 4711";
    let used = code(SECRET, 0);
    let (status, opening) = petra.open_with(&line, reason, &used).await;
    assert_eq!(status, StatusCode::CREATED, "{opening}");
    assert_eq!(opening["organisation_id"], line.tenant.to_string());
    for path in [
        "/v1/board",
        "/v1/calls",
        "/v1/live/calls",
        "/v1/usage",
        "/v1/audit",
        theirs.as_str(),
    ] {
        assert_eq!(petra.ask(Method::GET, path, None).await.0, StatusCode::OK, "{path}");
    }
    let seen = petra.ask(Method::GET, &theirs, None).await.1;
    assert_ne!(seen["from_number"], "+12025550101", "numbers stay masked");
    assert!(!seen.to_string().contains("+12025550101"), "{seen}");
    // Both who looks and at whom.
    let me = petra.ask(Method::GET, "/v1/me", None).await.1;
    assert_eq!(
        (me["id"].clone(), me["organisation_id"].clone()),
        (petra.user.to_string().into(), line.tenant.to_string().into())
    );
    assert!(me["open_until"].is_string() && me["email"] == petra.email, "{me}");
    // Reading only.
    for (method, path, body) in [
        (Method::POST, "/v1/businesses", json!({ "name": "Mine", "time_zone": "UTC" })),
        (Method::POST, "/v1/api-keys", json!({ "name": "mine", "scopes": ["calls:read"] })),
        (
            Method::POST,
            "/v1/invitations",
            json!({ "email": "a@b.invalid", "name": "A", "role": "owner" }),
        ),
        (Method::POST, "/v1/tv-links", json!({ "name": "mine" })),
        (Method::GET, "/v1/people", Value::Null),
        (Method::GET, "/v1/set-aside", Value::Null),
    ] {
        let (status, body) = petra.ask(method, path, Some(body)).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{path}: {body}");
    }
    let (status, wall) = petra.page("/wall").await;
    assert!(
        status == StatusCode::OK && wall.contains("data-opened"),
        "every page says what is open"
    );

    // The organisation sees it: as entries with the name of who looked, and, while it lasts, above them.
    let deeds = line
        .config
        .deeds(
            line.tenant,
            &DeedFilter::default(),
            &trunkline_stores::clickhouse::Turning::First,
            100,
        )
        .await
        .unwrap();
    let by_petra: Vec<_> = deeds
        .entries
        .iter()
        .filter(|deed| deed.entry.actor_id == Some(petra.user.0))
        .collect();
    assert!(
        by_petra
            .iter()
            .all(|deed| deed.entry.actor == "platform" && deed.entry.actor_name == petra.name)
    );
    let opened = by_petra
        .iter()
        .find(|deed| deed.entry.action == "organisation.open")
        .expect("it is noted");
    assert!(opened.entry.after.contains(reason));
    assert!(
        by_petra.iter().any(|deed| deed.entry.action == "call.view"),
        "what was looked at is noted as well"
    );
    let page = client()
        .get(app().url("/settings/audit"))
        .header("cookie", &owner.cookie)
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(
        page.contains("data-opening") && page.contains(reason) && page.contains(&petra.name),
        "{page}"
    );
    let platform = petra.ask(Method::GET, "/v1/platform/audit?action=organisation.open", None).await.1;
    let ours = platform["data"]
        .as_array()
        .unwrap()
        .iter()
        .find(|entry| entry["target_id"] == line.tenant.to_string());
    assert_eq!(ours.expect("it is in the platform's record as well")["actor"]["name"], petra.name);

    // A code is taken once, also for another organisation; and what is closed is closed.
    let other = app().line().await;
    assert_eq!(petra.open_with(&other, reason, &used).await.0, StatusCode::FORBIDDEN);
    assert_eq!(
        petra.ask(Method::DELETE, "/v1/platform/opening", None).await.0,
        StatusCode::NO_CONTENT
    );
    for path in data {
        assert_eq!(petra.ask(Method::GET, path, None).await.0, StatusCode::FORBIDDEN, "{path}");
    }
    assert_eq!(
        petra.ask(Method::DELETE, "/v1/platform/opening", None).await.0,
        StatusCode::NOT_FOUND
    );
    // Opening another one closes the one before.
    assert_eq!(petra.open(&line, reason, 1).await.0, StatusCode::CREATED);
    let another = Admin::new(&line.config).await;
    assert_eq!(
        another.ask(Method::GET, "/v1/board", None).await.0,
        StatusCode::FORBIDDEN,
        "it is open to one session"
    );
    let in_force = line
        .config
        .openings(line.tenant, 10)
        .await
        .unwrap()
        .into_iter()
        .filter(|opening| opening.holds(now()))
        .count();
    assert_eq!(in_force, 1);
    let chain = line.config.verify_deeds(line.tenant).await.unwrap();
    assert!(chain.is_ok(), "{chain:?}");
}

#[tokio::test]
async fn s011_a_suspended_organisation_is_shut_within_five_seconds_and_keeps_its_events() {
    let line = app().line().await;
    let petra = Admin::new(&line.config).await;
    let owner = Somebody::with(&line, Role::Owner).await;
    let key = line.api_key(&["live:read", "calls:read"]).await;
    let board = || client().get(app().url("/v1/board"));
    let answer: Response = client()
        .get(app().url("/v1/stream?topics=board"))
        .bearer_auth(&key)
        .send()
        .await
        .unwrap();
    let mut stream = Box::pin(answer.bytes_stream());
    assert!(stream.next().await.is_some());

    let (status, body) = petra.change(&line, json!({ "suspended_reason": "" })).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
    let (status, body) = petra.change(&line, json!({ "suspended_reason": "Has not paid since May" })).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert!(body["problems"].to_string().contains("suspended"), "{body}");
    let begun = Instant::now();
    until("a key", StatusCode::FORBIDDEN, async || status_of(board().bearer_auth(&key)).await).await;
    until("a session", StatusCode::FORBIDDEN, async || {
        status_of(board().header("cookie", &owner.cookie)).await
    })
    .await;
    while let Ok(Some(Ok(_))) = tokio::time::timeout(PATIENCE, stream.next()).await {}
    // Five seconds from the change; the test's own machine may be slow to say so.
    assert!(begun.elapsed() < FOLLOWS * 2, "the stream lived on for {:?}", begun.elapsed());
    let refused = enter(&owner.email, PASSWORD, &[]).await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    assert!(cookie(&refused).is_none());
    assert_ne!(
        enter(&owner.email, "not the password at all", &[]).await.status(),
        StatusCode::FORBIDDEN,
        "said to its people only"
    );
    let call = fresh("call");
    line.keep(&event("call_started", &call)).await;

    let (status, body) = petra.change(&line, json!({ "suspended_reason": null })).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    until("a key", StatusCode::OK, async || status_of(board().bearer_auth(&key)).await).await;
    line.until(&key, "/v1/live/calls", |answer| answer.to_string().contains(&call))
        .await;
    assert_eq!(enter(&owner.email, PASSWORD, &[]).await.status(), StatusCode::SEE_OTHER);
    let record = client()
        .get(app().url("/settings/audit?action=organisation.suspend"))
        .header("cookie", &owner.cookie)
        .send()
        .await
        .unwrap();
    assert!(
        record.text().await.unwrap().contains("Has not paid since May"),
        "the organisation sees why"
    );
}

#[tokio::test]
async fn an_organisation_is_made_with_its_first_owner_renamed_and_limited() {
    let line = app().line().await;
    let petra = Admin::new(&line.config).await;
    let (name, email) = (fresh("Harbour Dental"), format!("{}@people.invalid", fresh("owner")));
    let draft = json!({ "name": name, "email": email, "owner_name": "Olga", "plan": "Trial", "api_keys_max": 1 });
    let (status, made) = petra.ask(Method::POST, "/v1/platform/organisations", Some(draft.clone())).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    assert_eq!(
        (&made["plan"], &made["api_keys_max"], &made["people"]),
        (&json!("Trial"), &json!(1), &json!(0))
    );
    let (status, _) = petra.ask(Method::POST, "/v1/platform/organisations", Some(draft)).await;
    assert_eq!(status, StatusCode::CONFLICT, "names are taken once");
    let tenant = made["id"].as_str().unwrap().parse().unwrap();
    let invited = line.config.invitations(tenant, Span::first(5)).await.unwrap();
    assert_eq!(
        (invited.len(), invited[0].email.as_str(), invited[0].role),
        (1, email.as_str(), Some(Role::Owner))
    );
    // The owner comes by the mail.
    let link = crate::mailbox::mail(&email, 1).await.link();
    let form = format!(
        "code={}&email={}&name=Olga&password={}",
        crate::mailbox::code(&link),
        email.replace('@', "%40"),
        PASSWORD.replace(' ', "+")
    );
    let accept = browser()
        .post(app().url("/invitation"))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form);
    assert_eq!(status_of(accept).await, StatusCode::SEE_OTHER);

    // Limits hold: one key of the organisation, and of another the rate of all workspaces together.
    let path = format!("/v1/platform/organisations/{}", line.tenant);
    let renamed = fresh("Renamed");
    let (status, after) = petra
        .change(
            &line,
            json!({ "name": renamed, "api_keys_max": 1, "concurrent_calls": 3, "intake_per_second": 1 }),
        )
        .await;
    assert_eq!(status, StatusCode::OK, "{after}");
    assert_eq!((&after["name"], &after["concurrent_calls"]), (&json!(renamed), &json!(3)));
    assert_eq!(line.config.organisation_name(line.tenant).await.unwrap(), renamed);
    let owner = Somebody::with(&line, Role::Owner).await;
    let make = async || {
        owner
            .ask(
                Method::POST,
                "/v1/api-keys",
                None,
                Some(json!({ "name": "one", "scopes": ["live:read"] })),
            )
            .await
    };
    assert_eq!(make().await.0, StatusCode::CREATED);
    let (status, _, refused) = make().await;
    assert_eq!(status, StatusCode::CONFLICT, "{refused}");
    assert!(refused["detail"].as_str().unwrap().contains("revoke one first"), "{refused}");
    until("the rate", StatusCode::TOO_MANY_REQUESTS, async || {
        line.send(event("call_started", &fresh("call")).to_string()).await.status()
    })
    .await;
    let (status, _) = petra.change(&line, json!({ "intake_per_second": null })).await;
    assert_eq!(status, StatusCode::OK);
    until("no rate", StatusCode::NO_CONTENT, async || {
        let mut last = StatusCode::NO_CONTENT;
        for _ in 0..5 {
            last = line.send(event("call_started", &fresh("call")).to_string()).await.status();
            if last != StatusCode::NO_CONTENT {
                break;
            }
        }
        last
    })
    .await;

    // Somebody else changed it meanwhile; and a change needs to say of which state.
    let stale = client()
        .patch(app().url(&path))
        .header("cookie", &petra.cookie)
        .header("if-match", "\"old\"")
        .json(&json!({ "plan": "x" }));
    assert_eq!(status_of(stale).await, StatusCode::PRECONDITION_FAILED);
    let none = client()
        .patch(app().url(&path))
        .header("cookie", &petra.cookie)
        .json(&json!({ "plan": "x" }));
    assert_eq!(status_of(none).await, StatusCode::PRECONDITION_REQUIRED);
    for (change, field) in [
        (json!({ "name": " " }), "/name"),
        (json!({ "intake_per_second": 0 }), "/intake_per_second"),
        (json!({ "plan": "x".repeat(101) }), "/plan"),
    ] {
        let (status, body) = petra.change(&line, change).await;
        assert_eq!(
            (status, &body["errors"][0]["pointer"]),
            (StatusCode::UNPROCESSABLE_ENTITY, &json!(field))
        );
    }
    let home = line.config.platform().await.unwrap().unwrap();
    let own = format!("/v1/platform/organisations/{home}");
    assert_eq!(
        petra.ask(Method::PATCH, &own, Some(json!({ "suspended_reason": "all" }))).await.0,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn the_overview_counts_and_shows_nothing_of_any_call() {
    let line = app().line().await;
    let petra = Admin::new(&line.config).await;
    let call = fresh("hidden");
    line.keep(&event("call_started", &call)).await;
    let begun = Instant::now();
    let listed = loop {
        let all = petra.ask(Method::GET, "/v1/platform/organisations", None).await.1;
        let ours = all["data"]
            .as_array()
            .unwrap()
            .iter()
            .find(|one| one["id"] == line.tenant.to_string())
            .cloned()
            .unwrap();
        if ours["live_calls"] == 1 && ours["events_last_day"] == 1 {
            break all;
        }
        assert!(begun.elapsed() < PATIENCE, "{ours}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    let overview = petra.ask(Method::GET, "/v1/platform/overview", None).await.1;
    assert!(
        overview["organisations"].as_u64().unwrap() >= 1 && overview["stored_bytes"].as_u64().unwrap() > 0,
        "{overview}"
    );
    let page = petra.page("/platform").await.1;
    let one = petra.page(&format!("/platform/organisations/{}", line.tenant)).await.1;
    for (what, text) in [
        ("list", listed.to_string()),
        ("overview", overview.to_string()),
        ("page", page),
        ("organisation", one),
    ] {
        for hidden in [call.as_str(), "+1202555", "Reception", "table for two"] {
            assert!(!text.contains(hidden), "{what} shows {hidden}");
        }
    }
}

#[tokio::test]
async fn s006_every_page_of_the_platform_is_shut_to_everybody_else() {
    let line = app().line().await;
    let petra = Admin::new(&line.config).await;
    let owner = Somebody::with(&line, Role::Owner).await;
    let organisation = format!("/platform/organisations/{}", line.tenant);
    let pages = ["/platform".to_owned(), organisation.clone()];
    let forms = [
        "/platform".to_owned(),
        "/platform/close".to_owned(),
        organisation.clone(),
        format!("{organisation}/suspend"),
        format!("{organisation}/resume"),
        format!("{organisation}/open"),
    ];
    for page in &pages {
        assert_eq!(petra.page(page).await.0, StatusCode::OK, "{page}");
        assert_eq!(
            status_of(browser().get(app().url(page)).header("cookie", &owner.cookie)).await,
            StatusCode::FORBIDDEN,
            "{page}"
        );
        assert_eq!(status_of(browser().get(app().url(page))).await, StatusCode::SEE_OTHER, "{page}");
    }
    for form in &forms {
        let post = || {
            browser()
                .post(app().url(form))
                .header("content-type", "application/x-www-form-urlencoded")
                .body("reason=because")
        };
        assert_eq!(
            status_of(post().header("cookie", &owner.cookie)).await,
            StatusCode::FORBIDDEN,
            "{form}"
        );
        assert_eq!(
            status_of(post().header("cookie", &petra.cookie)).await,
            StatusCode::FORBIDDEN,
            "{form} without the form's token"
        );
        assert_eq!(status_of(post()).await, StatusCode::SEE_OTHER, "{form}");
    }
    // By the pages: open, look, close.
    let page = petra.page(&organisation).await.1;
    let token = page
        .split("name=\"form_token\" value=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap()
        .to_owned();
    let post = async |path: &str, body: String| {
        let request = browser().post(app().url(path)).header("cookie", &petra.cookie);
        request
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body)
            .send()
            .await
            .unwrap()
    };
    let wrong = post(&format!("{organisation}/open"), format!("form_token={token}&reason=short&code=1")).await;
    assert_eq!(wrong.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let body = format!("form_token={token}&reason=A+ticket+of+theirs&code={}", code(SECRET, 0));
    assert_eq!(post(&format!("{organisation}/open"), body).await.headers()["location"], "/wall");
    assert_eq!(petra.page("/wall").await.0, StatusCode::OK);
    assert_eq!(
        post("/platform/close", format!("form_token={token}")).await.headers()["location"],
        "/platform?done=closed"
    );
    assert_eq!(
        petra.page("/wall").await.0,
        StatusCode::SEE_OTHER,
        "they have no board of their own"
    );
    // Name and limits by the form, against the state it was filled in for.
    let page = petra.page(&organisation).await.1;
    let revision = page
        .split("name=\"revision\" value=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap()
        .replace("&quot;", "\"")
        .replace("&#34;", "\"");
    let revision: String = form_urlencoded::byte_serialize(revision.as_bytes()).collect();
    let name = fresh("Through+the+form");
    let body = format!("form_token={token}&revision={revision}&name={name}&plan=Gold&concurrent_calls=5");
    assert_eq!(post(&organisation, body.clone()).await.status(), StatusCode::SEE_OTHER);
    assert_eq!(
        post(&organisation, body).await.status(),
        StatusCode::UNPROCESSABLE_ENTITY,
        "changed meanwhile"
    );
}

#[tokio::test]
async fn whoever_runs_the_platform_is_made_at_the_command_line_and_gets_nowhere_without_a_second_factor() {
    let config = app().config().await;
    let (email, run) = (
        format!("{}@platform.invalid", fresh("cli")),
        |arguments: Vec<String>, input: &'static str| {
            let mut command = program(&app().data);
            let mut child = command
                .args(arguments)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
            let output = child.wait_with_output().unwrap();
            (
                output.status.success(),
                String::from_utf8_lossy(&output.stdout).into_owned() + String::from_utf8_lossy(&output.stderr).as_ref(),
            )
        },
    );
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let (done, said) = run(words(&["platform", "admin", "add", &email, "--name", "Petra"]), PASSWORD);
    assert!(done, "{said}");
    assert!(run(words(&["platform", "admin", "list"]), "").1.contains(&email));
    let session = cookie(&enter(&email, PASSWORD, &[]).await).unwrap();
    assert!(session.starts_with("trunkline_session"));
    for path in ["/v1/platform/overview", "/v1/platform/organisations", "/v1/me"] {
        assert_eq!(
            status_of(browser().get(app().url(path)).header("cookie", &session)).await,
            StatusCode::FORBIDDEN,
            "{path}"
        );
    }
    let page = browser()
        .get(app().url("/platform"))
        .header("cookie", &session)
        .send()
        .await
        .unwrap();
    assert_eq!(page.headers()["location"], "/account", "where the second factor is set up");
    // Not to be undone: neither rule nor membership.
    let home = config.platform().await.unwrap().unwrap();
    let rule = config
        .require_second_factor(
            home,
            &By::operator(),
            trunkline_stores::postgres::config::second_factor::Whom::Nobody,
        )
        .await;
    assert!(rule.is_err());
    assert_ne!(config.ensure_organisation("Platform").await.unwrap(), home);
    let (done, said) = run(words(&["platform", "admin", "remove", &email]), "");
    assert!(done, "{said}");
    assert_eq!(
        status_of(browser().get(app().url("/account")).header("cookie", &session)).await,
        StatusCode::SEE_OTHER,
        "their sessions end"
    );
    assert!(!run(words(&["platform", "admin", "remove", &email]), "").0);
}

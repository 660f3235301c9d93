//! The second step of signing in, and the devices somebody is signed in at: what works, and what must not.

use base64::Engine as _;
use futures::future::join_all;
use reqwest::{Response, StatusCode};
use trunkline_core::access::Role;
use trunkline_core::audit::By;
use trunkline_core::id::UserId;
use trunkline_stores::postgres::config::second_factor::Whom;

use crate::app::{Line, app, browser, now, program};
use crate::identity::{PASSWORD, cookie, enter, person};

async fn post(path: &str, cookie: &str, form: &[(&str, &str)]) -> Response {
    let written: Vec<String> = form
        .iter()
        .map(|(name, value)| format!("{name}={}", value.replace(' ', "+")))
        .collect();
    loop {
        let request = browser()
            .post(app().url(path))
            .header("cookie", cookie)
            .header(
                "user-agent",
                "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
            )
            .header("content-type", "application/x-www-form-urlencoded");
        match request.body(written.join("&")).send().await {
            Ok(answer) => return answer,
            // On a slow machine the request of one of many connections comes too late: the server has given it up, nothing was asked.
            Err(error) => assert!(error.is_request(), "{error}"),
        }
    }
}

async fn get(path: &str, cookie: &str) -> (StatusCode, String) {
    let answer = browser().get(app().url(path)).header("cookie", cookie).send().await.unwrap();
    (answer.status(), answer.text().await.unwrap())
}

async fn form_token(session: &str) -> String {
    let page = get("/account", session).await.1;
    let token = page.split("name=\"form_token\" value=\"").nth(1).expect("the page has forms");
    token.split('"').next().unwrap().to_owned()
}

/// The cookie of a name that an answer sets.
fn set(answer: &Response, name: &str) -> Option<String> {
    let all = answer
        .headers()
        .get_all("set-cookie")
        .iter()
        .filter_map(|value| value.to_str().ok());
    let mut found = all
        .filter_map(|value| value.split(';').next())
        .filter(|pair| pair.starts_with(name));
    found.next().map(str::to_owned)
}

/// A code of the app, `steps` time steps from now.
pub fn code(secret: &str, steps: i64) -> String {
    let secret = totp_rs::Secret::try_from_base32(secret.replace(' ', "")).unwrap();
    let totp = totp_rs::Builder::new().with_secret(secret).build().unwrap();
    totp.generate(u64::try_from(now().0 / 1_000 + steps * 30).unwrap()).to_string()
}

/// Somebody with an app: address, secret, recovery codes, session.
pub struct Enrolled {
    pub email: String,
    pub user: UserId,
    pub secret: String,
    pub codes: Vec<String>,
    pub session: String,
}

pub async fn enrolled(line: &Line, role: Role) -> Enrolled {
    let email = person(line, role).await;
    let session = cookie(&enter(&email, PASSWORD, &[]).await).unwrap();
    let token = form_token(&session).await;
    let page = post("/account/second-factor", &session, &[("form_token", &token)])
        .await
        .text()
        .await
        .unwrap();
    let picture = page
        .split("src=\"data:image/svg+xml;base64,")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let picture = base64::engine::general_purpose::STANDARD.decode(picture).unwrap();
    assert!(String::from_utf8(picture).unwrap().contains("<svg"));
    let secret = page
        .split("<code class=\"mono\">")
        .nth(1)
        .unwrap()
        .split('<')
        .next()
        .unwrap()
        .to_owned();
    let wrong = post(
        "/account/second-factor/confirm",
        &session,
        &[("form_token", &token), ("code", "000000")],
    )
    .await;
    assert_eq!(wrong.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let filled = [("form_token", token.as_str()), ("code", &code(&secret, 0))];
    let page = post("/account/second-factor/confirm", &session, &filled)
        .await
        .text()
        .await
        .unwrap();
    let codes: Vec<String> = page
        .split("<li class=\"mono\">")
        .skip(1)
        .map(|rest| rest.split('<').next().unwrap().to_owned())
        .collect();
    assert_eq!(codes.len(), 10, "{page}");
    assert!(!get("/account", &session).await.1.contains(&codes[0]), "shown once");
    let user = line.config.user_by_email(&email).await.unwrap().unwrap().id;
    Enrolled {
        email,
        user,
        secret,
        codes,
        session,
    }
}

/// Signs in as far as the second step; gives the cookie that names it.
async fn half(email: &str) -> String {
    let answer = enter(email, PASSWORD, &[]).await;
    assert_eq!(answer.headers()["location"], "/signin/code?next=%2Fwall");
    assert!(set(&answer, "trunkline_session").is_none(), "no session before the code");
    set(&answer, "trunkline_step").unwrap()
}

async fn step(half: &str, code: &str) -> Response {
    post("/signin/code", half, &[("code", code), ("next", "/wall")]).await
}

#[tokio::test]
async fn s114_a_code_lets_in_once_and_s118_a_recovery_code_as_well() {
    let line = app().line().await;
    let ana = enrolled(&line, Role::Supervisor).await;
    let (first, second) = (half(&ana.email).await, half(&ana.email).await);
    let right = code(&ana.secret, 1);
    // Fifty at once, with two halves of the same person: one gets in.
    let tries = (0..50).map(|n| step(if n % 2 == 0 { &first } else { &second }, &right));
    let answers = join_all(tries).await;
    let sessions: Vec<String> = answers.iter().filter_map(|answer| set(answer, "trunkline_session")).collect();
    assert_eq!(sessions.len(), 1);
    assert_eq!(get("/v1/board", &sessions[0]).await.0, StatusCode::OK);
    assert_eq!(
        answers.iter().filter(|answer| answer.status() == StatusCode::SEE_OTHER).count(),
        50,
        "the others begin again"
    );
    // The same code again, by somebody who has seen it.
    let again = step(&half(&ana.email).await, &right).await;
    assert_eq!(again.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert!(set(&again, "trunkline_session").is_none());

    let recovered = step(&half(&ana.email).await, &ana.codes[3].to_uppercase()).await;
    assert!(set(&recovered, "trunkline_session").is_some());
    let again = step(&half(&ana.email).await, &ana.codes[3]).await;
    assert!(set(&again, "trunkline_session").is_none());
    assert_eq!(
        line.config.second_factor(line.tenant, ana.user).await.unwrap().unwrap().codes_left,
        9
    );
}

#[tokio::test]
async fn s115_after_five_wrong_codes_none_is_looked_at() {
    let line = app().line().await;
    let auditor = line.api_key(&["audit:read"]).await;
    let ana = enrolled(&line, Role::Supervisor).await;
    let half = half(&ana.email).await;
    for n in 0..5 {
        let wrong = step(&half, &format!("00000{n}")).await;
        assert_eq!(wrong.status(), StatusCode::UNPROCESSABLE_ENTITY, "{n}");
    }
    let right = step(&half, &code(&ana.secret, 1)).await;
    assert_eq!(right.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(set(&right, "trunkline_session").is_none());
    // Nor by a new beginning, nor by a recovery code.
    let other = self::half(&ana.email).await;
    assert_eq!(step(&other, &ana.codes[0]).await.status(), StatusCode::TOO_MANY_REQUESTS);
    let found = line.get(&auditor, "/v1/audit?action=second_factor&limit=100").await.1;
    let locks = found["data"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|entry| entry["action"] == "second_factor.lock");
    assert_eq!(locks.count(), 1);
    assert!(!found.to_string().contains(&ana.secret.replace(' ', "")));
}

#[tokio::test]
async fn s116_half_signed_in_opens_nothing() {
    let line = app().line().await;
    let ana = enrolled(&line, Role::Owner).await;
    let half = half(&ana.email).await;
    let as_session = half.replace("trunkline_step", "trunkline_session");
    for path in ["/v1/board", "/v1/calls", "/v1/audit", "/v1/stream?topics=board"] {
        let (status, body) = get(path, &half).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{path}");
        assert!(body.contains("mfa_required"), "{path}: {body}");
        assert_eq!(get(path, &as_session).await.0, StatusCode::UNAUTHORIZED, "{path}");
    }
    for path in ["/wall", "/account", "/settings/audit"] {
        assert_eq!(get(path, &half).await.0, StatusCode::SEE_OTHER, "{path}");
    }
}

#[tokio::test]
async fn s117_taking_it_away_needs_the_password() {
    let line = app().line().await;
    let ana = enrolled(&line, Role::Supervisor).await;
    let token = form_token(&ana.session).await;
    for password in ["", "not the password"] {
        let filled = [("form_token", token.as_str()), ("password", password)];
        let refused = post("/account/second-factor/end", &ana.session, &filled).await;
        assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY, "{password}");
    }
    assert!(line.config.second_factor(line.tenant, ana.user).await.unwrap().is_some());
    // Setting another app up needs the first one to be taken away.
    let other = post("/account/second-factor", &ana.session, &[("form_token", &token)]).await;
    assert_eq!(other.status(), StatusCode::NOT_FOUND);
    let filled = [("form_token", token.as_str()), ("password", PASSWORD)];
    let done = post("/account/second-factor/end", &ana.session, &filled).await;
    assert_eq!(done.status(), StatusCode::SEE_OTHER);
    assert!(line.config.second_factor(line.tenant, ana.user).await.unwrap().is_none());
    assert!(
        cookie(&enter(&ana.email, PASSWORD, &[]).await)
            .unwrap()
            .starts_with("trunkline_session")
    );
}

#[tokio::test]
async fn who_has_to_have_one_can_do_nothing_else_first() {
    let line = app().line().await;
    line.config
        .require_second_factor(line.tenant, &By::operator(), Whom::Admins)
        .await
        .unwrap();
    let viewer = cookie(&enter(&person(&line, Role::Viewer).await, PASSWORD, &[]).await).unwrap();
    assert_eq!(get("/v1/board", &viewer).await.0, StatusCode::OK);
    let admin = cookie(&enter(&person(&line, Role::Admin).await, PASSWORD, &[]).await).unwrap();
    let (status, body) = get("/v1/board", &admin).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(body.contains("mfa_enrolment_required"), "{body}");
    let wall = browser().get(app().url("/wall")).header("cookie", &admin).send().await.unwrap();
    assert_eq!(
        (wall.status(), &wall.headers()["location"]),
        (StatusCode::SEE_OTHER, &"/account".parse().unwrap())
    );
    let ana = enrolled(&line, Role::Owner).await;
    assert_eq!(get("/v1/board", &ana.session).await.0, StatusCode::OK);

    // The telephone is lost: the operator helps, and a new one has to be set up.
    let reset = program(&app().data)
        .args(["user", "reset-second-factor", "--email", &ana.email])
        .output()
        .unwrap();
    assert!(reset.status.success(), "{}", String::from_utf8_lossy(&reset.stderr));
    assert_eq!(get("/v1/board", &ana.session).await.0, StatusCode::FORBIDDEN);
    assert_eq!(get("/account", &ana.session).await.0, StatusCode::OK);
}

#[tokio::test]
async fn people_see_where_they_are_signed_in_and_end_it() {
    let line = app().line().await;
    let email = person(&line, Role::Viewer).await;
    let agents = [
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1",
        "curl/8",
        "curl/9",
    ];
    let mut sessions = Vec::new();
    for agent in agents {
        sessions.push(cookie(&enter(&email, PASSWORD, &[("user-agent", agent)]).await).unwrap());
    }
    let page = get("/account", &sessions[1]).await.1;
    assert!(page.contains("Safari · iPhone") && page.contains("127.0.0.1"), "{page}");
    assert_eq!(page.matches("/end\"").count(), 2, "this one is ended by signing out");
    let token = form_token(&sessions[1]).await;
    let phone = page
        .split("Safari · iPhone")
        .nth(1)
        .unwrap()
        .split("/account/sessions/")
        .nth(1)
        .unwrap();
    let phone = format!("/account/sessions/{}", phone.split('"').next().unwrap());
    // Of somebody else it does not exist, and without the form's token nothing happens.
    let stranger = cookie(&enter(&person(&line, Role::Owner).await, PASSWORD, &[]).await).unwrap();
    let theirs = form_token(&stranger).await;
    assert_eq!(
        post(&phone, &stranger, &[("form_token", &theirs)]).await.status(),
        StatusCode::NOT_FOUND
    );
    assert_eq!(post(&phone, &sessions[1], &[]).await.status(), StatusCode::FORBIDDEN);
    assert_eq!(get("/v1/board", &sessions[0]).await.0, StatusCode::OK);
    assert_eq!(
        post(&phone, &sessions[1], &[("form_token", &token)]).await.status(),
        StatusCode::SEE_OTHER
    );
    assert_eq!(get("/v1/board", &sessions[0]).await.0, StatusCode::UNAUTHORIZED);
    let others = post("/account/sessions/end-others", &sessions[1], &[("form_token", &token)]).await;
    assert_eq!(others.status(), StatusCode::SEE_OTHER);
    assert_eq!(get("/v1/board", &sessions[2]).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(get("/v1/board", &sessions[1]).await.0, StatusCode::OK);
    assert_eq!(get("/v1/board", &stranger).await.0, StatusCode::OK);
}

//! Attacks by the shape of a request: methods, media types, codings, names, addresses of other organisations.

use std::io::Write as _;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::{Method, StatusCode};
use serde_json::json;
use trunkline_core::access::Role;
use trunkline_core::audit::By;
use trunkline_stores::postgres::row::NewBusiness;

use crate::app::{app, client, event, fresh};
use crate::people::Somebody;

#[tokio::test]
async fn s012_no_file_of_another_organisation_can_be_fetched() {
    let (line, other) = (app().line().await, app().line().await);
    let stranger = Somebody::with(&other, Role::Owner).await;
    let call = fresh("call");
    line.keep(&event("call_ended", &call)).await;
    let key = line.api_key(&["calls:read"]).await;
    line.until(&key, &format!("/v1/calls/{call}"), |found| found["id"] == call.as_str())
        .await;
    let business = line
        .config
        .create_business(line.tenant, &By::system(), &NewBusiness::plain("Ours", "UTC"))
        .await
        .unwrap();
    for path in [
        format!("/calls/call/{call}"),
        format!("/calls/call/{call}/raw"),
        format!("/usage.csv?business={business}"),
        format!("/settings/businesses/{business}"),
        format!("/settings/workspaces/{}", line.workspace),
    ] {
        let request = client().get(app().url(&path)).header("cookie", &stranger.cookie);
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_client_error(), "{path}: {}", answer.status());
        let text = answer.text().await.unwrap();
        assert!(!text.contains("+12025550101") && !text.contains("a table for two"), "{path}");
    }
    for path in ["/settings/audit.csv", "/settings/audit.json", "/usage.csv"] {
        let request = client().get(app().url(path)).header("cookie", &stranger.cookie);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        let text = answer.text().await.unwrap();
        let ours = [
            business.to_string(),
            line.workspace.to_string(),
            "+12025550101".to_owned(),
            "a table for two".to_owned(),
        ];
        for ours in ours {
            assert!(!text.contains(&ours), "{path} holds {ours}");
        }
    }
}

#[tokio::test]
async fn s015_other_methods_are_refused_and_none_is_changed_by_a_header() {
    let line = app().line().await;
    let key = line.api_key(&["live:read", "keys:write"]).await;
    let ask = async |method: &str, path: &str| {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        client().request(method, app().url(path)).bearer_auth(&key).send().await.unwrap()
    };
    for (method, path, allowed) in [
        ("TRACE", "/v1/board", "GET"),
        ("DELETE", "/v1/board", "GET"),
        ("BREW", "/v1/api-keys", "GET, POST"),
        ("PUT", "/v1/api-keys/x", "DELETE, GET"),
    ] {
        let answer = ask(method, path).await;
        assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
        assert_eq!(answer.headers()["allow"], allowed, "{method} {path}");
    }
    assert_eq!(ask("TRACE", "/signin").await.status(), StatusCode::METHOD_NOT_ALLOWED);
    let made = line
        .config
        .api_keys(line.tenant, trunkline_stores::postgres::row::Span::first(1))
        .await
        .unwrap()[0]
        .id;
    for header in ["x-http-method-override", "x-http-method", "x-method-override"] {
        let request = client().get(app().url(&format!("/v1/api-keys/{made}"))).bearer_auth(&key);
        let answer = request.header(header, "DELETE").send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{header}");
    }
    assert!(
        line.config
            .api_key(line.tenant, made)
            .await
            .unwrap()
            .unwrap()
            .holds(crate::app::now())
    );
}

#[tokio::test]
async fn s018_s089_bodies_that_are_no_json_or_hide_a_bomb_are_refused_unread() {
    let line = app().line().await;
    let owner = Somebody::with(&line, Role::Owner).await;
    let draft = json!({ "name": fresh("Shop"), "time_zone": "UTC" }).to_string();
    for media in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""] {
        let mut request = client()
            .post(app().url("/v1/businesses"))
            .header("cookie", &owner.cookie)
            .body(draft.clone());
        if !media.is_empty() {
            request = request.header("content-type", media);
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE, "{media}");
        assert_eq!(answer.json::<serde_json::Value>().await.unwrap()["code"], "unsupported_media_type");
    }
    // 200 MB of nothing.
    let mut bomb = GzEncoder::new(Vec::new(), Compression::fast());
    let nothing = vec![b' '; 1_000_000];
    for _ in 0..200 {
        bomb.write_all(&nothing).unwrap();
    }
    let answer = client()
        .post(app().url("/v1/businesses"))
        .header("cookie", &owner.cookie)
        .header("content-type", "application/json")
        .header("content-encoding", "gzip")
        .body(bomb.finish().unwrap())
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let (status, _, problem) = owner
        .ask(Method::POST, "/v1/businesses", None, Some(serde_json::from_str(&draft).unwrap()))
        .await;
    assert_eq!(status, StatusCode::CREATED, "{problem}");
}

#[tokio::test]
async fn s020_no_other_site_is_given_leave() {
    for origin in ["https://evil.example", "null"] {
        for method in [Method::OPTIONS, Method::GET] {
            let answer = client()
                .request(method.clone(), app().url("/v1/board"))
                .header("origin", origin)
                .header("access-control-request-method", "GET")
                .header("access-control-request-headers", "authorization")
                .send()
                .await
                .unwrap();
            let allowing = answer.headers().keys().find(|name| name.as_str().starts_with("access-control-"));
            assert!(allowing.is_none(), "{method} {origin}: {allowing:?}");
        }
    }
}

#[tokio::test]
async fn s038_what_operators_see_is_not_on_the_outer_ports() {
    for path in [
        "/metrics",
        "/livez",
        "/readyz",
        "/readyz?verbose",
        "/startupz",
        "/version",
        "/debug",
        "/debug/pprof",
        "/.env",
        "/.git/config",
    ] {
        for address in [app().site, app().intake] {
            let answer = client().get(format!("http://{address}{path}")).send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{address}{path}");
            assert!(!answer.text().await.unwrap().contains("trunkline_"), "{address}{path}");
        }
    }
}

#[tokio::test]
async fn s043_a_request_has_to_name_one_host_and_links_do_not_repeat_it() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let ask = async |hosts: &str| {
        let mut socket = tokio::net::TcpStream::connect(app().site).await.unwrap();
        let request = format!("GET /signin HTTP/1.1\r\n{hosts}Connection: close\r\n\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        answer
    };
    for bad in [
        "",
        "Host: a.example\r\nHost: b.example\r\n",
        "Host: a@b.example\r\n",
        "Host: a b\r\n",
        "Host: \r\n",
    ] {
        let answer = ask(bad).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{bad:?}: {answer}");
    }
    let answer = ask("Host: evil.example\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && !answer.contains("evil.example"), "{answer}");
    // The mail about a forgotten password goes to the configured address, whatever the one who asked for it called us.
    let line = app().line().await;
    let ana = Somebody::with(&line, Role::Viewer).await;
    let asked = client()
        .post(app().url("/forgot"))
        .header("host", "evil.example")
        .header("x-forwarded-host", "evil.example")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(format!("email={}", ana.email.replace('@', "%40")));
    assert_eq!(asked.send().await.unwrap().status(), StatusCode::OK);
    let mail = crate::mailbox::mail(&ana.email, 1).await;
    assert!(!mail.text.contains("evil.example"), "{mail:?}");
}

#[tokio::test]
async fn s048_nobody_outside_sets_clickhouse() {
    let line = app().line().await;
    let key = line.api_key(&["calls:read", "live:read", "usage:read"]).await;
    for parameter in [
        "max_threads=1",
        "readonly=0",
        "param_tenant=x",
        "settings=max_memory_usage",
        "database=system",
        "query=SELECT+1",
    ] {
        for path in ["/v1/calls", "/v1/usage", "/v1/board", "/v1/live/calls"] {
            let (status, problem) = line.get(&key, &format!("{path}?{parameter}")).await;
            assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{path}?{parameter}: {problem}");
        }
    }
}

#[tokio::test]
async fn s087_the_longest_question_has_an_end() {
    let line = app().line().await;
    let key = line.api_key(&["calls:read", "live:read", "usage:read"]).await;
    let begun = Instant::now();
    for (path, expected) in [
        (
            "/v1/calls?opened_at[gte]=1970-01-01T00:00:00Z&opened_at[lt]=9998-12-31T00:00:00Z",
            StatusCode::OK,
        ),
        ("/v1/board?window_minutes=5256000", StatusCode::UNPROCESSABLE_ENTITY),
        ("/v1/board?window_minutes=-1", StatusCode::UNPROCESSABLE_ENTITY),
        ("/v1/usage?month=0001-01", StatusCode::UNPROCESSABLE_ENTITY),
        ("/v1/usage?month=2999-12", StatusCode::OK),
    ] {
        let (status, answer) = line.get(&key, path).await;
        assert_eq!(status, expected, "{path}: {answer}");
    }
    assert!(begun.elapsed() < Duration::from_secs(30));
}

#[tokio::test]
async fn s147_callers_that_hang_up_leave_the_pages_whole() {
    let line = app().line().await;
    let owner = Somebody::with(&line, Role::Owner).await;
    let all = (0..600).map(|n| {
        let path = ["/calls", "/v1/calls", "/wall", "/operator"][n % 4];
        let request = client().get(app().url(path)).header("cookie", &owner.cookie);
        async move {
            // Some go before they are heard, some in the middle.
            let _ = tokio::time::timeout(Duration::from_millis((n % 40) as u64), request.send()).await;
        }
    });
    futures::future::join_all(all).await;
    // More at once than there are connections to Postgres, and each is answered: none was lost with a caller.
    let all = (0..40).map(|_| async {
        loop {
            let request = client().get(app().url("/v1/people")).header("cookie", &owner.cookie);
            match request.send().await {
                // On a slow machine the request of one of many connections comes too late: the server has given it up, nothing was asked.
                Ok(answer) if answer.status() == StatusCode::REQUEST_TIMEOUT => {}
                Ok(answer) => return answer.status(),
                Err(error) => assert!(error.is_request(), "{error}"),
            }
        }
    });
    for status in futures::future::join_all(all).await {
        assert_eq!(status, StatusCode::OK);
    }
}

//! Attacks by what is written: statements in parameters, markup, line ends, templates, odd JSON, odd text.

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use trunkline_core::access::Role;
use trunkline_web::api::documents::description;

use crate::app::{PATIENCE, app, browser, client, event, fresh};
use crate::mailbox::{mail, mails};
use crate::people::Somebody;

/// What would be more than a word to Postgres, ClickHouse, a shell, a template, a page, or a reader of lines.
const PAYLOADS: &[&str] = &[
    "' OR '1'='1",
    "1; DROP TABLE calls; --",
    "') UNION ALL SELECT password_hash FROM users --",
    "\\' OR 1=1 --",
    "$$; SELECT pg_sleep(20); $$",
    "1) FORMAT TSV",
    "{tenant: UUID}",
    "UTC'; SELECT sleep(3); --",
    "url('http://127.0.0.1:1/', CSV)",
    "file('/etc/passwd')",
    "`id`; $(id)",
    "${7*7}{{7*7}}<%= 7*7 %>",
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "a\r\nSet-Cookie: x=1",
    "a\u{0}b",
    "../../../../etc/passwd",
    "\u{202e}\u{feff}\u{200b}",
    "-1",
    "1e400",
    "NaN",
    "999999999999999999999999",
    "(a+)+$",
    "%",
    "_",
    "*",
];

#[tokio::test]
async fn s069_s070_a_statement_in_a_parameter_is_a_word_and_nothing_more() {
    let line = app().line().await;
    let owner = Somebody::with(&line, Role::Owner).await;
    let call = fresh("call");
    line.keep(&event("call_ended", &call)).await;
    let description = description();
    let (mut asked, mut turn, mut wrong) = (0, 0, Vec::new());
    for (path, methods) in description["paths"].as_object().unwrap() {
        let Some(get) = methods.get("get") else { continue };
        if get["operationId"] == "stream" {
            continue;
        }
        let parameters = get["parameters"].as_array().cloned().unwrap_or_default();
        let mut addresses = Vec::new();
        let plain = path.replace("{id}", &call);
        let written = |payload: &str| form_urlencoded::byte_serialize(payload.as_bytes()).collect::<String>();
        if path.contains("{id}") {
            addresses.extend(
                PAYLOADS
                    .iter()
                    .map(|payload| path.replace("{id}", &written(payload).replace('+', "%20"))),
            );
        }
        for parameter in parameters.iter().filter(|parameter| parameter["in"] == "query") {
            let name = written(parameter["name"].as_str().unwrap());
            // A third of them each, in turn: every parameter meets statements, markup and odd numbers, and the whole takes a minute.
            turn += 1;
            let some = PAYLOADS.iter().skip(turn % 3).step_by(3);
            addresses.extend(some.map(|payload| format!("{plain}?{name}={}", written(payload))));
        }
        for address in addresses {
            let begun = Instant::now();
            let (status, _, answer) = owner.ask(Method::GET, &address, None, None).await;
            asked += 1;
            // Only those who run the platform get further there.
            let shut = path.starts_with("/v1/platform/") && status == StatusCode::FORBIDDEN;
            let expected = shut || matches!(status.as_u16(), 200 | 400 | 404 | 422);
            if !expected || begun.elapsed() > PATIENCE || answer.to_string().contains("argon2id") {
                wrong.push(format!("{address}: {status} in {:?} {answer}", begun.elapsed()));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {asked}: {wrong:#?}", wrong.len());
    assert!(asked > 400, "{asked}");
}

#[tokio::test]
async fn s072_markup_of_callers_is_shown_as_text() {
    let line = app().line().await;
    let owner = Somebody::with(&line, Role::Owner).await;
    let markup = "<script>alert(1)</script><img src=x onerror=alert(1)>";
    let id = fresh("call");
    let mut ended = event("call_ended", &id);
    ended["call"]["agent_name"] = markup.into();
    ended["call"]["from_number"] = markup.into();
    ended["call"]["metadata"] = json!({ markup: markup });
    ended["call"]["disconnection_reason"] = markup.into();
    ended["call"]["transcript_object"] =
        json!([{ "role": "user", "content": markup }, { "role": "agent", "content": "javascript:alert(1)" }]);
    ended["call"]["recording_url"] = "javascript:alert(1)".into();
    line.keep(&ended).await;
    let key = line.api_key(&["calls:read"]).await;
    line.until(&key, "/v1/calls", |page| {
        page["data"].as_array().is_some_and(|calls| calls.len() == 1)
    })
    .await;
    for path in [
        "/calls".to_owned(),
        format!("/calls/call/{id}"),
        "/live".to_owned(),
        "/wall".to_owned(),
        "/operator".to_owned(),
    ] {
        let request = client().get(app().url(&path)).header("cookie", &owner.cookie);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        let page = answer.text().await.unwrap();
        for raw in ["<script>alert", "<img src=x", "href=\"javascript:", "src=\"javascript:"] {
            assert!(!page.contains(raw), "{path} holds {raw}");
        }
    }
}

#[tokio::test]
async fn s075_line_ends_do_not_become_headers() {
    let browser = browser();
    let injected = "%0d%0aSet-Cookie:%20planted=1%0d%0a%0d%0abody";
    for path in [
        format!("/language?to=de&back=/wall{injected}"),
        format!("/signin?next=/wall{injected}"),
        format!("/calls/call/x{injected}"),
        format!("/usage.csv?month=2026-01{injected}"),
        format!("/tv/x{injected}"),
        format!("/assets/x/{injected}"),
        format!("/nowhere{injected}?q={injected}"),
    ] {
        let answer = browser.get(app().url(&path)).send().await.unwrap();
        assert!(answer.status().as_u16() < 500, "{path}");
        let planted = answer
            .headers()
            .get_all("set-cookie")
            .iter()
            .any(|value| value.as_bytes().starts_with(b"planted"));
        assert!(!planted, "{path}");
        if let Some(location) = answer.headers().get("location") {
            let location = location.to_str().unwrap();
            assert!(location.starts_with('/') && !location.starts_with("//"), "{path}: {location}");
        }
    }
}

#[tokio::test]
async fn s031_s076_s077_words_of_a_mail_stay_words_and_an_address_tells_nothing() {
    let (line, other) = (app().line().await, app().line().await);
    let (owner, stranger) = (Somebody::with(&line, Role::Owner).await, Somebody::with(&other, Role::Owner).await);
    let invite = async |by: &Somebody, email: &str, name: &str| {
        let draft = json!({ "email": email, "name": name, "role": "viewer" });
        by.ask(Method::POST, "/v1/invitations", None, Some(draft)).await
    };
    let victim = format!("{}@people.invalid", fresh("victim"));
    for bad in [
        format!("a@people.invalid\r\nBcc: {victim}"),
        format!("a@people.invalid\nBcc: {victim}"),
        format!("a@people.invalid, {victim}"),
        format!("<a@people.invalid> {victim}"),
        "a@people.invalid\u{0}".to_owned(),
    ] {
        let (status, _, problem) = invite(&owner, &bad, "Eva").await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{bad:?}: {problem}");
    }
    let email = format!("{}@people.invalid", fresh("new"));
    let name = "{{7919*7927}} { $link } ${7919*7927} <b>Eva</b>";
    let (status, _, made) = invite(&owner, &email, name).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let came = mail(&email, 1).await;
    assert!(came.text.contains(name) && !came.text.contains("62773913"), "{came:?}");
    let split = format!("{}@people.invalid", fresh("new"));
    let (status, _, answer) = invite(&owner, &split, &format!("Eva\r\nBcc: {victim}\r\n\r\nRead this")).await;
    if status == StatusCode::CREATED {
        let came = mail(&split, 1).await;
        assert!(came.headers.get("bcc").is_none(), "{came:?}");
    } else {
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{answer}");
    }
    assert!(mails(&victim).is_empty());
    // Somebody of another organisation is invited like anybody: the answer does not say that the address is known.
    let (known, _, of_known) = invite(&owner, &stranger.email, "Bo").await;
    let (unknown, _, of_unknown) = invite(&owner, &format!("{}@people.invalid", fresh("new")), "Bo").await;
    assert_eq!((known, &of_known["status"]), (unknown, &of_unknown["status"]));
    assert_eq!(known, StatusCode::CREATED);
}

#[tokio::test]
async fn s078_s083_our_own_bodies_are_read_in_one_way_or_not_at_all() {
    let line = app().line().await;
    let owner = Somebody::with(&line, Role::Owner).await;
    let send = async |body: Vec<u8>| {
        let request = client().post(app().url("/v1/businesses")).header("cookie", &owner.cookie);
        let answer = request.header("content-type", "application/json").body(body).send().await.unwrap();
        answer.status().as_u16()
    };
    let taken = [
        r#" { "name" : "A" , "time_zone":"UTC" } "#.to_owned(),
        "{\"name\":\"\\u0041\\ud83d\\ude00\",\"time_zone\":\"UTC\"}".to_owned(),
        "\t{\"name\":\"B\",\r\n\"time_zone\":\"UTC\"}\n".to_owned(),
    ];
    for body in taken {
        assert_eq!(send(body.clone().into_bytes()).await, 201, "{body}");
    }
    let refused: Vec<Vec<u8>> = vec![
        b"".to_vec(),
        b" ".to_vec(),
        b"null".to_vec(),
        b"[]".to_vec(),
        b"\"text\"".to_vec(),
        b"{".to_vec(),
        b"{}".to_vec(),
        b"{\"name\":\"A\",\"time_zone\":\"UTC\"}}".to_vec(),
        b"{\"name\":\"A\",\"time_zone\":\"UTC\"} {}".to_vec(),
        b"{\"name\":\"A\",\"time_zone\":\"UTC\",}".to_vec(),
        b"{'name':'A','time_zone':'UTC'}".to_vec(),
        b"{name:\"A\",time_zone:\"UTC\"}".to_vec(),
        b"{\"name\":\"A\",\"name\":\"B\",\"time_zone\":\"UTC\"}".to_vec(),
        b"{\"name\":\"A\",\"time_zone\":\"UTC\",\"extra\":1}".to_vec(),
        b"{\"name\":\"A\",\"time_zone\":\"UTC\",\"day_start_minute\":1e400}".to_vec(),
        b"{\"name\":\"A\",\"time_zone\":\"UTC\",\"day_start_minute\":-1}".to_vec(),
        b"{\"name\":\"A\",\"time_zone\":\"UTC\",\"day_start_minute\":1.5}".to_vec(),
        b"{\"name\":\"A\",\"time_zone\":\"UTC\",\"day_start_minute\":01}".to_vec(),
        b"{\"name\":\"A\",\"time_zone\":\"UTC\",\"day_start_minute\":NaN}".to_vec(),
        b"{\"name\":\"\\ud800\",\"time_zone\":\"UTC\"}".to_vec(),
        b"{\"name\":\"\xff\xfe\",\"time_zone\":\"UTC\"}".to_vec(),
        b"{\"name\":\"A\x01\",\"time_zone\":\"UTC\"}".to_vec(),
        b"\xef\xbb\xbf{\"name\":\"A\",\"time_zone\":\"UTC\"}".to_vec(),
        b"{\"name\":\"A\",\"time_zone\":\"UTC\",\"targets\":"
            .iter()
            .copied()
            .chain(b"[".repeat(100_000))
            .collect(),
        b"{\"a\":".repeat(100_000),
        b"[".repeat(100_000),
    ];
    for body in refused {
        let shown = String::from_utf8_lossy(&body[..body.len().min(80)]).into_owned();
        let status = send(body).await;
        assert!(matches!(status, 400 | 413 | 422), "{shown}: {status}");
    }
}

#[tokio::test]
async fn s079_s080_odd_text_comes_back_as_it_went_or_is_refused() {
    let line = app().line().await;
    let owner = Somebody::with(&line, Role::Owner).await;
    let odd = [
        "undefined",
        "null",
        "true",
        "0",
        "1/0",
        "-0.0",
        "0x1F",
        "1,000.00",
        "٠١٢",
        ",./;'[]\\-=",
        "<>?:\"{}|_+",
        "!@#$%^&*()`~",
        "Ω≈ç√∫˜µ≤≥÷",
        "åß∂ƒ©˙∆˚¬…æ",
        "œ∑´®†¥¨ˆøπ“‘",
        "ЁЂЃЄЅІЇЈЉЊЋЌЍЎЏ",
        "⁰⁴⁵₀₁₂",
        "ด้้้้้็็็็็้้้้้็็็็",
        "\"''\"",
        "田中さんにあげて下さい",
        "表ポあA鷗ŒéＢ逍Üßªąñ丂㐀𠀀",
        "ﷺ",
        "(｡◕ ∀ ◕｡)",
        "👾 🙇 💁 🙅",
        "👩‍👩‍👧‍👦",
        "🏳️‍🌈",
        "１２３",
        "ثم نفس سقطت",
        "\u{202a}\u{202a}test\u{202a}",
        "\u{2066}test\u{2067}",
        "Ṱ̺̺̕o͞ ̷i̲̬͇̪͙n̝̗͕v̟̜̘̦͟o̶̙̰̠kè͚̮̺̪̹̱̤",
        "˙ɐnbᴉlɐ ɐuƃɐɯ",
        "𝐓𝐡𝐞",
        "<script>alert(0)</script>",
        "javascript:alert(1)",
        "1;DROP TABLE users",
        "$HOME",
        "%d%s%n",
        "{0}",
        "../../etc/passwd%00",
        "() { 0; }; touch /tmp/x",
        "<<< %s(un='%s') = %u",
        "File:///",
        "CON",
        "Scunthorpe General",
        "\u{feff}",
        "\u{200b}",
        "Power لُلُصّبُلُلصّبُررً ॣ ॣh ॣ ॣ 冗",
        "=1+1",
        "@SUM(1)",
        "-",
        "a\tb",
        "\u{85}x",
        "\u{1f468}\u{200d}\u{1f469}",
        "(a+)+$",
        "^(a|aa)+$",
        "\\x00",
        "\u{10ffff}",
        "ⅷ",
        "ı İ ß ẞ ﬀ",
    ];
    let mut longest = Duration::ZERO;
    for text in odd {
        let draft = json!({ "name": text, "time_zone": "UTC" });
        let (status, _, made) = owner.ask(Method::POST, "/v1/businesses", None, Some(draft)).await;
        if status == StatusCode::CREATED {
            let (_, _, shown) = owner
                .ask(Method::GET, &format!("/v1/businesses/{}", made["id"].as_str().unwrap()), None, None)
                .await;
            let shown = shown["name"].as_str().unwrap();
            assert!(shown == text || shown == text.trim(), "{text:?} came back as {shown:?}");
        } else {
            assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{text:?}: {made}");
        }
        let begun = Instant::now();
        let search: String = form_urlencoded::byte_serialize(text.repeat(20).as_bytes()).collect();
        let (status, _, answer) = owner.ask(Method::GET, &format!("/v1/calls?q={search}"), None, None).await;
        longest = longest.max(begun.elapsed());
        assert!(
            matches!(status, StatusCode::OK | StatusCode::UNPROCESSABLE_ENTITY),
            "{text:?}: {status} {answer}"
        );
    }
    // No word is a pattern that is tried again and again. The machine may be busy; a pattern that explodes would not end at all.
    assert!(longest < PATIENCE, "{longest:?}");
    let (_, _, all) = owner.ask(Method::GET, "/v1/businesses", None, None).await;
    assert!(all["data"].as_array().is_some_and(|all: &Vec<Value>| all.len() > 30));
}

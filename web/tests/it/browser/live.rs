//! What moves: the wall, calls in progress, a transcript, and what is said when it stands still.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use trunkline_core::access::Role;

use super::page::{browse, person};
use crate::app::{App, app, event, fresh};

/// A stopped stream is called lost after 30 s.
const LOST: Duration = Duration::from_secs(50);

#[tokio::test]
async fn the_wall_moves_with_every_event() {
    let line = app().line().await;
    let email = person(&line, Role::Admin).await;
    browse(line.app, |page| async move {
        page.enter(&email, "/wall").await;
        page.until_text("[data-now=calls] [data-f=number]", "0").await;
        assert_eq!(
            page.text("[data-tile=success_rate] [data-f=number]").await,
            "–",
            "empty is not zero"
        );
        assert!(
            page.text("[data-first-use]").await.contains("/v1/retell/"),
            "first use says what to do"
        );
        let id = fresh("call");
        line.keep(&event("call_started", &id)).await;
        page.until_text("[data-now=calls] [data-f=number]", "1").await;
        page.until_text("[data-figure=offered] [data-f=number]", "1").await;
        page.until("the row", || async {
            page.text("#wall-calls tbody tr").await.contains("Reception · v3")
        })
        .await;
        assert!(page.text("#wall-calls tbody tr").await.contains("+1 202 ··· 0101"));
        page.until("the end of the first-use hint", || async {
            page.text("[data-first-use]").await.is_empty()
        })
        .await;
        line.keep(&event("call_ended", &id)).await;
        page.until_text("[data-now=calls] [data-f=number]", "0").await;
        page.until("the row's end", || async { page.count("#wall-calls tbody tr").await == 0 })
            .await;
        page.until_text("[data-tile=aht_ai] [data-f=number]", "0:42").await;
        page.until("the word of completeness", || async {
            page.text("#fresh").await.starts_with("Complete to ")
        })
        .await;
        page.no_complaints("the page").await;
    })
    .await;
}

#[tokio::test]
async fn a_stream_that_stops_is_said_and_one_that_comes_back_too() {
    let data = tempfile::Builder::new().prefix("trunkline-web-").tempdir().unwrap().keep();
    let own: &'static App = Box::leak(Box::new(App::start(&data, true, &[])));
    let line = own.line().await;
    let email = person(&line, Role::Viewer).await;
    line.keep(&event("call_started", &fresh("call"))).await;
    browse(own, |page| async move {
        page.enter(&email, "/wall").await;
        page.until_text("[data-now=calls] [data-f=number]", "1").await;
        signal(own, "-STOP");
        page.until("the word delayed", || async {
            page.text("[data-fresh-word]").await.contains("delayed")
        })
        .await;
        assert_eq!(page.text("#banner").await, "", "no line yet");
        page.until_within(LOST, "the line across the top", || async {
            page.text("#banner").await.contains("Live data stopped")
        })
        .await;
        assert_eq!(page.eval("return document.documentElement.classList.contains('stale')").await, true);
        assert_eq!(page.text("[data-now=calls] [data-f=number]").await, "1", "old values stay, greyed");
        signal(own, "-CONT");
        page.until_within(LOST, "fresh figures", || async { page.text("#banner").await.is_empty() })
            .await;
        assert_eq!(
            page.eval("return document.documentElement.classList.contains('stale')").await,
            false
        );
    })
    .await;
}

#[tokio::test]
async fn a_page_that_slept_or_was_hidden_is_right_when_somebody_looks_again() {
    let line = app().line().await;
    let email = person(&line, Role::Viewer).await;
    line.keep(&event("call_started", &fresh("call"))).await;
    browse(line.app, |page| async move {
        let number = "[data-now=calls] [data-f=number]";
        page.enter(&email, "/wall").await;
        page.until_text(number, "1").await;
        page.lifecycle("frozen").await;
        line.keep(&event("call_started", &fresh("call"))).await;
        // Long enough that the page has to notice by itself that its connection may be dead.
        tokio::time::sleep(Duration::from_secs(7)).await;
        page.lifecycle("active").await;
        page.until_text(number, "2").await;
        page.until("fresh figures", || async {
            page.eval("return document.querySelector('#fresh').dataset.s").await == "ok"
        })
        .await;
        // Another tab covers it: it goes on.
        let own = page.driver.window().await.unwrap();
        let other = page.driver.new_tab().await.unwrap();
        page.driver.switch_to_window(other).await.unwrap();
        line.keep(&event("call_started", &fresh("call"))).await;
        page.driver.close_window().await.unwrap();
        page.driver.switch_to_window(own).await.unwrap();
        page.until_text(number, "3").await;
        assert_eq!(
            page.eval("return document.documentElement.classList.contains('stale')").await,
            false
        );
        page.no_complaints("the page").await;
    })
    .await;
}

#[tokio::test]
async fn a_transcript_grows_turn_by_turn_and_becomes_the_story() {
    let line = app().line().await;
    let email = person(&line, Role::Supervisor).await;
    let id = fresh("call");
    line.keep(&event("call_started", &id)).await;
    let key = line.api_key(&["live:read"]).await;
    line.until(&key, "/v1/live/calls", |live| live["total"] == 1).await;
    browse(line.app, |page| async move {
        page.enter(&email, &format!("/calls/call/{id}")).await;
        assert_eq!(page.text("[data-no-turns] h3").await, "Nobody has spoken yet");
        let said = [
            ("agent", "Welcome, how can I help you?"),
            ("user", "أريد موعدًا مع طبيب الأسنان"),
            ("agent", "Of course. Which day?"),
        ];
        for turns in 1..=said.len() {
            line.keep(&update(&id, &said[..turns])).await;
            page.until("the next turn", || async { page.count("#turns .turn").await == turns as u64 })
                .await;
        }
        assert_eq!(
            page.eval("return getComputedStyle(document.querySelectorAll('.turn .tx')[1]).direction")
                .await,
            "rtl"
        );
        assert_eq!(page.count(".turn.growing").await, 1);
        let grown = [said[0], said[1], ("agent", "Of course. Which day suits you best?")];
        line.keep(&update(&id, &grown)).await;
        page.until("the same turn, grown", || async {
            page.text("#turns .turn:last-child .tx").await.contains("suits you best")
        })
        .await;
        assert_eq!(page.count("#turns .turn").await, 3);
        line.keep(&event("call_ended", &id)).await;
        page.until("the story", || async { page.count("[data-follow]").await == 0 }).await;
        assert!(page.text("[data-call-state]").await.contains("Completed"));
        assert!(page.text(".kv").await.contains("user_hangup"));
        page.no_complaints("the page").await;
    })
    .await;
}

#[tokio::test]
async fn who_scrolls_up_reads_in_peace_and_is_told_of_new_turns() {
    let line = app().line().await;
    let email = person(&line, Role::Supervisor).await;
    let id = fresh("call");
    line.keep(&event("call_started", &id)).await;
    let long: Vec<(&str, String)> = (0..60)
        .map(|n| (if n % 2 == 0 { "agent" } else { "user" }, format!("Sentence number {n}.")))
        .collect();
    let own = id.clone();
    let said = move |turns: usize| {
        let mut event = update(&own, &[]);
        event["transcript_with_tool_calls"] = long[..turns]
            .iter()
            .enumerate()
            .map(|(n, (role, text))| {
                let start = n as f64 * 2.0;
                let words = json!([{ "word": text, "start": start, "end": start + 1.25 }]);
                json!({ "role": role, "content": text, "words": words })
            })
            .collect();
        event
    };
    line.keep(&said(50)).await;
    let key = line.api_key(&["live:read"]).await;
    line.until(&key, "/v1/live/calls", |live| live["total"] == 1).await;
    browse(line.app, |page| async move {
        page.resize(1280, 800).await;
        page.enter(&email, &format!("/calls/call/{id}")).await;
        let turns = async |n: u64| page.until("the turns", || async { page.count("#turns .turn").await == n }).await;
        let at = async || page.eval("return Math.round(scrollY)").await.as_i64().unwrap();
        turns(50).await;
        line.keep(&said(51)).await;
        turns(51).await;
        let followed = at().await;
        assert!(followed > 500, "the end is kept in view: {followed}");
        page.eval("scrollTo(0, 200)").await;
        page.until_text("[data-follow] b", "off").await;
        line.keep(&said(52)).await;
        page.until_text("[data-new-turns]", "1 new turn").await;
        line.keep(&said(54)).await;
        page.until_text("[data-new-turns]", "3 new turns").await;
        assert_eq!(at().await, 200, "nothing moved under the reader");
        page.eval("document.querySelector('[data-new-turns]').click()").await;
        page.until("the end again", || async {
            page.eval("return scrollY").await.as_f64().unwrap() >= followed as f64
        })
        .await;
        assert_eq!(page.text("[data-follow] b").await, "on");
        assert_eq!(page.text("[data-new-turns]").await, "");
        // By word times: every answer came 0.75 s after the caller's last word.
        assert_eq!(page.text("[data-latency] .lrow > :last-child").await, "0.75 s");
        assert!(page.text("[data-events]").await.contains("transcript_updated"));
        page.no_complaints("the page").await;
    })
    .await;
}

#[tokio::test]
async fn many_calls_are_listed_and_few_are_drawn() {
    const CALLS: usize = 400;
    let line = app().line().await;
    let email = person(&line, Role::Supervisor).await;
    for chunk in (0..CALLS).collect::<Vec<_>>().chunks(8) {
        futures::future::join_all(chunk.iter().map(|n| {
            let mut started = event("call_started", &fresh("call"));
            started["call"]["agent_name"] = format!("Agent {n:03}").into();
            let line = &line;
            async move { line.keep(&started).await }
        }))
        .await;
    }
    let key = line.api_key(&["live:read"]).await;
    line.until(&key, "/v1/live/calls?limit=1", |live| live["total"] == CALLS).await;
    browse(line.app, |page| async move {
        page.enter(&email, "/live").await;
        page.until_text("[data-live-count]", "400").await;
        page.until("few rows", || async { page.count("#live-calls tr[data-key]").await < 80 }).await;
        page.eval("document.querySelector('[data-sort=agent]').click()").await;
        page.until("the first agent", || async { page.text("#live-calls tr[data-key]").await.contains("Agent 000") }).await;
        page.eval("const s = document.querySelector('#live-scroll'); s.scrollTop = s.scrollHeight").await;
        page.until("the last agent", || async { page.text("#live-calls tbody").await.contains("Agent 399") }).await;
        page.eval("const i = document.querySelector('[data-search]'); i.value = 'agent 123'; i.dispatchEvent(new Event('input', {bubbles: true}))").await;
        page.until_text("[data-live-count]", "1 of 400").await;
    })
    .await;
}

#[tokio::test]
async fn the_browser_writes_numbers_as_the_server_does() {
    use trunkline_web::pages::format;
    let line = app().line().await;
    let email = person(&line, Role::Viewer).await;
    let numbers = [0.0, 0.04, 7.25, 999.0, 1234.5, 61_234.0, 1_234_567.0];
    let ours: Vec<Value> = numbers
        .map(|n| {
            json!([
                format::count(n as u64),
                format::decimal(n, 1),
                format::decimal(-n, 2),
                format::duration(n as i64 * 10),
                format::latency(n),
                format::money(n),
                format::age(n as i64 * 10)
            ])
        })
        .into();
    browse(line.app, |page| async move {
        page.enter(&email, "/wall").await;
        let script = format!(
            "const done = arguments[arguments.length - 1]; const at = document.querySelector('script[src*=\"/js/page.js\"]').src.replace('page.js', 'format.js'); \
             import(at).then((f) => done({numbers:?}.map((n) => [f.count(Math.floor(n)), f.decimal(n, 1), f.decimal(-n, 2), f.duration(Math.floor(n) * 10), f.latency(n), f.money(n), f.age(Math.floor(n) * 10)])))"
        );
        assert_eq!(page.eval_later(&script).await, Value::Array(ours));
    })
    .await;
}

fn update(id: &str, said: &[(&str, &str)]) -> Value {
    let mut event = event("call_started", id);
    event["event"] = "transcript_updated".into();
    event["transcript_with_tool_calls"] = said.iter().map(|(role, text)| json!({ "role": role, "content": text })).collect();
    event
}

fn signal(app: &App, signal: &str) {
    assert!(
        Command::new("kill")
            .args([signal, &app.pid.to_string()])
            .status()
            .unwrap()
            .success()
    );
}

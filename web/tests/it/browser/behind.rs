//! What stands behind a number, what came while somebody reads, and what Retell sends that nobody announced.

use serde_json::{Value, json};
use trunkline_core::access::Role;

use super::page::{browse, person};
use crate::app::{Line, app, event, fresh};

/// An ended call with a verdict, or without one.
async fn over(line: &Line, successful: Option<bool>, direction: &str) {
    let id = fresh("call");
    let mut ended = event("call_ended", &id);
    ended["call"]["direction"] = direction.into();
    line.keep(&ended).await;
    if let Some(successful) = successful {
        ended["event"] = "call_analyzed".into();
        ended["call"]["call_analysis"] = json!({ "call_summary": "x", "call_successful": successful });
        line.keep(&ended).await;
    }
}

#[tokio::test]
async fn a_tile_leads_to_exactly_the_calls_behind_its_number() {
    let line = app().line().await;
    let email = person(&line, Role::Analyst).await;
    for verdict in [Some(true), Some(true), Some(false), Some(true), None] {
        over(&line, verdict, "inbound").await;
    }
    over(&line, Some(false), "outbound").await;
    line.keep(&event("call_started", &fresh("call"))).await;
    let key = line.api_key(&["calls:read"]).await;
    line.until(&key, "/v1/calls?behind=success_rate", |page| {
        page["data"].as_array().is_some_and(|calls| calls.len() == 5)
    })
    .await;
    browse(line.app, |page| async move {
        page.enter(&email, "/wall").await;
        page.until_text("[data-tile=success_rate] [data-f=base]", "3 / 5").await;
        page.eval("document.querySelector('[data-tile=success_rate]').click()").await;
        page.until("the calls behind it", || async {
            page.count(".calls tbody tr[data-href]").await == 5
        })
        .await;
        assert!(page.text(".on-filters").await.contains("behind “Success rate”"));
        page.eval("document.querySelectorAll('.on-filters .range a')[1].click()").await;
        page.until("those that count", || async { page.count(".calls tbody tr[data-href]").await == 3 })
            .await;
        page.eval("document.querySelectorAll('.on-filters .range a')[2].click()").await;
        page.until("those that do not", || async {
            page.count(".calls tbody tr[data-href]").await == 2
        })
        .await;
        page.go("/wall?direction=inbound").await;
        page.until_text("[data-tile=success_rate] [data-f=base]", "3 / 4").await;
        for (place, rows) in [
            ("[data-tile=success_rate]", 4),
            ("[data-figure=offered]", 6),
            ("[data-figure=answered]", 6),
            ("[data-class=ended_normal]", 5),
        ] {
            page.go("/wall?direction=inbound").await;
            page.eval(&format!("document.querySelector('{place}').click()")).await;
            page.until("the log", || async { page.path().await.starts_with("/calls?direction=inbound") })
                .await;
            assert_eq!(page.count(".calls tbody tr[data-href]").await, rows, "{place}");
        }
        page.no_complaints("the way from number to calls").await;
    })
    .await;
}

#[tokio::test]
async fn new_calls_wait_behind_a_pill_and_move_nothing() {
    let line = app().line().await;
    let email = person(&line, Role::Analyst).await;
    over(&line, None, "inbound").await;
    let key = line.api_key(&["calls:read"]).await;
    let calls = |n: usize| move |page: &Value| page["data"].as_array().is_some_and(|calls| calls.len() == n);
    line.until(&key, "/v1/calls", calls(1)).await;
    browse(line.app, |page| async move {
        page.enter(&email, "/calls?range=today").await;
        assert_eq!(page.count(".calls tbody tr[data-href]").await, 1);
        for _ in 0..3 {
            over(&line, None, "inbound").await;
        }
        page.until_text("[data-news-link]", "3 new calls").await;
        assert_eq!(page.count(".calls tbody tr[data-href]").await, 1, "nothing moved");
        page.eval("document.querySelector('[data-news-link]').click()").await;
        page.until("all of them", || async { page.count(".calls tbody tr[data-href]").await == 4 })
            .await;
        assert_eq!(page.text("[data-news-link]").await, "");
        page.no_complaints("the log").await;
    })
    .await;
}

#[tokio::test]
async fn what_retell_does_not_document_stands_on_the_operator_page() {
    let line = app().line().await;
    let email = person(&line, Role::Owner).await;
    let id = fresh("call");
    let mut strange = event("call_started", &id);
    strange["call"]["mood_ring"] = "blue".into();
    line.keep(&strange).await;
    line.keep(&strange).await;
    line.keep(&json!({ "event": "call_hummed", "call": { "call_id": id, "agent_id": "agent_1" } }))
        .await;
    let key = line.api_key(&["calls:read"]).await;
    line.until(&key, "/v1/calls", |page| {
        page["data"].as_array().is_some_and(|calls| calls.len() == 1)
    })
    .await;
    browse(line.app, |page| async move {
        page.enter(&email, "/operator").await;
        page.until("the names", || async {
            page.go("/operator").await;
            page.count("#undocumented tbody tr").await == 2
        })
        .await;
        let told = page.text("#undocumented").await;
        for word in ["Field", "call.mood_ring", "Event name", "call_hummed", "agent_1"] {
            assert!(told.contains(word), "{word} in {told}");
        }
        page.eval("document.querySelector('#undocumented a.link').click()").await;
        page.until("the newest of them, as it came", || async {
            page.text("#odd-raw").await.contains("mood_ring")
        })
        .await;
        let receipts = page.text("#receipts tbody tr").await;
        assert!(receipts.starts_with("Reception") && receipts.contains("33.3 %"), "{receipts}");
        page.no_complaints("the operator page").await;
    })
    .await;
}

#[tokio::test]
async fn a_noisy_rule_is_one_line_and_leads_to_its_calls() {
    let line = app().line().await;
    let email = person(&line, Role::Supervisor).await;
    for n in 0..5 {
        let id = fresh("call");
        line.keep(&event("call_started", &id)).await;
        let mut failing = event("call_started", &id);
        failing["event"] = "transcript_updated".into();
        failing["call"]["agent_name"] = format!("Agent {n}").into();
        failing["transcript_with_tool_calls"] = json!([
            { "role": "user", "content": "Tomorrow?" }, { "role": "tool_call_invocation", "tool_call_id": "t", "name": "book", "arguments": "{}" },
            { "role": "tool_call_result", "tool_call_id": "t", "content": "401", "successful": false },
        ]);
        line.keep(&failing).await;
    }
    line.keep(&event("call_started", &fresh("call"))).await;
    browse(line.app, |page| async move {
        page.enter(&email, "/wall").await;
        page.until_text("[data-alert-count]", "5 open").await;
        assert_eq!(page.count("[data-alerts] .alert").await, 3);
        page.until_text("[data-alert='more:tool'] [data-f=title]", "and 3 more: Tool failed")
            .await;
        page.eval("document.querySelector(\"[data-alert='more:tool'] a[data-open]\").click()")
            .await;
        page.until("the calls of the rule", || async { page.path().await == "/live?signal=tool" })
            .await;
        page.until_text("[data-live-count]", "5 of 6").await;
        page.no_complaints("the list").await;
    })
    .await;
}

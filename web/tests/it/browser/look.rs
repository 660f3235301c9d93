//! What axe finds, at three sizes and in both themes: nothing. And nothing is cut off or scrolls sideways.

use serde_json::Value;
use trunkline_core::access::Role;
use trunkline_stores::postgres::config::webhooks::NewWebhook;

use super::page::{Page, browse, person};
use crate::app::{Line, app, event, fresh, now};
use crate::platform::Admin;

/// Television, laptop, phone.
const SIZES: [(u32, u32); 3] = [(1920, 1080), (1280, 800), (390, 844)];

/// Options of a run of axe: every rule that it has on, or those of them about colours.
const ALL: &str = "";
const COLOURS: &str = "runOnly: { type: 'rule', values: ['color-contrast', 'link-in-text-block'] }";

#[tokio::test]
async fn every_page_is_accessible_at_every_size_in_both_themes() {
    let line = app().line().await;
    let email = person(&line, Role::Owner).await;
    let (running, over) = a_little_of_everything(&line).await;
    let pages = [
        "/wall".to_owned(),
        "/wall?tv=1".to_owned(),
        "/live".to_owned(),
        "/calls?range=all".to_owned(),
        "/calls?q=nothing+like+this".to_owned(),
        format!("/calls/call/{running}"),
        format!("/calls/call/{over}"),
        format!("/calls/call/{over}/raw"),
        "/usage".to_owned(),
        "/usage?month=2020-01".to_owned(),
        "/operator".to_owned(),
        "/operator/jobs".to_owned(),
        "/operator/jobs?state=dead".to_owned(),
        "/settings/screens".to_owned(),
        "/tv".to_owned(),
        "/account".to_owned(),
        "/signin/code".to_owned(),
        "/settings/people".to_owned(),
        format!("/settings/people/{}", line.config.user_by_email(&email).await.unwrap().unwrap().id),
        "/settings/roles".to_owned(),
        "/settings/keys".to_owned(),
        "/settings/organisation".to_owned(),
        "/settings/single-sign-on".to_owned(),
        "/invitation#code=abc&email=ana%40people.invalid".to_owned(),
        "/forgot".to_owned(),
        "/reset".to_owned(),
        "/settings/audit".to_owned(),
        "/settings/audit?q=nothing+like+this".to_owned(),
        "/operator/reconciler".to_owned(),
        "/operator/auditor".to_owned(),
        "/nowhere".to_owned(),
        "/signin".to_owned(),
    ];
    browse(line.app, |page| async move {
        page.resize(1280, 800).await;
        page.go("/signin").await;
        check(&page, "/signin before signing in").await;
        page.enter(&email, "/wall").await;
        in_languages(&page, &pages).await;
        in_sizes_and_themes(&page, &pages).await;
    })
    .await;
}

#[tokio::test]
async fn the_pages_of_the_platform_are_accessible_at_every_size_in_both_themes() {
    let line = app().line().await;
    let petra = Admin::new(&line.config).await;
    line.keep(&event("call_started", &fresh("call"))).await;
    let pages = ["/platform".to_owned(), format!("/platform/organisations/{}", line.tenant)];
    browse(line.app, |page| async move {
        page.resize(1280, 800).await;
        page.go("/signin").await;
        page.eval(&format!("document.cookie = '{}; path=/'", petra.cookie)).await;
        in_languages(&page, &pages).await;
        in_sizes_and_themes(&page, &pages).await;
        // The bar that says what is open is on every page, and closes it.
        assert_eq!(petra.open(&line, "to see how it looks", 0).await.0, reqwest::StatusCode::CREATED);
        page.go("/wall").await;
        check(&page, "/wall while it is open").await;
        assert_eq!(page.count("[data-opened]").await, 1);
    })
    .await;
}

/// Right to left, with the longest words, and as one sees it at 200 % zoom of a laptop: whether it fits, since no rule of axe but those about
/// direction looks at the words.
async fn in_languages(page: &Page, pages: &[String]) {
    for (language, width, height, rules) in [
        ("ar", 1280, 800, None),
        ("ar", 390, 844, Some(ALL)),
        ("de", 640, 400, None),
        ("en-XA", 1280, 800, None),
    ] {
        page.resize(width, height).await;
        page.language(language).await;
        for path in pages {
            page.go(path).await;
            let what = format!("{path} {language} {width}x{height}");
            fits(page, &what).await;
            if let Some(rules) = rules {
                accessible(page, rules, &what).await;
            }
        }
    }
    page.language("en").await;
}

/// A page once opened is worn in both themes at each size, as by someone who turns a phone or the lights: opening it takes longer than looking
/// at it. The dark theme has other colours and nothing else, so only rules about colours are asked again.
async fn in_sizes_and_themes(page: &Page, pages: &[String]) {
    for path in pages {
        page.go(path).await;
        for (width, height) in SIZES {
            page.resize(width, height).await;
            for (theme, rules) in [("light", ALL), ("dark", COLOURS)] {
                page.eval(&format!("document.documentElement.dataset.theme = '{theme}'")).await;
                let what = format!("{path} {theme} {width}x{height}");
                fits(page, &what).await;
                accessible(page, rules, &what).await;
            }
        }
    }
}

#[tokio::test]
async fn a_television_shows_everything_on_one_screen() {
    let line = app().line().await;
    let email = person(&line, Role::Viewer).await;
    for _ in 0..20 {
        line.keep(&event("call_started", &fresh("call"))).await;
    }
    browse(line.app, |page| async move {
        page.resize(1920, 1080).await;
        page.enter(&email, "/wall?tv=1").await;
        page.until("rows", || async { page.count("#wall-calls tbody tr").await > 2 }).await;
        assert_eq!(page.eval("return getComputedStyle(document.documentElement).colorScheme").await, "dark");
        assert_eq!(page.eval("return document.documentElement.scrollHeight <= innerHeight").await, true);
        let cut = "return [...document.querySelectorAll('#wall-calls tbody tr, .tile, .now > *, .alert')].filter((e) => e.offsetParent && e.getBoundingClientRect().bottom > innerHeight).length";
        page.until("no row cut off", || async { page.eval(cut).await == 0 }).await;
        assert_eq!(page.eval("return [...document.querySelectorAll('button, select')].filter((e) => e.offsetParent !== null).length").await, 0, "no controls");
    })
    .await;
}

async fn a_little_of_everything(line: &Line) -> (String, String) {
    let (running, over) = (fresh("call"), fresh("call"));
    // Nobody is there, so its deliveries fail and the page of jobs has all of its marks.
    let secret = trunkline_connectors::webhook::Secret::written([7; 32]);
    let endpoint = NewWebhook {
        business: None,
        url: "https://hooks.invalid/calls",
        events: &["call.ended", "call.analyzed"],
        secret: &secret,
    };
    line.config
        .create_webhook(line.tenant, &trunkline_core::audit::By::operator(), &endpoint, now())
        .await
        .unwrap();
    line.keep(&event("call_started", &running)).await;
    let mut growing = event("call_started", &running);
    growing["event"] = "transcript_updated".into();
    growing["transcript_with_tool_calls"] = serde_json::json!([
        { "role": "agent", "content": "Welcome." }, { "role": "user", "content": "予約を来週の火曜日に変更したいのですが。" },
        { "role": "tool_call_invocation", "tool_call_id": "t1", "name": "check", "arguments": "{\"day\":1}" },
        { "role": "tool_call_result", "tool_call_id": "t1", "content": "none", "successful": false },
    ]);
    line.keep(&growing).await;
    line.keep(&event("call_started", &over)).await;
    line.keep(&event("call_ended", &over)).await;
    let mut analysed = event("call_ended", &over);
    analysed["event"] = "call_analyzed".into();
    analysed["call"]["call_analysis"] = serde_json::json!({ "call_summary": "A table for two.", "user_sentiment": "Positive", "call_successful": true, "custom_analysis_data": { "guests": 2 } });
    analysed["call"]["call_cost"] =
        serde_json::json!({ "combined_cost": 12.5, "total_duration_seconds": 42, "product_costs": [{ "product": "voice", "cost": 12.5 }] });
    analysed["call"]["latency"] = serde_json::json!({ "e2e": { "p50": 900, "values": [800, 900, 1200], "num": 3 } });
    line.keep(&analysed).await;
    line.keep(&serde_json::json!({ "event": "call_hummed", "call": { "call_id": fresh("call") } }))
        .await;
    let key = line.api_key(&["calls:read"]).await;
    line.until(&key, "/v1/calls?state=ended", |page| {
        page["data"]
            .as_array()
            .is_some_and(|calls| calls.iter().any(|call| call["analysed"] == true))
    })
    .await;
    (running, over)
}

/// Neither cut off nor anything that axe finds.
pub async fn check(page: &Page, what: &str) {
    fits(page, what).await;
    accessible(page, ALL, what).await;
}

async fn fits(page: &Page, what: &str) {
    let sideways = page
        .eval("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
        .await;
    assert_eq!(sideways, 0, "{what} scrolls sideways");
    page.no_complaints(what).await;
}

/// Asks axe with `rules`, the options of a run.
async fn accessible(page: &Page, rules: &str, what: &str) {
    let loaded = page.eval("return typeof window.axe").await;
    if loaded != "object" {
        page.inject(&axe()).await;
    }
    let found = page
        .eval_later(&format!(
            "const done = arguments[arguments.length - 1]; \
             axe.run(document, {{ resultTypes: ['violations'], {rules} }}).then((r) => done(r.violations.map((v) => v.id + ': ' + v.nodes.slice(0, 3).map((n) => n.html.slice(0, 200)).join(' | '))))"
        ))
        .await;
    assert_eq!(found, Value::Array(vec![]), "{what}");
    page.no_complaints(what).await;
}

/// axe-core, fetched by deploy/test; a test's tool, no part of the product.
fn axe() -> String {
    let path = std::env::var("TRUNKLINE_TEST_AXE").expect("TRUNKLINE_TEST_AXE names axe.min.js; deploy/test fetches it");
    std::fs::read_to_string(path).expect("axe.min.js can be read")
}

//! Getting in, getting about: sign-in, deep links, roles, keyboard.

use reqwest::StatusCode;
use trunkline_core::access::Role;

use super::page::{browse, person};
use crate::app::{app, client, event, fresh};

#[tokio::test]
async fn signing_in_leads_to_the_page_that_was_asked_for() {
    let line = app().line().await;
    let email = person(&line, Role::Supervisor).await;
    browse(line.app, |page| async move {
        page.go("/calls?range=today&direction=inbound").await;
        assert!(page.path().await.starts_with("/signin?next="));
        page.fill_sign_in(&email, "not the password").await;
        page.until("the refusal in words", || async { page.count("[role=alert]").await == 1 })
            .await;
        assert_eq!(
            page.eval("return document.querySelector('#email').value").await,
            email.as_str(),
            "what was typed is kept"
        );
        assert_eq!(page.eval("return document.querySelector('#password').value").await, "");
        page.fill_sign_in(&email, "a password for tests").await;
        page.until("the page asked for", || async {
            page.path().await == "/calls?range=today&direction=inbound"
        })
        .await;
        assert_eq!(
            page.eval("return document.querySelector('select[name=direction]').value").await,
            "inbound"
        );
        page.eval("document.querySelector('form[action=\"/signout\"]').requestSubmit()")
            .await;
        page.until("the way out", || async { page.path().await == "/signin" }).await;
        page.go("/wall").await;
        assert!(page.path().await.starts_with("/signin"));
    })
    .await;
}

#[tokio::test]
async fn a_role_sees_what_it_may_and_is_told_what_it_may_not() {
    let line = app().line().await;
    let email = person(&line, Role::Viewer).await;
    browse(line.app, |page| async move {
        page.enter(&email, "/wall").await;
        assert_eq!(page.count(".nav a[href='/operator']").await, 0);
        for closed in ["/calls", "/operator"] {
            page.go(closed).await;
            assert_eq!(page.text("h1").await, "You cannot see this page", "{closed}");
        }
        page.go("/nowhere").await;
        assert_eq!(page.text("h1").await, "There is nothing at this address");
    })
    .await;
    let stranger = client()
        .get(line.app.url("/wall?business=biz_01kaqqqqqqqqqqqqqqqqqqqqqq"))
        .send()
        .await
        .unwrap();
    assert_eq!(stranger.status(), StatusCode::OK, "followed to the sign-in");
    assert!(stranger.url().path().starts_with("/signin"));
}

#[tokio::test]
async fn the_keyboard_is_enough() {
    let line = app().line().await;
    let email = person(&line, Role::Owner).await;
    line.keep(&event("call_started", &fresh("call"))).await;
    browse(line.app, |page| async move {
        page.enter(&email, "/wall").await;
        page.until("a row", || async { page.count("#wall-calls tbody tr").await == 1 })
            .await;
        page.press("?").await;
        page.until("the list of keys", || async { page.count("dialog[open]").await == 1 })
            .await;
        assert!(page.text("#keys").await.contains("Call log"));
        page.press("?").await;
        page.until("its end", || async { page.count("dialog[open]").await == 0 }).await;
        page.press("j").await;
        assert_eq!(page.eval("return document.activeElement.hasAttribute('data-row')").await, true);
        page.press("gl").await;
        page.until("calls in progress", || async { page.path().await == "/live" }).await;
        page.press("/").await;
        assert_eq!(page.eval("return document.activeElement.matches('[data-search]')").await, true);
        page.press("gc").await;
        assert_eq!(page.path().await, "/live", "inside a field keys are letters");
        page.eval("document.activeElement.blur()").await;
        page.press("gc").await;
        page.until("the call log", || async { page.path().await == "/calls" }).await;
        page.press("go").await;
        page.until("the operator page", || async { page.path().await == "/operator" }).await;
        page.press("gw").await;
        page.until("the wall", || async { page.path().await == "/wall" }).await;
    })
    .await;
}

#[tokio::test]
async fn a_language_is_chosen_before_signing_in_and_kept() {
    let line = app().line().await;
    let email = person(&line, Role::Owner).await;
    line.keep(&event("call_started", &fresh("call"))).await;
    browse(line.app, |page| async move {
        page.go("/signin?next=%2Flive").await;
        page.eval("document.querySelector('.langs a[lang=de]').click()").await;
        page.until_text("main h1", "Anmelden").await;
        assert_eq!(page.path().await, "/signin?next=%2Flive");
        page.fill_sign_in(&email, "a password for tests").await;
        page.until_text("h1", "Laufend").await;
        page.until_text("#live-calls [data-f=state]", "Spricht").await;
        page.go("/language?set=ar&next=%2Fwall").await;
        page.until_text("#calls-h", "المكالمات الجارية").await;
        assert_eq!(page.eval("return document.documentElement.dir + document.documentElement.lang").await, "rtlar");
        assert_eq!(page.eval("const [nav, fresh] = ['.nav', '#fresh'].map((s) => document.querySelector(s).getBoundingClientRect().left); return nav > fresh").await, true, "mirrored");
        page.until_text("#wall-calls [data-f=state]", "يتحدث").await;
        assert_eq!(page.eval("return document.documentElement.scrollWidth <= innerWidth").await, true);
        page.go("/language?set=xx").await;
        assert!(page.text("code").await.len() > 8, "a refusal with its id");
    })
    .await;
}

#[tokio::test]
async fn a_theme_is_chosen_and_kept() {
    let line = app().line().await;
    let email = person(&line, Role::Viewer).await;
    browse(line.app, |page| async move {
        let ground = || async { page.eval("return getComputedStyle(document.body).backgroundColor").await };
        page.enter(&email, "/wall").await;
        page.press("t").await;
        assert_eq!(page.eval("return document.documentElement.dataset.theme").await, "light");
        let light = ground().await;
        page.press("t").await;
        assert_eq!(page.eval("return document.documentElement.dataset.theme").await, "dark");
        let dark = ground().await;
        assert_ne!(light, dark);
        page.go("/live").await;
        assert_eq!(ground().await, dark, "the server paints the saved theme");
        page.press("t").await;
        assert!(!page.eval("return document.cookie").await.as_str().unwrap().contains("theme="));
    })
    .await;
}

#[tokio::test]
async fn a_link_into_the_call_log_shows_what_its_sender_saw() {
    let line = app().line().await;
    let email = person(&line, Role::Supervisor).await;
    // As Retell spells ids: the search field knows them by that.
    let (wanted, other) = (fresh("call").replace('-', "_"), fresh("call"));
    for id in [&wanted, &other] {
        line.keep(&event("call_started", id)).await;
    }
    let mut ended = event("call_ended", &wanted);
    ended["call"]["transcript_object"][1]["content"] = "I would like a refund for the broken kettle.".into();
    line.keep(&ended).await;
    line.keep(&event("call_ended", &other)).await;
    let key = line.api_key(&["calls:read"]).await;
    line.until(&key, "/v1/calls?state=ended", |page| {
        page["data"].as_array().is_some_and(|calls| calls.len() == 2)
    })
    .await;
    browse(line.app, |page| async move {
        page.enter(&email, "/calls?range=today&q=refund").await;
        assert_eq!(page.count(".calls tbody tr[data-href]").await, 1);
        assert_eq!(page.text("mark").await, "refund");
        assert!(!page.text(".calls tbody").await.contains("2025550101"), "numbers on lists are masked");
        page.eval("document.querySelector('.on-filters a.x').click()").await;
        page.until("both calls", || async { page.count(".calls tbody tr[data-href]").await == 2 }).await;
        assert_eq!(page.path().await, "/calls?range=today");
        page.eval("const s = document.querySelector('select[name=direction]'); s.value = 'outbound'; s.dispatchEvent(new Event('change', {bubbles: true}))").await;
        page.until("no match", || async { page.text(".empty h2").await == "No call matches" }).await;
        assert_eq!(page.path().await, "/calls?range=today&direction=outbound");
        page.go(&format!("/calls?q={wanted}&range=all")).await;
        page.press("j").await;
        page.eval("document.activeElement.click()").await;
        page.until("the call", || async { page.path().await == format!("/calls/call/{wanted}") }).await;
        assert_eq!(page.count(".turn").await, 2);
        assert!(page.text("h1").await.starts_with("+1 202 555 0101"));
        page.eval("document.querySelector('[hx-get]').click()").await;
        page.until("the raw events", || async { page.text("#raw").await.contains("call_ended") }).await;
    })
    .await;
}

//! Settings in a browser: a workspace is linked and its first event seen, a business changed, a webhook made; in every language,
//! on a phone, by keyboard.

use serde_json::json;
use trunkline_core::access::Role;
use trunkline_core::signature::{SigningKey, sign};

use super::look::check;
use super::page::{browse, person};
use crate::app::{app, client, event, fresh, now};

#[tokio::test]
async fn a_workspace_is_linked_and_its_page_says_when_the_first_event_has_come() {
    let line = app().line().await;
    let email = person(&line, Role::Admin).await;
    let secret = format!("key_{}", hex::encode(rand::random::<[u8; 14]>()));
    let key = secret.clone();
    browse(line.app, |page| async move {
        page.enter(&email, "/settings/workspaces").await;
        let link = async |api_key: &str| {
            page.eval(&format!(
                "document.querySelector('#name').value = 'Retell EU'; document.querySelector('#api_key').value = '{api_key}'; \
                 document.querySelector('#api_key').form.requestSubmit()"
            ))
            .await;
        };
        link("wrong_key_of_somebody").await;
        page.until("the refusal at the field", || async {
            page.text("#api_key-wrong").await.contains("does not know this key")
        })
        .await;
        assert_eq!(
            page.eval("return document.querySelector('#name').value").await,
            "Retell EU",
            "what was typed is kept"
        );
        assert_eq!(
            page.eval("return document.querySelector('#api_key').value").await,
            "",
            "but no key is written into a page"
        );
        link(&key).await;
        page.until_text("h1", "Retell EU").await;
        assert!(page.text(".told").await.contains("Retell accepted the key"));
        assert!(page.text("#arrival").await.contains("Waiting for the first event"));
        assert!(
            !page
                .eval("return document.documentElement.outerHTML")
                .await
                .as_str()
                .unwrap()
                .contains(&key)
        );
        check(&page, "a workspace that waits").await;

        let url = page.text("[data-webhook-url]").await;
        page.tell(
            "goog/cdp/execute",
            json!({ "cmd": "Browser.grantPermissions", "params": { "permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"] } }),
        )
        .await;
        page.eval("document.querySelector('.address [data-copy]').click()").await;
        page.until("the copy is said", || async {
            page.text("#say").await == "Copied" || page.eval("return document.querySelector('#say').textContent").await == "Copied"
        })
        .await;
        assert_eq!(
            page.eval_later("navigator.clipboard.readText().then(arguments[arguments.length - 1])")
                .await,
            url.as_str()
        );

        let body = event("call_started", &fresh("call")).to_string().into_bytes();
        let address = url.replacen(&url[..url.find("/v1/").unwrap()], &format!("http://{}", app().intake), 1);
        let signature = sign(&body, &SigningKey::new(&key), now());
        let sent = client()
            .post(address)
            .header("x-retell-signature", signature)
            .body(body)
            .send()
            .await
            .unwrap();
        assert_eq!(sent.status(), 204);
        page.until("the page turns by itself", || async {
            page.text("[data-arrived]").await.starts_with("First event received at")
        })
        .await;
        assert_eq!(page.count("#arrival[hx-get]").await, 0, "and asks no more");
        check(&page, "a workspace whose events arrive").await;
    })
    .await;
    let found = line.config.workspaces(line.tenant, None).await.unwrap();
    assert!(
        found
            .iter()
            .any(|workspace| workspace.name == "Retell EU" && workspace.api_key.is_some())
    );
}

#[tokio::test]
async fn a_business_is_made_and_its_targets_are_set() {
    let line = app().line().await;
    let email = person(&line, Role::Owner).await;
    browse(line.app, |page| async move {
        page.enter(&email, "/wall").await;
        page.press("gs").await;
        page.until("the settings", || async { page.path().await == "/settings/people" }).await;
        page.eval("document.querySelector('.parts a[href=\"/settings/businesses\"]').click()").await;
        page.until("the businesses", || async { page.path().await == "/settings/businesses" }).await;
        page.eval("document.querySelector('#name').value = 'Harbour Hotel'; document.querySelector('#time_zone').value = 'Mars/Olympus'; document.querySelector('#name').form.requestSubmit()").await;
        page.until("the refusal", || async { page.text("#time_zone-wrong").await.contains("no such time zone") }).await;
        check(&page, "a refused business").await;
        page.eval("document.querySelector('#time_zone').value = 'Europe/Lisbon'; document.querySelector('#name').form.requestSubmit()").await;
        page.until_text("h1", "Harbour Hotel").await;
        let set = "const f = (n, v) => document.querySelector(`[name=\"${n}\"]`).value = v; ";
        page.eval(&format!("{set} f('day_start', '04:30'); f('concurrency_limit', '12'); f('target.service_level_ai', '90'); f('watch.service_level_ai', '95'); document.querySelector('#name').form.requestSubmit()")).await;
        page.until("the watch limit is refused", || async { page.text("#service_level_ai-wrong").await.contains("must not be better") }).await;
        assert_eq!(page.eval("return document.querySelector('[name=\"concurrency_limit\"]').value").await, "12", "nothing typed is lost");
        page.eval(&format!("{set} f('watch.service_level_ai', '82,5'); document.querySelector('#name').form.requestSubmit()")).await;
        page.until("it is saved", || async { page.text(".told").await.starts_with("Saved") }).await;
        assert_eq!(page.eval("return document.querySelector('[name=\"watch.service_level_ai\"]').value").await, "82.5");
        check(&page, "a business").await;
        // Somebody else's change is not overwritten: the form knows the state it was filled in against.
        page.eval("document.querySelector('[name=revision]').value = 'older'; document.querySelector('#name').form.requestSubmit()").await;
        page.until("the refusal", || async { page.text("[role=alert]").await.contains("Somebody else changed it") }).await;
    })
    .await;
    let made = line.config.businesses(line.tenant, None).await.unwrap();
    let made = made.iter().find(|business| business.name == "Harbour Hotel").unwrap();
    assert_eq!((made.day_start_minute, made.concurrency_limit), (270, Some(12)));
    assert_eq!(made.targets, json!({ "service_level_ai": { "target": 0.9, "watch": 0.825 } }));
}

#[tokio::test]
async fn a_webhook_shows_its_secret_once_and_settings_look_right_everywhere() {
    let line = app().line().await;
    let email = person(&line, Role::Owner).await;
    let viewer = person(&line, Role::Viewer).await;
    let workspace = line.workspace;
    line.keep(&event("call_started", &fresh("call"))).await;
    let business = line.config.businesses(line.tenant, None).await.unwrap()[0].id;
    browse(line.app, |page| async move {
        page.enter(&email, "/settings/webhooks").await;
        page.eval("document.querySelector('#url').value = 'https://hooks.example.com/trunkline'; document.querySelector('#url').form.requestSubmit()").await;
        page.until("the secret", || async { page.text("[data-secret]").await.starts_with("whsec_") }).await;
        let first = page.text("[data-secret]").await;
        page.eval("document.querySelector('form[action$=\"/rotate\"]').requestSubmit()").await;
        page.until("another secret", || async { let now = page.text("[data-secret]").await; now.starts_with("whsec_") && now != first }).await;
        page.go("/settings/webhooks").await;
        assert_eq!(page.count("[data-secret]").await, 0, "shown once");
        let pages = ["/settings/businesses".to_owned(), format!("/settings/businesses/{business}"), "/settings/workspaces".to_owned(), format!("/settings/workspaces/{workspace}"), "/settings/webhooks".to_owned()];
        for (language, theme, width) in [("en", "light", 1280), ("en", "dark", 390), ("ar", "light", 390), ("de", "dark", 1280), ("es", "light", 390), ("en-XA", "light", 390)] {
            page.language(language).await;
            page.theme(theme).await;
            page.resize(width, 844).await;
            for path in &pages {
                page.go(path).await;
                assert_eq!(page.count(".parts a[aria-current]").await, 1, "{path}");
                check(&page, &format!("{path} in {language}, {theme}, {width}")).await;
                shoot(&page, path, language, theme, width).await;
            }
        }
    })
    .await;
    browse(line.app, |page| async move {
        page.enter(&viewer, "/wall").await;
        for closed in ["/settings/businesses", "/settings/workspaces", "/settings/webhooks"] {
            page.go(closed).await;
            assert_eq!(page.text("h1").await, "You cannot see this page", "{closed}");
        }
    })
    .await;
}

/// Keeps a picture where TRUNKLINE_PREVIEW says, to be looked at.
async fn shoot(page: &super::page::Page, path: &str, language: &str, theme: &str, width: u32) {
    let Ok(folder) = std::env::var("TRUNKLINE_PREVIEW") else { return };
    let name = path.split('/').take(3).collect::<Vec<_>>().join("-");
    let one = if path.matches('/').count() > 2 { "-one" } else { "" };
    let file = std::path::Path::new(&folder).join(format!("{name}{one}-{language}-{theme}-{width}.png"));
    page.driver.screenshot(&file).await.unwrap();
}

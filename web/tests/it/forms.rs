//! Forms of the settings: what was filled in against a state that is gone overwrites nothing.

use reqwest::StatusCode;
use trunkline_core::access::Role;

use crate::app::{app, browser, client};
use crate::people::Somebody;

/// The value of a hidden field of a page.
fn hidden(page: &str, name: &str) -> String {
    let rest = page.split(&format!("name=\"{name}\" value=\"")).nth(1);
    let rest = rest.unwrap_or_else(|| panic!("no field {name} in {page}"));
    rest.split('"').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_workspace_that_was_changed_meanwhile_is_not_overwritten_by_its_form() {
    let line = app().line().await;
    let owner = Somebody::with(&line, Role::Owner).await;
    let path = format!("/settings/workspaces/{}", line.workspace);
    let page = async || {
        let request = client().get(app().url(&path)).header("cookie", &owner.cookie);
        request.send().await.unwrap().text().await.unwrap()
    };
    let save = async |page: &str, name: &str, revision: Option<&str>| {
        let (token, shown) = (hidden(page, "form_token"), hidden(page, "revision"));
        let mut fields = vec![
            ("form_token", token.as_str()),
            ("name", name),
            ("allowed_sources", ""),
            ("events_per_second", ""),
        ];
        fields.push(("revision", revision.unwrap_or(&shown)));
        let body: String = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let browser = browser();
        let request = browser.post(app().url(&format!("{path}/save"))).header("cookie", &owner.cookie);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let answer = request.body(body).send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    };
    let name = async || {
        line.config
            .workspaces(line.tenant, Some(line.workspace))
            .await
            .unwrap()
            .remove(0)
            .name
    };
    let first = page().await;
    line.change_workspace(|workspace| workspace.rate_per_second = Some(7)).await;
    let (status, again) = save(&first, "Mine", None).await;
    assert!(status.is_client_error(), "{status}");
    assert_ne!(name().await, "Mine");
    assert!(again.contains("value=\"Mine\""), "what was typed is not lost");
    assert_ne!(
        hidden(&again, "revision"),
        hidden(&first, "revision"),
        "and can be saved over what is there now"
    );
    assert!(
        save(&again, "Mine", Some("")).await.0.is_client_error(),
        "a form without it is none of ours"
    );
    assert_eq!(save(&again, "Mine", None).await.0, StatusCode::SEE_OTHER);
    assert_eq!(name().await, "Mine");
}

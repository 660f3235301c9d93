//! People come and change: joining by a mail, and a board that follows a role.

use std::time::Duration;

use trunkline_core::access::{Agents, Grant, Role};
use trunkline_core::audit::By;
use trunkline_core::id::BusinessId;
use trunkline_stores::postgres::row::{NewBusiness, PersonState};

use super::page::{browse, person};
use crate::app::{app, event, fresh};
use crate::mailbox;

fn of(business: BusinessId) -> PersonState {
    PersonState {
        role: None,
        disabled: false,
        grants: vec![Grant {
            business,
            role: Role::Supervisor,
            agents: Agents::All,
        }],
    }
}

#[tokio::test]
async fn somebody_is_invited_on_the_screen_and_joins_by_the_mail() {
    let line = app().line().await;
    let admin = person(&line, Role::Admin).await;
    let email = format!("{}@people.invalid", fresh("eva"));
    let typed = email.clone();
    browse(line.app, |page| async move {
        page.enter(&admin, "/settings/people").await;
        let script = format!(
            "const f = document.querySelector('form[action=\"/settings/people\"]'); f.email.value = {typed:?}; f.name.value = 'Eva'; \
             f.role.value = 'supervisor'; f.requestSubmit()"
        );
        page.eval(&script).await;
        page.until("what was done", || async { page.path().await == "/settings/people?done=invited" })
            .await;
        assert_eq!(page.text("[role=status].said").await, "Invited: a mail with a link is on its way.");
        assert!(page.text("main").await.contains(&typed));
    })
    .await;
    let link = mailbox::mail(&email, 1).await.link();
    let path = link
        .split_once("/invitation")
        .map(|(_, rest)| format!("/invitation{rest}"))
        .unwrap();
    browse(line.app, |page| async move {
        page.go(&path).await;
        page.until("the address of the link", || async {
            page.eval("return document.querySelector('#email').value").await == email.as_str()
        })
        .await;
        assert_eq!(page.text("#code").await, "", "the code is not for reading");
        page.eval(
            "document.querySelector('#name').value = 'Eva Maria'; document.querySelector('#password').value = 'Password123!'; \
             document.querySelector('form.card').requestSubmit()",
        )
        .await;
        page.until("the refusal in words", || async { page.count("[role=alert]").await == 1 })
            .await;
        assert_eq!(
            page.eval("return document.querySelector('#name').value").await,
            "Eva Maria",
            "what was typed is kept"
        );
        page.eval("document.querySelector('#password').value = 'gravel lamp otter'; document.querySelector('form.card').requestSubmit()")
            .await;
        page.until("the wall", || async { page.path().await == "/wall" }).await;
        assert_eq!(page.count(".nav a[href='/calls']").await, 1, "a supervisor's place");
        assert_eq!(page.count(".nav a[href='/operator']").await, 0);
        page.go("/settings/people").await;
        assert_eq!(page.text("h1").await, "You cannot see this page");
    })
    .await;
}

#[tokio::test]
async fn s011_an_open_board_follows_a_role_that_is_changed() {
    let line = app().line().await;
    let email = person(&line, Role::Viewer).await;
    let user = line.config.user_by_email(&email).await.unwrap().unwrap().id;
    let by = By::system();
    let mut businesses = Vec::new();
    for (name, agent) in [("One", "agent_one"), ("Two", "agent_two")] {
        let id = line
            .config
            .create_business(line.tenant, &By::system(), &NewBusiness::plain(name, "UTC"))
            .await
            .unwrap();
        line.config.map_agent(line.tenant, &By::system(), agent, id, name).await.unwrap();
        businesses.push(id);
    }
    let viewer = PersonState {
        role: Some(Role::Viewer),
        grants: Vec::new(),
        disabled: false,
    };
    line.config
        .change_person(line.tenant, &by, user, &viewer, &of(businesses[0]))
        .await
        .unwrap();
    let key = line.api_key(&["live:read"]).await;
    let call = |agent: &str| {
        let mut event = event("call_started", &fresh("call"));
        event["call"]["agent_id"] = agent.into();
        event["call"]["agent_name"] = agent.into();
        event
    };
    // The engine hears of the mapping a moment later; calls before that would be of nobody.
    let board = format!("/v1/board?business={}", businesses[0]);
    line.until(&key, &board, |board| board["now"].is_object()).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    line.keep(&call("agent_one")).await;
    for _ in 0..2 {
        line.keep(&call("agent_two")).await;
    }
    line.until(&key, "/v1/board", |board| board["now"]["in_progress"] == 3).await;
    browse(line.app, |page| async move {
        page.enter(&email, "/wall").await;
        page.until("the call of the first business", || async {
            page.count("#wall-calls tbody tr").await == 1
        })
        .await;
        line.config
            .change_person(line.tenant, &by, user, &of(businesses[0]), &of(businesses[1]))
            .await
            .unwrap();
        page.until_within(Duration::from_secs(15), "the calls of the second business", || async {
            page.count("#wall-calls tbody tr").await == 2
        })
        .await;
        assert!(!page.text("#wall-calls").await.contains("agent_one"));
    })
    .await;
}

//! Rights that change under an open page: it loses what they no longer include, by itself, and says why.

use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};
use trunkline_core::access::{Agents, Grant, Role};
use trunkline_core::audit::By;
use trunkline_core::id::{BusinessId, UserId};
use trunkline_stores::postgres::row::{NewBusiness, PersonState};

use super::page::{Page, browse, person};
use crate::app::{Line, app, event, fresh};

fn everywhere(role: Role) -> PersonState {
    PersonState {
        role: Some(role),
        disabled: false,
        grants: Vec::new(),
    }
}

fn within(business: BusinessId) -> PersonState {
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

/// A person with an open page, and what is done to them meanwhile.
struct Subject {
    line: Arc<Line>,
    email: String,
    user: UserId,
}

impl Subject {
    async fn new(role: Role) -> Subject {
        let line = Arc::new(app().line().await);
        let email = person(&line, role).await;
        let user = line.config.user_by_email(&email).await.unwrap().unwrap().id;
        Subject { line, email, user }
    }

    async fn change(&self, before: &PersonState, after: &PersonState) {
        let (tenant, by) = (self.line.tenant, By::system());
        let changed = self.line.config.change_person(tenant, &by, self.user, before, after);
        changed.await.unwrap();
    }
}

/// A call in progress whose caller has said something.
async fn talking(line: &Line, agent: &str, words: &str) -> String {
    let id = fresh("call");
    let mut begun = event("call_started", &id);
    begun["call"]["agent_id"] = agent.into();
    begun["call"]["agent_name"] = agent.into();
    line.keep(&begun).await;
    begun["event"] = "transcript_updated".into();
    begun["transcript_with_tool_calls"] = json!([{ "role": "user", "content": words }]);
    line.keep(&begun).await;
    id
}

async fn why(page: &Page, wanted: &str) {
    page.until("the reason", || async { page.text(".why").await.contains(wanted) })
        .await;
}

/// Everything that the page holds, shown or not.
async fn source(page: &Page) -> String {
    let all = page.eval("return document.documentElement.outerHTML").await;
    all.as_str().unwrap().to_owned()
}

#[tokio::test]
async fn s011_an_open_board_loses_the_words_that_a_lesser_role_may_not_read_and_says_why() {
    let subject = Subject::new(Role::Supervisor).await;
    let line = subject.line.clone();
    talking(&line, "agent_1", "The surgery is on Thursday.").await;
    browse(line.app, |page| async move {
        page.enter(&subject.email, "/wall").await;
        page.until("what was said", || async { page.text("#wall-calls").await.contains("surgery") })
            .await;
        let changed = Instant::now();
        subject.change(&everywhere(Role::Supervisor), &everywhere(Role::Viewer)).await;
        why(&page, "Your rights or your sign-in changed at").await;
        println!("gone after {:?}", changed.elapsed());
        page.until_text("[data-now=calls] [data-f=number]", "1").await;
        assert!(!source(&page).await.contains("surgery"), "the board goes on without the words");
        assert_eq!(page.count(".nav a[href='/calls']").await, 0, "and without the way to the call log");
        // Said once: who loads the page again knows.
        page.go("/wall").await;
        page.until_text("[data-now=calls] [data-f=number]", "1").await;
        assert_eq!(page.count(".why").await, 0);
        page.no_complaints("a board whose reader has another role").await;
    })
    .await;
}

#[tokio::test]
async fn s011_an_open_transcript_is_shut_and_an_open_board_asks_to_sign_in_again() {
    let subject = Subject::new(Role::Supervisor).await;
    let line = subject.line.clone();
    let id = talking(&line, "agent_1", "My card ends in nine.").await;
    let key = line.api_key(&["live:read"]).await;
    line.until(&key, "/v1/live/calls", |live| live["total"] == 1).await;
    browse(line.app, |page| async move {
        page.enter(&subject.email, &format!("/calls/call/{id}")).await;
        page.until("the words", || async { page.text("#turns").await.contains("ends in nine") })
            .await;
        subject.change(&everywhere(Role::Supervisor), &everywhere(Role::Viewer)).await;
        page.until("the page is shut", || async { page.text("h1").await == "You cannot see this page" })
            .await;
        why(&page, "Your rights or your sign-in changed at").await;
        assert!(!source(&page).await.contains("ends in nine"));

        page.go("/wall").await;
        page.until_text("[data-now=calls] [data-f=number]", "1").await;
        let disabled = PersonState {
            disabled: true,
            ..everywhere(Role::Viewer)
        };
        subject.change(&everywhere(Role::Viewer), &disabled).await;
        page.until("the way in", || async { page.path().await == "/signin?next=%2Fwall" })
            .await;
        why(&page, "What this page was opened with ended at").await;
        assert_eq!(page.count("[data-now=calls]").await, 0);
    })
    .await;
}

#[tokio::test]
async fn s011_an_open_board_follows_somebody_to_another_business() {
    let subject = Subject::new(Role::Viewer).await;
    let line = subject.line.clone();
    let mut businesses = Vec::new();
    for (name, agent) in [("One", "agent_one"), ("Two", "agent_two")] {
        let new = NewBusiness::plain(name, "UTC");
        let id = line.config.create_business(line.tenant, &By::system(), &new).await.unwrap();
        line.config.map_agent(line.tenant, &By::system(), agent, id, name).await.unwrap();
        businesses.push(id);
    }
    // What the engine knows, it learns in this order: who knows the last one knows the agents of the others.
    let new = NewBusiness::plain("Last", "UTC");
    let last = line.config.create_business(line.tenant, &By::system(), &new).await.unwrap();
    let key = line.api_key(&["live:read"]).await;
    line.until(&key, &format!("/v1/board?business={last}"), |board| board["now"].is_object())
        .await;
    subject.change(&everywhere(Role::Viewer), &within(businesses[0])).await;
    talking(&line, "agent_one", "one").await;
    for _ in 0..2 {
        talking(&line, "agent_two", "two").await;
    }
    line.until(&key, "/v1/board", |board: &Value| board["now"]["in_progress"] == 3)
        .await;
    browse(line.app, |page| async move {
        page.enter(&subject.email, "/wall").await;
        page.until("the call of the first business", || async {
            page.count("#wall-calls tbody tr").await == 1
        })
        .await;
        subject.change(&within(businesses[0]), &within(businesses[1])).await;
        why(&page, "Your rights or your sign-in changed at").await;
        page.until("the calls of the second business", || async {
            page.count("#wall-calls tbody tr").await == 2
        })
        .await;
        assert!(!source(&page).await.contains("agent_one"));
    })
    .await;
}

//! People come: joining by a mail.

use trunkline_core::access::Role;

use super::page::{browse, person};
use crate::app::{app, fresh};
use crate::mailbox;

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
        assert_eq!(page.text("[role=status].told").await, "Invited: a mail with a link is on its way.");
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

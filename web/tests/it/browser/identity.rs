//! Second steps, the audit log and screens without a seat, as people use them.

use reqwest::StatusCode;
use trunkline_core::access::Role;

use super::page::{PASSWORD, browse, person};
use crate::app::{app, client};
use crate::identity;

#[tokio::test]
async fn an_app_is_set_up_and_asked_for_and_the_audit_log_tells_it() {
    let line = app().line().await;
    let email = person(&line, Role::Owner).await;
    browse(line.app, |page| async move {
        page.enter(&email, "/account").await;
        page.eval("document.querySelector('form[action=\"/account/second-factor\"]').requestSubmit()")
            .await;
        page.until("the QR code", || async {
            page.eval("const q = document.querySelector('img.qr'); return Boolean(q && q.complete && q.naturalWidth > 100)")
                .await
                == true
        })
        .await;
        let secret = page.text("code.mono").await.replace(' ', "");
        let code = |steps| crate::second_factor::code(&secret, steps);
        let first = code(0);
        page.eval(&format!(
            "document.querySelector('#code').value = '{first}'; document.querySelector('#code').form.requestSubmit()"
        ))
        .await;
        page.until("recovery codes", || async { page.count(".codes li").await == 10 }).await;
        page.eval("document.querySelector('form[action=\"/signout\"]').requestSubmit()")
            .await;
        page.until("the way out", || async { page.path().await == "/signin" }).await;
        page.go("/signin?next=%2Fsettings%2Faudit").await;
        page.fill_sign_in(&email, PASSWORD).await;
        page.until("the second step", || async { page.path().await.starts_with("/signin/code") })
            .await;
        let second = code(1);
        page.eval(&format!(
            "document.querySelector('#code').value = '{second}'; document.querySelector('#code').form.requestSubmit()"
        ))
        .await;
        page.until("the audit log", || async { page.path().await == "/settings/audit" })
            .await;
        page.eval("const q = document.querySelector('input[name=q]'); q.value = 'second_factor.enable'; q.form.requestSubmit()")
            .await;
        page.until("the one entry", || async { page.count("table.audit tbody tr").await == 1 })
            .await;
        assert!(page.text("table.audit tbody tr").await.contains("second_factor.enable"));
        page.no_complaints("signing in with an app").await;
    })
    .await;
}

#[tokio::test]
async fn a_television_is_paired_without_typing_on_it() {
    let line = app().line().await;
    let email = identity::person(&line, Role::Supervisor).await;
    let session = identity::cookie(&identity::enter(&email, identity::PASSWORD, &[]).await).unwrap();
    let settings = client()
        .get(app().url("/settings/screens"))
        .header("cookie", &session)
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let token = settings
        .split("name=\"form_token\" value=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap()
        .to_owned();
    browse(line.app, |page| async move {
        page.resize(1920, 1080).await;
        page.go("/tv").await;
        let code = page.text(".pair-code").await.replace(' ', "");
        let form = format!("form_token={token}&name=Hall&business=&agent=&code={code}");
        let request = client().post(app().url("/settings/screens")).header("cookie", &session);
        let typed = request
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form)
            .send();
        assert_eq!(typed.await.unwrap().status(), StatusCode::OK);
        page.until("the board", || async { page.path().await == "/wall?tv=1" }).await;
        page.until("live figures", || async {
            page.eval("return document.querySelector('#fresh').dataset.s").await == "ok"
        })
        .await;
        page.no_complaints("a paired television").await;
    })
    .await;
}

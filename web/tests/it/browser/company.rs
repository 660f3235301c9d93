//! Single sign-on in a browser: set up on the screen, then in by the company's own page and on to what was asked for.

use serde_json::Value;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use trunkline_core::access::Role;

use super::page::{browse, person};
use crate::app::{App, fresh};
use crate::dns;
use crate::single_sign_on::{CLIENT, SECRET, provider};

#[tokio::test]
async fn somebody_comes_in_by_their_company_and_lands_where_they_wanted_to_go() {
    // A provider sends browsers back to an address that is registered with it, so it is there before the product is.
    let door = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = door.local_addr().unwrap();
    let public = format!("http://{address}");
    let data = tempfile::Builder::new().prefix("trunkline-web-").tempdir().unwrap().keep();
    let mut own = App::start(&data, true, &[("TRUNKLINE_SERVER__PUBLIC_URL", &public)]);
    let site = std::mem::replace(&mut own.site, address);
    tokio::spawn(async move {
        while let Ok((mut from, _)) = door.accept().await {
            tokio::spawn(async move {
                let mut to = TcpStream::connect(site).await.unwrap();
                let _ = copy_bidirectional(&mut from, &mut to).await;
            });
        }
    });
    let own: &'static App = Box::leak(Box::new(own));
    let issuer = provider(&public);
    let line = own.line().await;
    let owner = person(&line, Role::Owner).await;
    let domain = format!("{}.example", fresh("company"));
    browse(own, |page| async move {
        page.enter(&owner, "/settings/single-sign-on").await;
        assert!(page.text("[data-copy]").await.starts_with(&public), "what to register there");
        let set = |name: &str, value: &str| format!("document.querySelector('#{name}').value = {};", Value::from(value));
        let filled = [("issuer", issuer.as_str()), ("client_id", CLIENT), ("client_secret", SECRET), ("domains", &domain), ("first_role", "analyst")];
        let filled: String = filled.iter().map(|(name, value)| set(name, value)).collect();
        page.eval(&format!("{filled} document.querySelector('#issuer').form.requestSubmit()")).await;
        page.until("it is saved", || async { page.count("[role=status].told").await == 1 }).await;
        let source = page.eval("return document.documentElement.outerHTML").await;
        assert!(!source.as_str().unwrap().contains("forty characters"), "the secret is shown to nobody");
        let copied = async |place: usize| page.eval(&format!("return document.querySelectorAll('.proofs [data-copy]')[{place}].dataset.copy")).await;
        let (name, value) = (copied(0).await, copied(1).await);
        let check = "document.querySelector('form[action$=\"/check\"]').requestSubmit()";
        page.eval(check).await;
        page.until("that nothing is there", || async { page.text(".proofs li").await.contains("there is no such record") }).await;
        page.no_complaints("a domain that waits").await;
        dns::says(name.as_str().unwrap(), value.as_str().unwrap());
        page.eval(check).await;
        page.until("that it is proved", || async { page.text(".proofs li").await.contains("proved since") }).await;
        page.eval("document.querySelector('form[action=\"/signout\"]').requestSubmit()").await;
        page.until("the way out", || async { page.path().await == "/signin" }).await;

        page.go("/calls?range=today").await;
        page.until("the way in", || async { page.path().await.starts_with("/signin?next=") }).await;
        page.eval("document.querySelector('a[href^=\"/signin/company\"]').click()").await;
        page.until("the question for the address", || async { page.count("form[action='/signin/company'] #email").await == 1 }).await;
        let typed = |email: &str| format!("document.querySelector('#email').value = {}; document.querySelector('#email').form.requestSubmit()", Value::from(email));
        page.eval(&typed("somebody@nowhere.example")).await;
        page.until("that nobody knows the domain", || async { page.count("[role=alert]").await == 1 }).await;
        page.eval(&typed(&format!("ana@{domain}"))).await;
        page.until("the company's own page", || async { page.text("h1").await == "The company" }).await;
        let there = format!("document.querySelector('[name=email]').value = 'ana@{domain}'; document.querySelector('[name=name]').value = 'Ana of the Company'; document.querySelector('form').requestSubmit()");
        page.eval(&there).await;
        page.until("the page that was asked for", || async { page.path().await == "/calls?range=today" }).await;
        page.go("/wall").await;
        page.until("the wallboard moves", || async { page.eval("return document.querySelector('#fresh').dataset.s").await == "ok" }).await;
        let who = page.eval("return document.querySelector('.drop .who').textContent").await;
        assert_eq!(who, "Ana of the CompanyAnalyst", "as the company names her, with the role of newcomers");
        page.no_complaints("a wallboard after single sign-on").await;
        // Who is signed in at the company already comes in without typing anything there.
        page.eval("document.querySelector('form[action=\"/signout\"]').requestSubmit()").await;
        page.until("the way out", || async { page.path().await == "/signin" }).await;
        page.go(&format!("/signin/company/{}?next=/live", line.tenant)).await;
        page.until("calls in progress", || async { page.path().await == "/live" }).await;
    })
    .await;
}

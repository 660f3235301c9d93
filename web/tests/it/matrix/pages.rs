//! Every page and every form asked by everybody: one table says who may what, and a route of the router that is missing in it, or in the
//! description of the API, fails the test.

use std::collections::BTreeSet;
use std::path::Path;

use reqwest::{Method, RequestBuilder, StatusCode, header};
use trunkline_core::access::{Access, Permission};
use trunkline_core::audit::By;
use trunkline_core::id::UserId;
use trunkline_stores::postgres::row::NewBusiness;

use super::askers::Opens::{Anybody, Everybody, Everywhere, People, Platform, Somewhere};
use super::askers::{Asker, Opens, askers};
use super::operations;
use crate::app::app;
use crate::process::root;

/// The expected answers, by method and path.
pub const PAGES: &[(&str, &str, Opens)] = &[
    ("GET", "/", Anybody),
    ("GET", "/assets/{hash}/{path:.*}", Anybody),
    ("GET", "/docs", Anybody),
    ("GET", "/docs/errors", Anybody),
    ("GET", "/openapi.json", Anybody),
    ("GET", "/wall", Somewhere(Permission::Live)),
    ("GET", "/live", Somewhere(Permission::Live)),
    ("GET", "/calls", Somewhere(Permission::Calls)),
    ("GET", "/calls/news", Somewhere(Permission::Calls)),
    ("GET", "/calls/{kind}/{id}", Somewhere(Permission::Calls)),
    ("GET", "/calls/{kind}/{id}/raw", Somewhere(Permission::Numbers)),
    ("GET", "/usage", Somewhere(Permission::Usage)),
    ("GET", "/usage.csv", Somewhere(Permission::Usage)),
    ("GET", "/operator", Everywhere(Permission::Operate)),
    ("GET", "/operator/figures", Everywhere(Permission::Operate)),
    ("GET", "/operator/auditor", Everywhere(Permission::Operate)),
    ("GET", "/operator/jobs", Everywhere(Permission::Operate)),
    ("POST", "/operator/jobs/{id}/retry", Everywhere(Permission::Repair)),
    ("POST", "/operator/jobs/{id}/cancel", Everywhere(Permission::Repair)),
    ("GET", "/operator/reconciler", Everywhere(Permission::Operate)),
    ("GET", "/operator/raw", Everywhere(Permission::Operate)),
    ("GET", "/signin", Anybody),
    ("POST", "/signin", Anybody),
    ("GET", "/invitation", Anybody),
    ("POST", "/invitation", Anybody),
    ("GET", "/forgot", Anybody),
    ("POST", "/forgot", Anybody),
    ("GET", "/reset", Anybody),
    ("POST", "/reset", Anybody),
    ("GET", "/signin/code", Anybody),
    ("POST", "/signin/code", Anybody),
    ("GET", "/signin/company", Anybody),
    ("POST", "/signin/company", Anybody),
    ("GET", "/signin/company/return", Anybody),
    ("GET", "/signin/company/{organisation}", Anybody),
    ("GET", "/tv", Anybody),
    ("GET", "/tv/wait", Anybody),
    ("GET", "/tv/{token}", Anybody),
    ("GET", "/language", Anybody),
    ("GET", "/account", People),
    ("POST", "/account/name", People),
    ("POST", "/account/password", People),
    ("POST", "/account/sessions/end-others", People),
    ("POST", "/account/sessions/{id}/end", People),
    ("POST", "/account/second-factor", People),
    ("POST", "/account/second-factor/confirm", People),
    ("POST", "/account/second-factor/end", People),
    ("POST", "/signout", Everybody),
    ("GET", "/settings", Everybody),
    ("GET", "/settings/people", Everywhere(Permission::People)),
    ("POST", "/settings/people", Everywhere(Permission::People)),
    ("GET", "/settings/people/{id}", Everywhere(Permission::People)),
    ("POST", "/settings/people/{id}", Everywhere(Permission::People)),
    ("POST", "/settings/people/{id}/{act}", Everywhere(Permission::People)),
    ("POST", "/settings/people/invitations/{id}/{act}", Everywhere(Permission::People)),
    ("GET", "/settings/roles", Everybody),
    ("GET", "/settings/keys", Everywhere(Permission::Keys)),
    ("POST", "/settings/keys", Everywhere(Permission::Keys)),
    ("POST", "/settings/keys/{id}/revoke", Everywhere(Permission::Keys)),
    ("GET", "/settings/single-sign-on", Everywhere(Permission::Organisation)),
    ("POST", "/settings/single-sign-on", Everywhere(Permission::Organisation)),
    ("POST", "/settings/single-sign-on/check", Everywhere(Permission::Organisation)),
    ("POST", "/settings/single-sign-on/remove", Everywhere(Permission::Organisation)),
    ("GET", "/settings/businesses", Somewhere(Permission::Businesses)),
    ("POST", "/settings/businesses", Everywhere(Permission::Businesses)),
    ("GET", "/settings/businesses/{id}", Somewhere(Permission::Businesses)),
    ("POST", "/settings/businesses/{id}", Somewhere(Permission::Businesses)),
    ("GET", "/settings/workspaces", Everywhere(Permission::Workspaces)),
    ("POST", "/settings/workspaces", Everywhere(Permission::Workspaces)),
    ("GET", "/settings/workspaces/{id}", Everywhere(Permission::Workspaces)),
    ("GET", "/settings/workspaces/{id}/arrival", Everywhere(Permission::Workspaces)),
    ("POST", "/settings/workspaces/{id}/{act}", Everywhere(Permission::Workspaces)),
    ("GET", "/settings/webhooks", Everywhere(Permission::Webhooks)),
    ("POST", "/settings/webhooks", Everywhere(Permission::Webhooks)),
    ("POST", "/settings/webhooks/{id}/{act}", Everywhere(Permission::Webhooks)),
    ("GET", "/settings/screens", Somewhere(Permission::Links)),
    ("POST", "/settings/screens", Somewhere(Permission::Links)),
    ("POST", "/settings/screens/{id}/revoke", Somewhere(Permission::Links)),
    ("GET", "/settings/audit", Everywhere(Permission::Audit)),
    ("GET", "/settings/audit.csv", Everywhere(Permission::Audit)),
    ("GET", "/settings/audit.json", Everywhere(Permission::Audit)),
    ("GET", "/settings/organisation", Everywhere(Permission::Organisation)),
    ("POST", "/settings/organisation", Everywhere(Permission::Organisation)),
    ("GET", "/platform", Platform),
    ("POST", "/platform", Platform),
    ("POST", "/platform/close", Platform),
    ("GET", "/platform/organisations/{id}", Platform),
    ("POST", "/platform/organisations/{id}", Platform),
    ("POST", "/platform/organisations/{id}/{act}", Platform),
];

/// What takes away what is asked with comes last.
fn turn(path: &str) -> u8 {
    match path {
        "/signout" => 2,
        "/platform/close" => 1,
        _ => 0,
    }
}

/// A route as the sources declare it.
type Route = (String, String);

/// All routes of pages and API, read from the sources: the router itself tells nobody what it knows.
fn declared() -> BTreeSet<Route> {
    fn sources(folder: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap().filter_map(Result::ok) {
            match entry.path() {
                path if path.is_dir() => sources(&path, found),
                path if path.extension().is_some_and(|ending| ending == "rs") => found.push(std::fs::read_to_string(path).unwrap()),
                _ => {}
            }
        }
    }
    let mut texts = Vec::new();
    // Intake and admin port have one kind of address each, and the stand-in for Retell is no part of a running product.
    for folder in ["web/src/pages", "web/src/api", "web/src/stream"] {
        sources(&root().join(folder), &mut texts);
    }
    texts.push(std::fs::read_to_string(root().join("web/src/stream.rs")).unwrap());
    texts.push(std::fs::read_to_string(root().join("web/src/api.rs")).unwrap());
    let mut found = BTreeSet::new();
    for text in &texts {
        for verb in ["get", "post", "put", "patch", "delete"] {
            let method = verb.to_uppercase();
            // `#[get("/v1/board")]`
            for rest in text.split(&format!("#[{verb}(\"")).skip(1) {
                found.insert((method.clone(), rest.split('"').next().unwrap().to_owned()));
            }
            // `page("/wall").route(web::get().to(..)).route(web::post().to(..))`, or by a name or the plain resource.
            for (at, _) in text.match_indices(&format!("web::{verb}()")) {
                let before = &text[..at];
                let opened = ["page(", ".route(\"", "web::resource("].map(|word| before.rfind(word).map(|place| place + word.len()));
                let path = &text[opened.into_iter().flatten().max().expect("a method belongs to a path")..];
                let path = path.trim_start_matches('"').split(['"', ')']).next().unwrap();
                let path = if path.ends_with("RETURN") {
                    trunkline_web::identity::company::RETURN
                } else {
                    path
                };
                found.insert((method.clone(), path.to_owned()));
            }
        }
        assert!(
            !text.contains("web::scope("),
            "scopes put a path before paths: teach this test to read them"
        );
    }
    found
}

#[test]
fn s042_every_route_of_the_router_is_in_a_table() {
    let mut known: BTreeSet<Route> = PAGES
        .iter()
        .map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned()))
        .collect();
    assert_eq!(known.len(), PAGES.len(), "each once");
    known.extend(
        operations()
            .into_iter()
            .map(|operation| (operation.method.to_string(), operation.path)),
    );
    let declared = declared();
    assert!(declared.len() > 150, "the sources are read: {}", declared.len());
    let missing: Vec<&Route> = declared.difference(&known).collect();
    assert!(
        missing.is_empty(),
        "say in PAGES, or in the description of the API, who may ask for {missing:?}"
    );
    let surplus: Vec<&Route> = known.difference(&declared).collect();
    assert!(surplus.is_empty(), "the tables know routes that there are not: {surplus:?}");
}

/// A form without the token that its page gave out.
pub fn bare(asker: &Asker, method: &str, path: &str) -> RequestBuilder {
    let request = asker.request(method.parse::<Method>().unwrap(), path).header("accept", "text/html");
    match method {
        "GET" => request,
        _ => request.header("content-type", "application/x-www-form-urlencoded"),
    }
}

/// What the page of their account gives a person for forms.
pub async fn form_token(asker: &Asker) -> String {
    let page = bare(asker, "GET", "/account").send().await.unwrap().text().await.unwrap();
    let rest = page.split("name=\"form_token\" value=\"").nth(1).unwrap_or_default();
    rest.split('"').next().unwrap().to_owned()
}

fn location(answer: &reqwest::Response) -> String {
    answer
        .headers()
        .get(header::LOCATION)
        .map(|to| to.to_str().unwrap().to_owned())
        .unwrap_or_default()
}

/// Whether an answer is what the table says.
pub fn as_expected(asker: &Asker, opens: Opens, status: StatusCode, to: &str) -> bool {
    let to_sign_in = status == StatusCode::SEE_OTHER && to.starts_with("/signin");
    if matches!(opens, Anybody) {
        // Who comes back from a provider without having begun is told so with 403: single_sign_on.rs.
        return !status.is_server_error();
    }
    match asker.may(opens) {
        None => to_sign_in,
        // Whoever runs the platform has no board of their own and is led to the platform.
        Some(false) => {
            status == StatusCode::FORBIDDEN
                || (matches!(opens, People) && status == StatusCode::NOT_FOUND)
                || (asker.platform && status == StatusCode::SEE_OTHER && to == "/platform")
        }
        Some(true) => !status.is_server_error() && !matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) && !to_sign_in,
    }
}

#[tokio::test]
async fn s005_s006_every_page_and_form_answers_everybody_as_the_table_says() {
    let line = app().line().await;
    let new = NewBusiness::plain("Ours", "UTC");
    let business = line.config.create_business(line.tenant, &By::system(), &new).await.unwrap();
    let nobody = UserId(uuid::Uuid::new_v4());
    let mut pages = PAGES.to_vec();
    pages.sort_by_key(|(_, path, _)| turn(path));
    let mut wrong = Vec::new();
    let mut asked = 0;
    for asker in askers(&line, business).await {
        let token = form_token(&asker).await;
        let with_cookie = asker.header.as_ref().is_some_and(|(name, _)| *name == "cookie");
        for (method, pattern, opens) in pages.iter().copied() {
            // What is looked for before it is asked who asks has to be there, or at least be an id.
            let id = match pattern {
                _ if pattern.starts_with("/settings/businesses/") => business.to_string(),
                _ if pattern.starts_with("/settings/people/{id}") => nobody.to_string(),
                _ if pattern.starts_with("/platform/organisations/") => line.tenant.to_string(),
                "/operator/raw" => "/operator/raw?log=x&partition=0&offset=0".to_owned(),
                _ => "x".to_owned(),
            };
            let path = match pattern {
                "/operator/raw" => id,
                _ => pattern.replace("{id}", &id).replace("{kind}", "call").replace("{act}", "x"),
            };
            let form = method == "POST" && !matches!(opens, Anybody);
            if form && with_cookie && asker.may(opens) == Some(true) {
                let status = bare(&asker, method, &path).body("form_token=wrong").send().await.unwrap().status();
                asked += 1;
                if status != StatusCode::FORBIDDEN {
                    wrong.push(format!("{} sends {path} without the token of its page: {status}", asker.what));
                }
            }
            let mut request = bare(&asker, method, &path);
            if method == "POST" {
                request = request.body(format!("form_token={token}"));
            }
            let answer = request.send().await.unwrap();
            asked += 1;
            let (status, to) = (answer.status(), location(&answer));
            let nothing = asker.access.as_ref() == Some(&Access::default());
            let fits = match pattern {
                // Out, for whoever was in.
                "/signout" if asker.access.is_some() && (with_cookie || !asker.person) => {
                    status == StatusCode::SEE_OTHER && to == "/signin"
                }
                // It leads to the first part that is open.
                "/settings" if nothing => status == StatusCode::FORBIDDEN,
                // Forms are for browsers: an access token was given none.
                _ if form && asker.person && !with_cookie && asker.access.is_some() => {
                    matches!(status, StatusCode::FORBIDDEN | StatusCode::NOT_FOUND)
                }
                _ => as_expected(&asker, opens, status, &to),
            };
            if !fits {
                wrong.push(format!("{} asks {method} {path}: {status} {to}", asker.what));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {asked}: {wrong:#?}", wrong.len());
    assert!(asked >= 14 * PAGES.len());
    println!("asked {asked} times");
}

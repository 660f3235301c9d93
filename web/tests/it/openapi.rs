//! The description of the API is the one that is committed, and describes every route there is.

use std::path::Path;

use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::app::{app, client};

fn committed() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json")).unwrap()
}

#[test]
fn the_description_is_the_committed_one() {
    let made = trunkline_web::api::documents::description_text();
    // Not assert_eq: two documents of a thousand lines help nobody.
    assert!(
        committed() == made,
        "run: cargo run -- openapi > web/openapi.json, and see by git diff whether the change breaks anybody"
    );
}

#[test]
fn every_operation_has_a_stable_name_and_says_how_it_refuses() {
    let document: Value = serde_json::from_str(&committed()).unwrap();
    assert_eq!(document["openapi"].as_str().map(|version| &version[..3]), Some("3.1"));
    let mut names = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            names.push(
                operation["operationId"]
                    .as_str()
                    .unwrap_or_else(|| panic!("{method} {path} has no name"))
                    .to_owned(),
            );
            assert!(operation["responses"]["401"].is_object(), "{method} {path} does not say 401");
        }
    }
    let count = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count, "names are unique");
}

#[tokio::test]
async fn s042_every_described_operation_exists_and_wants_a_credential() {
    let document: Value = serde_json::from_str(&committed()).unwrap();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            // Where credentials are given out, or public keys, none can be asked for; the matrix says which these are.
            if operation["security"] == serde_json::json!([{}]) {
                continue;
            }
            let method: Method = method.to_uppercase().parse().unwrap();
            let request = client().request(method.clone(), app().url(&path.replace("{id}", "x")));
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{method} {path}");
            assert_eq!(answer.headers()["content-type"], "application/problem+json");
            let problem: Value = answer.json().await.unwrap();
            assert_eq!(problem["code"], "unauthenticated");
            assert_ne!(problem["request_id"], "");
        }
    }
}

#[tokio::test]
async fn the_page_about_the_api_needs_nothing_from_elsewhere() {
    for path in ["/docs", "/docs/errors", "/openapi.json"] {
        let answer = client().get(app().url(path)).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        assert!(
            answer.headers()["content-security-policy"]
                .to_str()
                .unwrap()
                .starts_with("default-src 'self'")
        );
        let text = answer.text().await.unwrap();
        assert!(
            !text.contains("src=\"http") && !text.contains("href=\"http") && !text.contains("<script"),
            "{path}"
        );
    }
}

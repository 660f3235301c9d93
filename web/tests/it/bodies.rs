//! Bodies of changes: one object with its fields by name, and nothing that only could be read as one.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use trunkline_core::access::Role;

use crate::app::{app, client};
use crate::people::Somebody;

/// Operations with a body whose address is known without asking, and that a person of an organisation may ask for.
fn operations() -> Vec<(Method, String)> {
    let document: Value = serde_json::from_str(trunkline_web::api::documents::description_text()).unwrap();
    let mut found = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let plain = !path.contains('{') && !path.starts_with("/v1/platform");
            if plain && operation.get("requestBody").is_some() {
                found.push((method.to_uppercase().parse().unwrap(), path.clone()));
            }
        }
    }
    assert!(found.len() >= 11, "{found:?}");
    found
}

#[tokio::test]
async fn a_body_that_is_no_object_is_refused_everywhere_with_one_sentence() {
    let line = app().line().await;
    let owner = Somebody::with(&line, Role::Owner).await;
    for (method, path) in operations() {
        for body in [
            json!([]),
            json!([null, null]),
            json!(["a", "b", "c"]),
            json!(null),
            json!("x"),
            json!(1),
            json!([{}]),
        ] {
            let (status, _, problem) = owner.ask(method.clone(), &path, None, Some(body.clone())).await;
            assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{method} {path} {body}: {problem}");
            assert_eq!(problem["code"], "unprocessable", "{problem}");
            let detail = problem["detail"].as_str().unwrap();
            assert!(detail.contains("one JSON object"), "{method} {path} {body}: {detail}");
        }
        let request = client().request(method.clone(), app().url(&path)).header("cookie", &owner.cookie);
        let answer = request.header("content-type", "application/json").body("{").send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{method} {path}: no JSON");
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
    }
}

#[tokio::test]
async fn an_array_in_the_place_of_an_object_inside_is_refused_as_well() {
    let line = app().line().await;
    let owner = Somebody::with(&line, Role::Owner).await;
    let ana = Somebody::with(&line, Role::Viewer).await;
    let business = line.config.businesses(line.tenant, None).await.unwrap()[0].id.to_string();
    let path = format!("/v1/people/{}", ana.id);
    let (_, tag, _) = owner.ask(Method::GET, &path, None, None).await;
    for grants in [json!([[business, "viewer", []]]), json!([[business, "viewer"]]), json!([business])] {
        let (status, _, problem) = owner.ask(Method::PATCH, &path, Some(&tag), Some(json!({ "grants": grants }))).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains("not what is taken here"), "{problem}");
    }
    let draft = json!({ "email": "new@people.invalid", "name": "Eva", "grants": [[business, "viewer", []]] });
    let (status, _, problem) = owner.ask(Method::POST, "/v1/invitations", None, Some(draft)).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("expected struct"), "{problem}");
}

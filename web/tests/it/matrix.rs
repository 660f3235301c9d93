//! Every operation of the API asked by everybody (S-005, S-042): one table says who may what, and an operation that is missing in it
//! fails the test.

mod askers;
mod pages;
mod strangers;

use std::collections::BTreeMap;

use reqwest::{Method, StatusCode};
use serde_json::Value;
use trunkline_core::access::{Permission, Role};
use trunkline_core::audit::By;
use trunkline_stores::postgres::row::{NewBusiness, PersonState};
use trunkline_web::api::documents::description;

use self::askers::{Opens, askers, person};
use crate::app::{app, event, fresh, now};

use Opens::{Anybody, Everybody, Everywhere, People, Platform, Somewhere};

/// The expected answers, by operation.
const TABLE: &[(&str, Opens)] = &[
    ("getBoard", Somewhere(Permission::Live)),
    ("listLiveCalls", Somewhere(Permission::Live)),
    ("getLiveCall", Somewhere(Permission::Calls)),
    ("listCalls", Somewhere(Permission::Calls)),
    ("getCall", Somewhere(Permission::Calls)),
    ("listTurns", Somewhere(Permission::Calls)),
    ("listEvents", Somewhere(Permission::Calls)),
    ("listMetrics", Somewhere(Permission::Live)),
    ("listBusinesses", Somewhere(Permission::Live)),
    ("createBusiness", Everywhere(Permission::Businesses)),
    ("getBusiness", Somewhere(Permission::Live)),
    ("updateBusiness", Somewhere(Permission::Businesses)),
    ("listWorkspaces", Everywhere(Permission::Workspaces)),
    ("linkWorkspace", Everywhere(Permission::Workspaces)),
    ("getWorkspace", Everywhere(Permission::Workspaces)),
    ("updateWorkspace", Everywhere(Permission::Workspaces)),
    ("getWorkspaceActivity", Everywhere(Permission::Workspaces)),
    ("listWorkspaceAgents", Everywhere(Permission::Workspaces)),
    ("mapAgent", Everywhere(Permission::Workspaces)),
    ("unmapAgent", Everywhere(Permission::Workspaces)),
    ("addSigningKey", Everywhere(Permission::Workspaces)),
    ("removeSigningKey", Everywhere(Permission::Workspaces)),
    ("getCompleteness", Somewhere(Permission::Live)),
    ("listSetAside", Everywhere(Permission::Operate)),
    ("listReceived", Everywhere(Permission::Operate)),
    ("getUsage", Somewhere(Permission::Usage)),
    ("listWebhookEndpoints", Everywhere(Permission::Webhooks)),
    ("createWebhookEndpoint", Everywhere(Permission::Webhooks)),
    ("getWebhookEndpoint", Everywhere(Permission::Webhooks)),
    ("updateWebhookEndpoint", Everywhere(Permission::Webhooks)),
    ("deleteWebhookEndpoint", Everywhere(Permission::Webhooks)),
    ("rotateWebhookSecret", Everywhere(Permission::Webhooks)),
    ("stream", Somewhere(Permission::Live)),
    ("listPeople", Everywhere(Permission::People)),
    ("getPerson", Everywhere(Permission::People)),
    ("updatePerson", Everywhere(Permission::People)),
    ("removePerson", Everywhere(Permission::People)),
    ("endSessions", Everywhere(Permission::People)),
    ("listInvitations", Everywhere(Permission::People)),
    ("createInvitation", Everywhere(Permission::People)),
    ("getInvitation", Everywhere(Permission::People)),
    ("resendInvitation", Everywhere(Permission::People)),
    ("revokeInvitation", Everywhere(Permission::People)),
    ("listApiKeys", Everywhere(Permission::Keys)),
    ("createApiKey", Everywhere(Permission::Keys)),
    ("getApiKey", Everywhere(Permission::Keys)),
    ("revokeApiKey", Everywhere(Permission::Keys)),
    ("listAuditEntries", Everywhere(Permission::Audit)),
    ("listTvLinks", Somewhere(Permission::Links)),
    ("createTvLink", Somewhere(Permission::Links)),
    ("getTvLink", Somewhere(Permission::Links)),
    ("revokeTvLink", Somewhere(Permission::Links)),
    ("getPlatformOverview", Platform),
    ("listOrganisations", Platform),
    ("createOrganisation", Platform),
    ("getOrganisation", Platform),
    ("updateOrganisation", Platform),
    ("openOrganisation", Platform),
    ("closeOpening", Platform),
    ("listPlatformAuditEntries", Platform),
    ("getOwnOrganisation", Everywhere(Permission::Organisation)),
    ("updateOwnOrganisation", Everywhere(Permission::Organisation)),
    ("listPermissions", Everybody),
    ("getMe", Everybody),
    ("updateMe", People),
    ("changeMyPassword", People),
    ("getSingleSignOn", Everywhere(Permission::Organisation)),
    ("setSingleSignOn", Everywhere(Permission::Organisation)),
    ("checkSingleSignOnDomains", Everywhere(Permission::Organisation)),
    ("removeSingleSignOn", Everywhere(Permission::Organisation)),
    ("createTokens", Anybody),
    ("refreshTokens", Anybody),
    ("revokeTokens", Anybody),
    ("getTokenKeys", Anybody),
];

/// One operation of the description.
pub struct Operation {
    pub id: String,
    pub method: Method,
    pub path: String,
}

pub fn operations() -> Vec<Operation> {
    let description = description();
    let paths = description["paths"].as_object().unwrap();
    let of = |path: &str, methods: &Value| {
        let methods = methods.as_object().unwrap().clone();
        let path = path.to_owned();
        methods.into_iter().map(move |(method, operation)| Operation {
            id: operation["operationId"].as_str().unwrap().to_owned(),
            method: method.to_uppercase().parse().unwrap(),
            path: path.clone(),
        })
    };
    paths.iter().flat_map(|(path, methods)| of(path, methods)).collect()
}

#[test]
fn s042_every_operation_has_an_expectation_and_none_is_about_nothing() {
    let table: BTreeMap<&str, Opens> = TABLE.iter().copied().collect();
    assert_eq!(table.len(), TABLE.len(), "each once");
    let there: Vec<String> = operations().into_iter().map(|operation| operation.id).collect();
    let missing: Vec<&String> = there.iter().filter(|id| !table.contains_key(id.as_str())).collect();
    assert!(missing.is_empty(), "say in TABLE who may ask for {missing:?}");
    let surplus: Vec<&&str> = table.keys().filter(|id| !there.iter().any(|there| there == **id)).collect();
    assert!(surplus.is_empty(), "TABLE knows operations that there are not: {surplus:?}");
}

#[tokio::test]
async fn s005_s006_every_operation_answers_everybody_as_the_table_says() {
    let line = app().line().await;
    let business = line
        .config
        .create_business(line.tenant, &By::system(), &NewBusiness::plain("Ours", "UTC"))
        .await
        .unwrap();
    let table: BTreeMap<&str, Opens> = TABLE.iter().copied().collect();
    let mut wrong = Vec::new();
    let mut asked = 0;
    for asker in askers(&line, business).await {
        for operation in operations() {
            let opens = table[operation.id.as_str()];
            // What is open stays open until everything was asked.
            if operation.id == "closeOpening" && asker.platform {
                continue;
            }
            // A business is shown by who sees it, so there has to be one; everything else is asked for before it is looked for.
            let id = match operation.path.starts_with("/v1/businesses/") {
                true => business.to_string(),
                false => "x".to_owned(),
            };
            let (status, body) = asker.ask(&operation, &operation.path.replace("{id}", &id)).await;
            let as_expected = match asker.may(opens) {
                None => status == StatusCode::UNAUTHORIZED,
                Some(false) => status == StatusCode::FORBIDDEN,
                Some(true) => !status.is_server_error() && !matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN),
            };
            asked += 1;
            if !as_expected {
                wrong.push(format!("{} asks {}: {status} {body}", asker.what, operation.id));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {asked}: {wrong:#?}", wrong.len());
    assert!(asked >= 14 * TABLE.len());
}

#[tokio::test]
async fn s001_s003_the_owner_of_another_organisation_finds_nothing_and_changes_nothing() {
    let (line, other) = (app().line().await, app().line().await);
    let secret = fresh("Hidden Shop");
    let business = line
        .config
        .create_business(line.tenant, &By::system(), &NewBusiness::plain(&secret, "UTC"))
        .await
        .unwrap();
    let call = fresh("hidden");
    line.keep(&event("call_started", &call)).await;
    let askers = askers(&line, business).await;
    let user = line
        .config
        .users(line.tenant, trunkline_stores::postgres::row::Span::first(1))
        .await
        .unwrap()[0]
        .clone();
    let key = line
        .config
        .api_keys(line.tenant, trunkline_stores::postgres::row::Span::first(1))
        .await
        .unwrap()[0]
        .clone();
    drop(askers);
    let stranger = person(
        &other,
        "the owner of another organisation",
        PersonState {
            role: Some(Role::Owner),
            grants: Vec::new(),
            disabled: false,
        },
    )
    .await;
    let ids = [
        call.clone(),
        business.to_string(),
        user.id.to_string(),
        key.id.to_string(),
        line.workspace.to_string(),
    ];
    for operation in operations() {
        if !operation.path.contains("{id}") {
            let (_, body) = stranger.ask(&operation, &operation.path).await;
            for ours in ids.iter().chain([&secret, &user.email]) {
                assert!(!body.contains(ours.as_str()), "{} shows {ours}", operation.id);
            }
            continue;
        }
        for id in &ids {
            let (status, _) = stranger.ask(&operation, &operation.path.replace("{id}", id)).await;
            let expected = match operation.path.starts_with("/v1/platform/") {
                true => StatusCode::FORBIDDEN,
                false => StatusCode::NOT_FOUND,
            };
            assert_eq!(status, expected, "{} of {id}", operation.id);
        }
    }
    let after = line.config.user(line.tenant, user.id).await.unwrap().unwrap();
    assert_eq!((after.state, after.sessions), (user.state, user.sessions), "unchanged");
    assert!(line.config.api_key(line.tenant, key.id).await.unwrap().unwrap().holds(now()));
}

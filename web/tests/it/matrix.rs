//! Every operation of the API asked by everybody (S-005, S-042): one table says who may what, and an operation that is missing in it
//! fails the test.

use std::collections::BTreeMap;

use reqwest::{Method, StatusCode};
use secrecy::SecretString;
use serde_json::{Value, json};
use trunkline_core::access::{Access, Agents, Grant, Permission, Role};
use trunkline_core::audit::By;
use trunkline_core::id::BusinessId;
use trunkline_core::instant::Millis;
use trunkline_core::platform;
use trunkline_stores::postgres::row::{NewBusiness, NewUser, PersonState};
use trunkline_web::api::documents::description;
use trunkline_web::identity::{key, password::Passwords};

use crate::app::{Line, app, client, event, fresh, now};
use crate::identity::{PASSWORD, cookie, enter};
use crate::platform::Admin;
use crate::tokens::signed_in;

/// Who may ask for an operation at all; what they then see of it is for other tests.
#[derive(Debug, Clone, Copy)]
enum Opens {
    /// Whoever asks: credentials are what is given out there, or nothing there is secret.
    Anybody,
    /// Whoever has a credential.
    Everybody,
    /// People, not programs.
    People,
    /// Whoever has the permission in at least one business.
    Somewhere(Permission),
    /// Whoever has the permission everywhere.
    Everywhere(Permission),
    /// Whoever runs the platform.
    Platform,
}

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
    ("removeSingleSignOn", Everywhere(Permission::Organisation)),
    ("createTokens", Anybody),
    ("refreshTokens", Anybody),
    ("revokeTokens", Anybody),
    ("getTokenKeys", Anybody),
];

/// One operation of the description.
struct Operation {
    id: String,
    method: Method,
    path: String,
}

fn operations() -> Vec<Operation> {
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

/// Somebody who asks.
struct Asker {
    what: String,
    header: Option<(&'static str, String)>,
    /// What they may do; none for those who are nobody.
    access: Option<Access>,
    person: bool,
    platform: bool,
    client: reqwest::Client,
}

impl Asker {
    fn may(&self, opens: Opens) -> Option<bool> {
        if matches!(opens, Anybody) {
            return Some(true);
        }
        let access = self.access.as_ref()?;
        Some(match opens {
            Anybody | Everybody => true,
            People => self.person,
            Somewhere(permission) => access.may_somewhere(permission),
            Everywhere(permission) => access.may(permission),
            Platform => self.platform,
        })
    }

    /// Asks with an empty object; gives the status and, but for the endless stream, the body.
    async fn ask(&self, operation: &Operation, path: &str) -> (StatusCode, String) {
        let query = if operation.id == "stream" { "?topics=board" } else { "" };
        let mut request = self.client.request(operation.method.clone(), app().url(&format!("{path}{query}")));
        if let Some((name, value)) = &self.header {
            request = request.header(*name, value);
        }
        if operation.method != Method::GET {
            request = request
                .header("if-match", "*")
                .header("content-type", "application/json")
                .body("{}");
        }
        let answer = request.send().await.unwrap();
        let status = answer.status();
        if operation.id == "stream" && status == StatusCode::OK {
            return (status, String::new());
        }
        (status, answer.text().await.unwrap())
    }
}

async fn person(line: &Line, what: &str, state: PersonState) -> Asker {
    let email = format!("{}@people.invalid", fresh("p"));
    let passwords = Passwords::new(1).unwrap();
    let password_hash = passwords.hash(&SecretString::from(PASSWORD.to_owned())).await.unwrap();
    let new = NewUser {
        email: email.clone(),
        name: "Ana".to_owned(),
        role: state.role,
        grants: state.grants.clone(),
        password_hash,
    };
    line.config.create_user(line.tenant, &By::system(), &new).await.unwrap();
    Asker {
        what: what.to_owned(),
        header: Some(("cookie", cookie(&enter(&email, PASSWORD, &[]).await).unwrap())),
        access: Some(Access::of_person(state.role, &state.grants)),
        person: true,
        platform: false,
        client: client(),
    }
}

async fn program(line: &Line, what: &str, scopes: &[Permission], businesses: &[BusinessId], lives: bool) -> Asker {
    let permissions = scopes.iter().copied().collect();
    let wanted = key::Wanted {
        businesses: businesses.to_vec(),
        ..key::Wanted::everywhere(what, permissions)
    };
    let (_, text) = key::create(&line.config, line.tenant, &By::system(), wanted).await.unwrap();
    Asker {
        what: what.to_owned(),
        header: Some(("authorization", format!("Bearer {text}"))),
        access: lives.then(|| Access::of_program(permissions, businesses)),
        person: false,
        platform: false,
        client: client(),
    }
}

/// Somebody with an access token; one that lives no more is nobody's.
async fn with_tokens(line: &Line, what: &str, role: Role, lives: bool) -> Asker {
    let (_, tokens) = signed_in(line, role).await;
    if !lives {
        let revoke = client().post(app().url("/v1/tokens/revoke"));
        let answer = revoke
            .json(&json!({ "refresh_token": tokens["refresh_token"] }))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    }
    Asker {
        what: what.to_owned(),
        header: Some(("authorization", format!("Bearer {}", tokens["access_token"].as_str().unwrap()))),
        access: lives.then(|| Access::of_person(Some(role), &[])),
        person: true,
        platform: false,
        client: client(),
    }
}

/// Everybody who asks in the organisation of `line`.
async fn askers(line: &Line, business: BusinessId) -> Vec<Asker> {
    let everywhere = |role: Role| PersonState {
        role: Some(role),
        grants: Vec::new(),
        disabled: false,
    };
    let within = |role: Role| PersonState {
        role: None,
        disabled: false,
        grants: vec![Grant {
            business,
            role,
            agents: Agents::All,
        }],
    };
    let mut all = vec![Asker {
        what: "nobody".to_owned(),
        header: None,
        access: None,
        person: false,
        platform: false,
        client: client(),
    }];
    for role in Role::ALL {
        all.push(person(line, &format!("{role:?}"), everywhere(role)).await);
    }
    for role in [Role::Owner, Role::Supervisor] {
        all.push(with_tokens(line, &format!("{role:?} with an access token"), role, true).await);
    }
    all.push(with_tokens(line, "an access token whose session has ended", Role::Owner, false).await);
    for role in [Role::Owner, Role::Viewer] {
        all.push(person(line, &format!("{role:?} of a business"), within(role)).await);
    }
    all.push(program(line, "a program with everything", &Permission::ALL, &[], true).await);
    all.push(program(line, "a program with little", &[Permission::Links], &[], true).await);
    all.push(program(line, "a program of a business", &Permission::ALL, &[business], true).await);
    let revoked = program(line, "a program that was revoked", &Permission::ALL, &[], false).await;
    for listed in line
        .config
        .api_keys(line.tenant, trunkline_stores::postgres::row::Span::first(100))
        .await
        .unwrap()
    {
        if listed.name == revoked.what {
            line.config.revoke_api_key(line.tenant, &By::system(), listed.id).await.unwrap();
        }
    }
    // Those who run the platform: with nothing open, and with this organisation open.
    for opened in [false, true] {
        let admin = Admin::new(&line.config).await;
        if opened {
            let (status, _) = admin.open(line, "to see what is open then", 0).await;
            assert_eq!(status, StatusCode::CREATED);
        }
        all.push(Asker {
            what: format!("the platform, opened: {opened}"),
            header: Some(("cookie", admin.cookie)),
            access: Some(if opened { platform::opened() } else { Access::default() }),
            person: true,
            platform: true,
            client: client(),
        });
    }
    all.push(revoked);
    let expired = key::Wanted {
        expires_at: Some(Millis(now().0 - 1_000)),
        ..key::Wanted::everywhere("expired", Permission::ALL.into_iter().collect())
    };
    let (_, text) = key::create(&line.config, line.tenant, &By::system(), expired).await.unwrap();
    all.push(Asker {
        what: "a program that has expired".to_owned(),
        header: Some(("authorization", format!("Bearer {text}"))),
        access: None,
        person: false,
        platform: false,
        client: client(),
    });
    all
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

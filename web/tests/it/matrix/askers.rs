//! Everybody who asks: each role everywhere and within a business, programs, tokens, those whose credential holds no more, nobody, and
//! whoever runs the platform.

use reqwest::{Client, Method, RequestBuilder, StatusCode};
use secrecy::SecretString;
use serde_json::json;
use trunkline_core::access::{Access, Agents, Grant, Permission, Role};
use trunkline_core::audit::By;
use trunkline_core::id::BusinessId;
use trunkline_core::instant::Millis;
use trunkline_core::platform;
use trunkline_stores::postgres::row::{NewUser, PersonState};
use trunkline_web::identity::{key, password::Passwords};

use super::Operation;
use crate::app::{Line, app, browser, client, fresh, now};
use crate::identity::{PASSWORD, cookie, enter};
use crate::platform::Admin;
use crate::tokens::signed_in;

/// Who may ask for an operation at all; what they then see of it is for other tests.
#[derive(Debug, Clone, Copy)]
pub enum Opens {
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

/// Somebody who asks.
pub struct Asker {
    pub what: String,
    pub header: Option<(&'static str, String)>,
    /// What they may do; none for those who are nobody.
    pub access: Option<Access>,
    pub person: bool,
    pub platform: bool,
    client: Client,
}

impl Asker {
    pub fn may(&self, opens: Opens) -> Option<bool> {
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

    /// A request with their credential.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, app().url(path));
        match &self.header {
            Some((name, value)) => request.header(*name, value),
            None => request,
        }
    }

    /// Asks with an empty object; gives the status and, but for the endless stream, the body.
    pub async fn ask(&self, operation: &Operation, path: &str) -> (StatusCode, String) {
        let query = if operation.id == "stream" { "?topics=board" } else { "" };
        let mut request = self.request(operation.method.clone(), &format!("{path}{query}"));
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

/// Somebody of this name whose address begins so.
pub async fn email_of_somebody(line: &Line, name: &str, begins: &str) -> String {
    let email = format!("{begins}.{}@people.invalid", fresh("p"));
    let new = NewUser {
        email: email.clone(),
        name: name.to_owned(),
        role: Some(Role::Analyst),
        grants: Vec::new(),
        password_hash: Passwords::new(1)
            .unwrap()
            .hash(&SecretString::from(PASSWORD.to_owned()))
            .await
            .unwrap(),
    };
    line.config.create_user(line.tenant, &By::system(), &new).await.unwrap();
    email
}

pub async fn person(line: &Line, what: &str, state: PersonState) -> Asker {
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
        client: browser(),
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
        client: browser(),
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
        client: browser(),
    }
}

/// Everybody who asks in the organisation of `line`.
pub async fn askers(line: &Line, business: BusinessId) -> Vec<Asker> {
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
        client: browser(),
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
            client: browser(),
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
        client: browser(),
    });
    all
}

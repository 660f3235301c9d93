//! Roles in businesses, and the record of who changed them.

use std::collections::BTreeSet;
use std::sync::Arc;

use trunkline_core::access::{Agents, Grant, Role};
use trunkline_core::audit::{By, Deed};
use trunkline_core::id::{BusinessId, TenantId, UserId};
use trunkline_core::instant::Millis;
use trunkline_stores::postgres::row::{NewBusiness, NewSession, NewUser, PersonState};
use trunkline_stores::postgres::{Config, PostgresError};

use crate::{schema, server};

fn person(grants: Vec<Grant>) -> NewUser {
    NewUser {
        email: "ana@acme.example".to_owned(),
        name: "Ana".to_owned(),
        role: None,
        grants,
        password_hash: "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2g".to_owned().into(),
    }
}

fn grant(business: BusinessId, role: Role, agents: &[&str]) -> Grant {
    let agents: BTreeSet<Arc<str>> = agents.iter().map(|agent| Arc::from(*agent)).collect();
    Grant {
        business,
        role,
        agents: if agents.is_empty() { Agents::All } else { Agents::Only(agents) },
    }
}

fn state(role: Option<Role>, grants: Vec<Grant>) -> PersonState {
    PersonState {
        role,
        grants,
        disabled: false,
    }
}

async fn session(config: &Config, tenant: TenantId, user: UserId) -> (Option<Role>, Vec<Grant>) {
    let found = config.session_access(&[1; 32], Millis(10)).await.unwrap().unwrap();
    assert_eq!((found.row.tenant, found.row.user), (tenant, user));
    (found.row.role, found.row.grants)
}

#[tokio::test]
async fn a_person_has_the_roles_that_were_given_last() {
    let config = server::config().await;
    let acme = config.ensure_organisation("Acme").await.unwrap();
    let bolt = config.ensure_organisation("Bolt").await.unwrap();
    let first = config
        .create_business(acme, &By::operator(), &NewBusiness::plain("One", "UTC"))
        .await
        .unwrap();
    let second = config
        .create_business(acme, &By::operator(), &NewBusiness::plain("Two", "UTC"))
        .await
        .unwrap();
    let theirs = config
        .create_business(bolt, &By::operator(), &NewBusiness::plain("Theirs", "UTC"))
        .await
        .unwrap();
    let begin = vec![
        grant(first, Role::Analyst, &["agent_b", "agent_a"]),
        grant(second, Role::Viewer, &[]),
    ];
    let user = config.create_user(acme, &By::operator(), &person(begin.clone())).await.unwrap();
    let new = NewSession {
        user,
        token_hash: [1; 32],
        created_at: Millis(0),
        expires_at: Millis(1_000),
        idle_ms: 1_000,
        source: String::new(),
        device: String::new(),
    };
    config.create_session(acme, &By::system(), &new).await.unwrap();
    assert_eq!(session(&config, acme, user).await, (None, begin.clone()));

    let then = vec![grant(second, Role::Supervisor, &["agent_c"])];
    let by = By::operator();
    let (was, now) = (state(None, begin), state(Some(Role::Viewer), then.clone()));
    config.change_person(acme, &by, user, &was, &now).await.unwrap();
    assert_eq!(session(&config, acme, user).await, (Some(Role::Viewer), then.clone()));
    assert_eq!(config.user(acme, user).await.unwrap().unwrap().state, now);

    let stale = config.change_person(acme, &by, user, &was, &state(None, Vec::new())).await;
    assert!(matches!(stale, Err(PostgresError::Changed { .. })), "{stale:?}");
    let reaching = state(None, vec![grant(theirs, Role::Owner, &[])]);
    let foreign = config.change_person(acme, &by, user, &now, &reaching).await;
    assert!(matches!(foreign, Err(PostgresError::Missing { .. })), "{foreign:?}");
    let stranger = config
        .change_person(bolt, &by, user, &now, &state(Some(Role::Owner), Vec::new()))
        .await;
    assert!(matches!(stranger, Err(PostgresError::Missing { .. })), "{stranger:?}");
    assert_eq!(session(&config, acme, user).await, (Some(Role::Viewer), then), "nothing half done");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s134_deeds_are_never_changed_and_the_chain_has_no_gap() {
    let options = server::database().await;
    let config = server::config_of(&options).await;
    let acme = config.ensure_organisation("Acme").await.unwrap();
    let by = By::operator();
    let many = (0..40).map(|n| {
        let (config, by) = (config.clone(), by.clone());
        async move { config.note_deed(acme, &by, &Deed::plain("call.view", "call", n)).await }
    });
    for outcome in futures::future::join_all(many).await {
        outcome.unwrap();
    }
    let user = config.create_user(acme, &by, &person(Vec::new())).await.unwrap();
    let taken = config.create_user(acme, &by, &person(Vec::new())).await;
    assert!(
        matches!(taken, Err(PostgresError::Taken { .. })),
        "a change that failed leaves no entry"
    );
    let (was, now) = (state(None, Vec::new()), state(Some(Role::Owner), Vec::new()));
    config.change_person(acme, &by, user, &was, &now).await.unwrap();
    assert_eq!(config.verify_deeds(acme).await.unwrap(), Ok(42));

    let owner = schema::owner(&options).await;
    let refused = owner
        .execute("UPDATE audit_entries SET actor_name = 'Mallory' WHERE number = 7", &[])
        .await;
    assert!(refused.is_err(), "not even the owner, just like that");
    owner
        .batch_execute("ALTER TABLE audit_entries DISABLE TRIGGER append_only; ALTER TABLE audit_entries NO FORCE ROW LEVEL SECURITY;")
        .await
        .unwrap();
    let changed = owner
        .execute("UPDATE audit_entries SET actor_name = 'Mallory' WHERE number = 7", &[])
        .await;
    assert_eq!(changed.unwrap(), 1);
    let broken = config.verify_deeds(acme).await.unwrap();
    assert_eq!(broken, Err(trunkline_core::audit::Broken::Changed { number: 7 }));
}

#[tokio::test]
async fn s139_a_change_whose_entry_cannot_be_written_is_not_made() {
    let options = server::database().await;
    let config = server::config_of(&options).await;
    let acme = config.ensure_organisation("Acme").await.unwrap();
    let owner = schema::owner(&options).await;
    owner
        .batch_execute("REVOKE INSERT ON audit_entries FROM trunkline_app")
        .await
        .unwrap();
    let made = config.create_user(acme, &By::operator(), &person(Vec::new())).await;
    assert!(made.is_err(), "{made:?}");
    assert!(
        config
            .users(acme, trunkline_stores::postgres::row::Span::first(1))
            .await
            .unwrap()
            .is_empty()
    );
    owner.batch_execute("GRANT INSERT ON audit_entries TO trunkline_app").await.unwrap();
    config.create_user(acme, &By::operator(), &person(Vec::new())).await.unwrap();
    assert_eq!(config.verify_deeds(acme).await.unwrap(), Ok(1), "and the chain has no gap");
}

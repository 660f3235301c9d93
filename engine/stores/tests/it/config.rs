//! The configuration store: tenants apart, questions before a tenant is known, and the directory in memory.

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use tokio_util::sync::CancellationToken;
use trunkline_core::access::Role;
use trunkline_core::audit::By;
use trunkline_core::id::{BusinessId, TenantId, UserId, WorkspaceId};
use trunkline_core::instant::Millis;
use trunkline_stores::postgres::row::{NewApiKey, NewBusiness, NewSession, NewUser, NewWorkspace, Sighting, Span, Workspace};
use trunkline_stores::postgres::{Config, Database, PostgresError, PostgresOptions};

use crate::server;

fn user(email: &str) -> NewUser {
    let hash = SecretString::from("$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaA");
    NewUser {
        email: email.into(),
        name: "Ana".into(),
        role: Some(Role::Supervisor),
        grants: Vec::new(),
        password_hash: hash,
    }
}

fn workspace(token: &str) -> NewWorkspace {
    NewWorkspace {
        name: "Main".into(),
        token: token.into(),
        signing_keys: vec![SecretString::from("key_one"), SecretString::from("key_two")],
        api_key: Some(SecretString::from("api_key")),
        zone: "Europe/Madrid".into(),
    }
}

fn seen<'a>(workspace: WorkspaceId, kind: &'a str, subject: &'a str, times: u64, at: i64) -> Sighting<'a> {
    Sighting {
        workspace,
        kind,
        subject,
        times,
        at: Millis(at),
    }
}

/// Changes a workspace that nobody else changes meanwhile.
async fn change(config: &Config, tenant: TenantId, id: WorkspaceId, with: impl FnOnce(&mut Workspace)) -> Result<(), PostgresError> {
    let before = config.workspaces(tenant, Some(id)).await?.remove(0);
    let mut after = before.clone();
    with(&mut after);
    config.change_workspace(tenant, &By::operator(), &before, &after).await
}

async fn two_tenants(config: &Config) -> (TenantId, TenantId) {
    (
        config.ensure_organisation("Acme").await.unwrap(),
        config.ensure_organisation("Bolt").await.unwrap(),
    )
}

#[tokio::test]
async fn an_organisation_is_made_once_also_by_many_at_once() {
    let config = server::config().await;
    let all = futures::future::join_all((0..6).map(|_| config.ensure_organisation("Acme"))).await;
    let ids: std::collections::BTreeSet<TenantId> = all.into_iter().map(Result::unwrap).collect();
    assert_eq!(ids.len(), 1);
    config.ensure_organisation("Bolt").await.unwrap();
    let names: Vec<String> = config
        .organisations()
        .await
        .unwrap()
        .into_iter()
        .map(|organisation| organisation.name)
        .collect();
    assert_eq!(names, ["Acme", "Bolt"]);
}

#[tokio::test]
async fn one_tenant_sees_and_changes_nothing_of_another() {
    let config = server::config().await;
    let (acme, bolt) = two_tenants(&config).await;
    let theirs = config
        .create_business(bolt, &By::operator(), &NewBusiness::plain("Theirs", "Asia/Tokyo"))
        .await
        .unwrap();
    config.create_user(bolt, &By::operator(), &user("bo@bolt.example")).await.unwrap();
    let key = config
        .create_workspace(bolt, &By::operator(), &workspace("token-of-bolt-0000"))
        .await
        .unwrap();
    config.map_agent(bolt, &By::operator(), "agent_1", theirs, "One").await.unwrap();

    assert_eq!(config.businesses(acme, None).await.unwrap(), []);
    assert!(config.users(acme, Span::first(10)).await.unwrap().is_empty());
    assert!(config.workspaces(acme, None).await.unwrap().is_empty());
    assert_eq!(config.agents(acme).await.unwrap(), []);
    assert!(config.workspaces(acme, Some(key)).await.unwrap().is_empty());
    let of_bolt = config.workspaces(bolt, Some(key)).await.unwrap().remove(0);
    let theirs_as_it_is = config.businesses(bolt, Some(theirs)).await.unwrap().remove(0);
    let missing = |outcome: Result<(), PostgresError>| assert!(matches!(outcome, Err(PostgresError::Missing { .. })), "{outcome:?}");
    let mine = NewBusiness::plain("Mine", "UTC");
    missing(config.change_business(acme, &By::operator(), &theirs_as_it_is, &mine).await);
    let forged = Workspace {
        enabled: false,
        signing_keys: vec![SecretString::from("forged")],
        ..of_bolt.clone()
    };
    missing(config.change_workspace(acme, &By::operator(), &of_bolt, &forged).await);
    missing(config.unmap_agent(acme, &By::operator(), "agent_1").await);
    // A row that points to another tenant's row: foreign keys do not ask row-level security, so they name the tenant.
    missing(config.map_agent(acme, &By::operator(), "agent_2", theirs, "").await);
    missing(config.note(acme, &seen(key, "unmapped_agent", "agent_9", 1, 1)).await);

    assert_eq!(config.businesses(bolt, None).await.unwrap().len(), 2, "its own and Unassigned");
    let kept = config.workspaces(bolt, Some(key)).await.unwrap().remove(0);
    assert!(kept.same(&of_bolt) && kept.token == "token-of-bolt-0000");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s030_a_connection_forgets_its_tenant() {
    let options = PostgresOptions {
        pool_size: 1,
        ..server::database().await
    };
    let config = server::config_of(&options).await;
    let (acme, bolt) = two_tenants(&config).await;
    config
        .create_business(acme, &By::operator(), &NewBusiness::plain("Of Acme", "UTC"))
        .await
        .unwrap();
    config
        .create_business(bolt, &By::operator(), &NewBusiness::plain("Of Bolt", "UTC"))
        .await
        .unwrap();
    for round in 0..300_u64 {
        let (tenant, name) = if round % 2 == 0 { (acme, "Of Acme") } else { (bolt, "Of Bolt") };
        // Some callers go away in the middle; the next borrower must not inherit anything.
        let _ = tokio::time::timeout(Duration::from_micros(round * 7), config.businesses(tenant, None)).await;
        let other = if round % 3 == 0 { acme } else { tenant };
        let expected = if other == acme { "Of Acme" } else { name };
        let found = config.businesses(other, None).await.unwrap();
        assert_eq!(found.iter().map(|business| business.name.as_str()).collect::<Vec<_>>(), [expected]);
    }
}

#[tokio::test]
async fn people_are_found_by_address_whatever_its_case() {
    let config = server::config().await;
    let (acme, bolt) = two_tenants(&config).await;
    let id = config
        .create_user(acme, &By::operator(), &user(" Ana@Acme.example "))
        .await
        .unwrap();
    let found = config.user_by_email("ANA@acme.EXAMPLE").await.unwrap().unwrap();
    assert_eq!(
        (found.tenant, found.id, found.email.as_str(), found.role),
        (acme, id, "ana@acme.example", Some(Role::Supervisor))
    );
    assert!(found.password_hash.expose_secret().starts_with("$argon2id$"));
    assert!(!format!("{found:?}").contains("argon2id"), "hashes are not for logs");
    assert!(config.user_by_email("nobody@acme.example").await.unwrap().is_none());
    let taken = config.create_user(bolt, &By::operator(), &user("ana@acme.example")).await;
    assert!(matches!(taken, Err(PostgresError::Taken { .. })));
    assert!(!taken.unwrap_err().to_string().contains("acme.example"), "errors hold no values");
    let weak = NewUser {
        password_hash: SecretString::from("plain"),
        ..user("b@acme.example")
    };
    assert!(matches!(
        config.create_user(acme, &By::operator(), &weak).await,
        Err(PostgresError::Refused { .. })
    ));
}

#[tokio::test]
async fn s123_sessions_end_by_time_by_silence_and_by_hand() {
    let config = server::config().await;
    let (acme, bolt) = two_tenants(&config).await;
    let user_id = config.create_user(acme, &By::operator(), &user("ana@acme.example")).await.unwrap();
    let session = |byte: u8| NewSession {
        user: user_id,
        token_hash: [byte; 32],
        created_at: Millis(0),
        expires_at: Millis(100_000_000),
        idle_ms: 1_000_000,
        source: String::new(),
        device: String::new(),
    };
    for byte in 1..=4 {
        config.create_session(acme, &By::system(), &session(byte)).await.unwrap();
    }
    let stranger = NewSession {
        user: UserId(uuid::Uuid::nil()),
        token_hash: [9; 32],
        ..session(9)
    };
    assert!(matches!(
        config.create_session(bolt, &By::system(), &stranger).await,
        Err(PostgresError::Missing { .. })
    ));

    let found = config.session_access(&[1; 32], Millis(900_000)).await.unwrap().unwrap().row;
    assert_eq!((found.tenant, found.user, found.role), (acme, user_id, Some(Role::Supervisor)));
    // Seen at 900 s, so still alive at 1,800 s; the second, not seen since 0, is not.
    assert!(config.session_access(&[1; 32], Millis(1_800_000)).await.unwrap().is_some());
    assert!(config.session_access(&[2; 32], Millis(1_800_000)).await.unwrap().is_none());
    assert!(config.session_access(&[7; 32], Millis(1)).await.unwrap().is_none());
    config.end_session(acme, &By::system(), user_id, &[1; 32]).await.unwrap();
    assert!(config.session_access(&[1; 32], Millis(1_800_001)).await.unwrap().is_none());
    config.end_session(acme, &By::system(), user_id, &[1; 32]).await.unwrap();
    // The second was deleted when it was found to have run out.
    assert_eq!(config.forget_dead_sessions(Millis(1_800_001)).await.unwrap(), 2);
    config.create_session(acme, &By::system(), &session(5)).await.unwrap();
    config.create_session(acme, &By::system(), &session(8)).await.unwrap();
    let hash = SecretString::from("$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$b3RoZXI");
    config
        .set_password(acme, &By::operator(), user_id, &hash, Some(&[8; 32]))
        .await
        .unwrap();
    assert!(
        config.session_access(&[5; 32], Millis(1)).await.unwrap().is_none(),
        "a new password ends all sessions"
    );
    assert!(
        config.session_access(&[8; 32], Millis(1)).await.unwrap().is_some(),
        "but the one it was set in"
    );
    config.create_session(acme, &By::system(), &session(6)).await.unwrap();
    assert!(config.session_access(&[6; 32], Millis(100_000_000)).await.unwrap().is_none());
    // The sixth was deleted as well when it was found to have run out (S-149).
    assert_eq!(config.end_sessions_of(acme, &By::operator(), user_id).await.unwrap(), 1);
}

#[tokio::test]
async fn api_keys_are_known_by_their_hash_until_revoked() {
    let config = server::config().await;
    let (acme, bolt) = two_tenants(&config).await;
    let new = NewApiKey {
        name: "export".into(),
        key_hash: [3; 32],
        last_four: "wxyz".into(),
        scopes: vec!["calls:read".into(), "live:read".into()],
        businesses: Vec::new(),
        expires_at: Some(Millis(1_000)),
        created_by: None,
    };
    let id = config.create_api_key(acme, &By::operator(), &new).await.unwrap();
    let found = config.api_key_access(&[3; 32], Millis(5)).await.unwrap().unwrap();
    assert_eq!((found.tenant, found.id, found.scopes), (acme, id, new.scopes.clone()));
    assert!(config.api_key_access(&[4; 32], Millis(5)).await.unwrap().is_none());
    assert!(
        config.api_key_access(&[3; 32], Millis(1_000)).await.unwrap().is_none(),
        "it has expired"
    );
    assert!(matches!(
        config.revoke_api_key(bolt, &By::operator(), id).await,
        Err(PostgresError::Missing { .. })
    ));
    config.revoke_api_key(acme, &By::operator(), id).await.unwrap();
    assert!(config.api_key_access(&[3; 32], Millis(5)).await.unwrap().is_none());
    assert!(config.api_key(acme, id).await.unwrap().unwrap().revoked_at.is_some());
}

#[tokio::test]
async fn what_cannot_be_true_is_refused() {
    let config = server::config().await;
    let (acme, _) = two_tenants(&config).await;
    let refused = |outcome: Result<BusinessId, PostgresError>| assert!(matches!(outcome, Err(PostgresError::Refused { .. })));
    refused(
        config
            .create_business(acme, &By::operator(), &NewBusiness::plain("Shop", "Mars/Olympus"))
            .await,
    );
    refused(
        config
            .create_business(
                acme,
                &By::operator(),
                &NewBusiness {
                    day_start_minute: 1_440,
                    ..NewBusiness::plain("Shop", "UTC")
                },
            )
            .await,
    );
    refused(
        config
            .create_business(
                acme,
                &By::operator(),
                &NewBusiness {
                    concurrency_limit: Some(0),
                    ..NewBusiness::plain("Shop", "UTC")
                },
            )
            .await,
    );
    refused(config.create_business(acme, &By::operator(), &NewBusiness::plain("", "UTC")).await);
    let list = NewBusiness {
        targets: serde_json::json!([1]),
        ..NewBusiness::plain("Shop", "UTC")
    };
    refused(config.create_business(acme, &By::operator(), &list).await);
    let id = config
        .create_workspace(acme, &By::operator(), &workspace("token-of-acme-0000"))
        .await
        .unwrap();
    let network = change(&config, acme, id, |workspace| {
        workspace.allowed_sources = vec!["300.1.2.3/8".into()]
    })
    .await;
    assert!(matches!(network, Err(PostgresError::Refused { .. })), "{network:?}");
    assert!(matches!(
        config.create_workspace(acme, &By::operator(), &workspace("short")).await,
        Err(PostgresError::Refused { .. })
    ));
    assert_eq!(config.workspaces(acme, None).await.unwrap().len(), 1, "half a workspace is none");
    assert_eq!(config.businesses(acme, None).await.unwrap().len(), 1);
}

#[tokio::test]
async fn notices_are_kept_once_and_counted() {
    let config = server::config().await;
    let (acme, bolt) = two_tenants(&config).await;
    let workspace = config
        .create_workspace(acme, &By::operator(), &workspace("token-of-acme-0000"))
        .await
        .unwrap();
    config
        .note(acme, &seen(workspace, "unmapped_agent", "agent_1", 1, 10))
        .await
        .unwrap();
    config
        .note(acme, &seen(workspace, "unmapped_agent", "agent_1", 4, 30))
        .await
        .unwrap();
    config
        .note(acme, &seen(workspace, "hook_at_event_address", "call_inbound", 1, 20))
        .await
        .unwrap();
    let notices = config.notices(acme).await.unwrap();
    assert_eq!(
        notices.iter().map(|notice| notice.subject.as_str()).collect::<Vec<_>>(),
        ["agent_1", "call_inbound"]
    );
    assert_eq!(
        (notices[0].first_seen, notices[0].last_seen, notices[0].seen),
        (Millis(10), Millis(30), 5)
    );
    assert_eq!(config.notices(bolt).await.unwrap(), []);
    config.settle_notice(acme, workspace, "unmapped_agent", "agent_1").await.unwrap();
    assert_eq!(config.notices(acme).await.unwrap().len(), 1);
    config
        .note(acme, &seen(workspace, "unmapped_agent", "agent_1", 1, 40))
        .await
        .unwrap();
    assert_eq!(config.notices(acme).await.unwrap().len(), 2, "seen again, open again");
}

#[tokio::test]
async fn the_directory_knows_all_tenants_and_its_secrets_stay_out_of_logs() {
    let config = server::config().await;
    let (acme, bolt) = two_tenants(&config).await;
    let id = config
        .create_workspace(acme, &By::operator(), &workspace("token-of-acme-0000"))
        .await
        .unwrap();
    config
        .create_workspace(bolt, &By::operator(), &workspace("token-of-bolt-0000"))
        .await
        .unwrap();
    let limited = change(&config, acme, id, |workspace| {
        workspace.allowed_sources = vec!["10.0.0.0/8".into()];
        workspace.rate_per_second = Some(50);
    });
    limited.await.unwrap();
    let shop = NewBusiness {
        concurrency_limit: Some(20),
        day_start_minute: 240,
        ..NewBusiness::plain("Shop", "Europe/Madrid")
    };
    let shop = config.create_business(acme, &By::operator(), &shop).await.unwrap();
    config.map_agent(acme, &By::operator(), "agent_1", shop, "One").await.unwrap();

    let directory = config.directory().await.unwrap();
    assert_eq!((directory.by_token.len(), directory.businesses.len()), (2, 3));
    let entry = &directory.by_token["token-of-acme-0000"];
    assert_eq!((entry.tenant, entry.workspace, entry.enabled), (acme, id, true));
    assert_eq!(
        entry.signing_keys.iter().map(|key| key.expose_secret()).collect::<Vec<_>>(),
        ["key_one", "key_two"]
    );
    assert_eq!(
        (entry.allowed_sources.as_slice(), entry.rate_per_second),
        (&["10.0.0.0/8".to_owned()][..], Some(50))
    );
    assert!(!format!("{entry:?}").contains("key_one") && !format!("{entry:?}").contains("api_key\""));
    assert_eq!(directory.business_of(acme, id, Some("agent_1")), Some(shop));
    let unassigned = directory.business_of(acme, id, Some("agent_2")).unwrap();
    assert_eq!(directory.business_of(acme, id, None), Some(unassigned));
    assert_eq!(directory.businesses[&unassigned].name, "Unassigned (Main)");
    assert_eq!(
        (
            directory.businesses[&shop].concurrency_limit,
            directory.businesses[&shop].day_start_minute
        ),
        (Some(20), 240)
    );
    assert_eq!(config.directory().await.unwrap().version, directory.version);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_reaches_every_process_within_a_second() {
    let options = server::database().await;
    // Two processes, so two connections; the master key is the one of their installation.
    let here = server::config_of(&options).await;
    let there = Config::new(Database::connect(&options).await.unwrap(), here.keyring().clone());
    let (acme, _) = two_tenants(&here).await;
    let stop = CancellationToken::new();
    let mut watched = there.watch(stop.clone()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let id = here
        .create_workspace(acme, &By::operator(), &workspace("token-of-acme-0000"))
        .await
        .unwrap();
    let known = watched.wait_for(|directory| directory.by_token.contains_key("token-of-acme-0000"));
    tokio::time::timeout(Duration::from_secs(20), known)
        .await
        .expect("told of it")
        .unwrap();
    // The listening session dies; the watcher listens again and misses nothing.
    end_listening_sessions(&options).await;
    let keys = vec![SecretString::from("key_three")];
    change(&here, acme, id, |workspace| workspace.signing_keys = keys).await.unwrap();
    let known = watched.wait_for(|directory| directory.by_token["token-of-acme-0000"].signing_keys.len() == 1);
    tokio::time::timeout(Duration::from_secs(20), known)
        .await
        .expect("after listening again")
        .unwrap();
    change(&here, acme, id, |workspace| workspace.enabled = false).await.unwrap();
    let known = watched.wait_for(|directory| !directory.by_token["token-of-acme-0000"].enabled);
    tokio::time::timeout(Duration::from_secs(20), known)
        .await
        .expect("closed everywhere")
        .unwrap();
    stop.cancel();
}

async fn end_listening_sessions(options: &PostgresOptions) {
    let (client, connection) = tokio_postgres::connect(options.url.expose_secret(), tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
               WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE 'LISTEN%'";
    assert_eq!(client.query(sql, &[]).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_change_made_on_an_older_state_is_refused_and_every_change_is_noted() {
    let config = server::config().await;
    let (acme, _) = two_tenants(&config).await;
    let by = By::operator();
    let id = config.create_business(acme, &by, &NewBusiness::plain("Shop", "UTC")).await.unwrap();
    let first = config.businesses(acme, Some(id)).await.unwrap().remove(0);
    config
        .change_business(acme, &by, &first, &NewBusiness::plain("Kiosk", "Europe/Madrid"))
        .await
        .unwrap();
    let late = config.change_business(acme, &by, &first, &NewBusiness::plain("Stall", "UTC")).await;
    assert!(matches!(late, Err(PostgresError::Changed { .. })), "{late:?}");
    assert_eq!(config.businesses(acme, Some(id)).await.unwrap()[0].name, "Kiosk");

    let workspace_id = config.create_workspace(acme, &by, &workspace("token-of-acme-0000")).await.unwrap();
    let seen = config.workspaces(acme, Some(workspace_id)).await.unwrap().remove(0);
    let rotated = Workspace {
        signing_keys: vec![SecretString::from("key_two"), SecretString::from("key_three")],
        ..seen.clone()
    };
    config.change_workspace(acme, &by, &seen, &rotated).await.unwrap();
    let late = config
        .change_workspace(
            acme,
            &by,
            &seen,
            &Workspace {
                enabled: false,
                ..seen.clone()
            },
        )
        .await;
    assert!(
        matches!(late, Err(PostgresError::Changed { .. })),
        "two who change at once do not undo each other: {late:?}"
    );
    config.map_agent(acme, &by, "agent_1", id, "One").await.unwrap();
    config.unmap_agent(acme, &by, "agent_1").await.unwrap();
    // Business, its change, workspace, its change, mapped, unmapped.
    assert_eq!(config.verify_deeds(acme).await.unwrap().unwrap(), 6);
}

//! Secrets at rest: nothing readable in the database or its files, nothing that opens elsewhere, and master keys that change under
//! a running product.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};
use tokio_postgres::{Client, NoTls};
use trunkline_core::audit::By;
use trunkline_core::id::{EndpointId, TenantId, WorkspaceId};
use trunkline_core::instant::Millis;
use trunkline_stores::keyring::{Keyring, OpenError, add_key, make_file, new_key};
use trunkline_stores::postgres::config::idempotency::{Answer, Asked, Known};
use trunkline_stores::postgres::config::secrets::{Resealed, SecretsUnder, secrets_by_key};
use trunkline_stores::postgres::config::single_sign_on::SingleSignOn;
use trunkline_stores::postgres::config::token_keys::Turn;
use trunkline_stores::postgres::config::webhooks::NewWebhook;
use trunkline_stores::postgres::row::{NewUser, NewWorkspace, Workspace};
use trunkline_stores::postgres::{Config, Database, PostgresError, PostgresOptions};

use crate::server;

/// Somebody who may look at and change everything, past every rule.
async fn root(options: &PostgresOptions) -> Client {
    let url = options.url.expose_secret().replace("trunkline_app", "trunkline_root");
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

struct Kept {
    tenant: TenantId,
    workspace: WorkspaceId,
    endpoint: EndpointId,
}

/// One secret of each kind, each with `mark` in it.
async fn keep(config: &Config, organisation: &str, mark: &str) -> Kept {
    let tenant = config.ensure_organisation(organisation).await.unwrap();
    let secret = |kind: &str| SecretString::from(format!("{kind}_{mark}"));
    let new = NewWorkspace {
        name: "Main".into(),
        token: format!("token-of-{organisation}-0000"),
        signing_keys: vec![secret("key_one"), secret("key_two")],
        api_key: Some(secret("api")),
        zone: "UTC".into(),
    };
    let workspace = config.create_workspace(tenant, &By::operator(), &new).await.unwrap();
    let signing = secret("whsec");
    let new = NewWebhook {
        business: None,
        url: "https://a.example/hook",
        events: &["call.ended"],
        secret: &signing,
    };
    let endpoint = config.create_webhook(tenant, &By::operator(), &new, Millis(1)).await.unwrap();
    config
        .rotate_webhook_secret(tenant, &By::operator(), endpoint, &secret("whsec_new"), Millis(1_000))
        .await
        .unwrap();
    Kept {
        tenant,
        workspace,
        endpoint,
    }
}

/// What the product gets of them.
async fn read(config: &Config, kept: &Kept) -> (Vec<String>, Option<String>, Result<String, PostgresError>) {
    let directory = config.directory().await.unwrap();
    let entry = directory.by_token.values().find(|entry| entry.workspace == kept.workspace).unwrap();
    let text = |secret: &SecretString| secret.expose_secret().to_owned();
    let target = config.webhook_target(kept.tenant, kept.endpoint, Millis(999)).await;
    let later = config.webhook_target(kept.tenant, kept.endpoint, Millis(1_000)).await;
    assert!(
        later.is_err() || later.unwrap().unwrap().previous.is_none(),
        "the old secret ends at its time"
    );
    (
        entry.signing_keys.iter().map(text).collect(),
        entry.api_key.as_ref().map(text),
        target.map(|target| {
            let target = target.unwrap();
            format!("{} {}", text(&target.secret), text(&target.previous.unwrap()))
        }),
    )
}

async fn assert_reads(config: &Config, kept: &Kept, mark: &str) {
    let (keys, api_key, secret) = read(config, kept).await;
    assert_eq!(keys, [format!("key_one_{mark}"), format!("key_two_{mark}")]);
    assert_eq!(api_key, Some(format!("api_{mark}")));
    assert_eq!(secret.unwrap(), format!("whsec_new_{mark} whsec_{mark}"));
}

fn files_that_hold(directory: &Path, needle: &[u8], found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap().filter_map(Result::ok) {
        let path = entry.path();
        if path.is_dir() {
            files_that_hold(&path, needle, found);
        } else if std::fs::read(&path).is_ok_and(|bytes| memchr::memmem::find(&bytes, needle).is_some()) {
            found.push(path);
        }
    }
}

/// S-060: neither a dump nor the files of the server, its write-ahead log among them, hold what was kept.
#[tokio::test]
async fn s060_a_stolen_database_holds_no_secret() {
    let options = server::database().await;
    let config = server::config_of(&options).await;
    let mark = format!("canary{}", hex::encode(rand::random::<[u8; 12]>()));
    let kept = keep(&config, "Acme", &mark).await;
    let before = config.workspaces(kept.tenant, Some(kept.workspace)).await.unwrap().remove(0);
    let after = Workspace {
        signing_keys: vec![SecretString::from(format!("key_three_{mark}"))],
        ..before.clone()
    };
    config
        .change_workspace(kept.tenant, &By::operator(), &before, &after)
        .await
        .unwrap();
    let client = root(&options).await;
    let sql = "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'";
    for row in client.query(sql, &[]).await.unwrap() {
        let table: String = row.get(0);
        let sql = format!("SELECT count(*) FROM {table} AS t WHERE position($1 IN t::text) > 0");
        let found: i64 = client.query_one(&sql, &[&mark]).await.unwrap().get(0);
        assert_eq!(found, 0, "{table}");
    }
    // What is kept in plain text is found by the same search, so the search works.
    config.ensure_organisation(&format!("Visible {mark}")).await.unwrap();
    client.batch_execute("CHECKPOINT").await.unwrap();
    let files: String = client.query_one("SHOW data_directory", &[]).await.unwrap().get(0);
    let mut found = Vec::new();
    files_that_hold(Path::new(&files), format!("Visible {mark}").as_bytes(), &mut found);
    assert!(!found.is_empty(), "the search finds what is there");
    for kind in ["key_one_", "key_two_", "key_three_", "api_", "whsec_", "whsec_new_"] {
        let mut found = Vec::new();
        files_that_hold(Path::new(&files), format!("{kind}{mark}").as_bytes(), &mut found);
        assert_eq!(found, Vec::<PathBuf>::new(), "{kind}");
    }
}

/// Every column that `columns.toml` calls encrypted holds the sealed form only, and the database refuses anything else.
#[tokio::test]
async fn columns_called_encrypted_are() {
    let options = server::database().await;
    let config = server::config_of(&options).await;
    let acme = keep(&config, "Acme", "x").await.tenant;
    let new = NewUser {
        email: "ana@acme.example".into(),
        name: "Ana".into(),
        role: None,
        grants: Vec::new(),
        password_hash: "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2g".to_owned().into(),
    };
    let ana = config.create_user(acme, &By::operator(), &new).await.unwrap();
    let secret = SecretString::from("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
    config.begin_second_factor(acme, ana, &secret, Millis(1)).await.unwrap();
    let turn = Turn {
        unless_after: Millis(0),
        publish_ms: 0,
        overlap_ms: 0,
    };
    assert!(config.add_token_key(Millis(1), &turn).await.unwrap());
    let provider = SingleSignOn {
        issuer: "https://id.example".into(),
        client_id: "trunkline".into(),
        client_secret: SecretString::from("client"),
        required: false,
        first_role: None,
        domains: vec!["acme.example".into()],
        changed_at: Millis(1),
    };
    config.put_single_sign_on(acme, &By::operator(), &provider).await.unwrap();
    let asked = Asked {
        tenant: acme,
        actor: ana.0,
        key: [1; 32],
        request: [2; 32],
    };
    let Known::Fresh(begun) = config.begin_request(&asked, Millis(1)).await.unwrap() else {
        panic!("nothing was asked before")
    };
    let answer = Answer {
        status: 201,
        location: None,
        body: SecretString::from("{}"),
    };
    config.answer_request(begun, &answer).await.unwrap();
    let client = root(&options).await;
    let text = include_str!("../../../../migrations/columns.toml");
    let classified: std::collections::BTreeMap<String, std::collections::BTreeMap<String, String>> = toml::from_str(text).unwrap();
    let mut columns = 0;
    for (table, of_table) in &classified {
        for (column, _) in of_table.iter().filter(|(_, kind)| *kind == "encrypted") {
            let sql = format!(
                "SELECT count(*), coalesce(bool_and(is_sealed(ARRAY[{column}]::text[])), false) FROM {table} WHERE {column} IS NOT NULL"
            );
            let sql = sql.replace("ARRAY[signing_keys]", "(signing_keys)");
            let row = client.query_one(&sql, &[]).await.unwrap();
            assert!(row.get::<_, i64>(0) > 0, "{table}.{column}: this test keeps none");
            assert!(row.get::<_, bool>(1), "{table}.{column}");
            let plain = format!("UPDATE {table} SET {column} = $1").replace("signing_keys = $1", "signing_keys = ARRAY[$1]");
            let refused = client
                .execute(&plain, &[&"key_in_plain_text_that_is_long_enough"])
                .await
                .unwrap_err();
            assert_eq!(
                refused.code(),
                Some(&tokio_postgres::error::SqlState::CHECK_VIOLATION),
                "{table}.{column}"
            );
            columns += 1;
            // Forgotten within a day, so a rotation leaves them where they are.
            if table == "idempotent_requests" {
                continue;
            }
            // Both secrets of an endpoint are one place.
            let name = format!("{table}.{column}").replace(".previous", ".secret");
            let found: i64 = client
                .query_one("SELECT count(*) FROM stored_secrets() WHERE place = $1", &[&name])
                .await
                .unwrap()
                .get(0);
            assert!(found > 0, "{name}: a rotation does not reach it");
        }
    }
    assert!(columns >= 3, "{columns}");
}

/// S-061: what somebody copies between rows, tenants or columns does not open, and costs nobody else anything.
#[tokio::test]
async fn s061_a_secret_does_not_open_in_another_row() {
    let options = server::database().await;
    let config = server::config_of(&options).await;
    let (acme, bolt) = (keep(&config, "Acme", "a").await, keep(&config, "Bolt", "b").await);
    let client = root(&options).await;
    client
        .batch_execute(
            "UPDATE workspace_secrets AS a SET signing_keys = b.signing_keys FROM workspace_secrets AS b WHERE a.workspace <> b.workspace",
        )
        .await
        .unwrap();
    client
        .batch_execute("UPDATE webhook_secrets AS a SET secret = b.secret, previous = b.previous FROM webhook_secrets AS b WHERE a.endpoint <> b.endpoint")
        .await
        .unwrap();
    for (kept, mark) in [(&acme, "a"), (&bolt, "b")] {
        let (keys, api_key, secret) = read(&config, kept).await;
        assert_eq!(
            (keys.len(), api_key),
            (0, Some(format!("api_{mark}"))),
            "no key of another tenant verifies anything"
        );
        let secret = secret.unwrap_err();
        assert!(
            matches!(
                &secret,
                PostgresError::Unreadable {
                    why: OpenError::Broken,
                    ..
                }
            ),
            "{secret}"
        );
        assert!(!secret.to_string().contains("whsec"), "{secret}");
    }
    // Within one row, from one column to another.
    client
        .batch_execute("UPDATE workspace_secrets SET retell_api_key = signing_keys[1]")
        .await
        .unwrap();
    assert_eq!(read(&config, &acme).await.1, None);
}

/// S-062: old values stay readable, new ones are under the new key, and a process that runs meanwhile notices nothing.
#[tokio::test]
async fn s062_master_keys_are_rotated_under_a_running_product() {
    let options = server::database().await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("secrets.key");
    make_file(&file, &new_key()).unwrap();
    let open = async || {
        let keyring = Arc::new(Keyring::read(&file).unwrap());
        Config::new(Database::connect(&options).await.unwrap(), keyring)
    };
    let running = open().await;
    let mut kept = Vec::new();
    for number in 0..5 {
        kept.push(keep(&running, &format!("Org{number}"), "x").await);
    }
    let old = running.keyring().newest();
    let version = running.directory().await.unwrap().version;
    add_key(&file).unwrap();

    let rotating = open().await;
    let newest = rotating.keyring().newest();
    assert_ne!(newest, old);
    let database = rotating.database().clone();
    let under = |key, secrets| SecretsUnder { key: Some(key), secrets };
    assert_eq!(secrets_by_key(&database).await.unwrap(), [under(old, 25)]);
    // The running one writes under the old key until it sees the new one, also while others rotate.
    let both = tokio::join!(rotating.rotate_secrets(), rotating.rotate_secrets(), keep(&running, "Late", "x"));
    let (first, second) = (both.0.unwrap(), both.1.unwrap());
    assert!(first.rows + second.rows >= 15, "{first:?} {second:?}");
    rotating.rotate_secrets().await.unwrap();
    assert_eq!(secrets_by_key(&database).await.unwrap(), [under(newest, 30)]);
    assert_eq!(
        rotating.rotate_secrets().await.unwrap(),
        Resealed::default(),
        "again changes nothing"
    );

    for kept in &kept {
        assert_reads(&running, kept, "x").await;
    }
    assert_eq!(running.keyring().newest(), newest, "it has read the file again");
    let late = keep(&running, "Later", "y").await;
    assert_reads(&rotating, &late, "y").await;
    assert_eq!(secrets_by_key(&database).await.unwrap(), [under(newest, 35)]);
    let fresh = running.directory().await.unwrap();
    assert_ne!(fresh.version, version, "there is one workspace more");

    // Whoever does not have the new key says so instead of guessing.
    let stranger = Config::new(database, Arc::new(Keyring::fleeting()));
    let refused = read(&stranger, &late).await.2.unwrap_err();
    assert!(refused.to_string().contains(&newest.to_string()), "{refused}");
    let result = stranger.rotate_secrets().await.unwrap();
    assert_eq!((result.rows, result.unreadable.len()), (0, 21), "{result:?}");
}

/// What versions before this one wrote is encrypted at the next start, once.
#[tokio::test]
async fn secrets_in_plain_text_are_encrypted_at_the_next_start() {
    let options = server::database().await;
    let config = server::config_of(&options).await;
    let kept = keep(&config, "Acme", "x").await;
    let client = root(&options).await;
    // As they were before the database refused plain text: a session of a replica asks no trigger.
    client
        .batch_execute(
            "SET session_replication_role = replica;
             UPDATE workspace_secrets SET signing_keys = '{key_one_old,key_two_old}', retell_api_key = 'api_old';
             UPDATE webhook_secrets SET secret = 'whsec_new_old', previous = 'whsec_old'",
        )
        .await
        .unwrap();
    assert_eq!(read(&config, &kept).await.0.len(), 0, "plain text is not taken for a key");
    let plain = SecretsUnder { key: None, secrets: 5 };
    assert_eq!(secrets_by_key(config.database()).await.unwrap(), [plain]);
    let done = config.seal_plain_secrets().await.unwrap();
    assert_eq!((done.rows, done.secrets, done.unreadable.len()), (3, 5, 0));
    assert_reads(&config, &kept, "old").await;
    assert_eq!(config.seal_plain_secrets().await.unwrap(), Resealed::default());
}

//! The schema: made from nothing and twice, every tenant table guarded, every column classified.

use std::collections::{BTreeMap, BTreeSet};

use secrecy::ExposeSecret as _;
use tokio_postgres::{Client, NoTls};
use trunkline_core::audit::By;
use trunkline_stores::keyring::Keyring;
use trunkline_stores::postgres::row::NewBusiness;
use trunkline_stores::postgres::{Database, PostgresError, PostgresOptions, migrate};

use crate::server;

pub async fn owner(options: &PostgresOptions) -> Client {
    connect(options.owner_url.as_ref().unwrap().expose_secret()).await
}

async fn application(options: &PostgresOptions) -> Client {
    connect(options.url.expose_secret()).await
}

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

#[tokio::test]
async fn it_is_made_from_nothing_once() {
    let options = server::empty_database().await;
    let first = migrate(&options).await.unwrap();
    assert!(first.len() >= 4, "{first:?}");
    assert_eq!(migrate(&options).await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn processes_that_migrate_at_once_do_it_once() {
    let options = server::empty_database().await;
    let all = futures::future::join_all((0..4).map(|_| migrate(&options))).await;
    let applied: Vec<usize> = all.into_iter().map(|applied| applied.unwrap().len()).collect();
    assert_eq!(applied.iter().filter(|count| **count > 0).count(), 1, "{applied:?}");
}

#[tokio::test]
async fn one_address_is_enough_when_its_role_may_become_the_application() {
    // As with a managed server, where people give one address: its role owns the schema and steps down for all work.
    let options = server::empty_database().await;
    let options = PostgresOptions {
        url: options.owner_url.clone().unwrap(),
        owner_url: None,
        ..options
    };
    migrate(&options).await.unwrap();
    let config = server::config_of(&options).await;
    let tenant = config.ensure_organisation("Acme").await.unwrap();
    config
        .create_business(tenant, &By::operator(), &NewBusiness::plain("Shop", "UTC"))
        .await
        .unwrap();
    let client = application(&options).await;
    for table in ["organisations", "businesses"] {
        let refused = client.query(&format!("SELECT id FROM {table}"), &[]).await.unwrap_err();
        let said = refused.as_db_error().unwrap().message();
        assert_eq!(
            said, "no tenant is set in this transaction",
            "{table}: forced, so it binds the owner itself"
        );
    }
}

#[tokio::test]
async fn s135_a_changed_step_is_refused() {
    let options = server::database().await;
    owner(&options)
        .await
        .batch_execute("UPDATE refinery_schema_history SET checksum = '1' WHERE version = 2")
        .await
        .unwrap();
    let refused = migrate(&options).await;
    assert!(matches!(refused, Err(PostgresError::Misconfigured(_))), "{refused:?}");
}

#[tokio::test]
async fn s029_a_role_above_row_security_is_refused() {
    let options = server::database().await;
    // Nothing but the application's own role passes; here one that cannot become it.
    let url = options.url.expose_secret().replace("trunkline_app", "trunkline_root");
    let client = connect(&url).await;
    let row = client
        .query_one("SELECT rolsuper FROM pg_roles WHERE rolname = current_user", &[])
        .await
        .unwrap();
    assert!(row.get::<_, bool>(0));
    // A superuser's address is taken, because every session steps down to the application's role first.
    let database = Database::connect(&PostgresOptions {
        url: url.into(),
        ..options
    })
    .await
    .unwrap();
    let config = trunkline_stores::postgres::Config::new(database, std::sync::Arc::new(Keyring::fleeting()));
    config.ensure_organisation("Acme").await.unwrap();
    client.batch_execute("SET ROLE trunkline_app").await.unwrap();
    let refused = client.query("SELECT id FROM organisations", &[]).await.unwrap_err();
    assert!(refused.as_db_error().unwrap().message().contains("no tenant is set"));
}

#[tokio::test]
async fn s029_every_table_is_guarded_or_of_the_platform() {
    /// Tables without a tenant: the log's, whose records and values name their tenant inside, offsets in it what is found by them, the keys of
    /// access tokens, which the application reaches by functions only, and the migration tool's.
    const PLATFORM: [&str; 13] = [
        "audit_findings",
        "audit_positions",
        "effects_offsets",
        "log_partitions",
        "log_starts",
        "log_records",
        "log_groups",
        "log_identity",
        "log_known",
        "log_claims",
        "log_values",
        "token_keys",
        "refinery_schema_history",
    ];
    let client = owner(&server::database().await).await;
    let sql = "SELECT c.relname::text, c.relrowsecurity, c.relforcerowsecurity,
                      EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polqual IS NOT NULL AND p.polwithcheck IS NOT NULL
                              AND p.polroles = ARRAY['trunkline_app'::regrole::oid]
                              AND pg_get_expr(p.polqual, p.polrelid) LIKE '%current_tenant()%'
                              AND pg_get_expr(p.polwithcheck, p.polrelid) LIKE '%current_tenant()%'),
                      (SELECT count(*) FROM pg_policy p WHERE p.polrelid = c.oid
                              AND p.polroles && ARRAY['trunkline_app'::regrole::oid, 0::oid]),
                      has_table_privilege('trunkline_app', c.oid, 'TRUNCATE')
                          OR pg_has_role('trunkline_app', c.relowner, 'MEMBER')
               FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f')";
    let mut guarded = 0;
    for row in client.query(sql, &[]).await.unwrap() {
        let (table, enabled, forced, policy): (String, bool, bool, bool) = (row.get(0), row.get(1), row.get(2), row.get(3));
        let (policies, over): (i64, bool) = (row.get(4), row.get(5));
        assert!(!over, "{table}: the application may truncate it or owns it");
        if PLATFORM.contains(&table.as_str()) {
            continue;
        }
        assert!(enabled && forced, "{table}: row-level security must be enabled and forced");
        assert!(
            policy && policies == 1,
            "{table}: exactly one policy for the application, on current_tenant()"
        );
        guarded += 1;
    }
    assert!(guarded >= 9, "only {guarded} guarded tables");
}

#[tokio::test]
async fn s029_functions_that_look_across_tenants_cannot_be_misled() {
    let client = owner(&server::database().await).await;
    let sql = "SELECT p.proname::text, pg_get_userbyid(p.proowner)::text, coalesce(array_to_string(p.proconfig, ' '), ''),
                      has_function_privilege('public', p.oid, 'EXECUTE')
               FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace AND p.prosecdef";
    let rows = client.query(sql, &[]).await.unwrap();
    assert!(rows.len() >= 10);
    for row in rows {
        let (name, owner, settings, public): (String, String, String, bool) = (row.get(0), row.get(1), row.get(2), row.get(3));
        assert_eq!(owner, "trunkline_platform", "{name}");
        assert!(
            settings.starts_with("search_path=pg_catalog, public, pg_temp"),
            "{name}: {settings}"
        );
        assert!(!public, "{name}: everybody may call it");
    }
    let sql = "SELECT bool_or(rolsuper OR rolbypassrls), bool_or(rolcanlogin AND rolname = 'trunkline_platform')
               FROM pg_roles WHERE rolname IN ('trunkline_app', 'trunkline_platform', 'trunkline_owner')";
    let row = client.query_one(sql, &[]).await.unwrap();
    assert_eq!((row.get::<_, bool>(0), row.get::<_, bool>(1)), (false, false));
}

#[tokio::test]
async fn every_column_is_classified() {
    const KINDS: [&str; 6] = ["internal", "business", "personal", "content", "secret", "encrypted"];
    let text = include_str!("../../../../migrations/columns.toml");
    let classified: BTreeMap<String, BTreeMap<String, String>> = toml::from_str(text).unwrap();
    let wrong = classified
        .values()
        .flat_map(BTreeMap::values)
        .find(|kind| !KINDS.contains(&kind.as_str()));
    assert_eq!(wrong, None, "no such kind of data");
    let listed: BTreeSet<(&str, &str)> = classified
        .iter()
        .flat_map(|(table, columns)| columns.keys().map(|column| (table.as_str(), column.as_str())))
        .collect();
    let sql = "SELECT table_name::text, column_name::text FROM information_schema.columns WHERE table_schema = 'public'";
    let rows = owner(&server::database().await).await.query(sql, &[]).await.unwrap();
    let there: BTreeSet<(&str, &str)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(
        there.difference(&listed).collect::<Vec<_>>(),
        Vec::<&(&str, &str)>::new(),
        "not classified in columns.toml"
    );
    assert_eq!(
        listed.difference(&there).collect::<Vec<_>>(),
        Vec::<&(&str, &str)>::new(),
        "in columns.toml, but not there"
    );
}

#[tokio::test]
async fn the_application_cannot_read_secrets_of_workspaces_even_within_the_tenant() {
    let options = server::database().await;
    let client = application(&options).await;
    client
        .batch_execute("SELECT set_config('app.tenant', '00000000-0000-0000-0000-000000000001', false)")
        .await
        .unwrap();
    for column in ["intake_token", "signing_keys", "retell_api_key"] {
        let refused = client
            .query(&format!("SELECT {column} FROM workspace_secrets"), &[])
            .await
            .unwrap_err();
        assert_eq!(
            refused.code(),
            Some(&tokio_postgres::error::SqlState::INSUFFICIENT_PRIVILEGE),
            "{column}"
        );
    }
}

/// Checks of foreign keys see past row-level security, so the tenant has to be part of each (S-032).
#[tokio::test]
async fn s032_a_row_can_only_point_into_its_own_tenant() {
    let client = owner(&server::database().await).await;
    let sql = "SELECT k.conrelid::regclass::text, k.confrelid::regclass::text, pg_get_constraintdef(k.oid)
               FROM pg_constraint k
               WHERE k.contype = 'f'
                 AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = k.conrelid AND a.attname = 'tenant' AND NOT a.attisdropped)
                 AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = k.confrelid AND a.attname = 'tenant' AND NOT a.attisdropped)";
    let rows = client.query(sql, &[]).await.unwrap();
    assert!(rows.len() > 5, "{}", rows.len());
    for row in rows {
        let (from, to, rule): (String, String, String) = (row.get(0), row.get(1), row.get(2));
        let columns = rule.split('(').nth(1).and_then(|rest| rest.split(')').next()).unwrap();
        assert!(columns.split(',').any(|column| column.trim() == "tenant"), "{from} -> {to}: {rule}");
    }
}

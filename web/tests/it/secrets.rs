//! Master keys as the operator meets them: made at the first start, refused when they do not fit, rotated under a running product.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Output;
use std::sync::Arc;

use secrecy::SecretString;
use serde_json::Value;
use trunkline_core::audit::By;
use trunkline_stores::keyring::Keyring;
use trunkline_stores::postgres::row::NewWorkspace;
use trunkline_stores::postgres::{Config, Database, EmbeddedOptions, EmbeddedPostgres};

use crate::app::{app, event, fresh, program};

/// A command that opens the configuration as a start does.
fn begin(data: &Path) -> Output {
    program(data)
        .args(["key", "create", "--name", "a", "--organisation", "Acme"])
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

async fn keep_a_workspace(data: &Path) {
    let server = EmbeddedPostgres::start(&EmbeddedOptions::new(data)).await.unwrap();
    let keyring = Arc::new(Keyring::read(&data.join("secrets.key")).unwrap());
    let config = Config::new(Database::connect(&server.options()).await.unwrap(), keyring);
    let tenant = config.ensure_organisation("Acme").await.unwrap();
    let new = NewWorkspace {
        name: "Main".to_owned(),
        token: "token-of-a-workspace".to_owned(),
        signing_keys: vec![SecretString::from("key_canary")],
        api_key: None,
        zone: "UTC".to_owned(),
    };
    config.create_workspace(tenant, &By::operator(), &new).await.unwrap();
    drop(config);
    server.close().await;
}

/// S-064 and S-145: without a key that fits nothing starts, and what to do is said.
#[tokio::test(flavor = "multi_thread")]
async fn s064_s145_a_start_makes_a_key_once_and_refuses_one_that_does_not_fit() {
    let place = tempfile::Builder::new().prefix("trunkline-secrets-").tempdir().unwrap();
    let data = place.path().join("data");
    let first = begin(&data);
    assert!(first.status.success(), "{}", said(&first));
    let file = data.join("secrets.key");
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
    let good = fs::read_to_string(&file).unwrap();
    keep_a_workspace(&data).await;
    assert!(begin(&data).status.success());
    assert_eq!(fs::read_to_string(&file).unwrap(), good, "made once");

    fs::remove_file(&file).unwrap();
    let lost = begin(&data);
    assert!(said(&lost).contains("put it back from your copy"), "{}", said(&lost));
    assert!(!file.exists(), "no new key where secrets need the old one");
    let other = program(&data).args(["secrets", "new-key"]).output().unwrap();
    for (text, mode, expected) in [
        (String::from_utf8(other.stdout).unwrap(), 0o600, "does not hold it; add its line"),
        ("changeme\n".to_owned(), 0o600, "new-key` prints a good one"),
        (good.clone(), 0o644, "chmod 600"),
    ] {
        fs::write(&file, &text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        let refused = begin(&data);
        assert_eq!(refused.status.code(), Some(1));
        assert!(said(&refused).contains(expected), "{}", said(&refused));
        assert!(!said(&refused).contains(text.trim()), "{}", said(&refused));
    }
    let doctor = program(&data).arg("doctor").output().unwrap();
    let found = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(
        found
            .lines()
            .any(|line| line.starts_with("FAIL  secrets") && line.contains("chmod 600")),
        "{found}"
    );

    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let rotated = program(&data).args(["--json", "secrets", "rotate", "--new-key"]).output().unwrap();
    let answer: Value = serde_json::from_slice(&rotated.stdout).unwrap_or_else(|_| panic!("{}", said(&rotated)));
    assert_eq!((&answer["rows"], &answer["secrets"]), (&1.into(), &1.into()), "{answer}");
    let newest = fs::read_to_string(&file).unwrap();
    assert!(newest.len() > good.len() && good.lines().all(|line| newest.contains(line)));
    // The old line is needed no more.
    let lines: Vec<&str> = newest.lines().collect();
    fs::write(&file, lines[..lines.len() - 1].join("\n")).unwrap();
    assert!(begin(&data).status.success());
}

/// S-062 over the whole product: events are taken before, while and after master keys are rotated.
#[tokio::test(flavor = "multi_thread")]
async fn s062_keys_are_rotated_while_events_arrive() {
    let line = app().line().await;
    let rotate = || {
        let data = app().data.clone();
        tokio::task::spawn_blocking(move || program(&data).args(["--json", "secrets", "rotate", "--new-key"]).output().unwrap())
    };
    let rotating = rotate();
    let mut sent = 0;
    while sent < 20 || !rotating.is_finished() {
        line.keep(&event("call_started", &fresh("call"))).await;
        sent += 1;
    }
    let rotated = rotating.await.unwrap();
    assert!(rotated.status.success(), "{}", said(&rotated));
    let answer: Value = serde_json::from_slice(&rotated.stdout).unwrap();
    assert!(
        answer["rows"].as_u64().unwrap() >= 1 && answer["unreadable"] == Value::Array(Vec::new()),
        "{answer}"
    );
    // A workspace made by the running product's peers after the rotation is read by all as well.
    let late = app().line().await;
    late.keep(&event("call_started", &fresh("call"))).await;
    line.keep(&event("call_started", &fresh("call"))).await;
}

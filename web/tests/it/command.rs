//! The program's words: exit codes, refusals that say what to change, commands beside the running product.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::app::{app, event, fresh, program};

fn run(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn plain() -> Command {
    program(&std::env::temp_dir().join("trunkline-no-such-place"))
}

#[test]
fn config_check_refuses_in_sentences_and_exits_with_three() {
    for (name, value, says) in [
        ("TRUNKLINE_SERVER__BNID", "x", "unknown field `bnid`"),
        ("TRUNKLINE_POSTGRES__POOL_SIZE", "1", "set at least 3"),
        ("TRUNKLINE_LOG__STORE", "kafka", "needs kafka.brokers"),
        (
            "TRUNKLINE_KAFKA__BROKERS",
            "a:1",
            "set log.store = \"kafka\" or remove kafka.brokers",
        ),
        ("TRUNKLINE_LOG__STORE", "files", "neither \"postgres\" nor \"kafka\""),
        ("TRUNKLINE_SERVER__BIND", "0.0.0.0:8080", "set server.public_url"),
        ("TRUNKLINE_INTAKE__BYTES_IN_FLIGHT_MAX", "1000", "less than one largest event"),
        ("TRUNKLINE_SERVER__PUBLIC_URL", "example.org", "write https://host"),
        ("TRUNKLINE_TELEMETRY__LEVEL", "a=b=c", "is no filter"),
        ("TRUNKLINE_CLICKHOUSE__PASSWORD", "secret", "clickhouse.url is not"),
        ("TRUNKLINE_CLICKHOUSE__CA_FILE", "ca.pem", "clickhouse.url is not https"),
        ("TRUNKLINE_MAIL__URL", "smtp://127.0.0.1:25", "mail.from is not"),
        ("TRUNKLINE_SIGN_IN__RESET_MINUTES", "1", "between 5 and 1440"),
        ("TRUNKLINE_SIGN_IN__INVITATION_DAYS", "0", "between 1 and 90"),
        ("TRUNKLINE_LOG__RETENTION_DAYS", "1", "set at least 2"),
        ("TRUNKLINE_RETELL__ASK_AFTER_MINUTES", "0", "set at least 1"),
    ] {
        let output = run(plain().env(name, value).args(["config", "check"]));
        assert_eq!(output.status.code(), Some(3), "{name}");
        assert!(text(&output.stdout).contains(says), "{name}: {}", text(&output.stdout));
    }
    let fine = run(plain().args(["--json", "config", "check"]));
    assert_eq!(fine.status.code(), Some(0));
    assert_eq!(serde_json::from_slice::<Value>(&fine.stdout).unwrap()["ok"], true);
}

#[test]
fn flags_go_over_environment_over_file_over_defaults() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("trunkline.toml");
    std::fs::write(&file, "[server]\nworkers = 3\nstreams_max = 30\n[intake]\nworkers = 33\n").unwrap();
    let output = run(plain()
        .env("TRUNKLINE_SERVER__WORKERS", "4")
        .env("TRUNKLINE_SERVER__STREAMS_MAX", "40")
        .args(["--json", "--set", "server.workers=5", "config", "print", "--config"])
        .arg(&file));
    let settings: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output.stderr)));
    assert_eq!(settings["server"]["workers"], 5);
    assert_eq!(settings["server"]["streams_max"], 40);
    assert_eq!(settings["intake"]["workers"], 33);
    assert_eq!(settings["session"]["idle_hours"], 12);
}

#[test]
fn secrets_come_from_files_and_are_never_printed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("url");
    std::fs::write(&file, "postgres://owner:hunter2@db/trunkline?sslkey=hunter3\n").unwrap();
    for format in [["config", "print"].as_slice(), &["--json", "config", "print"]] {
        let output = run(plain()
            .env("TRUNKLINE_POSTGRES__URL_FILE", &file)
            .env("TRUNKLINE_CLICKHOUSE__LIBRARY", "")
            .env("TRUNKLINE_CLICKHOUSE__URL", "http://ch:8123")
            .env("TRUNKLINE_CLICKHOUSE__PASSWORD", "007hunter4")
            .args(format));
        let printed = text(&output.stdout);
        assert!(
            printed.contains("postgres://owner:[hidden]@db/trunkline"),
            "{printed} {}",
            text(&output.stderr)
        );
        assert!(!printed.contains("hunter"), "{printed}");
    }
    let both = run(plain()
        .env("TRUNKLINE_POSTGRES__URL_FILE", &file)
        .env("TRUNKLINE_POSTGRES__URL", "postgres://x")
        .args(["config", "check"]));
    assert!(text(&both.stdout).contains("postgres.url and postgres.url_file are both set"));
}

#[test]
fn a_wrong_word_is_usage_and_the_right_one_is_suggested() {
    let output = run(plain().arg("serv"));
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("serve"), "{}", text(&output.stderr));
    assert_eq!(run(plain().args(["--set", "nonsense", "serve"])).status.code(), Some(2));
    let help = run(plain().arg("--help"));
    assert!(text(&help.stdout).starts_with("Examples:"));
    assert!(text(&run(plain().arg("--version")).stdout).contains(env!("CARGO_PKG_VERSION")));
    assert!(text(&run(plain().args(["completions", "bash"])).stdout).contains("trunkline"));
}

#[test]
fn a_user_and_a_key_are_made_beside_the_running_product() {
    let organisation = fresh("org");
    let mut child = program(&app().data)
        .args(["--json", "user", "create", "--name", "Ana", "--role", "analyst", "--email"])
        .arg(format!("{}@people.invalid", fresh("cli")))
        .args(["--organisation", &organisation])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"a sentence nobody guesses\n").unwrap();
    let made: Value = serde_json::from_slice(&child.wait_with_output().unwrap().stdout).unwrap();
    assert!(made["id"].as_str().unwrap().starts_with("usr_"));
    let short = run(program(&app().data).args([
        "user",
        "create",
        "--name",
        "B",
        "--email",
        "b@people.invalid",
        "--organisation",
        &organisation,
    ]));
    assert_eq!(short.status.code(), Some(1));
    assert!(
        text(&short.stderr).contains("between 10 and 512 characters"),
        "{}",
        text(&short.stderr)
    );
    let key = run(program(&app().data).args(["key", "create", "--name", "k", "--organisation", &organisation]));
    assert!(text(&key.stdout).starts_with("sk_live_"), "{}", text(&key.stderr));
    let wrong = run(program(&app().data).args(["key", "create", "--name", "k", "--organisation", &organisation, "--scope", "all"]));
    assert!(text(&wrong.stderr).contains("live:read"), "{}", text(&wrong.stderr));
}

#[test]
fn the_doctor_finds_a_healthy_product_healthy() {
    let output = run(program(&app().data).args(["--json", "doctor"]));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output.stderr)));
    assert_eq!(output.status.code(), Some(0), "{found:#}");
    let names: Vec<&str> = found["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|check| check["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["disk", "Postgres", "clock", "secrets", "event log", "ClickHouse"]);
    let broken = run(plain()
        .env("TRUNKLINE_POSTGRES__URL", "postgres://nobody@127.0.0.1:1/none")
        .arg("doctor"));
    assert_eq!(broken.status.code(), Some(3));
    assert!(text(&broken.stdout).contains("repair:"), "{}", text(&broken.stdout));
}

#[tokio::test]
async fn replay_shows_records_without_their_bodies_unless_asked() {
    let line = app().line().await;
    let id = fresh("call");
    line.keep(&event("call_started", &id)).await;
    assert_eq!(line.send("no json").await.status(), 204);
    let show = |more: &[&str]| {
        let output = run(program(&app().data).args(["replay", "show", "--limit", "100000"]).args(more));
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let lines: Vec<Value> = text(&output.stdout)
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        lines
            .into_iter()
            .filter(|record| record["workspace"] == line.workspace.to_string())
            .collect::<Vec<_>>()
    };
    let all = show(&[]);
    assert_eq!(all.len(), 2);
    assert!(all.iter().all(|record| record.get("body").is_none()));
    let aside = show(&["--set-aside", "--bodies"]);
    assert_eq!((aside.len(), aside[0]["body"].as_str()), (1, Some("no json")));
    let busy = run(program(&app().data).args(["replay", "facts", "--since", "2026-01-01T00:00:00Z", "--dry-run"]));
    assert_eq!(busy.status.code(), Some(0), "{}", text(&busy.stderr));
}

#[test]
fn users_and_keys_are_listed_stopped_and_given_another_password() {
    let organisation = fresh("org");
    let email = format!("{}@people.invalid", fresh("cli"));
    let fed = |args: &[&str], input: &str| {
        let mut child = program(&app().data)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    };
    let create = [
        "user",
        "create",
        "--name",
        "Ana",
        "--role",
        "owner",
        "--email",
        &email,
        "--organisation",
        &organisation,
    ];
    let common = fed(&create, "Password123!\n");
    assert!(text(&common.stderr).contains("guessed soon"), "{}", text(&common.stderr));
    assert_eq!(fed(&create, "a sentence nobody guesses\n").status.code(), Some(0));
    let users = run(program(&app().data).args(["--json", "user", "list", "--organisation", &organisation]));
    let listed: Value = serde_json::from_str(text(&users.stdout).trim()).unwrap();
    assert_eq!(
        (&listed["email"], &listed["role"], &listed["disabled"]),
        (&email.as_str().into(), &"owner".into(), &false.into())
    );
    assert_eq!(
        fed(&["user", "reset-password", "--email", &email], "gravel lamp otter\n")
            .status
            .code(),
        Some(0)
    );
    let last = run(program(&app().data).args(["user", "disable", "--email", &email]));
    assert_eq!(last.status.code(), Some(1));
    assert!(text(&last.stderr).contains("needs an owner"), "{}", text(&last.stderr));
    let made = run(program(&app().data).args(["--json", "key", "create", "--name", "k", "--organisation", &organisation]));
    let made: Value = serde_json::from_str(text(&made.stdout).trim()).unwrap();
    let id = made["id"].as_str().unwrap();
    assert_eq!(
        run(program(&app().data).args(["key", "revoke", "--organisation", &organisation, id]))
            .status
            .code(),
        Some(0)
    );
    assert_eq!(
        run(program(&app().data).args(["key", "revoke", "--organisation", &organisation, id]))
            .status
            .code(),
        Some(1)
    );
    let keys = run(program(&app().data).args(["key", "list", "--organisation", &organisation]));
    assert!(text(&keys.stdout).contains("ended") && !text(&keys.stdout).contains(made["key"].as_str().unwrap()));
    let misspelt = run(program(&app().data).args(["user", "list", "--organisation", "no such organisation"]));
    assert!(text(&misspelt.stderr).contains("no such organisation"));
}

//! Several processes share the work: one takes events, one keeps boards and serves pages, one writes to ClickHouse; and roles that do
//! not fit together are refused.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use rustix::process::{Pid, Signal, kill_process};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tempfile::TempDir;
use trunkline_core::audit::By;
use trunkline_core::signature::{SigningKey, sign};
use trunkline_stores::clickhouse::door::{DoorOptions, Engine};
use trunkline_stores::keyring::{Keyring, make_file, new_key};
use trunkline_stores::postgres::row::NewWorkspace;
use trunkline_stores::postgres::{Config, Database, DatabaseRole, EmbeddedOptions, EmbeddedPostgres, migrate};

use crate::app::{client, event, fresh, key_of, library, now, program, sweeper};
use crate::kafka;
use crate::process::eventually;

/// Everything that happens between processes happens within this time, also when a member of a group was killed.
pub const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn roles_that_do_not_fit_together_are_refused_in_sentences() {
    let given = [
        ("TRUNKLINE_POSTGRES__URL", "postgres://a@127.0.0.1:1/b"),
        ("TRUNKLINE_LOG__STORE", "kafka"),
        ("TRUNKLINE_KAFKA__BROKERS", "127.0.0.1:1"),
    ];
    let no_checkpoints = [given.as_slice(), &[("TRUNKLINE_LIVE__CHECKPOINT_SECONDS", "0")]].concat();
    for (roles, settings, says) in [
        ("web", &no_checkpoints[..], "live.checkpoint_seconds"),
        ("intake", &[], "set postgres.url"),
        ("intake,facts", &given, "set clickhouse.url"),
        ("cook", &given, "possible values"),
    ] {
        let mut command = program(&std::env::temp_dir().join("trunkline-no-such-place"));
        let output = command
            .args(["serve", "--roles", roles])
            .envs(settings.iter().copied())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(says), "{roles}: {said}");
    }
}

/// One process of several.
pub struct Part {
    pid: u32,
    serving: Value,
    _sweeper: Child,
}

impl Part {
    fn start(mut command: Command, roles: &str, data: &Path) -> Part {
        command.args(["serve", "--roles", roles]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let sweeper = sweeper(child.id(), Some(data));
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut seen = Vec::new();
        let serving = loop {
            let line = lines.next().unwrap_or_else(|| panic!("{roles} ended: {seen:#?}")).unwrap();
            match serde_json::from_str::<Value>(&line) {
                Ok(entry) if entry["message"] == "serving" => break entry,
                _ => seen.push(line),
            }
        };
        let pid = child.id();
        std::thread::spawn(move || {
            lines.map_while(Result::ok).for_each(drop);
            let _ = child.wait();
        });
        Part {
            pid,
            serving,
            _sweeper: sweeper,
        }
    }

    pub fn address(&self, name: &str) -> String {
        format!(
            "http://{}",
            self.serving[name]
                .as_str()
                .unwrap_or_else(|| panic!("no {name} in {}", self.serving))
        )
    }

    pub fn kill(&self) {
        kill_process(Pid::from_raw(self.pid as i32).unwrap(), Signal::KILL).unwrap();
    }
}

/// The one ClickHouse engine of this test run; each ground takes a database of its own.
fn engine() -> &'static Engine {
    static ENGINE: OnceLock<(TempDir, Engine)> = OnceLock::new();
    let start = || {
        let data = tempfile::tempdir().unwrap();
        let options = DoorOptions {
            library: library(),
            data: data.path().to_owned(),
            databases: vec!["trunkline".to_owned()],
            entry: None,
        };
        // The engine's own runtime cannot be started inside another one.
        (data, std::thread::spawn(|| Engine::start(options).unwrap()).join().unwrap())
    };
    &ENGINE.get_or_init(start).1
}

/// The stores that all processes reach.
pub struct Ground {
    pub postgres: EmbeddedPostgres,
    database: String,
    kafka: Vec<String>,
    pub key_file: PathBuf,
    pub directory: PathBuf,
}

impl Ground {
    pub async fn lay() -> Ground {
        let directory = tempfile::Builder::new().prefix("trunkline-roles-").tempdir().unwrap().keep();
        let postgres = EmbeddedPostgres::start(&EmbeddedOptions::new(directory.join("ground")))
            .await
            .unwrap();
        migrate(&postgres.options()).await.unwrap();
        let key_file = directory.join("master.key");
        make_file(&key_file, &new_key()).unwrap();
        Ground {
            postgres,
            database: fresh("ground").replace('-', "_"),
            kafka: kafka::settings(),
            key_file,
            directory,
        }
    }

    /// A process with these roles and a data directory of its own; only one that has to is told of ClickHouse.
    fn start(&self, roles: &str) -> Part {
        self.start_with(roles, &[])
    }

    /// The same with further settings.
    pub fn start_with(&self, roles: &str, settings: &[&str]) -> Part {
        let data = self.directory.join(fresh("part"));
        let mut command = program(&data);
        command
            .env_remove("TRUNKLINE_CLICKHOUSE__LIBRARY")
            .env("TRUNKLINE_POSTGRES__URL", self.postgres.url(DatabaseRole::Owner, None))
            .env("TRUNKLINE_SECRETS__KEY_FILE", &self.key_file);
        command.env("TRUNKLINE_POSTGRES__POOL_SIZE", "4");
        if roles != "intake" {
            command
                .env("TRUNKLINE_CLICKHOUSE__URL", &engine().url)
                .env("TRUNKLINE_CLICKHOUSE__USER", &engine().user)
                .env("TRUNKLINE_CLICKHOUSE__PASSWORD", engine().password.expose_secret())
                .env("TRUNKLINE_CLICKHOUSE__DATABASE", &self.database);
        }
        for setting in self.kafka.iter().map(String::as_str).chain(settings.iter().copied()) {
            command.args(["--set", setting]);
        }
        Part::start(command, roles, &data)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn three_processes_do_together_what_one_does() {
    let ground = Ground::lay().await;
    let intake = ground.start("intake");
    let web = ground.start("live,web");
    let facts = ground.start("facts");
    for (part, name) in [(&intake, "site"), (&web, "intake"), (&facts, "site"), (&facts, "intake")] {
        assert!(part.serving[name].is_null(), "{}", part.serving);
    }
    for part in [&intake, &web, &facts] {
        let ready = client()
            .get(format!("{}/readyz?verbose", part.address("admin")))
            .send()
            .await
            .unwrap();
        assert_eq!(ready.status(), StatusCode::OK, "{}", ready.text().await.unwrap());
    }

    let keyring = Arc::new(Keyring::read(&ground.key_file).unwrap());
    let config = Config::new(Database::connect(&ground.postgres.options()).await.unwrap(), keyring);
    let tenant = config.ensure_organisation("Shared").await.unwrap();
    let (token, key) = (hex::encode(rand::random::<[u8; 20]>()), fresh("key"));
    let new = NewWorkspace {
        name: "Shared".to_owned(),
        token: token.clone(),
        signing_keys: vec![SecretString::from(key.clone())],
        api_key: None,
        zone: "UTC".to_owned(),
    };
    config.create_workspace(tenant, &By::operator(), &new).await.unwrap();
    let scopes = ["live:read", "calls:read", "operate:read"];
    let api_key = key_of(&config, tenant, &scopes).await;
    let (address, key) = (format!("{}/v1/retell/{token}", intake.address("intake")), SigningKey::new(&key));
    eventually("the intake knows the workspace", PATIENCE, async || {
        let status = client().get(&address).send().await.unwrap().status();
        if status == StatusCode::METHOD_NOT_ALLOWED {
            Ok(())
        } else {
            Err(status)
        }
    })
    .await;
    let send = async |numbers: std::ops::Range<u32>| {
        for number in numbers {
            for name in ["call_started", "call_ended"] {
                let body = event(name, &format!("call_{number}")).to_string();
                let signature = sign(body.as_bytes(), &key, now());
                let request = client().post(&address).header("x-retell-signature", signature).body(body);
                assert_eq!(request.send().await.unwrap().status(), StatusCode::NO_CONTENT);
            }
        }
    };
    let get = async |path: &str| -> Value {
        let answer = client()
            .get(format!("{}{path}", web.address("site")))
            .bearer_auth(&api_key)
            .send()
            .await
            .unwrap();
        answer.json().await.unwrap()
    };
    let all_there = async |calls: u64| {
        let (offered, stored) = (get("/v1/board?window_minutes=1440").await, get("/v1/received").await);
        let classes = stored["data"].as_array().cloned().unwrap_or_default();
        let records: u64 = classes.iter().filter_map(|class| class["records"].as_u64()).sum();
        match (offered["offered"]["total"].as_u64(), records) {
            (Some(offered), records) if offered == calls && records == 2 * calls => Ok(()),
            found => Err(found),
        }
    };
    send(0..30).await;
    eventually("board and records have all", PATIENCE, async || all_there(30).await).await;

    // The writer dies; boards go on without it, and its successor writes what is missing, once.
    facts.kill();
    send(30..50).await;
    let begun = Instant::now();
    eventually("the board goes on alone", PATIENCE, async || {
        match get("/v1/board?window_minutes=1440").await["offered"]["total"].as_u64() {
            Some(50) => Ok(()),
            other => Err(other),
        }
    })
    .await;
    assert!(begun.elapsed() < PATIENCE);
    let _facts = ground.start("facts");
    eventually("the successor has written all", PATIENCE, async || all_there(50).await).await;
    assert_eq!(get("/v1/completeness").await["rebuilding"], false);
    drop((intake, web));
    ground.postgres.close().await;
    let _ = std::fs::remove_dir_all(&ground.directory);
}

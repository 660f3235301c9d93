//! The product as its users have it: the real program in a process of its own, on ports the system chose, with embedded stores.
//! One for all tests of this binary; each test makes organisations and workspaces of its own.

use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use reqwest::{Client, ClientBuilder, Response, StatusCode, redirect};
use secrecy::SecretString;
use serde_json::Value;
use trunkline_connectors::simulator::{StandIn, World};
use trunkline_core::access::Permission;
use trunkline_core::audit::By;
use trunkline_core::id::{TenantId, WorkspaceId};
use trunkline_core::instant::Millis;
use trunkline_core::signature::{SigningKey, sign};
use trunkline_stores::keyring::Keyring;
use trunkline_stores::postgres::config::second_factor::Whom;
use trunkline_stores::postgres::row::{NewWorkspace, Workspace};
use trunkline_stores::postgres::{Config, Database, EmbeddedOptions, EmbeddedPostgres, PostgresOptions};
use trunkline_web::identity::key;
use trunkline_web::simulated_retell;

use crate::mailbox;

/// Longest wait for something that the product does by itself (an event on a board, a row in ClickHouse).
pub const PATIENCE: Duration = Duration::from_secs(30);
/// What the product does within five seconds, where other tests run on the same cores.
pub const SOON: Duration = Duration::from_secs(20);

/// Streams that one credential may have open in tests.
pub const STREAMS_EACH_MAX: usize = 30;

/// The running product.
pub struct App {
    /// Pages and API.
    pub site: SocketAddr,
    /// Webhooks.
    pub intake: SocketAddr,
    /// Health and metrics.
    pub admin: SocketAddr,
    /// Its data directory.
    pub data: PathBuf,
    /// Process id.
    pub pid: u32,
    /// All that it has logged since it serves.
    log: Arc<Mutex<String>>,
    _sweeper: Child,
}

/// The product all tests share.
pub fn app() -> &'static App {
    static APP: OnceLock<App> = OnceLock::new();
    APP.get_or_init(|| {
        App::start(
            &tempfile::Builder::new().prefix("trunkline-web-").tempdir().unwrap().keep(),
            true,
            &[
                &[("TRUNKLINE_RETELL__API_URL", retell())],
                &mailbox::settings().each_ref().map(|(name, value)| (*name, value.as_str()))[..],
            ]
            .concat(),
        )
    })
}

/// Retell's API as the simulator plays it: keys begin with `key_`.
pub fn retell() -> &'static str {
    static RETELL: OnceLock<String> = OnceLock::new();
    RETELL.get_or_init(|| {
        let (tell, told) = std::sync::mpsc::channel();
        // A thread and runtime of its own, since each test's runtime ends with the test.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let stand_in = StandIn::new(Arc::new(World::new()), Arc::default());
                let address = simulated_retell::serve(stand_in, Arc::default(), (std::net::Ipv4Addr::LOCALHOST, 0).into()).unwrap();
                tell.send(format!("http://{address}")).unwrap();
                std::future::pending::<()>().await;
            });
        });
        told.recv().unwrap()
    })
}

/// Where the engine's library is; says what to run when it is missing.
pub fn library() -> PathBuf {
    let beside = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.engine/libchdb.so"));
    let path = std::env::var_os("TRUNKLINE_CHDB_LIBRARY").map_or_else(beside, PathBuf::from);
    assert!(
        path.is_file(),
        "no ClickHouse engine at {}: run deploy/clickhouse-engine, or set TRUNKLINE_CHDB_LIBRARY",
        path.display()
    );
    path
}

/// The program with settings for tests.
pub fn program(data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trunkline"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("TRUNKLINE_")) {
        command.env_remove(name);
    }
    command
        .env("TRUNKLINE_DATA__DIRECTORY", data)
        .env("TRUNKLINE_CLICKHOUSE__LIBRARY", library());
    command
        .env("TRUNKLINE_LOG__PARTITIONS", "4")
        .env("TRUNKLINE_SERVER__DRAIN_SECONDS", "0");
    // Tests ask as fast as they can, all from one address; those about limits set them.
    for whose in ["KEY", "PERSON", "ADDRESS"] {
        command.env(format!("TRUNKLINE_LIMITS__{whose}_PER_SECOND"), "0");
    }
    // Tests keep the first cookie that they get, also over a change of roles; those about its end say so.
    command.env("TRUNKLINE_SESSION__RENEWAL_GRACE_SECONDS", "600");
    // Few enough to be reached by a test (S-093), and more than any other opens with one credential.
    command.env("TRUNKLINE_SERVER__STREAMS_EACH_MAX", STREAMS_EACH_MAX.to_string());
    // The provider of the tests of single sign-on is on this machine.
    command.env("TRUNKLINE_SINGLE_SIGN_ON__ALLOW_PRIVATE_NETWORKS", "true");
    command.env("TRUNKLINE_SINGLE_SIGN_ON__DNS_SERVERS", crate::dns::server());
    for setting in ["SERVER", "INTAKE", "ADMIN"] {
        command.env(format!("TRUNKLINE_{setting}__BIND"), "127.0.0.1:0");
    }
    command
}

impl App {
    /// Starts the product in `data`; `forget` removes the directory when this process ends.
    pub fn start(data: &Path, forget: bool, settings: &[(&str, &str)]) -> App {
        App::start_heard(data, forget, settings, |_| {})
    }

    /// The same; every line of its log is told to `heard`.
    pub fn start_heard(data: &Path, forget: bool, settings: &[(&str, &str)], heard: impl Fn(String) + Send + 'static) -> App {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut child = program(data)
            .arg("serve")
            .envs(settings.iter().copied())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let sweeper = sweeper(child.id(), forget.then_some(data));
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut seen = Vec::new();
        let serving = loop {
            let line = lines.next().unwrap_or_else(|| panic!("the product ended: {seen:#?}")).unwrap();
            match serde_json::from_str::<Value>(&line) {
                Ok(entry) if entry["message"] == "serving" => break entry,
                _ => seen.push(line),
            }
        };
        seen.into_iter().for_each(&heard);
        let pid = child.id();
        // Its log must be read on, or it would wait for room in the pipe; and its end must be waited for, or it stays a zombie.
        let log = Arc::new(Mutex::new(String::new()));
        let kept = log.clone();
        std::thread::spawn(move || {
            let loud = std::env::var_os("TEST_LOUD").is_some();
            for line in lines.map_while(Result::ok) {
                kept.lock().unwrap().extend([line.as_str(), "\n"]);
                if loud {
                    eprintln!("{line}");
                }
                heard(line);
            }
            let _ = child.wait();
        });
        let address = |name: &str| serving[name].as_str().unwrap().parse().unwrap();
        App {
            site: address("site"),
            intake: address("intake"),
            admin: address("admin"),
            data: data.to_owned(),
            pid,
            log,
            _sweeper: sweeper,
        }
    }

    /// A handle on its configuration; made anew in each test, because connections end with the runtime they were made on.
    pub async fn config(&self) -> Config {
        let server = EmbeddedPostgres::start_or_attach(&EmbeddedOptions::new(&self.data)).await.unwrap();
        let options = PostgresOptions {
            pool_size: 3,
            ..server.options()
        };
        let keyring = Keyring::read(&self.data.join("secrets.key")).unwrap();
        Config::new(Database::connect(&options).await.unwrap(), Arc::new(keyring))
    }

    /// An organisation and a workspace of its own, known to the intake.
    pub async fn line(&'static self) -> Line {
        let config = self.config().await;
        let tenant = config.ensure_organisation(&fresh("org")).await.unwrap();
        // Most tests are about what comes after signing in.
        config.require_second_factor(tenant, &By::system(), Whom::Nobody).await.unwrap();
        self.line_of(config, tenant).await
    }

    /// A workspace in an organisation, known to the intake.
    pub async fn line_of(&'static self, config: Config, tenant: TenantId) -> Line {
        let (token, key) = (hex::encode(rand::random::<[u8; 20]>()), fresh("key"));
        let new = NewWorkspace {
            name: fresh("workspace"),
            token: token.clone(),
            signing_keys: vec![SecretString::from(key.clone())],
            api_key: None,
            zone: "UTC".to_owned(),
        };
        let workspace = config.create_workspace(tenant, &By::operator(), &new).await.unwrap();
        let line = Line {
            app: self,
            config,
            tenant,
            workspace,
            token,
            key: SigningKey::new(&key),
        };
        line.until_intake_answers(StatusCode::METHOD_NOT_ALLOWED).await;
        line
    }

    /// An address of pages or API.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.site)
    }

    /// What it has logged since it serves.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Metrics as text.
    pub async fn metrics(&self) -> String {
        client()
            .get(format!("http://{}/metrics", self.admin))
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap()
    }
}

/// One workspace with its address and key.
pub struct Line {
    /// The product.
    pub app: &'static App,
    /// Its configuration.
    pub config: Config,
    /// Whose.
    pub tenant: TenantId,
    /// Which.
    pub workspace: WorkspaceId,
    /// End of its intake address.
    pub token: String,
    /// Its key.
    pub key: SigningKey,
}

impl Line {
    /// Its intake address.
    pub fn address(&self) -> String {
        format!("http://{}{}", self.app.intake, self.path())
    }

    /// Path of its intake address.
    pub fn path(&self) -> String {
        format!("/v1/retell/{}", self.token)
    }

    /// Sends a signed body as Retell does.
    pub async fn send(&self, body: impl Into<Vec<u8>>) -> Response {
        let body = body.into();
        let signature = sign(&body, &self.key, now());
        client()
            .post(self.address())
            .header("x-retell-signature", signature)
            .body(body)
            .send()
            .await
            .unwrap()
    }

    /// Sends an event that has to be kept.
    pub async fn keep(&self, event: &Value) {
        assert_eq!(self.send(event.to_string()).await.status(), StatusCode::NO_CONTENT);
    }

    /// An API key of the organisation with these scopes.
    pub async fn api_key(&self, scopes: &[&str]) -> String {
        key_of(&self.config, self.tenant, scopes).await
    }

    /// Changes its workspace.
    pub async fn change_workspace(&self, with: impl FnOnce(&mut Workspace)) {
        let before = self.config.workspaces(self.tenant, Some(self.workspace)).await.unwrap().remove(0);
        let mut after = before.clone();
        with(&mut after);
        let done = self.config.change_workspace(self.tenant, &By::operator(), &before, &after).await;
        done.unwrap();
    }

    /// Asks the API, with all scopes to read.
    pub async fn get(&self, key: &str, path: &str) -> (StatusCode, Value) {
        let response = client().get(self.app.url(path)).bearer_auth(key).send().await.unwrap();
        let status = response.status();
        (status, response.json().await.unwrap_or_default())
    }

    /// Asks for a page.
    pub async fn page(&self, key: &str, path: &str) -> (StatusCode, String) {
        let response = client().get(self.app.url(path)).bearer_auth(key).send().await.unwrap();
        (response.status(), response.text().await.unwrap())
    }

    /// Asks the API until the answer is as wanted.
    pub async fn until(&self, key: &str, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        loop {
            let (status, answer) = self.get(key, path).await;
            if wanted(&answer) {
                return answer;
            }
            assert!(begun.elapsed() < PATIENCE, "GET {path}: {status} {answer:#}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Changes of the configuration reach the intake a moment later; a GET tells without sending an event.
    pub async fn until_intake_answers(&self, status: StatusCode) {
        let begun = Instant::now();
        loop {
            let found = client().get(self.address()).send().await.unwrap().status();
            if found == status {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "intake answers {found}, not {status}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// A client without a pool: tests have runtimes of their own.
pub fn client() -> Client {
    clean().build().unwrap()
}

/// A client that goes where it is sent to, and no further, so that a test sees each answer.
pub fn browser() -> Client {
    clean().redirect(redirect::Policy::none()).build().unwrap()
}

/// A browser at an address of its own: limits are for one address, and the loopback has many.
pub fn browser_at(last: [u8; 3]) -> Client {
    let address = Ipv4Addr::new(127, last[0], last[1], last[2]);
    let from_there = clean().redirect(redirect::Policy::none()).local_address(IpAddr::V4(address));
    from_there.build().unwrap()
}

fn clean() -> ClientBuilder {
    let _ = rustls::crypto::ring::default_provider().install_default();
    // No authority is trusted: reading the system's hundred and more takes longer than most requests, and all of these are plain HTTP.
    Client::builder()
        .tls_certs_only([])
        .pool_max_idle_per_host(0)
        .timeout(Duration::from_secs(60))
}

/// Wall clock.
pub fn now() -> Millis {
    Millis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64)
}

/// A name nobody else uses.
pub fn fresh(what: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Of one width, so that none is the beginning of another: tests look for names that must not be there.
    format!("{what}-{}-{:06}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A call's event as Retell sends it.
pub fn event(name: &str, call_id: &str) -> Value {
    let started = now().0 - 60_000;
    let mut call = serde_json::json!({
        "call_id": call_id, "call_type": "phone_call", "agent_id": "agent_1", "agent_name": "Reception", "agent_version": 3,
        "direction": "inbound", "from_number": "+12025550101", "to_number": "+12025550102", "start_timestamp": started,
        "call_status": "ongoing",
    });
    if name != "call_started" {
        call["call_status"] = "ended".into();
        call["end_timestamp"] = (started + 42_000).into();
        call["duration_ms"] = 42_000.into();
        call["disconnection_reason"] = "user_hangup".into();
        call["transcript_object"] = serde_json::json!([
            { "role": "agent", "content": "Hello, how can I help?" }, { "role": "user", "content": "I would like a table for two." },
        ]);
    }
    serde_json::json!({ "event": name, "call": call })
}

/// Stops the product, and forgets its directory, when this process ends, however it ends: its end closes the pipe.
#[allow(clippy::zombie_processes)] // it outlives this process: that is its purpose
pub fn sweeper(pid: u32, forget: Option<&Path>) -> Child {
    const SCRIPT: &str = "trap '' INT TERM HUP; cat >/dev/null; kill -TERM \"$1\" 2>/dev/null; n=0; \
         while kill -0 \"$1\" 2>/dev/null && [ $n -lt 100 ]; do sleep 0.1; n=$((n+1)); done; kill -KILL \"$1\" 2>/dev/null; \
         [ -z \"$2\" ] || rm -rf \"$2\"";
    let mut command = Command::new("sh");
    command.args(["-c", SCRIPT, "sweeper", &pid.to_string()]);
    command.arg(forget.map(|path| path.display().to_string()).unwrap_or_default());
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// An API key of an organisation with these scopes.
pub async fn key_of(config: &Config, tenant: TenantId, scopes: &[&str]) -> String {
    let permissions = scopes.iter().map(|scope| scope.parse::<Permission>().unwrap()).collect();
    key::create(config, tenant, &By::system(), key::Wanted::everywhere("test", permissions))
        .await
        .unwrap()
        .1
}

//! Runs the real program as a child, in a data directory that survives its deaths, and leaves nothing behind.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::sync::{Mutex, MutexGuard};

use crate::app::program;
use crate::ports::free_port;

/// How long a start may take: the first one makes a Postgres cluster, and the machine may be busy building.
const START_WITHIN: Duration = Duration::from_secs(180);
/// How long an orderly stop may take; the program itself gives up after 25 s.
const STOP_WITHIN: Duration = Duration::from_secs(60);
/// Lines of the program's own log that a failed test shows.
const LOG_LINES_SHOWN: usize = 40;

/// One product at a time: each needs the whole machine for its figures to mean anything.
static TURN: Mutex<()> = Mutex::const_new(());

/// The repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// Retell's samples, in the reference folder beside the checkout.
pub fn shared(inside: &str) -> PathBuf {
    let folder = std::env::var_os("TRUNKLINE_SHARED").map_or_else(|| root().join("../shared"), PathBuf::from);
    let found = folder.join(inside);
    assert!(
        found.exists(),
        "{} is missing: set TRUNKLINE_SHARED to the reference folder, or put it beside the checkout",
        found.display()
    );
    found
}

/// A data directory and the settings of its product. Dropped, it ends whatever still runs there and removes the directory.
pub struct Place {
    directory: PathBuf,
    settings: Vec<String>,
    sweeper: Child,
    pipe: Option<ChildStdin>,
    _turn: MutexGuard<'static, ()>,
}

impl Place {
    /// An empty one; waits until no other product runs.
    pub async fn new(settings: &[&str]) -> Place {
        let turn = TURN.lock().await;
        // Only refuses when another part of this process was faster; there is but one provider.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let directory = tempfile::Builder::new().prefix("trunkline-whole-").tempdir().unwrap().keep();
        let mut sweeper = Command::new("sh")
            .args(["-c", SWEEP, "sweep"])
            .arg(&directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let pipe = sweeper.stdin.take();
        let mut all = vec![
            // A fixed port: Retell calls the same address after a restart.
            format!("intake.bind=127.0.0.1:{}", free_port()),
            "telemetry.format=json".to_owned(),
        ];
        all.extend(settings.iter().map(|setting| (*setting).to_owned()));
        Place {
            directory,
            settings: all,
            sweeper,
            pipe,
            _turn: turn,
        }
    }

    /// Starts the product here and waits until it serves.
    pub async fn start(&self) -> Product<'_> {
        self.start_with(&["--quiet-line"]).await
    }

    /// The same with other words for the demo.
    pub async fn start_with(&self, words: &[&str]) -> Product<'_> {
        let begun = Instant::now();
        let log = OpenOptions::new().create(true).append(true).open(self.log()).unwrap();
        let mut command = program(&self.directory.join("data"));
        command.arg("demo").args(words);
        for setting in &self.settings {
            command.args(["--set", setting]);
        }
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        fs::write(self.directory.join("product.pid"), child.id().to_string()).unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let said = tokio::task::spawn_blocking(move || {
            let mut said = Vec::new();
            for line in lines.map_while(Result::ok) {
                let done = line.starts_with("Ctrl+C");
                said.push(line);
                if done {
                    break;
                }
            }
            said
        });
        let said = tokio::time::timeout(START_WITHIN, said).await;
        let Ok(Ok(said)) = said else {
            let _ = child.kill();
            panic!("the product said nothing within {START_WITHIN:?}");
        };
        let word = |name: &str| {
            let line = said.iter().find_map(|line| line.trim_start().strip_prefix(name));
            line.map(|rest| rest.trim().to_owned())
                .unwrap_or_else(|| panic!("the product did not say its {name}; it said {said:?}"))
        };
        let secrets: Value = serde_json::from_slice(&fs::read(self.directory.join("data/demo.json")).unwrap()).unwrap();
        let secret = |name: &str| secrets[name].as_str().unwrap().to_owned();
        assert_eq!(secret("api_key"), word("API key"), "what is printed is what is kept");
        Product {
            child: Some(child),
            place: self,
            site: word("address"),
            intake: word("webhooks"),
            admin: word("health").trim_end_matches("/readyz").to_owned(),
            signing_key: secret("signing_key"),
            key: secret("api_key"),
            http: reqwest::Client::builder()
                .no_proxy()
                .timeout(Duration::from_secs(60))
                .build()
                .unwrap(),
            started_in: begun.elapsed(),
        }
    }

    /// Runs another of the program's commands here, with the same settings.
    pub fn command(&self, words: &[&str]) -> Output {
        let mut command = program(&self.directory.join("data"));
        for setting in &self.settings {
            command.args(["--set", setting]);
        }
        command.args(words).stdin(Stdio::null()).output().unwrap()
    }

    /// The server of Postgres that runs here, if one does.
    pub fn postgres(&self) -> Option<Pid> {
        let note = fs::read_to_string(self.directory.join("data/postgres/cluster/postmaster.pid")).ok()?;
        note.lines().next()?.trim().parse().ok().and_then(Pid::from_raw)
    }

    /// A file that only the tests know, for this place's time.
    pub fn keep(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory.join(name);
        File::create(&path).unwrap().write_all(text.as_bytes()).unwrap();
        path
    }

    fn log(&self) -> PathBuf {
        self.directory.join("product.log")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let text = fs::read_to_string(self.log()).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            for line in &lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..] {
                eprintln!("product: {line}");
            }
        }
        // The sweeper acts when the pipe closes, so it also acts when this process is killed.
        self.pipe.take();
        let _ = self.sweeper.wait();
    }
}

/// Ends product and Postgres of a directory, by number and only if they work there, and removes it.
const SWEEP: &str = r#"
read -r never
directory=$1
if pid=$(cat "$directory/product.pid" 2>/dev/null); then kill -KILL "$pid"; fi
cluster=$directory/data/postgres/cluster
if pid=$(head -n 1 "$cluster/postmaster.pid" 2>/dev/null) && [ "$(readlink "/proc/$pid/cwd")" = "$cluster" ]; then
    kill -INT "$pid"
    tries=0
    while kill -0 "$pid" 2>/dev/null && [ $tries -lt 200 ]; do sleep 0.1; tries=$((tries + 1)); done
    [ $tries -lt 200 ] || kill -KILL "$pid"
fi
rm -rf -- "$directory"
"#;

/// A running product.
pub struct Product<'a> {
    child: Option<Child>,
    place: &'a Place,
    /// Pages and API.
    pub site: String,
    /// The whole intake address.
    pub intake: String,
    /// Health and metrics.
    pub admin: String,
    /// Signs events.
    pub signing_key: String,
    /// How long the start took.
    pub started_in: Duration,
    key: String,
    /// A client for all of its doors.
    pub http: reqwest::Client,
}

impl Product<'_> {
    /// The answer of `/v1...`, which has to be there.
    pub async fn get(&self, path: &str) -> Value {
        self.find(path).await.unwrap_or_else(|| panic!("GET {path}: 404"))
    }

    /// The answer of `/v1...`; `None` is 404.
    pub async fn find(&self, path: &str) -> Option<Value> {
        let request = self.http.get(format!("{}{path}", self.site)).bearer_auth(&self.key);
        let answer = request.send().await.unwrap_or_else(|error| panic!("GET {path}: {error}"));
        let status = answer.status();
        if status == StatusCode::NOT_FOUND {
            return None;
        }
        let text = answer.text().await.unwrap();
        assert_eq!(status, StatusCode::OK, "GET {path}: {text}");
        Some(serde_json::from_str(&text).unwrap())
    }

    /// Every entry of a paged list.
    pub async fn list(&self, path: &str) -> Vec<Value> {
        let (mut found, mut after) = (Vec::new(), String::new());
        let joint = if path.contains('?') { '&' } else { '?' };
        loop {
            let page = self.get(&format!("{path}{joint}limit=100{after}")).await;
            found.extend(page["data"].as_array().unwrap().iter().cloned());
            match page["next_cursor"].as_str() {
                Some(cursor) => after = format!("&after={cursor}"),
                None => return found,
            }
        }
    }

    /// The sum of a metric of the admin port over the labels that contain `with`.
    pub async fn metric(&self, name: &str, with: &str) -> Option<f64> {
        let text = self
            .http
            .get(format!("{}/metrics", self.admin))
            .send()
            .await
            .ok()?
            .text()
            .await
            .ok()?;
        let lines = text.lines().filter(|line| line.starts_with(name) && line.contains(with));
        let values = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
        Some(values.sum())
    }

    /// Memory in use, MiB.
    pub fn memory_mib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap_or_default();
        let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
        kib.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or_default() / 1024
    }

    /// Kills the product where it stands.
    pub fn kill(mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        self.gone();
    }

    /// Asks it to stop, as a service manager would, and waits for it.
    pub async fn stop(mut self) {
        kill_process(Pid::from_raw(self.id() as i32).unwrap(), Signal::TERM).unwrap();
        let begun = Instant::now();
        let mut child = self.child.take().unwrap();
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            assert!(begun.elapsed() < STOP_WITHIN, "the product did not stop within {STOP_WITHIN:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        self.gone();
        assert!(status.success(), "the product stopped with {status}");
        assert!(self.place.postgres().is_none(), "its Postgres stopped with it");
    }

    fn id(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::id)
    }

    /// Its number may be given to another process now.
    fn gone(&self) {
        let _ = fs::remove_file(self.place.directory.join("product.pid"));
    }
}

impl Drop for Product<'_> {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
            self.gone();
        }
    }
}

/// Asks until the answer is `Ok`; after `patience` the last `Err` fails the test. Gives the time it took.
pub async fn eventually<E: std::fmt::Debug>(what: &str, patience: Duration, mut look: impl AsyncFnMut() -> Result<(), E>) -> Duration {
    let begun = Instant::now();
    loop {
        match look().await {
            Ok(()) => return begun.elapsed(),
            Err(error) if begun.elapsed() > patience => panic!("{what}: not within {patience:?}: {error:#?}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

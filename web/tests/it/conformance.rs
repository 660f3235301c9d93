//! The API does what its description says, whatever is sent: schemathesis makes requests from the OpenAPI document, good ones and bad ones,
//! and judges each answer of a real product.
//!
//! How many is what bounds it, not how long it takes, so that a slow machine asks the same questions as a fast one.

use std::process::{Command, Output};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;
use trunkline_core::access::{Permission, Role};

use crate::app::{App, key_of};
use crate::people::Somebody;

/// Requests made up for each operation and phase; more by hand.
const EACH: &str = "TRUNKLINE_TEST_API_CASES";
/// What they are drawn from.
const SEED: &str = "TRUNKLINE_TEST_API_SEED";
/// Without it: enough for [`CASES_MIN`].
const EACH_ELSEWHERE: u32 = 400;
/// Fewer requests mean that operations were left out, or that this schemathesis makes others up.
const CASES_MIN: u64 = 20_000;
/// Processes at once. Not threads of one: Python has one thread compute at a time, and two that parse Python's own source at once, as
/// hypothesis does, meet a defect of CPython 3.11 (gh-106905: "AST constructor recursion depth mismatch").
const AT_ONCE: usize = 2;
/// Shares of the operations: some are quickly asked through, and nobody should wait for the last one.
const SHARES: usize = 6;
/// Seconds before an answer counts as missing: a machine that stalls is no failure of the API.
const PATIENCE_SECONDS: &str = "120";
/// Runs of one share. A machine that stalls for longer than the server waits for the rest of a request ends that request, and there is
/// nothing to be said about it; the questions are the same each time, so what the product does wrong it does wrong again.
const TRIES: usize = 3;

/// What an answer is judged by.
const CHECKS: &str =
    "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,negative_data_rejection";

/// Refusals that a request with something wrong in it may get. Beside those that schemathesis knows: 408 and 413 of bodies, and 412, since a
/// condition is looked at before the rest of a request (RFC 9110, 13.2.1), so that a wrong field beside a wrong If-Match is not reached.
const SETTINGS: &str = r#"
[checks.negative_data_rejection]
expected-statuses = ["400", "401", "403", "404", "405", "406", "408", "409", "412", "413", "415", "422", "428", "429", "5xx"]
"#;

/// The stream has no end, and a key that is taken back opens nothing more.
const NOT_ASKED: [&str; 2] = ["stream", "revokeApiKey"];

/// Operations that one run asks, and as whom.
struct Share {
    header: String,
    operations: Vec<String>,
}

fn operations() -> Vec<String> {
    let document: Value = serde_json::from_str(trunkline_web::api::documents::description_text()).unwrap();
    let paths = document["paths"].as_object().unwrap().values();
    let operations = paths.flat_map(|methods| methods.as_object().unwrap().values());
    operations
        .map(|operation| operation["operationId"].as_str().unwrap().to_owned())
        .filter(|name| !NOT_ASKED.contains(&name.as_str()))
        .collect()
}

fn run(address: &str, share: &Share) -> Output {
    let python =
        std::env::var_os("TRUNKLINE_TEST_PYTHON").expect("TRUNKLINE_TEST_PYTHON names a Python with schemathesis; deploy/test sets it");
    let place = tempfile::tempdir().unwrap();
    let settings = place.path().join("schemathesis.toml");
    std::fs::write(&settings, SETTINGS).unwrap();
    let each = std::env::var(EACH).unwrap_or_else(|_| EACH_ELSEWHERE.to_string());
    let seed = std::env::var(SEED).ok();
    let mut command = Command::new(python);
    command
        .args(["-m", "schemathesis.cli", "--config-file"])
        .arg(&settings)
        .arg("run")
        .arg(format!("{address}/openapi.json"));
    command.args(["--header", &share.header, "--checks", CHECKS, "--phases", "coverage,fuzzing"]);
    command.args([
        "--workers",
        "1",
        "--max-examples",
        &each,
        "--request-timeout",
        PATIENCE_SECONDS,
        "--suppress-health-check",
        "all",
        "--continue-on-failure",
        "--no-shrink",
        "--no-color",
    ]);
    // The same requests each time: what is new is looked for by hand, with another seed and more of them.
    match &seed {
        Some(seed) => command.args(["--seed", seed, "--generation-database", "none"]),
        None => command.arg("--generation-deterministic"),
    };
    if share.header.starts_with("Cookie") {
        // Without the header that the description asks for, the cookie is still there: such a request is a good one.
        command.args(["--generation-with-security-parameters", "false"]);
    }
    for operation in &share.operations {
        command.args(["--include-operation-id", operation]);
    }
    // What it remembers between runs is not for the repository.
    command.env("PYTHONHASHSEED", "0").current_dir(place.path()).output().unwrap()
}

/// Whether a run failed by the machine's slowness alone, as far as its words tell.
fn stalled(said: &str) -> bool {
    ["408 Request Timeout", "Network Error", "Connection", "503 Service Unavailable"]
        .iter()
        .any(|sign| said.contains(sign))
}

/// Asks a share; gives how many requests were made.
fn ask(address: &str, share: &Share) -> u64 {
    for attempt in 1.. {
        let output = run(address, share);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() {
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert!(
                stalled(&said) && attempt < TRIES,
                "as {}: {said}{stderr}",
                &share.header.split(':').next().unwrap_or_default()
            );
            println!("once more, the machine was too slow: {said}");
            continue;
        }
        let told = said
            .lines()
            .map(str::trim)
            .find(|line| line.contains(" generated, ") && line.starts_with(|first: char| first.is_ascii_digit()));
        let told = told.unwrap_or_else(|| panic!("{said}"));
        println!("{} operations: {told}", share.operations.len());
        return told.split_whitespace().next().unwrap().replace(',', "").parse().unwrap();
    }
    unreachable!("the last attempt fails or returns")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_sent_is_answered_as_described() {
    let data = tempfile::Builder::new().prefix("trunkline-described-").tempdir().unwrap().keep();
    // Nothing it sends may leave the machine, and its own haste is not what is tried here: all limits are off in tests.
    let app: &'static App = Box::leak(Box::new(App::start(
        &data,
        true,
        &[("TRUNKLINE_RETELL__API_URL", crate::app::retell())],
    )));
    let line = app.line().await;
    let scopes: Vec<&str> = Permission::ALL.iter().map(|permission| permission.scope()).collect();
    let key = key_of(&line.config, line.tenant, &scopes).await;
    let person = Somebody::with(&line, Role::Owner).await;
    let all = operations();
    let mut shares: Vec<Share> = (0..SHARES)
        .map(|share| Share {
            header: format!("Authorization: Bearer {key}"),
            operations: all.iter().skip(share).step_by(SHARES).cloned().collect(),
        })
        .collect();
    // What only a person has. Their password is not among it: changed, it would end the session that asks.
    shares.push(Share {
        header: format!("Cookie: {}", person.cookie),
        operations: ["getMe", "updateMe"].map(str::to_owned).into(),
    });
    let (waiting, made) = (Mutex::new(shares), AtomicU64::new(0));
    let address = format!("http://{}", app.site);
    tokio::task::block_in_place(|| {
        std::thread::scope(|scope| {
            for _ in 0..AT_ONCE {
                scope.spawn(|| {
                    loop {
                        let next = waiting.lock().unwrap().pop();
                        let Some(share) = next else { return };
                        made.fetch_add(ask(&address, &share), Ordering::Relaxed);
                    }
                });
            }
        });
    });
    let made = made.into_inner();
    println!("{made} requests");
    assert!(made >= CASES_MIN || std::env::var_os(EACH).is_some(), "{made}");
}

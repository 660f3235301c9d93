//! The API does what its description says, whatever is sent: schemathesis makes requests from the OpenAPI document, good ones and bad ones,
//! and judges each answer of a real product.

use std::process::Command;

use trunkline_core::access::{Permission, Role};

use crate::app::{App, client, key_of};
use crate::people::Somebody;

/// How long requests are made, in seconds.
const SECONDS: &str = "TRUNKLINE_TEST_API_SECONDS";
/// What they are drawn from.
const SEED: &str = "TRUNKLINE_TEST_API_SEED";
/// Without it: enough for each operation's fields and their bounds on a machine that does little else.
const SECONDS_ELSEWHERE: u64 = 20;

/// What an answer is judged by.
const CHECKS: &str =
    "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,negative_data_rejection";

struct Asked<'a> {
    address: String,
    header: String,
    seconds: u64,
    /// Further words for schemathesis.
    words: &'a [&'a str],
}

/// Runs it; gives how many requests were made.
fn ask(asked: &Asked<'_>) -> u64 {
    let python =
        std::env::var_os("TRUNKLINE_TEST_PYTHON").expect("TRUNKLINE_TEST_PYTHON names a Python with schemathesis; deploy/test sets it");
    let place = tempfile::tempdir().unwrap();
    let mut command = Command::new(python);
    command
        .args(["-m", "schemathesis.cli", "run"])
        .arg(format!("{}/openapi.json", asked.address));
    command.args([
        "--header",
        &asked.header,
        "--checks",
        CHECKS,
        "--phases",
        "coverage,fuzzing",
        "--continue-on-failure",
        "--no-shrink",
    ]);
    command.args([
        "--workers",
        "2",
        "--max-examples",
        "100",
        "--max-time",
        &asked.seconds.to_string(),
        // The same requests each time: what is new is looked for by hand, with another seed and more time.
        "--seed",
        &std::env::var(SEED).unwrap_or_else(|_| "1".to_owned()),
        "--no-color",
    ]);
    // What it remembers between runs is not for the repository.
    let output = command.args(asked.words).current_dir(place.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let told = said
        .lines()
        .map(str::trim)
        .find(|line| line.contains(" generated, ") && line.starts_with(|first: char| first.is_ascii_digit()));
    let told = told.unwrap_or_else(|| panic!("{said}"));
    println!("{told}");
    told.split_whitespace().next().unwrap().replace(',', "").parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "by hand: schemathesis takes a 412 for an accepted request, and on some Pythons ends by an error of its own"]
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
    let seconds = std::env::var(SECONDS).map_or(SECONDS_ELSEWHERE, |text| text.parse().expect("a number of seconds"));
    let program = Asked {
        address: format!("http://{}", app.site),
        header: format!("Authorization: Bearer {key}"),
        seconds,
        // The stream has no end, and a key that is taken back opens nothing more.
        words: &["--exclude-operation-id", "stream", "--exclude-operation-id", "revokeApiKey"],
    };
    let person = Somebody::with(&line, Role::Owner).await;
    let person = Asked {
        address: format!("http://{}", app.site),
        header: format!("Cookie: {}", person.cookie),
        seconds: (seconds / 10).max(5),
        words: &["--include-operation-id", "getMe", "--include-operation-id", "updateMe"],
    };
    let made = tokio::task::spawn_blocking(move || ask(&program) + ask(&person)).await.unwrap();
    println!("{made} requests in {seconds} s");
    assert!(made > 100, "{made}");
    let metrics = client()
        .get(format!("http://{}/metrics", app.admin))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(!metrics.contains("status_class=\"5xx\""), "an answer was a failure of ours");
}

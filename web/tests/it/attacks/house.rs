//! Attacks on the house itself: what is in the repository, in the lock file, and what the sources must not do.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::process::root;

/// Everything that is written by people, by its path from the root.
fn texts() -> Vec<(String, String)> {
    fn walk(folder: &Path, found: &mut Vec<(String, String)>) {
        for entry in fs::read_dir(folder).unwrap().filter_map(Result::ok) {
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            if path.is_dir() {
                if !["target", "data", ".git", ".engine", "vendor"].contains(&name.as_str()) {
                    walk(&path, found);
                }
            } else if let Ok(text) = fs::read_to_string(&path) {
                found.push((path.strip_prefix(root()).unwrap().display().to_string(), text));
            }
        }
    }
    let mut found = Vec::new();
    walk(&root(), &mut found);
    assert!(found.len() > 300, "{}", found.len());
    found
}

#[test]
fn s033_every_question_to_clickhouse_names_its_tenant() {
    /// The auditor's and the facts writer's questions walk over partitions of the log, all tenants, and answer no caller; those of the
    /// platform's own count and name nobody; a version is nobody's.
    const OF_THE_PLATFORM: [&str; 13] = [
        "calls_of_partition",
        "density",
        "density_of_newest",
        "endings",
        "missing",
        "owners",
        "places_of",
        "platform_events",
        "platform_storage",
        "records_of",
        "standings",
        "stored_calls",
        "version",
    ];
    let folder = root().join("clickhouse/queries");
    let read = |name: &str| fs::read_to_string(folder.join(format!("{name}.sql"))).unwrap();
    // Parts that are put in place of a name in braces.
    let with_parts = |text: String| {
        let mut text = text;
        for part in ["figures_scope", "calls_matching"] {
            let place = if part == "figures_scope" { "{scope}" } else { "{matching}" };
            text = text.replace(place, &read(part));
        }
        text
    };
    let mut without = Vec::new();
    for entry in fs::read_dir(&folder).unwrap().filter_map(Result::ok) {
        let name = entry.path().file_stem().unwrap().to_string_lossy().into_owned();
        let text = with_parts(read(&name));
        if !text.contains("tenant = {tenant: UUID}") {
            without.push(name);
        }
    }
    without.sort();
    assert_eq!(without, OF_THE_PLATFORM, "a question without a tenant");
}

#[test]
fn s054_no_secret_is_committed() {
    let mut found = Vec::new();
    for (path, text) in texts() {
        for (number, line) in text.lines().enumerate() {
            let private = line.contains("PRIVATE KEY-----") && line.contains("-----BEGIN") && !path.ends_with("house.rs");
            // Ours, Retell's, Amazon's and Stripe's, by their form.
            let key = |prefix: &str, length: usize, fits: fn(char) -> bool| {
                line.match_indices(prefix).any(|(at, _)| {
                    let rest = &line[at + prefix.len()..];
                    let run = rest.chars().take_while(|letter| fits(*letter)).count();
                    let varied = rest.chars().take(run).collect::<std::collections::BTreeSet<_>>().len() > 6;
                    run >= length && varied
                })
            };
            let hex = |letter: char| letter.is_ascii_hexdigit();
            let word = |letter: char| letter.is_ascii_alphanumeric();
            let capital = |letter: char| letter.is_ascii_uppercase() || letter.is_ascii_digit();
            if private || key("sk_live_", 40, hex) || key("\"key_", 28, hex) || key("AKIA", 16, capital) || key("ghp_", 36, word) {
                found.push(format!("{path}:{}", number + 1));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn s057_no_crate_is_older_than_the_mending_of_its_known_holes() {
    let lock: toml::Table = fs::read_to_string(root().join("Cargo.lock")).unwrap().parse().unwrap();
    let mut versions: BTreeMap<&str, Vec<[u64; 3]>> = BTreeMap::new();
    for package in lock["package"].as_array().unwrap() {
        let version = package["version"].as_str().unwrap().split(['-', '+']).next().unwrap();
        let mut parts = version.split('.').map(|part| part.parse::<u64>().unwrap());
        let version = [parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap()];
        versions.entry(package["name"].as_str().unwrap()).or_default().push(version);
    }
    for (name, least) in [
        ("h2", [0, 4, 4]),
        ("rustls", [0, 23, 5]),
        ("jsonwebtoken", [10, 3, 0]),
        ("totp-rs", [1, 1, 0]),
        ("idna", [1, 0, 0]),
        ("actix-http", [3, 12, 1]),
    ] {
        for version in versions.get(name).into_iter().flatten() {
            assert!(*version >= least, "{name} {version:?} is below {least:?}");
        }
    }
    assert!(
        versions.contains_key("rustls") && versions.contains_key("actix-http"),
        "the lock file is read"
    );
    // librdkafka by the crate that holds its sources: 4.9 brought 2.12.
    assert!(
        versions["rdkafka-sys"].iter().all(|version| *version >= [4, 9, 0]),
        "{:?}",
        versions["rdkafka-sys"]
    );
}

#[test]
fn s066_s067_no_certificate_goes_unchecked_and_no_code_is_compared_byte_by_byte() {
    let mut found = Vec::new();
    for (path, text) in texts()
        .into_iter()
        .filter(|(path, _)| path.ends_with(".rs") && path.contains("/src/"))
    {
        for word in [
            "danger_accept_invalid",
            ".dangerous()",
            "ServerCertVerifier for",
            "tls_danger",
            "SslVerifyMode::NONE",
        ] {
            if text.contains(word) {
                found.push(format!("{path}: {word}"));
            }
        }
        // A code of authentication is checked by the library, in constant time; only what makes one may take its bytes out.
        for (number, line) in text.lines().enumerate() {
            let compares = line.contains("==") || line.contains("!=");
            if compares && line.contains("finalize()") {
                found.push(format!("{path}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

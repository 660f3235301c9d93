//! The rules of the house that a compiler does not check: arrows between rooms, file length, forbidden calls, where SQL lives,
//! what may stand in the root, and that no log line or metric carries personal data.

use std::fs;
use std::path::{Path, PathBuf};

/// Longest source file in lines, inline tests not counted.
const FILE_LINES_MAX: usize = 400;
/// Rooms that hold Rust.
const ROOMS: [&str; 7] = [
    "engine/core",
    "engine/stores",
    "engine/connectors",
    "actors",
    "web",
    "benches",
    "benches/simulation",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("web lies in the root")
        .to_path_buf()
}

fn files(folder: &Path, endings: &[&str], found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.filter_map(Result::ok) {
        let path = entry.path();
        if path.is_dir() {
            if !["target", "vendor", "node_modules"].contains(&entry.file_name().to_string_lossy().as_ref()) {
                files(&path, endings, found);
            }
        } else if endings.iter().any(|ending| path.extension().is_some_and(|e| e == *ending)) {
            found.push(path);
        }
    }
}

fn sources(rooms: &[&str]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for room in rooms {
        files(&root().join(room).join("src"), &["rs"], &mut found);
    }
    assert!(found.len() >= rooms.len(), "no sources found below {rooms:?}");
    found.sort();
    found
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).expect("a source file is readable");
            (path.strip_prefix(root()).expect("below the root").display().to_string(), text)
        })
        .collect()
}

/// A file without its inline tests and comments: what the rules are about.
fn code(text: &str) -> String {
    let end = text.find("#[cfg(test)]\nmod ").unwrap_or(text.len());
    text[..end]
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n")
}

fn offences(rooms: &[&str], forbidden: &[&str], allowed: impl Fn(&str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in sources(rooms) {
        if allowed(&path) {
            continue;
        }
        for word in forbidden {
            if code(&text).contains(word) {
                found.push(format!("{path}: {word}"));
            }
        }
    }
    found
}

#[test]
fn arrows_point_one_way() {
    let allowed: [(&str, &[&str]); 5] = [
        ("engine/core", &[]),
        ("engine/stores", &["trunkline-core"]),
        ("engine/connectors", &["trunkline-core"]),
        ("actors", &["trunkline-core", "trunkline-stores", "trunkline-connectors"]),
        (
            "web",
            &["trunkline-core", "trunkline-stores", "trunkline-connectors", "trunkline-actors"],
        ),
    ];
    for (room, may_use) in allowed {
        let manifest = fs::read_to_string(root().join(room).join("Cargo.toml")).expect("every room has a manifest");
        let manifest: toml::Table = manifest.parse().expect("a manifest is TOML");
        let uses = manifest["dependencies"].as_table().expect("dependencies are a table").keys();
        for name in uses.filter(|name| name.starts_with("trunkline")) {
            assert!(may_use.contains(&name.as_str()), "{room} must not depend on {name}");
        }
    }
}

#[test]
fn the_core_stays_pure() {
    let manifest = fs::read_to_string(root().join("engine/core/Cargo.toml")).expect("core has a manifest");
    for name in ["tokio", "actix", "rdkafka", "postgres", "clickhouse", "reqwest", "rand", "async"] {
        assert!(
            !manifest.split("[dev-dependencies]").next().unwrap_or("").contains(name),
            "engine/core must not use {name}"
        );
    }
    let found = offences(
        &["engine/core"],
        &[
            "SystemTime::now",
            "Instant::now",
            "std::fs",
            "std::net",
            "std::thread",
            "async fn",
            "println!",
            "rand::",
        ],
        |_| false,
    );
    assert!(found.is_empty(), "the core waits for nothing and looks at no clock: {found:#?}");
}

#[test]
fn frameworks_stay_in_their_rooms() {
    let found = offences(
        &["engine/core", "engine/stores", "engine/connectors", "web"],
        &["use actix::", "actix::Actor"],
        |_| false,
    );
    assert!(found.is_empty(), "actix types appear only in actors: {found:#?}");
    let found = offences(
        &["engine/core", "engine/stores", "engine/connectors", "actors"],
        &["actix_web"],
        |_| false,
    );
    assert!(found.is_empty(), "actix-web types appear only in web: {found:#?}");
    let found = offences(
        &["web", "actors"],
        &["rdkafka", "tokio_postgres", "deadpool_postgres", "libloading"],
        |_| false,
    );
    assert!(found.is_empty(), "drivers stay in stores: {found:#?}");
}

#[test]
fn forbidden_calls_are_absent() {
    let found = offences(&ROOMS, &["do_send(", "todo!(", "unimplemented!(", "dbg!("], |_| false);
    assert!(found.is_empty(), "{found:#?}");
    let found = offences(
        &["engine/core", "engine/stores", "engine/connectors", "actors", "web"],
        &[".unwrap()"],
        |_| false,
    );
    assert!(
        found.is_empty(),
        "outside input is never worth a panic; `expect` states its proof: {found:#?}"
    );
    let found = offences(&["actors"], &["run_interval", "run_later"], |_| false);
    assert!(
        found.is_empty(),
        "timers inside an actor starve under load; time comes as a pulse: {found:#?}"
    );
}

#[test]
fn files_have_one_job() {
    let mut found = Vec::new();
    for (path, text) in sources(&ROOMS) {
        let lines = text[..text.find("#[cfg(test)]\nmod ").unwrap_or(text.len())].lines().count();
        if lines > FILE_LINES_MAX {
            found.push(format!("{path}: {lines} lines"));
        }
        if !text.trim_start().starts_with("//!") && !text.trim_start().starts_with("#![doc") {
            found.push(format!("{path}: the first line does not say what the file is for"));
        }
        let name = Path::new(&path)
            .file_stem()
            .map(|stem| stem.to_string_lossy().into_owned())
            .unwrap_or_default();
        if ["util", "utils", "common", "helpers", "helper", "manager"].contains(&name.as_str()) {
            found.push(format!("{path}: a name that says nothing"));
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn s071_sql_lives_in_sql_files() {
    let mut found = Vec::new();
    for (path, text) in sources(&["engine/stores", "engine/connectors", "actors", "web"]) {
        for (number, line) in code(&text).lines().enumerate() {
            let upper = line.to_ascii_uppercase();
            let quoted = line.contains('"');
            let statement = [
                "SELECT ",
                "INSERT INTO ",
                "UPDATE ",
                "DELETE FROM ",
                "CREATE TABLE ",
                "ALTER TABLE ",
            ]
            .iter()
            .any(|verb| upper.contains(&format!("\"{verb}")));
            if quoted && statement {
                found.push(format!("{path}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    assert!(found.is_empty(), "one query, one .sql file: {found:#?}");
}

#[test]
fn s136_logs_and_metrics_carry_no_personal_data() {
    const FIELDS: [&str; 10] = [
        "from_number",
        "to_number",
        "transcript",
        "password",
        "email",
        "body",
        "content",
        "party",
        "signing_key",
        "api_key",
    ];
    let mut found = Vec::new();
    for (path, text) in sources(&["engine/stores", "engine/connectors", "actors", "web"]) {
        for statement in code(&text).split(';') {
            let Some(start) = [
                "info!(",
                "warn!(",
                "error!(",
                "debug!(",
                "trace!(",
                "counter!(",
                "histogram!(",
                "gauge!(",
            ]
            .iter()
            .filter_map(|call| statement.find(call))
            .min() else {
                continue;
            };
            for field in FIELDS {
                for form in [
                    format!("{field} ="),
                    format!("%{field}"),
                    format!("?{field}"),
                    format!("\"{field}\" =>"),
                ] {
                    if statement[start..].contains(&form) {
                        found.push(format!("{path}: {form} in {}", statement[start..].lines().next().unwrap_or("")));
                    }
                }
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

/// Questions to ClickHouse that belong to no tenant: those of writer, auditor and platform, and the one for its version.
const ACROSS_TENANTS: [&str; 13] = [
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
    "stored_calls",
    "standings",
    "version",
];

#[test]
fn s033_every_question_of_a_tenant_binds_it_in_every_table_it_reads() {
    const TABLES: [&str; 7] = [
        "events",
        "calls",
        "transcripts",
        "turns",
        "tool_calls",
        "latency_samples",
        "transfers",
    ];
    let folder = root().join("clickhouse/queries");
    let text_of = |name: &str| {
        let text = fs::read_to_string(folder.join(name)).expect("the question is there");
        text.lines().filter(|line| !line.starts_with("--")).collect::<Vec<_>>().join("\n")
    };
    let shared = [("{matching}", "calls_matching.sql"), ("{scope}", "figures_scope.sql")].map(|(mark, name)| (mark, name, text_of(name)));
    let mut reads = 0;
    for entry in fs::read_dir(&folder).expect("the folder is there") {
        let name = entry
            .expect("the folder can be read")
            .file_name()
            .into_string()
            .expect("names are text");
        let stem = name.trim_end_matches(".sql");
        if ACROSS_TENANTS.contains(&stem) || shared.iter().any(|(_, shared, _)| *shared == name) {
            continue;
        }
        let whole = shared.iter().fold(text_of(&name), |text, (mark, _, with)| text.replace(mark, with));
        let before = reads;
        for part in whole.split("FROM ").skip(1) {
            let table = part.split_whitespace().next().unwrap_or_default();
            if TABLES.contains(&table) {
                reads += 1;
                assert!(part.contains("tenant = {tenant: UUID}"), "{name} reads {table} of every tenant");
            }
        }
        assert!(reads > before, "{name} reads no table that is known here");
    }
    assert!(reads >= 20, "{reads}");
    // And what is asked without a tenant is one of the questions that have none.
    for (path, text) in sources(&["engine/stores"]) {
        for question in text.split(".limited(").skip(1) {
            let constant = question.split([')', ',']).next().unwrap_or_default().trim();
            if constant == "sql" {
                continue;
            }
            let defined = text.split(&format!("const {constant}: &str = include_str!(\"")).nth(1);
            let file = defined
                .and_then(|rest| rest.split('"').next())
                .unwrap_or_else(|| panic!("{path}: {constant}"));
            let stem = file.rsplit('/').next().unwrap_or_default().trim_end_matches(".sql");
            assert!(ACROSS_TENANTS.contains(&stem), "{path} asks {stem} without a tenant");
        }
    }
}

#[test]
fn the_root_is_what_the_design_says() {
    let mut seen: Vec<String> = fs::read_dir(root())
        .expect("the root is readable")
        .filter_map(Result::ok)
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| !name.starts_with('.') && !["target", "data"].contains(&name.as_str()))
        .collect();
    seen.sort();
    let expected = [
        "Cargo.lock",
        "Cargo.toml",
        "README.md",
        "actors",
        "benches",
        "clickhouse",
        "deploy",
        "engine",
        "migrations",
        "web",
    ];
    assert_eq!(seen, expected, "tool files are dotfiles");
    for room in ROOMS.iter().chain(&["migrations", "clickhouse", "deploy"]) {
        assert!(root().join(room).join("README.md").exists(), "{room} has no README.md");
    }
}

//! The catalogue of attacks (reference/reliability.md part 4, S-001 to S-150): each has a test that carries its number, or `attacks.toml`
//! says what holds it, or why there is nothing to attack yet.

mod house;
mod http;
mod identity;
mod log;
mod machine;
mod supply;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::process::root;

/// Rows of the catalogue.
const ROWS: u16 = 150;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    /// What is held by something that is no test: a file and a text that has to stand in it.
    elsewhere: BTreeMap<String, Elsewhere>,
    /// What cannot be attacked yet, and why.
    not_yet: BTreeMap<String, String>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Elsewhere {
    file: String,
    text: String,
}

fn sources(folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(folder).unwrap().filter_map(Result::ok) {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir() {
            if name != "target" && !name.starts_with('.') {
                sources(&path, found);
            }
        } else if name.ends_with(".rs") {
            let shown = path.strip_prefix(root()).unwrap().display().to_string();
            found.push((shown, std::fs::read_to_string(&path).unwrap()));
        }
    }
}

/// The rows in a name: `s001_s003_...`, and `s104_to_s108_...` for all between.
fn rows_of(name: &str) -> BTreeSet<u16> {
    let words: Vec<&str> = name.split('_').collect();
    let row = |word: &str| word.strip_prefix('s').filter(|number| number.len() == 3)?.parse::<u16>().ok();
    let mut rows: BTreeSet<u16> = words.iter().filter_map(|word| row(word)).collect();
    for three in words.windows(3).filter(|three| three[1] == "to") {
        if let (Some(first), Some(last)) = (row(three[0]), row(three[2])) {
            rows.extend(first..=last);
        }
    }
    rows
}

/// Tests by the rows that their names carry.
fn tests_by_row() -> BTreeMap<u16, Vec<String>> {
    let mut files = Vec::new();
    for room in ["engine", "actors", "web"] {
        sources(&root().join(room), &mut files);
    }
    let mut found: BTreeMap<u16, Vec<String>> = BTreeMap::new();
    for (file, text) in &files {
        let mut is_test = false;
        for line in text.lines().map(str::trim) {
            if line.starts_with("#[test]") || line.starts_with("#[tokio::test") || line.starts_with("#[actix_rt::test") {
                is_test = true;
            }
            let Some(name) = line.strip_prefix("fn ").or_else(|| line.strip_prefix("async fn ")) else {
                continue;
            };
            let name = name.split('(').next().unwrap_or_default();
            for row in rows_of(name).into_iter().filter(|_| is_test) {
                found.entry(row).or_default().push(format!("{file}: {name}"));
            }
            is_test = false;
        }
    }
    found
}

#[test]
fn every_attack_has_a_test_or_a_reason() {
    let list: List = toml::from_str(include_str!("attacks.toml")).unwrap();
    let tests = tests_by_row();
    let mut wrong = Vec::new();
    for row in 1..=ROWS {
        let id = format!("S-{row:03}");
        let (named, held, why) = (tests.get(&row), list.elsewhere.get(&id), list.not_yet.get(&id));
        match (named, held, why) {
            (Some(names), None, None) => println!("{id}  {}", names.join("\n       ")),
            (None, Some(Elsewhere { file, text }), None) => {
                let there = std::fs::read_to_string(root().join(file)).unwrap_or_default();
                println!("{id}  {file}: {text}");
                if !there.contains(text.as_str()) {
                    wrong.push(format!("{id}: {file} does not hold {text:?}"));
                }
            }
            (None, None, Some(why)) => println!("{id}  not yet: {why}"),
            (None, None, None) => wrong.push(format!("{id} has no test")),
            _ => wrong.push(format!(
                "{id} is held twice: take it out of attacks.toml, since {named:?} has its number"
            )),
        }
    }
    let known: BTreeSet<String> = (1..=ROWS).map(|row| format!("S-{row:03}")).collect();
    for id in list.elsewhere.keys().chain(list.not_yet.keys()) {
        if !known.contains(id) {
            wrong.push(format!("{id} is no row"));
        }
    }
    println!(
        "{} of {ROWS} have a test",
        tests.keys().filter(|row| (1..=ROWS).contains(row)).count()
    );
    assert!(wrong.is_empty(), "{wrong:#?}");
}

//! Every text that pages and scripts ask for is there, in every language, and no text is left over.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::l10n;
use crate::pages::shell::SCRIPT_TEXTS;

/// Keys that are put together at run time: what they begin with.
const MADE: &[&str] = &[
    "state-",
    "call-",
    "way-",
    "who-",
    "figure-",
    "metric-",
    "class-",
    "sentiment-",
    "range-",
    "channel-",
    "stage-",
    "theme-",
    "fresh-",
    "problem-",
    "transfer-",
    "role-",
    "key-",
    "successful-",
    "transferred-",
    "any-",
    "filter-",
    "flag-",
    "id-",
    "odd-",
    "part-",
    "signal-",
    "actor-",
    "find-",
    "aud-",
    "spot-",
    "sso-found-",
    "repair-",
    "done-",
    "wrong-",
    "mail-",
    "may-",
    "invitation-",
    "trouble-",
    "factor-for-",
];

#[test]
fn every_key_is_there_in_every_language() {
    let mut asked = keys_in_sources();
    asked.extend(SCRIPT_TEXTS.iter().map(|key| (*key).to_owned()));
    for texts in l10n::languages() {
        let missing: Vec<&String> = asked.iter().filter(|key| !texts.has(key)).collect();
        assert!(missing.is_empty(), "{}: {missing:?}", texts.lang);
    }
}

#[test]
fn no_text_is_left_over() {
    let sources = sources().concat();
    let english = std::fs::read_to_string(root().join("locales/en.ftl")).expect("the English texts are there");
    let defined = english
        .lines()
        .filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase()))
        .filter_map(|line| line.split(" =").next());
    // What is said of one thing is found by the key of what is said of many.
    let defined = defined.map(|key| key.strip_suffix("-one").unwrap_or(key));
    let left: Vec<&str> = defined
        .filter(|key| !sources.contains(&format!("\"{key}\"")) && !MADE.iter().any(|start| key.starts_with(start)))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn scripts_ask_only_for_texts_that_are_sent() {
    for path in files(&root().join("static/js"), "js") {
        let source = std::fs::read_to_string(&path).expect("scripts are text");
        for key in quoted_after(&source, "text(\"") {
            assert!(SCRIPT_TEXTS.contains(&key.as_str()), "{}: {key}", path.display());
        }
    }
}

fn keys_in_sources() -> BTreeSet<String> {
    let calls = [".t(\"", ".t1(\"", ".t2(\""];
    sources()
        .iter()
        .flat_map(|source| calls.map(|call| quoted_after(source, call)).concat())
        .collect()
}

/// Templates, page modules, and sign-ins, which say why they refuse; without their tests.
fn sources() -> Vec<String> {
    let modules = ["src/pages", "src/identity"]
        .into_iter()
        .flat_map(|folder| files(&root().join(folder), "rs"));
    let all = files(&root().join("templates"), "html").into_iter().chain(modules);
    all.filter(|path| !path.to_string_lossy().contains("tests"))
        .map(|path| std::fs::read_to_string(&path).expect("sources are text"))
        .collect()
}

fn quoted_after(source: &str, start: &str) -> Vec<String> {
    source
        .split(start)
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .map(str::to_owned)
        .collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("the folder can be read").path();
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.extension().is_some_and(|e| e == ending) {
            found.push(path);
        }
    }
    found
}

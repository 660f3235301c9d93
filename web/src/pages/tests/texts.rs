//! Every text that pages and scripts ask for is there, in every language, and no text is left over.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::l10n;
use crate::pages::shell::SCRIPT_TEXTS;

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
fn scripts_ask_only_for_texts_that_are_sent() {
    for path in files(&root().join("static/js"), "js") {
        let source = std::fs::read_to_string(&path).expect("scripts are text");
        for key in quoted_after(&source, "text(\"") {
            assert!(SCRIPT_TEXTS.contains(&key.as_str()), "{}: {key}", path.display());
        }
    }
}

fn keys_in_sources() -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    let pages = files(&root().join("src/pages"), "rs");
    for path in files(&root().join("templates"), "html")
        .into_iter()
        .chain(pages)
        .filter(|path| !path.to_string_lossy().contains("tests"))
    {
        let source = std::fs::read_to_string(&path).expect("sources are text");
        for call in [".t(\"", ".t1(\"", ".t2(\"", "key!(\""] {
            keys.extend(quoted_after(&source, call));
        }
    }
    keys
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

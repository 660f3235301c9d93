//! A class belongs to one sheet. All sheets are on every page, so a rule that one of them writes for a class of another changes pages that
//! its author never looked at: so the message of a saved form once became the column of what was last said.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Sheets of single pages; those before them are for all.
const OF_PAGES: [&str; 5] = ["wall", "calls", "call", "plain", "settings"];

/// What a page or a state puts in front, to say where a rule holds.
const PLACES: [&str; 5] = ["wall", "call", "settings", "tv", "stale"];

/// Selectors of a sheet, one by one, without those of printing.
fn selectors(sheet: &str) -> Vec<String> {
    let text =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("static/css/{sheet}.css"))).expect("the sheet is there");
    let text = text.split("@media print").next().unwrap_or_default();
    let mut plain = String::new();
    for part in text.split("/*") {
        plain.push_str(part.split_once("*/").map_or(part, |(_, rest)| rest));
    }
    let heads = plain
        .split('{')
        .filter_map(|before| before.rsplit(['}', ';']).next())
        .map(str::trim);
    let heads: Vec<&str> = heads.filter(|head| !head.is_empty() && !head.starts_with('@')).collect();
    let mut found = Vec::new();
    for head in heads {
        // Commas within `:is()` are no ends.
        let (mut depth, mut begun) = (0, 0);
        for (at, letter) in head.char_indices() {
            match letter {
                '(' => depth += 1,
                ')' => depth -= 1,
                ',' if depth == 0 => {
                    found.push(head[begun..at].trim().to_owned());
                    begun = at + 1;
                }
                _ => {}
            }
        }
        found.push(head[begun..].trim().to_owned());
    }
    found
}

/// The class that a selector begins with, when nothing else says where it holds.
fn class(selector: &str) -> Option<&str> {
    let rest = selector.strip_prefix('.')?;
    let name = rest
        .split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '-'))
        .next()?;
    let narrowed = rest[name.len()..].starts_with('.');
    (!narrowed && !PLACES.contains(&name)).then_some(name)
}

#[test]
fn a_class_belongs_to_one_sheet() {
    let mut homes: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for sheet in OF_PAGES {
        let read = selectors(sheet);
        assert!(read.len() > 10, "{sheet} is read");
        for name in read.iter().filter_map(|selector| class(selector)) {
            homes.entry(name.to_owned()).or_default().insert(sheet);
        }
    }
    assert!(homes.len() > 60, "{}", homes.len());
    let torn: Vec<_> = homes.iter().filter(|(_, sheets)| sheets.len() > 1).collect();
    assert!(
        torn.is_empty(),
        "give one of them another name, or say where its rule holds: {torn:?}"
    );
}

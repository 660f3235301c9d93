//! What the parts complained of: a run that fails far away leaves nothing but what it printed.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use serde_json::Value;

/// Of each part, its last different complaints.
const COMPLAINTS: usize = 20;

/// Of one complaint; the product's own are shorter.
const CHARACTERS: usize = 400;

/// The last complaints of every part that has said something into `directory`, each once, with how often it came.
pub fn complaints(directory: &Path) -> String {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut files: Vec<_> = entries.map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
    files.sort();
    let mut all = String::new();
    for path in files {
        all.push_str(&format!("--- {}\n", path.file_name().unwrap_or_default().to_string_lossy()));
        match last(&path) {
            Ok(lines) => lines.iter().for_each(|line| all.push_str(&format!("{line}\n"))),
            Err(error) => all.push_str(&format!("cannot be read: {error}\n")),
        }
    }
    all
}

/// Nodes say JSON with a level; what others say, and what a process says as it ends, has none and is a complaint.
fn last(path: &Path) -> std::io::Result<Vec<String>> {
    let mut seen: HashMap<String, (usize, u64, String)> = HashMap::new();
    for (number, line) in BufReader::new(File::open(path)?).split(b'\n').enumerate() {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        let said: Value = serde_json::from_str(&line).unwrap_or_default();
        if line.trim().is_empty() || matches!(said["level"].as_str(), Some("INFO" | "DEBUG" | "TRACE")) {
            continue;
        }
        let what = said["message"].as_str().unwrap_or(&line).to_owned();
        let (last, times, words) = seen.entry(what).or_default();
        (*last, *times) = (number, *times + 1);
        *words = line.chars().take(CHARACTERS).collect();
    }
    let mut seen: Vec<_> = seen.into_values().collect();
    seen.sort_unstable();
    let newest = seen.split_off(seen.len().saturating_sub(COMPLAINTS));
    Ok(newest
        .into_iter()
        .map(|(_, times, words)| format!("{times} times: {words}"))
        .collect())
}

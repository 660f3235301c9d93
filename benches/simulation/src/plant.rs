//! Plants bugs: copies the sources that a run consists of, and puts each bug of `planted/*.toml` into the copy, where a switch turns it on.
//!
//! The product's own files know nothing of it. All bugs are in one copy, which is built once; `PLANTED` in a text is true while its bug is on.
//! A text that does not fit any more stops it, so that the list is kept up as the product changes.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use serde::Deserialize;

/// What is copied: all that the simulation is built from.
const ROOMS: [&str; 5] = ["engine", "actors", "benches/simulation", "clickhouse", "migrations"];

/// The switch in the copy of the core: each run has a thread of its own.
const SWITCH: &str = "//! Which planted bug is on, on this thread.

use std::cell::RefCell;

thread_local! {
    static ON: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Turns one on, and all others off.
pub fn set(name: &str) {
    ON.with_borrow_mut(|on| name.clone_into(on));
}

/// True while this one is on.
pub fn on(name: &str) -> bool {
    ON.with_borrow(|on| on == name)
}
";

/// The simulation's side of the switch in the copy.
const SET: &str = "//! Turns planted bugs on.

/// Turns one on; false where none are planted.
pub fn set(name: &str) -> bool {
    trunkline_core::planted::set(name);
    true
}
";

/// One bug.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bug {
    /// Its name, with the part of the product that it is in.
    pub name: String,
    /// What is wrong, in words.
    pub what: String,
    /// Invariants of which it breaks at least one; another one that breaks meanwhile does not count as finding it.
    pub breaks: Vec<String>,
    /// It must be found within so many seeds.
    pub seeds: u64,
    file: String,
    find: String,
    plant: String,
}

#[derive(Deserialize)]
struct Bed {
    bug: Vec<Bug>,
}

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All bugs, by their files and in their order.
pub fn bugs() -> anyhow::Result<Vec<Bug>> {
    let folder = here().join("planted");
    let mut beds: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("list {}", folder.display()))? {
        beds.push(entry?.path());
    }
    beds.sort();
    let mut bugs = Vec::new();
    for path in beds {
        let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        let bed: Bed = toml::from_str(&text).with_context(|| format!("read {}", path.display()))?;
        bugs.extend(bed.bug);
    }
    Ok(bugs)
}

/// Makes the copy, with every bug in it; says how many there are.
pub fn plant(to: &Path) -> anyhow::Result<usize> {
    let root = here().parent().and_then(Path::parent).context("the simulation lies in benches")?;
    let bugs = bugs()?;
    let mut others: BTreeMap<PathBuf, String> = BTreeMap::new();
    for bug in &bugs {
        let path = root.join(&bug.file);
        let text = match others.remove(&path) {
            Some(text) => text,
            None => fs::read_to_string(&path).with_context(|| format!("{}: read {}", bug.name, bug.file))?,
        };
        let places = text.matches(&bug.find).count();
        ensure!(
            places == 1,
            "{}: its text is {places} times in {}; bring the bug up to date",
            bug.name,
            bug.file
        );
        let is_core = bug.file.starts_with("engine/core/");
        let switch = if is_core { "crate" } else { "trunkline_core" };
        let planted = bug.plant.replace("PLANTED", &format!("{switch}::planted::on(\"{}\")", bug.name));
        ensure!(planted != bug.plant, "{}: nothing turns it on", bug.name);
        others.insert(path, text.replace(&bug.find, &planted));
    }
    let core = root.join("engine/core/src/lib.rs");
    let text = fs::read_to_string(&core)?;
    others.insert(core, format!("{text}\n/// Which planted bug is on.\npub mod planted;\n"));
    others.insert(here().join("src/switch.rs"), SET.to_owned());
    for room in ROOMS {
        copy(&root.join(room), &to.join(room), &others)?;
    }
    write(&to.join("engine/core/src/planted.rs"), SWITCH)?;
    let manifest = fs::read_to_string(root.join("Cargo.toml"))?;
    let manifest = manifest.replace(", \"web\", \"benches\", \"benches/simulation\"]", ", \"benches/simulation\"]");
    let manifest = manifest.replace("default-members = [\"web\"]", "default-members = [\"benches/simulation\"]");
    // Another version, so that what is built from the copy is not taken for the product in a target folder that both use.
    let manifest = manifest.replacen("version = \"0.1.0\"", "version = \"0.0.0-planted\"", 1);
    ensure!(
        manifest.contains("-planted"),
        "the workspace has another version by now; bring the copy up to date"
    );
    write(&to.join("Cargo.toml"), manifest)?;
    // Only at first: the copy has fewer members, and the lock file is fitted to them.
    if !to.join("Cargo.lock").exists() {
        write(&to.join("Cargo.lock"), fs::read(root.join("Cargo.lock"))?)?;
    }
    Ok(bugs.len())
}

fn copy(from: &Path, to: &Path, others: &BTreeMap<PathBuf, String>) -> anyhow::Result<()> {
    if !from.is_dir() {
        bail!("{} is missing", from.display());
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target, others)?;
        } else if let Some(text) = others.get(&entry.path()) {
            write(&target, text)?;
        } else {
            write(&target, fs::read(entry.path())?)?;
        }
    }
    Ok(())
}

/// Writes what has changed only, so that a second build is a short one.
fn write(path: &Path, content: impl AsRef<[u8]>) -> anyhow::Result<()> {
    if fs::read(path).is_ok_and(|before| before == content.as_ref()) {
        return Ok(());
    }
    fs::write(path, content).with_context(|| format!("write {}", path.display()))
}

//! What the binary is made of: the list says it all, and nothing else.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

use crate::process::root;

fn bill() -> String {
    let python = std::env::var("TRUNKLINE_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let made = Command::new(python)
        .arg(root().join("deploy/bill-of-materials"))
        .env("CARGO", env!("CARGO"))
        .output()
        .expect("python is installed; deploy/test does it");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    String::from_utf8(made.stdout).unwrap()
}

/// Name and version of what cargo itself says is linked into the binary or runs while it is built.
fn linked() -> BTreeSet<(String, String)> {
    let mut tree = Command::new(env!("CARGO"));
    tree.current_dir(root()).args([
        "tree",
        "--package",
        "trunkline-web",
        "--edges",
        "normal,build",
        "--target",
        "x86_64-unknown-linux-gnu",
    ]);
    let told = tree
        .args(["--prefix", "none", "--format", "{p}", "--locked", "--offline"])
        .output()
        .unwrap();
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    let told = String::from_utf8(told.stdout).unwrap();
    let named = told.lines().filter_map(|line| {
        let mut words = line.split(' ');
        Some((words.next()?.to_owned(), words.next()?.strip_prefix('v')?.to_owned()))
    });
    named.collect()
}

#[test]
fn s058_the_bill_of_materials_names_all_that_is_built_in_with_checksums_and_licences() {
    let text = bill();
    assert_eq!(text, bill(), "the same sources, the same bytes");
    let bill: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&bill["bomFormat"], &bill["specVersion"]), (&"CycloneDX".into(), &"1.5".into()));
    assert_eq!(bill["metadata"]["component"]["name"], "trunkline-web");
    let lock: toml::Table = std::fs::read_to_string(root().join("Cargo.lock")).unwrap().parse().unwrap();
    let pinned: BTreeSet<(&str, &str, Option<&str>)> = lock["package"]
        .as_array()
        .unwrap()
        .iter()
        .map(|package| {
            (
                package["name"].as_str().unwrap(),
                package["version"].as_str().unwrap(),
                package.get("checksum").and_then(toml::Value::as_str),
            )
        })
        .collect();
    let components = bill["components"].as_array().unwrap();
    let mut listed = BTreeSet::from([(
        "trunkline-web".to_owned(),
        bill["metadata"]["component"]["version"].as_str().unwrap().to_owned(),
    )]);
    let mut files = BTreeSet::new();
    for component in components {
        let said = |field: &str| component[field].as_str().unwrap_or_else(|| panic!("no {field}: {component}"));
        let hash = component["hashes"][0]["content"].as_str();
        assert!(component["licenses"][0].is_object(), "no licence: {component}");
        if component["type"] == "file" {
            files.insert(component["properties"][0]["value"].as_str().unwrap().to_owned());
            assert!(said("purl").starts_with("pkg:npm/") && hash.is_some(), "{component}");
            continue;
        }
        assert_eq!(said("purl"), format!("pkg:cargo/{}@{}", said("name"), said("version")));
        assert!(
            pinned.contains(&(said("name"), said("version"), hash)),
            "not as Cargo.lock pins it: {component}"
        );
        assert!(hash.is_some() || said("name").starts_with("trunkline-"), "no checksum: {component}");
        listed.insert((said("name").to_owned(), said("version").to_owned()));
    }
    let linked = linked();
    assert!(linked.len() > 200, "{}", linked.len());
    let missing: Vec<_> = linked.difference(&listed).collect();
    assert!(missing.is_empty(), "built in and not listed: {missing:?}");
    for tool in ["thirtyfour", "criterion", "proptest"] {
        assert!(pinned.iter().any(|(name, ..)| *name == tool), "{tool} is in the lock file");
        assert!(!listed.iter().any(|(name, _)| name == tool), "{tool} is for tests alone");
    }
    // What browsers get that we did not write.
    for folder in ["vendor", "fonts"] {
        for entry in std::fs::read_dir(root().join("web/static").join(folder))
            .unwrap()
            .filter_map(Result::ok)
        {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.ends_with(".js") || name.ends_with(".css") || name.ends_with(".woff2") {
                assert!(files.contains(&format!("web/static/{folder}/{name}")), "{name} is not listed");
            }
        }
    }
    // Who needs whom: every arrow leads to something that is listed.
    let known: BTreeSet<&str> = components
        .iter()
        .chain([&bill["metadata"]["component"]])
        .map(|of| of["bom-ref"].as_str().unwrap())
        .collect();
    for dependency in bill["dependencies"].as_array().unwrap() {
        let ends = dependency["dependsOn"].as_array().unwrap().iter().chain([&dependency["ref"]]);
        for end in ends {
            assert!(known.contains(end.as_str().unwrap()), "{end} is not listed");
        }
    }
}

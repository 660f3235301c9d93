//! Vendored files are what VENDORED.md says they are.

use std::path::Path;

use sha2::{Digest, Sha256};

#[test]
fn vendored_files_have_the_hash_of_their_version() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("static");
    let table = std::fs::read_to_string(root.join("VENDORED.md")).expect("VENDORED.md is there");
    let mut checked = 0;
    for line in table.lines().filter(|line| line.starts_with("| ") && line.contains('`')) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let body = std::fs::read(root.join(cells[1])).expect("a listed file is there");
        assert_eq!(format!("`{}`", hex::encode(Sha256::digest(&body))), cells[4], "{}", cells[1]);
        checked += 1;
    }
    assert_eq!(checked, 5);
}

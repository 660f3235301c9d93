//! A short run of the chaos bench: the whole product, every part of it failing under load.

use std::path::Path;
use std::process::Command;

/// Events and faults: a few minutes on a slow machine.
const EVENTS: &str = "4000";
const FAULTS: &str = "8";

/// Another one with TRUNKLINE_CHAOS_SEED.
const SEED: &str = "1";

#[test]
fn nothing_is_lost_or_counted_twice_while_every_part_fails() {
    let program = Path::new(env!("CARGO_BIN_EXE_trunkline-benches"));
    // The product is beside the bench: the tests of `web` have it built, in the same place.
    let product = program.with_file_name("trunkline");
    assert!(
        product.exists(),
        "{} is missing: cargo test --workspace builds it",
        product.display()
    );
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let seed = std::env::var("TRUNKLINE_CHAOS_SEED").unwrap_or_else(|_| SEED.to_owned());
    let output = Command::new(program)
        .args(["chaos", "--events", EVENTS, "--faults", FAULTS, "--seed", &seed, "--kafka"])
        .arg(root.join("deploy/kafka/run"))
        .arg("--binary")
        .arg(product)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    println!("{said}");
    assert!(
        output.status.success() && said.contains("nothing lost, nothing counted twice"),
        "{said}"
    );
}

//! A few seeds in every test run; long runs are for the command.

use trunkline_simulation::process::quieten_planned_panics;
use trunkline_simulation::run::run;

/// Seeds that are run: half a minute of them. More are run by `simulate`.
const SEEDS: std::ops::Range<u64> = 10_000..10_200;

/// Seeds that are run twice.
const REPLAYED: u64 = 8;

#[test]
fn in_the_quiet_after_faults_everything_is_right() {
    quieten_planned_panics();
    for seed in SEEDS {
        let outcome = run(seed, false);
        assert!(
            outcome.found.is_empty(),
            "seed {seed} (cargo run -p trunkline-simulation -- --from {seed} --seeds 1 --trace): {}",
            outcome.found.join("\n")
        );
    }
}

#[test]
fn a_replay_of_a_seed_is_equal_to_the_last_bit() {
    quieten_planned_panics();
    for seed in 1_000..1_000 + REPLAYED {
        let (first, second) = (run(seed, false), run(seed, false));
        assert_eq!(first.hash, second.hash, "two runs of seed {seed} took different ways");
        assert_eq!(first.counts.steps, second.counts.steps);
    }
}

/// Whether the simulation finds them is for `find-planted`, which builds all of it anew; that there still are such places is seen here.
#[test]
fn every_planted_bug_has_its_place_in_the_sources() {
    let to = std::env::temp_dir().join(format!("trunkline-planted-{}", std::process::id()));
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_simulate"))
        .arg("plant")
        .arg(&to)
        .output()
        .unwrap();
    let _ = std::fs::remove_dir_all(&to);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

//! Damages good input for a while and looks whether anything breaks. Shared by the rooms that read what comes from outside.
//!
//! Fuzzing that is guided by coverage needs a nightly compiler or its switches. This is what the stable one gives: inputs begin as real ones,
//! a handful of edits keeps them nearly readable, which is where parsers break, and proptest makes what broke small and repeatable.

use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::TestRunner;

/// How long each target runs, in seconds of a processor; deploy/test gives more, and lets everything else go first.
const SECONDS: &str = "TRUNKLINE_TEST_FUZZ_SECONDS";
const SECONDS_ELSEWHERE: f64 = 1.0;
/// Cases between two looks at the clock.
const ROUND: u32 = 100;
/// Edits of one input.
const EDITS: usize = 6;
/// Bytes that one edit takes away or doubles at most.
const RUN: usize = 40;

/// What parsers stumble over.
const WORDS: [&[u8]; 24] = [
    b"\"",
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\0",
    b"\r\n",
    b"--",
    b"'",
    b"`",
    b"=",
    b"&",
    b"%",
    b"\xff",
    b"\xed\xa0\x80",
    b"\xef\xbb\xbf",
    b"1e999",
    b"-0",
    b"99999999999999999999",
    b"\\ud800",
    b"\xff\xff\xff\xff",
];

#[derive(Debug, Clone)]
enum Edit {
    Set(u8),
    Put(&'static [u8]),
    Bytes(Vec<u8>),
    Take(usize),
    Twice(usize),
    /// Goes on with another input from there.
    Join(Index),
    End,
}

fn edit() -> impl Strategy<Value = (Index, Edit)> {
    let edit = prop_oneof![
        4 => any::<u8>().prop_map(Edit::Set),
        4 => prop::sample::select(WORDS.to_vec()).prop_map(Edit::Put),
        1 => prop::collection::vec(any::<u8>(), 1..9).prop_map(Edit::Bytes),
        2 => (1..RUN).prop_map(Edit::Take),
        2 => (1..RUN).prop_map(Edit::Twice),
        1 => any::<Index>().prop_map(Edit::Join),
        1 => Just(Edit::End),
    ];
    (any::<Index>(), edit)
}

fn damaged(seeds: &[Vec<u8>], from: &Index, edits: &[(Index, Edit)]) -> Vec<u8> {
    let mut bytes = from.get(seeds).clone();
    for (place, edit) in edits {
        let at = place.index(bytes.len() + 1);
        match edit {
            Edit::Set(byte) => {
                if let Some(found) = bytes.get_mut(at) {
                    *found = *byte;
                }
            }
            Edit::Put(word) => drop(bytes.splice(at..at, word.iter().copied())),
            Edit::Bytes(new) => drop(bytes.splice(at..at, new.iter().copied())),
            Edit::Take(run) => drop(bytes.drain(at..(at + run).min(bytes.len()))),
            Edit::Twice(run) => {
                let part = bytes[at..(at + run).min(bytes.len())].to_vec();
                drop(bytes.splice(at..at, part));
            }
            Edit::Join(other) => {
                let other = other.get(seeds);
                bytes.truncate(at);
                bytes.extend_from_slice(&other[at.min(other.len())..]);
            }
            Edit::End => bytes.truncate(at),
        }
    }
    bytes
}

/// Calls `check` with damaged forms of `seeds`, some of them whole; it panics when something is wrong.
pub fn damage(target: &str, seeds: &[Vec<u8>], check: impl Fn(&[u8])) {
    let seconds = std::env::var(SECONDS).map_or(SECONDS_ELSEWHERE, |text| text.parse().expect("a number of seconds"));
    let (begun, mut cases) = (worked(), 0);
    let config = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(ROUND)
    };
    let inputs = (any::<Index>(), prop::collection::vec(edit(), 0..=EDITS));
    while worked() - begun < Duration::from_secs_f64(seconds) {
        // A runner is done after its cases; each has a seed of its own.
        let run = TestRunner::new(config.clone()).run(&inputs, |(from, edits)| {
            check(&damaged(seeds, &from, &edits));
            Ok(())
        });
        if let Err(error) = run {
            panic!("{target}: {error}");
        }
        cases += ROUND;
    }
    println!("{target}: {cases} inputs in {:?}", worked() - begun);
}

/// Time that this thread has had a processor: what others take of it is no damage done.
fn worked() -> Duration {
    let schedule = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux says how long a thread has run");
    let nanoseconds = schedule.split_ascii_whitespace().next().and_then(|first| first.parse().ok());
    Duration::from_nanos(nanoseconds.expect("nanoseconds on a processor come first"))
}

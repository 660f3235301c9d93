//! A node's own copy of the checkpoints on Kafka: used where it is exact, and otherwise without effect.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use trunkline_stores::log::EventLog as _;
use trunkline_stores::log::compacted::{CompactedTopic, Put};
use trunkline_stores::log::kafka::{KafkaLog, KafkaOptions};

use crate::broker::{self, Broker};

/// Longest wait for a copy on disk.
const PATIENCE: Duration = Duration::from_secs(30);

/// A process: its client of the log and what it keeps.
struct Node {
    log: KafkaLog,
    topic: Arc<dyn CompactedTopic>,
}

impl Node {
    async fn start(options: &KafkaOptions) -> Node {
        let log = KafkaLog::open(options.clone()).await.unwrap();
        let topic = log.compacted("t").await.unwrap();
        Node { log, topic }
    }

    /// Takes partition 1 over: the claim, and each key with its value, those written too late marked.
    async fn take_over(&self) -> (i64, Vec<String>) {
        let claim = self.topic.claim(1).await.unwrap();
        let mut reading = self.topic.read(1, claim).await.unwrap();
        let mut kept = std::collections::BTreeMap::new();
        while let Some(portion) = reading.recv().await {
            for one in portion.unwrap() {
                let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                let late = if one.late { " late" } else { "" };
                match one.value {
                    Some(value) => kept.insert(text(&one.key), format!("{}={}{late}", text(&one.key), text(&value))),
                    None => kept.remove(&text(&one.key)),
                };
            }
        }
        (claim, kept.into_values().collect())
    }

    async fn put(&self, epoch: i64, puts: &[(&str, Option<&str>)]) {
        let put = |(key, value): &(&str, Option<&str>)| Put {
            key: (*key).into(),
            value: value.map(Into::into),
        };
        self.topic.put(1, epoch, puts.iter().map(put).collect()).await.unwrap();
    }

    /// Ends; what it wrote is in its copy then, as after a crash a moment later.
    async fn end(self, copy: &Path, with: &str) {
        let begun = Instant::now();
        while !fs::read(copy).is_ok_and(|stored| holds(&stored, with)) {
            assert!(begun.elapsed() < PATIENCE, "{with:?} is not in the copy");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        drop(self.topic);
        self.log.close().await;
    }
}

fn holds(stored: &[u8], text: &str) -> bool {
    stored.windows(text.len()).any(|bytes| bytes == text.as_bytes())
}

/// Options of a node with a copy, of one without, and where the copy of partition 1 is.
fn options(broker: &str, place: &Path) -> (KafkaOptions, KafkaOptions, PathBuf) {
    let topic = format!("calls.raw.mirror.{}", uuid::Uuid::new_v4());
    let copy = place.join(format!("{topic}.t")).join("1.mirror");
    let without = KafkaOptions {
        partitions: 2,
        ..KafkaOptions::new(broker, topic)
    };
    let with = KafkaOptions {
        mirror: Some(place.to_owned()),
        ..without.clone()
    };
    (with, without, copy)
}

/// Puts another value into a copy, which the topic does not have: what it says shows where it was read.
fn forge(copy: &Path) {
    let stored = fs::read(copy).unwrap();
    let place = stored.windows(4).rposition(|bytes| bytes == b"true").unwrap();
    // The frame: a sum, a length, 17 bytes, the key's length, the key `word`, the value.
    let begin = place - 4 - 4 - 17 - 8;
    let mut frame = stored[begin..place + 4].to_vec();
    frame[33..].copy_from_slice(b"fake");
    let sum = crc32fast::hash(&frame[4..]);
    frame[..4].copy_from_slice(&sum.to_be_bytes());
    fs::write(copy, [&stored[..begin], &frame[..], &stored[place + 4..]].concat()).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_comes_back_reads_its_copy_and_what_is_newer() {
    let place = tempfile::tempdir().unwrap();
    let (with, without, copy) = options(broker::shared(), place.path());
    let node = Node::start(&with).await;
    let (claim, kept) = node.take_over().await;
    assert!(kept.is_empty());
    node.put(claim, &[("word", Some("true")), ("b", Some("1")), ("c", Some("1"))]).await;
    node.put(claim, &[("b", None), ("d", Some("of the first"))]).await;
    node.end(&copy, "of the first").await;
    forge(&copy);

    // Meanwhile another node has the partition, and has no copy; the first one wakes for a moment and writes too late.
    let other = Node::start(&without).await;
    let (theirs, kept) = other.take_over().await;
    assert_eq!(kept, ["c=1", "d=of the first", "word=true"]);
    other.put(theirs, &[("c", Some("2")), ("d", None), ("e", Some("1"))]).await;
    other.put(claim, &[("e", Some("2"))]).await;

    let node = Node::start(&with).await;
    let (claim, kept) = node.take_over().await;
    assert_eq!(kept, ["c=2", "e=2 late", "word=fake"], "what is not newer comes from the copy");
    node.put(claim, &[("e", Some("of the second"))]).await;
    node.end(&copy, "of the second").await;

    // And so on: what was read behind the copy is in it.
    let node = Node::start(&with).await;
    assert_eq!(node.take_over().await.1, ["c=2", "e=of the second", "word=fake"]);
    // Another process in the same place reads the topic.
    let beside = Node::start(&with).await;
    assert_eq!(beside.take_over().await.1, ["c=2", "e=of the second", "word=true"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_somebody_elses_record_has_interrupted_is_exact_up_to_there() {
    let place = tempfile::tempdir().unwrap();
    let (with, without, copy) = options(broker::shared(), place.path());
    let node = Node::start(&with).await;
    let (claim, _) = node.take_over().await;
    node.put(claim, &[("word", Some("true"))]).await;
    let other = Node::start(&without).await;
    let (theirs, _) = other.take_over().await;
    other.put(theirs, &[("word", Some("newer"))]).await;
    // It does not know yet that it has lost the partition, and writes on behind the other's records.
    node.put(claim, &[("a", Some("late"))]).await;
    node.put(claim, &[("b", Some("late"))]).await;
    node.end(&copy, "true").await;
    assert!(!holds(&fs::read(&copy).unwrap(), "late"));

    let node = Node::start(&with).await;
    assert_eq!(node.take_over().await.1, ["a=late late", "b=late late", "word=newer"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_is_not_used_once_the_broker_may_have_lost_something() {
    let mut broker = Broker::start();
    let place = tempfile::tempdir().unwrap();
    let (with, _, copy) = options(&broker.address, place.path());
    let node = Node::start(&with).await;
    let (claim, _) = node.take_over().await;
    node.put(claim, &[("word", Some("true")), ("b", Some("of the first"))]).await;
    node.end(&copy, "of the first").await;
    forge(&copy);
    broker.signal("KILL");
    broker.restart();
    let node = Node::start(&with).await;
    let (claim, kept) = node.take_over().await;
    assert_eq!(kept, ["b=of the first", "word=true"]);
    // From here on there is an exact one again.
    node.put(claim, &[("b", Some("of the second"))]).await;
    node.end(&copy, "of the second").await;
    forge(&copy);
    let node = Node::start(&with).await;
    assert_eq!(node.take_over().await.1, ["b=of the second", "word=fake"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_of_a_topic_that_was_made_again_is_not_used() {
    let place = tempfile::tempdir().unwrap();
    let (with, _, copy) = options(broker::shared(), place.path());
    let node = Node::start(&with).await;
    let (claim, _) = node.take_over().await;
    node.put(claim, &[("word", Some("true"))]).await;
    node.end(&copy, "true").await;
    let (other, _, theirs) = options(broker::shared(), place.path());
    fs::create_dir_all(theirs.parent().unwrap()).unwrap();
    fs::copy(&copy, &theirs).unwrap();
    let node = Node::start(&other).await;
    assert!(node.take_over().await.1.is_empty());
}

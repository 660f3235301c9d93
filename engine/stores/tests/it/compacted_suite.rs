//! What every compacted topic must do, whatever it is kept in: one suite, run over each adapter.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use trunkline_stores::log::EventLog;
use trunkline_stores::log::compacted::{CompactedTopic, Following, Kept, Put, PutError};

use crate::log_suite::{FreshLog, PARTITIONS};

/// Runs every case of the suite over logs that `$fresh().await` makes.
macro_rules! compacted_suite {
    ($fresh:path) => {
        crate::compacted_suite::compacted_suite!(@ $fresh:
            the_last_value_of_each_key_is_read
            a_removed_key_is_gone
            partitions_and_topics_do_not_see_each_other
            values_of_any_size_come_back
            every_claim_is_a_greater_epoch
            what_a_stale_owner_writes_is_refused_or_said_to_be_late
            many_keys_come_back_once_each_in_the_end
            who_follows_gets_what_is_there_and_every_change
        );
    };
    (@ $fresh:path: $($case:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                crate::compacted_suite::$case($fresh().await).await;
            }
        )*
    };
}
pub(crate) use compacted_suite;

type Topic = Arc<dyn CompactedTopic>;

/// A client of the log, which has to live as long as the topic is used, and the topic.
async fn open(fresh: &impl FreshLog) -> (Arc<dyn EventLog>, Topic) {
    let log = fresh.open().await;
    let topic = log.compacted("t").await.unwrap();
    (log, topic)
}

fn put(key: &str, value: &str) -> Put {
    Put {
        key: key.into(),
        value: Some(value.into()),
    }
}

fn gone(key: &str) -> Put {
    Put {
        key: key.into(),
        value: None,
    }
}

/// What a new owner reads: the last of each key.
async fn read(topic: &Topic, partition: u32) -> BTreeMap<String, Kept> {
    let epoch = topic.claim(partition).await.unwrap();
    let mut reading = topic.read(partition, epoch).await.unwrap();
    let mut kept = BTreeMap::new();
    while let Some(portion) = reading.recv().await {
        for one in portion.unwrap() {
            let before = kept.insert(String::from_utf8(one.key.to_vec()).unwrap(), one);
            assert_eq!(before, None, "each key comes once");
        }
    }
    kept.retain(|_, one| one.value.is_some());
    kept
}

fn texts(kept: &BTreeMap<String, Kept>) -> Vec<(&str, &str)> {
    let text = |kept: &'_ Kept| std::str::from_utf8(kept.value.as_ref().unwrap()).unwrap().to_owned().leak() as &str;
    kept.iter().map(|(key, kept)| (key.as_str(), text(kept))).collect()
}

pub async fn the_last_value_of_each_key_is_read(fresh: impl FreshLog) {
    let (_log, topic) = open(&fresh).await;
    assert_eq!(read(&topic, 0).await, BTreeMap::new());
    let epoch = topic.claim(0).await.unwrap();
    topic.put(0, epoch, vec![put("a", "1"), put("b", "1")]).await.unwrap();
    topic.put(0, epoch, vec![put("a", "2"), put("c", "")]).await.unwrap();
    topic.put(0, epoch, Vec::new()).await.unwrap();
    let (_other_log, other) = open(&fresh).await;
    let kept = read(&other, 0).await;
    assert_eq!(texts(&kept), [("a", "2"), ("b", "1"), ("c", "")]);
    assert!(kept.values().all(|one| !one.late));
}

pub async fn a_removed_key_is_gone(fresh: impl FreshLog) {
    let (_log, topic) = open(&fresh).await;
    let epoch = topic.claim(1).await.unwrap();
    topic
        .put(1, epoch, vec![put("a", "1"), put("b", "1"), put("c", "1")])
        .await
        .unwrap();
    topic
        .put(1, epoch, vec![gone("a"), put("b", "2"), gone("never there")])
        .await
        .unwrap();
    topic.put(1, epoch, vec![gone("c")]).await.unwrap();
    topic.put(1, epoch, vec![put("c", "again")]).await.unwrap();
    assert_eq!(texts(&read(&topic, 1).await), [("b", "2"), ("c", "again")]);
}

pub async fn partitions_and_topics_do_not_see_each_other(fresh: impl FreshLog) {
    let log = fresh.open().await;
    let (one, other) = (log.compacted("one").await.unwrap(), log.compacted("other").await.unwrap());
    for (topic, value) in [(&one, "one"), (&other, "other")] {
        for partition in 0..PARTITIONS {
            let epoch = topic.claim(partition).await.unwrap();
            let value = format!("{value} {partition}");
            topic.put(partition, epoch, vec![put("a", &value)]).await.unwrap();
        }
    }
    assert_eq!(texts(&read(&one, 2).await), [("a", "one 2")]);
    assert_eq!(texts(&read(&other, 3).await), [("a", "other 3")]);
}

pub async fn values_of_any_size_come_back(fresh: impl FreshLog) {
    let (_log, topic) = open(&fresh).await;
    let epoch = topic.claim(0).await.unwrap();
    let body: Vec<u8> = (0..=255u8).cycle().take(5_000_000).collect();
    let large = Put {
        key: (1..=255u8).collect(),
        value: Some(body.clone()),
    };
    topic.put(0, epoch, vec![large.clone(), put("small", "")]).await.unwrap();
    let epoch = topic.claim(0).await.unwrap();
    let mut reading = topic.read(0, epoch).await.unwrap();
    let mut found = Vec::new();
    while let Some(portion) = reading.recv().await {
        found.extend(portion.unwrap());
    }
    assert_eq!(found.len(), 2);
    assert!(
        found
            .iter()
            .any(|kept| *kept.key == *large.key && kept.value.as_deref() == Some(&*body))
    );
}

pub async fn every_claim_is_a_greater_epoch(fresh: impl FreshLog) {
    let ((_log, one), (_other_log, other)) = (open(&fresh).await, open(&fresh).await);
    let mut last = i64::MIN;
    for round in 0..6 {
        let topic = if round % 2 == 0 { &one } else { &other };
        let epoch = topic.claim(3).await.unwrap();
        assert!(epoch > last, "{epoch} after {last}");
        topic.put(3, epoch, vec![put("a", &round.to_string())]).await.unwrap();
        last = epoch;
    }
    assert_eq!(texts(&read(&one, 3).await), [("a", "5")]);
}

pub async fn what_a_stale_owner_writes_is_refused_or_said_to_be_late(fresh: impl FreshLog) {
    let ((_log, stale), (_owner_log, owner)) = (open(&fresh).await, open(&fresh).await);
    let old = stale.claim(0).await.unwrap();
    stale.put(0, old, vec![put("a", "old"), put("b", "old")]).await.unwrap();
    let new = owner.claim(0).await.unwrap();
    owner.put(0, new, vec![put("a", "new")]).await.unwrap();
    let refused = match stale.put(0, old, vec![put("a", "late"), put("c", "late")]).await {
        Err(PutError::Stale(0)) => true,
        Ok(()) => false,
        Err(error) => panic!("{error}"),
    };
    owner.put(0, new, vec![put("d", "new")]).await.unwrap();
    let kept = read(&owner, 0).await;
    let late: Vec<&str> = kept.iter().filter(|(_, one)| one.late).map(|(key, _)| key.as_str()).collect();
    if refused {
        assert_eq!(texts(&kept), [("a", "new"), ("b", "old"), ("d", "new")]);
        assert!(late.is_empty());
    } else {
        assert_eq!(late, ["a", "c"], "what may have taken the place of something newer is named");
    }
    // Still so after yet another owner, until somebody writes these keys anew.
    let third = owner.claim(0).await.unwrap();
    owner.put(0, third, vec![put("a", "newer"), gone("c")]).await.unwrap();
    let kept = read(&owner, 0).await;
    assert_eq!(texts(&kept), [("a", "newer"), ("b", "old"), ("d", "new")]);
    assert!(kept.values().all(|one| !one.late));
}

pub async fn many_keys_come_back_once_each_in_the_end(fresh: impl FreshLog) {
    let (_log, topic) = open(&fresh).await;
    let epoch = topic.claim(2).await.unwrap();
    for round in 0..3 {
        for slice in 0..20 {
            let puts = (0..256)
                .map(|n| put(&format!("key {slice} {n}"), &format!("{round} {n}")))
                .collect();
            topic.put(2, epoch, puts).await.unwrap();
        }
    }
    let kept = read(&topic, 2).await;
    assert_eq!(kept.len(), 20 * 256);
    assert!(kept.values().all(|one| one.value.as_deref().unwrap().starts_with(b"2 ")));
}

pub async fn who_follows_gets_what_is_there_and_every_change(fresh: impl FreshLog) {
    let ((_log, writes), (_other_log, reads)) = (open(&fresh).await, open(&fresh).await);
    let (other, first, third) = (
        writes.claim(0).await.unwrap(),
        writes.claim(1).await.unwrap(),
        writes.claim(3).await.unwrap(),
    );
    writes.put(1, first, vec![put("a", "1"), put("b", "1")]).await.unwrap();
    writes.put(0, other, vec![put("other", "1")]).await.unwrap();
    let mut follower = Seen {
        following: reads.follow(&[1, 3]).await.unwrap(),
        values: BTreeMap::new(),
        current: Vec::new(),
    };
    follower.until(&[(1, "a", "1"), (1, "b", "1")]).await;
    writes.put(1, first, vec![put("a", "2"), put("c", "1")]).await.unwrap();
    writes.put(3, third, vec![put("d", "1")]).await.unwrap();
    follower.until(&[(1, "a", "2"), (1, "b", "1"), (1, "c", "1"), (3, "d", "1")]).await;
    writes.put(1, first, vec![gone("b")]).await.unwrap();
    follower.until(&[(1, "a", "2"), (1, "c", "1"), (3, "d", "1")]).await;
    // Another owner writes; what the stale one writes is refused, or told apart.
    let next = reads.claim(1).await.unwrap();
    reads.put(1, next, vec![put("a", "3")]).await.unwrap();
    let stale = writes.put(1, first, vec![put("e", "late")]).await;
    assert!(matches!(stale, Ok(()) | Err(PutError::Stale(1))), "{stale:?}");
    reads.put(1, next, vec![put("f", "1")]).await.unwrap();
    follower.until(&[(1, "a", "3"), (1, "c", "1"), (1, "f", "1"), (3, "d", "1")]).await;
}

/// What a follower has by now.
struct Seen {
    following: Following,
    values: BTreeMap<(u32, String), String>,
    current: Vec<u32>,
}

impl Seen {
    /// Takes what comes until it is this, and both partitions were said to be complete.
    async fn until(&mut self, wanted: &[(u32, &str, &str)]) {
        const PATIENCE: Duration = Duration::from_secs(60);
        loop {
            let values = self.values.iter();
            let there: Vec<_> = values
                .map(|((partition, key), value)| (*partition, key.as_str(), value.as_str()))
                .collect();
            if there == wanted && self.current.len() == 2 {
                return;
            }
            let came = tokio::time::timeout(PATIENCE, self.following.recv()).await;
            let came = came.unwrap_or_else(|_| panic!("{there:?} stays, instead of {wanted:?}"));
            let came = came.expect("it goes on").unwrap();
            if came.current {
                assert!(!self.current.contains(&came.partition), "said once");
                self.current.push(came.partition);
            }
            for kept in came.kept {
                let key = (came.partition, String::from_utf8(kept.key.to_vec()).unwrap());
                match kept.value.filter(|_| !kept.late) {
                    Some(value) => drop(self.values.insert(key, String::from_utf8(value.to_vec()).unwrap())),
                    None => drop(self.values.remove(&key)),
                }
            }
        }
    }
}

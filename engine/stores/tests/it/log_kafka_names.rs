//! Members of a group on Kafka that have static names.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::time::Duration;

use rdkafka::config::FromClientConfigAndContext as _;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientConfig, ClientContext, TopicPartitionList};
use trunkline_stores::log::kafka::{KafkaLog, KafkaOptions};
use trunkline_stores::log::{Delivery, EventLog as _, LogError, Subscription};

use crate::broker;

/// A group forms within the time for which its coordinator waits for members.
const FORMED_WITHIN: Duration = Duration::from_secs(60);

async fn until_assigned(member: &mut Box<dyn Subscription>) -> Result<(), LogError> {
    let assigned = async {
        loop {
            if let Delivery::Assigned { .. } = member.next().await? {
                return Ok(());
            }
        }
    };
    tokio::time::timeout(FORMED_WITHIN, assigned)
        .await
        .expect("a partition is assigned")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_is_told_that_another_of_its_name_took_its_place_and_may_join_again() {
    let options = KafkaOptions {
        partitions: 1,
        static_member: Some("one".into()),
        ..KafkaOptions::new(broker::shared(), format!("calls.raw.names.{}", std::process::id()))
    };
    let (first, second) = (
        KafkaLog::open(options.clone()).await.unwrap(),
        KafkaLog::open(options).await.unwrap(),
    );
    let mut before = first.subscribe("live").await.unwrap();
    until_assigned(&mut before).await.unwrap();

    let mut other = second.subscribe("live").await.unwrap();
    until_assigned(&mut other).await.unwrap();
    let told = tokio::time::timeout(FORMED_WITHIN, async {
        loop {
            if let Err(error) = before.next().await {
                return error;
            }
        }
    });
    assert!(matches!(told.await.expect("it is told"), LogError::Fenced));

    other.close().await;
    before.close().await;
    let mut again = first.subscribe("live").await.unwrap();
    until_assigned(&mut again).await.unwrap();
    again.close().await;
    first.close().await;
    second.close().await;
}

/// Takes what it is given, and stands still when it is to give something up, as one does that is killed at that moment.
struct Doomed {
    told: Sender<Option<usize>>,
    over: Mutex<Receiver<()>>,
}

impl ClientContext for Doomed {}

impl ConsumerContext for Doomed {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, event: RDKafkaRespErr, list: &mut TopicPartitionList) {
        if event == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            consumer.incremental_assign(list).unwrap();
            self.told.send(Some(list.count())).unwrap();
        } else {
            // The second time is its end, when nobody listens any more.
            let _ = self.told.send(None);
            let _ = self.over.lock().unwrap().recv();
            let _ = consumer.incremental_unassign(list);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_that_a_killed_member_was_about_to_give_up_are_not_left_to_nobody() {
    const PARTITIONS: u32 = 8;
    let topic = format!("calls.raw.doomed.{}", std::process::id());
    let options = |name: &str| KafkaOptions {
        partitions: PARTITIONS,
        static_member: Some(name.into()),
        ..KafkaOptions::new(broker::shared(), topic.clone())
    };
    let first = KafkaLog::open(options("first")).await.unwrap();
    let ((told, heard), (over, waits)) = (channel(), channel());
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", broker::shared())
        .set("group.id", format!("{topic}.live"))
        .set("group.instance.id", "first.live")
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("session.timeout.ms", "10000");
    let over_lock = Mutex::new(waits);
    let doomed = BaseConsumer::from_config_and_context(&config, Doomed { told, over: over_lock }).unwrap();
    doomed.subscribe(&[&topic]).unwrap();
    let (end, ended) = channel::<()>();
    let polling = std::thread::spawn(move || {
        while ended.try_recv() == Err(TryRecvError::Empty) {
            doomed.poll(Duration::from_millis(50));
        }
    });
    let heard = tokio::task::spawn_blocking(move || {
        assert_eq!(heard.recv_timeout(FORMED_WITHIN).unwrap(), Some(PARTITIONS as usize));
        heard
    });
    let heard = heard.await.unwrap();

    let second = KafkaLog::open(options("second")).await.unwrap();
    let mut other = second.subscribe("live").await.unwrap();
    tokio::task::spawn_blocking(move || assert_eq!(heard.recv_timeout(FORMED_WITHIN).unwrap(), None))
        .await
        .unwrap();
    // It is killed; another process of its name comes at once.
    let mut again = first.subscribe("live").await.unwrap();
    let mut owned = [BTreeSet::new(), BTreeSet::new()];
    let shared_out = async {
        while owned.iter().map(BTreeSet::len).sum::<usize>() < PARTITIONS as usize {
            let (of, delivery) = tokio::select! {
                delivery = again.next() => (0, delivery.unwrap()),
                delivery = other.next() => (1, delivery.unwrap()),
            };
            match delivery {
                Delivery::Assigned { partition, .. } => assert!(owned[of].insert(partition)),
                Delivery::Revoked { partition } => assert!(owned[of].remove(&partition)),
                _ => {}
            }
        }
    };
    let in_time = tokio::time::timeout(FORMED_WITHIN, shared_out).await;
    assert!(in_time.is_ok(), "nobody has some partitions: {owned:?}");
    assert!(owned[0].is_disjoint(&owned[1]), "{owned:?}");

    drop((over, end));
    polling.join().unwrap();
    again.close().await;
    other.close().await;
    first.close().await;
    second.close().await;
}

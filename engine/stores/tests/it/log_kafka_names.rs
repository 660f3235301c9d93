//! Members of a group on Kafka that have one static name.

use std::time::Duration;

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

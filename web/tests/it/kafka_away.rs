//! The whole product started while its event log, Kafka, is away.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::kill::begin_calls;
use crate::ports::free_port;
use crate::process::{Place, Product, eventually, root};

/// A broker that nobody shares, so that it can be killed.
struct Broker {
    directory: tempfile::TempDir,
    ports: [u16; 2],
    pid: Option<Pid>,
}

impl Broker {
    fn start() -> Broker {
        let mut broker = Broker {
            directory: tempfile::Builder::new().prefix("trunkline-kafka-").tempdir().unwrap(),
            ports: [free_port(), free_port()],
            pid: None,
        };
        broker.again();
        broker
    }

    fn again(&mut self) {
        let output = Command::new(root().join("deploy/kafka/run"))
            .arg(self.directory.path())
            .args(self.ports.map(|port| port.to_string()))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        self.pid = said.trim().parse().ok().and_then(Pid::from_raw);
        assert!(self.pid.is_some(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Ends it where it stands, and waits until it is gone.
    fn kill(&mut self) {
        let Some(pid) = self.pid.take() else { return };
        // Gone already is as good.
        let _ = kill_process(pid, Signal::KILL);
        while is_running(pid) {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A process that was killed and has no parent that asks for it is still listed, as dead.
fn is_running(pid: Pid) -> bool {
    let place = Path::new("/proc").join(pid.as_raw_nonzero().to_string()).join("stat");
    std::fs::read_to_string(place).is_ok_and(|stat| !stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z')))
}

#[tokio::test(flavor = "multi_thread")]
async fn started_while_kafka_is_away_it_serves_what_it_has_takes_events_and_joins_when_kafka_is_back() {
    let mut broker = Broker::start();
    let settings = [
        "log.store=kafka".to_owned(),
        format!("kafka.brokers=127.0.0.1:{}", broker.ports[0]),
        "kafka.replication=1".to_owned(),
    ];
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    let place = Place::new(&settings).await;
    let product = place.start().await;
    begin_calls(&product, 0..10).await;
    let patience = Duration::from_secs(120);
    eventually("ten calls are kept", patience, async || calls_in_history(&product, 10).await).await;
    product.stop().await;
    broker.kill();

    let product = place.start().await;
    begin_calls(&product, 10..30).await;
    let ready = product.http.get(format!("{}/readyz?verbose", product.admin)).send().await.unwrap();
    assert_eq!(ready.status(), 200, "events can be taken");
    let checks: Value = ready.json().await.unwrap();
    assert_eq!(checks["spool"], "the event log is away; events wait in the spool", "{checks}");
    assert_eq!(checks["spool_records"], 20, "{checks}");
    // What other stores have is shown; what the log has is said to be missing.
    calls_in_history(&product, 10).await.unwrap();
    assert_eq!(product.get("/v1/completeness").await["rebuilding"], true);
    let page = product.http.get(format!("{}/signin", product.site)).send().await.unwrap();
    assert!(page.status().is_success(), "{}", page.status());

    broker.again();
    let all = async || {
        let offered = product.get("/v1/board").await["offered"]["total"].as_u64();
        let waiting = product.metric("trunkline_spool_records", "").await;
        match (offered, waiting) {
            (Some(30), Some(0.0)) => Ok(()),
            other => Err(other),
        }
    };
    eventually("every call is on the board once", patience, all).await;
    eventually("every call is kept", patience, async || calls_in_history(&product, 30).await).await;
    // Nor does Kafka that goes away in the midst of a commit keep it from ending.
    begin_calls(&product, 30..40).await;
    broker.kill();
    tokio::time::sleep(Duration::from_secs(5)).await;
    product.stop().await;
}

/// So many calls are in ClickHouse.
async fn calls_in_history(product: &Product<'_>, wanted: usize) -> Result<(), usize> {
    match product.list("/v1/calls").await.len() {
        found if found == wanted => Ok(()),
        found => Err(found),
    }
}

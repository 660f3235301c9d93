//! A real Kafka broker: the one of `TRUNKLINE_TEST_KAFKA`, else one of our own, started by `deploy/kafka/run`.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::ports::free_port;
use crate::server::{Sweeper, directory};

/// A broker of our own.
pub struct Broker {
    /// `host:port`.
    pub address: String,
    data: PathBuf,
    ports: (u16, u16),
    pid: u32,
    /// One for each process that was started; dropping one removes the data.
    sweepers: Vec<Sweeper>,
}

/// The broker that tests share; each takes topics of its own.
pub fn shared() -> &'static str {
    static SHARED: OnceLock<Option<Broker>> = OnceLock::new();
    static GIVEN: OnceLock<String> = OnceLock::new();
    match SHARED.get_or_init(|| std::env::var_os("TRUNKLINE_TEST_KAFKA").is_none().then(Broker::start)) {
        Some(broker) => &broker.address,
        None => GIVEN.get_or_init(|| std::env::var("TRUNKLINE_TEST_KAFKA").expect("TRUNKLINE_TEST_KAFKA is host:port")),
    }
}

impl Broker {
    /// Starts an empty one; it ends with this process at the latest.
    pub fn start() -> Broker {
        let (data, ports) = (directory(), (free_port(), free_port()));
        let pid = run(&data, ports);
        Broker {
            address: format!("127.0.0.1:{}", ports.0),
            sweepers: vec![Sweeper::watch(&data, pid)],
            data,
            ports,
            pid,
        }
    }

    /// Sends it a signal: `KILL`, `STOP`, `CONT`.
    pub fn signal(&self, name: &str) {
        assert!(
            Command::new("kill")
                .args([&format!("-{name}"), &self.pid.to_string()])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Starts it again on its data.
    pub fn restart(&mut self) {
        self.pid = run(&self.data, self.ports);
        self.sweepers.push(Sweeper::watch(&self.data, self.pid));
    }
}

fn run(data: &PathBuf, ports: (u16, u16)) -> u32 {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/kafka/run");
    let output = Command::new(script)
        .arg(data)
        .args([ports.0.to_string(), ports.1.to_string()])
        .stderr(Stdio::inherit())
        .output()
        .unwrap_or_else(|error| panic!("cannot run {script}: {error}"));
    assert!(output.status.success(), "deploy/kafka/run failed; its reason is above");
    String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
}

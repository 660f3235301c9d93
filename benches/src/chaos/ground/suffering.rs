//! What each part suffers, and how it is whole again.

use std::time::Duration;

use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Command;
use trunkline_stores::postgres::EmbeddedPostgres;

use super::{Part, Parts};
use crate::chaos::process::Blow;
use crate::chaos::schedule::Fault;
use crate::chaos::wire::Condition;

impl Parts {
    /// How many nodes there are.
    pub fn nodes(&self) -> usize {
        self.0.nodes.len()
    }

    /// Whether spools have small disks of their own.
    pub fn has_small_disks(&self) -> bool {
        !self.0.disks.is_empty()
    }

    /// Whether the broker has.
    pub async fn has_small_broker_disk(&self) -> bool {
        self.0.kafka.lock().await.has_small_disk()
    }

    /// Makes a part suffer; returns when it runs as before. Faults of one part wait for each other.
    pub async fn suffer(&self, part: Part, fault: Fault, lasting: Duration) -> Result<()> {
        let blow = match fault {
            Fault::Kill => Blow::Kill,
            Fault::End => Blow::End,
            Fault::Freeze => Blow::Freeze,
            Fault::Fill => return self.fill(part, lasting).await,
            Fault::Cut | Fault::Slow => return self.disturb(part, fault, lasting).await,
        };
        match part {
            Part::Node(number) => match &*self.0.nodes[number].lock().await {
                Some(node) => node.suffer(blow, lasting).await,
                None => Ok(()),
            },
            Part::ClickHouse => match &*self.0.clickhouse.lock().await {
                Some(process) => process.suffer(blow, lasting).await,
                None => Ok(()),
            },
            Part::Kafka => self.0.kafka.lock().await.suffer(blow, lasting).await,
            Part::Postgres => suffer(&*self.0.postgres.lock().await, blow, lasting).await,
        }
    }

    async fn fill(&self, part: Part, lasting: Duration) -> Result<()> {
        match part {
            Part::Node(number) => self.0.disks.get(number).context("the disks are not small")?.fill(lasting).await,
            Part::Kafka => self.0.kafka.lock().await.fill(lasting).await,
            Part::Postgres | Part::ClickHouse => anyhow::bail!("{part} has no small disk"),
        }
    }

    async fn disturb(&self, part: Part, fault: Fault, lasting: Duration) -> Result<()> {
        let condition = if fault == Fault::Cut { Condition::Cut } else { Condition::Slow };
        let wire = match part {
            Part::Postgres => &self.0.postgres_wire,
            Part::ClickHouse => &self.0.clickhouse_wire,
            Part::Node(_) | Part::Kafka => anyhow::bail!("{part} has no wire"),
        };
        wire.becomes(condition);
        tokio::time::sleep(lasting).await;
        wire.becomes(Condition::Whole);
        Ok(())
    }
}

/// Postgres is started again by who keeps it; when its server dies, its children go with it.
async fn suffer(postgres: &EmbeddedPostgres, blow: Blow, lasting: Duration) -> Result<()> {
    let server = postgres
        .process_id()
        .and_then(|pid| i32::try_from(pid).ok())
        .and_then(Pid::from_raw);
    let server = server.context("Postgres is about to start")?;
    if blow != Blow::Freeze {
        kill_process(server, Signal::KILL)?;
        return Ok(());
    }
    // The server first, so that it makes no more children.
    let family = family(server).await?;
    for pid in &family {
        // A child may have ended by itself.
        let _ = kill_process(*pid, Signal::STOP);
    }
    tokio::time::sleep(lasting).await;
    for pid in &family {
        let _ = kill_process(*pid, Signal::CONT);
    }
    Ok(())
}

async fn family(server: Pid) -> Result<Vec<Pid>> {
    let parent = server.as_raw_nonzero().to_string();
    let output = Command::new("ps").args(["-o", "pid=", "--ppid", &parent]).output().await?;
    let children = String::from_utf8(output.stdout)?;
    let children = children.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?));
    Ok(std::iter::once(server).chain(children).collect())
}

//! The verdict: what was acknowledged against the log, the log against ClickHouse and the ledger, and the sender's count against the board.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use serde_json::Value;
use trunkline_connectors::simulator::Tally;
use trunkline_core::record::Record;
use trunkline_stores::log::EventLog;

use super::ground::Ground;
use super::journal::{Journal, Print, print};

/// The last groups may need so long to come to the end of the log, more for more events.
fn patience(events: u64) -> Duration {
    Duration::from_secs(120 + events / 200)
}

/// Read at once.
const RECORDS_AT_ONCE: usize = 1_000;

const LOOK: Duration = Duration::from_millis(500);

/// What was found; all empty and zero is what has to be.
#[derive(Debug, Default, Serialize)]
pub struct Verdict {
    /// Records in the log.
    pub records: u64,
    /// Acknowledged events that are not in the log.
    pub missing: u64,
    /// Events of which the log holds more copies than were sent: the log had not answered in time, so they were spooled and written again.
    /// Allowed, as every reader of the log folds copies into one (rule D3); that they did is what the comparisons below show.
    pub written_again: u64,
    /// Records in the log that nobody sent.
    pub unknown: u64,
    /// What `trunkline audit` found between the log, ClickHouse and the ledger.
    pub stores: Vec<String>,
    /// Figures of each node's board that differ from the sender's count.
    pub boards: Vec<String>,
    /// How long it took after the storm, step by step.
    pub calm: Calm,
}

/// Seconds from the end of the last fault, and of the load, until all nodes were as if nothing had been; each step includes those before it.
#[derive(Debug, Default, Serialize)]
pub struct Calm {
    /// Every node takes events.
    pub ready: f64,
    /// Nothing is left in a spool.
    pub spooled: f64,
    /// The facts group has come to the end of the log.
    pub facts: f64,
    /// The effects group has.
    pub effects: f64,
    /// The board of every node shows the sender's count.
    pub boards: f64,
    /// Seconds from the end of the other nodes until the last one's board was right again.
    pub alone: f64,
}

impl Verdict {
    /// Nothing is lost, counted twice or different.
    pub fn is_clean(&self) -> bool {
        self.missing == 0 && self.unknown == 0 && self.stores.is_empty() && self.boards.is_empty()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "log: {} records, {} acknowledged events missing, {} that nobody sent, {} written again after an unknown outcome",
            self.records, self.missing, self.unknown, self.written_again
        )?;
        let calm = &self.calm;
        write!(
            f,
            "\nafter the storm: nodes ready {:.1} s, spools empty {:.1} s, facts {:.1} s, effects {:.1} s, all boards right {:.1} s; the last node alone was right {:.1} s after the others had ended",
            calm.ready, calm.spooled, calm.facts, calm.effects, calm.boards, calm.alone
        )?;
        for found in &self.stores {
            write!(f, "\nstores: {found}")?;
        }
        for found in &self.boards {
            write!(f, "\nboard: {found}")?;
        }
        if self.is_clean() {
            f.write_str("; ClickHouse, ledger and boards agree\nnothing lost, nothing counted twice")?;
        }
        Ok(())
    }
}

/// Waits until everything is quiet, then compares. The nodes are ended on the way, the last one before the stores are compared.
pub async fn judge(ground: &Ground, journal: &Journal, tally: &Tally) -> Result<Verdict> {
    let patience = patience(journal.requests());
    let begun = Instant::now();
    let since = || begun.elapsed().as_secs_f64();
    let mut verdict = Verdict::default();
    for node in 0..ground.nodes() {
        ground.ready(node).await?;
    }
    verdict.calm.ready = since();
    until(patience, || spooled(ground))
        .await
        .context("hand the spools over to the log")?;
    verdict.calm.spooled = since();
    let log = ground.log().await?;
    let judged = of_log(&log, patience, &mut verdict, since).await;
    if judged.is_err() {
        for node in 0..ground.nodes() {
            eprintln!("node {node}: {}", ground.condition(node).await);
        }
    }
    let right = match &judged {
        Ok(()) => until(patience, || all_boards(ground, tally)).await,
        Err(_) => Ok(()),
    };
    verdict.calm.boards = since();
    let compared = match judged {
        Ok(()) => compare(&log, journal, &mut verdict).await,
        Err(error) => Err(error),
    };
    log.close().await;
    compared?;
    if let Err(error) = right {
        verdict.boards.push(format!("{error:#}"));
    }
    // What a board shows when one node is left is the work of all of them: its partitions came from the others.
    for node in 1..ground.nodes() {
        ground.end(node).await;
    }
    let alone = Instant::now();
    let right = until(patience, || async { board(ground, 0, tally).await }).await;
    verdict.calm.alone = alone.elapsed().as_secs_f64();
    if let Err(error) = right {
        verdict.boards.push(format!("of the last node: {error}"));
    }
    ground.end(0).await;
    verdict.stores = stores(ground).await?;
    Ok(verdict)
}

/// Looks again and again until it is fine; the last difference is the error.
async fn until<F: Future<Output = Result<()>>>(patience: Duration, mut look: impl FnMut() -> F) -> Result<()> {
    let begun = Instant::now();
    loop {
        match look().await {
            Ok(()) => return Ok(()),
            Err(error) if begun.elapsed() > patience => return Err(error),
            Err(_) => tokio::time::sleep(LOOK).await,
        }
    }
}

async fn spooled(ground: &Ground) -> Result<()> {
    for node in 0..ground.nodes() {
        let records = ground.metric(node, "trunkline_spool_records").await?;
        ensure!(records == 0.0, "{records} records wait in the spool of node {node}");
    }
    Ok(())
}

/// Waits until both groups that write are at the end of the log.
async fn of_log(log: &impl EventLog, patience: Duration, verdict: &mut Verdict, since: impl Fn() -> f64) -> Result<()> {
    let mut ends = Vec::new();
    for partition in 0..log.partitions() {
        ends.push(log.span(partition).await?.1);
    }
    let reach = async |group: &'static str| {
        let reached = until(patience, || behind(log, group, &ends)).await;
        reached.map(|()| since()).context("let the groups reach the end of the log")
    };
    let (facts, effects) = tokio::join!(reach("facts"), reach("effects"));
    (verdict.calm.facts, verdict.calm.effects) = (facts?, effects?);
    Ok(())
}

/// Reads the whole log.
pub async fn compare(log: &impl EventLog, journal: &Journal, verdict: &mut Verdict) -> Result<()> {
    let mut found: HashMap<Print, u64> = HashMap::new();
    for partition in 0..log.partitions() {
        let (mut at, end) = log.span(partition).await?;
        while at < end {
            for record in log.read(partition, at, RECORDS_AT_ONCE).await? {
                ensure!(record.position.offset == at, "partition {partition} has a hole at {at}");
                at += 1;
                let record = Record::decode(&record.bytes)?;
                *found.entry(print(record.body)).or_default() += 1;
                verdict.records += 1;
            }
        }
    }
    let counts = journal.counts();
    for (print, count) in &counts {
        let copies = found.get(print).copied().unwrap_or_default();
        verdict.missing += u64::from(count.acknowledged > 0 && copies == 0);
        verdict.written_again += u64::from(copies > count.sent);
    }
    verdict.unknown = found.keys().filter(|print| !counts.contains_key(*print)).count() as u64;
    Ok(())
}

/// Whether a group has come to these ends.
async fn behind(log: &impl EventLog, group: &str, ends: &[i64]) -> Result<()> {
    let committed: BTreeMap<u32, i64> = log.committed(group).await?.into_iter().collect();
    for (partition, end) in ends.iter().enumerate() {
        let next = committed.get(&(partition as u32)).copied().unwrap_or_default();
        ensure!(next >= *end, "{group} is at {next} of {end} in partition {partition}");
    }
    Ok(())
}

/// Every node shows all of it, whoever reads it.
async fn all_boards(ground: &Ground, tally: &Tally) -> Result<()> {
    for node in 0..ground.nodes() {
        board(ground, node, tally).await.with_context(|| format!("node {node}"))?;
    }
    Ok(())
}

/// A node's board of the last day against the sender's count.
async fn board(ground: &Ground, node: usize, tally: &Tally) -> Result<()> {
    let board = ground.get(node, "/v1/board?window_minutes=1440&figures=true").await?;
    let number = |path: &str| board.pointer(path).and_then(Value::as_u64);
    let of = |map: &BTreeMap<&'static str, u64>, name: &str| map.get(name).copied().unwrap_or_default();
    let mut differ = Vec::new();
    for (what, found, expected) in [
        ("in progress", number("/now/in_progress"), tally.calls_in_progress),
        ("offered", number("/offered/total"), tally.calls),
        ("answered", number("/offered/answered"), tally.calls_connected),
        ("chats", number("/offered/chats"), tally.chats),
        ("transfers", number("/offered/transfers"), of(&tally.transfers, "started")),
        ("bridged", number("/offered/transfers_bridged"), of(&tally.transfers, "bridged")),
        ("gaps", number("/gaps"), 0),
    ] {
        if found != Some(expected) {
            differ.push(format!("{what} {found:?}, sent {expected}"));
        }
    }
    let reasons: BTreeMap<&str, u64> = board["reasons"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|row| Some((row["reason"].as_str()?, row["count"].as_u64()?)))
        .filter(|(_, count)| *count > 0)
        .collect();
    if reasons != tally.reasons {
        differ.push(format!("reasons {reasons:?}, sent {:?}", tally.reasons));
    }
    let completeness = ground.get(node, "/v1/completeness").await?;
    for (what, wanted) in [("rebuilding", Value::Bool(false)), ("gaps", Value::Array(Vec::new()))] {
        if completeness[what] != wanted {
            differ.push(format!("{what} {}", completeness[what]));
        }
    }
    ensure!(differ.is_empty(), "{}", differ.join("; "));
    Ok(())
}

/// What the product's own full pass finds, which folds the log anew.
pub async fn stores(ground: &Ground) -> Result<Vec<String>> {
    let output = ground.command(&["--json", "audit"]).await?;
    let report: Value = serde_json::from_slice(&output.stdout)
        .with_context(|| format!("audit gave no report: {}", String::from_utf8_lossy(&output.stderr)))?;
    let differences = report["differences"].as_array().context("the audit's report has differences")?;
    ensure!(
        differences.is_empty() == output.status.success(),
        "the audit says {} with {} differences",
        output.status,
        differences.len()
    );
    Ok(differences.iter().map(Value::to_string).collect())
}

//! Runs one bench; what each measures and how is in the README.

use anyhow::Result;
use clap::{Parser, Subcommand};
use trunkline_benches::{board, chaos, consume, door, guarantees, members, memory, outage, restart, sign_ins};

/// How fast, beside what.
#[derive(Debug, Parser)]
#[command(name = "trunkline-benches")]
struct Cli {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Debug, Subcommand)]
enum Bench {
    /// Accepted requests per CPU second of the intake, beside a bare and a naive handler.
    Door(door::Door),
    /// One handler as a process under test (started by `door`).
    #[command(hide = true)]
    ServeDoor(door::ServeDoor),
    /// Events per CPU second from Kafka to live figures, beside a consumer that only counts.
    Consume(consume::Consume),
    /// Time from an event's arrival to the screens that show it, with many boards open.
    Board(board::Board),
    /// Everything fails again and again under load; at the end nothing may be lost or doubled.
    Chaos(chaos::Chaos),
    /// The ClickHouse engine as a process of its own (started by `chaos`).
    #[command(hide = true)]
    ClickhouseDoor(chaos::ClickHouseDoor),
    /// Bytes that a live call takes beyond what was said.
    Memory(memory::Memory),
    /// Throughput with checkpoints and intents, beside the same without them.
    Guarantees(guarantees::Guarantees),
    /// One run as a process (started by `guarantees`).
    #[command(hide = true)]
    GuardedNode(guarantees::GuardedNode),
    /// Times of partitions that stay while a second node comes and goes.
    Members(members::Members),
    /// The second node as a process (started by `members`).
    #[command(hide = true)]
    MemberNode(members::MemberNode),
    /// Kafka or ClickHouse stands still for minutes while events go on, and comes back.
    Outage(outage::Outage),
    /// Time from `kill -9` of the only live node to a right board.
    Restart(restart::Restart),
    /// The live node as a process under test (started by `restart`).
    #[command(hide = true)]
    LiveNode(restart::LiveNode),
    /// What the intake notices of a hundred people who sign in at once.
    SignIns(sign_ins::SignIns),
    /// A consumer that only reads, as a process (started by `restart`).
    #[command(hide = true)]
    NullNode(restart::NullNode),
    /// One reader as a process under test (started by `consume`).
    #[command(hide = true)]
    ReadTopic(consume::ReadTopic),
}

fn main() -> Result<()> {
    match Cli::parse().bench {
        Bench::Door(door) => runtime()?.block_on(door.run()),
        Bench::Consume(consume) => runtime()?.block_on(consume.run()),
        Bench::Board(board) => runtime()?.block_on(board.run()),
        Bench::Chaos(chaos) => runtime()?.block_on(chaos.run()),
        Bench::ClickhouseDoor(door) => runtime()?.block_on(door.run()),
        Bench::Memory(memory) => runtime()?.block_on(memory.run()),
        Bench::Guarantees(guarantees) => runtime()?.block_on(guarantees.run()),
        Bench::GuardedNode(node) => runtime()?.block_on(node.run()),
        Bench::Members(members) => runtime()?.block_on(members.run()),
        Bench::MemberNode(node) => runtime()?.block_on(node.run()),
        Bench::Outage(outage) => runtime()?.block_on(outage.run()),
        Bench::Restart(restart) => runtime()?.block_on(restart.run()),
        Bench::LiveNode(node) => runtime()?.block_on(node.run()),
        Bench::SignIns(sign_ins) => runtime()?.block_on(sign_ins.run()),
        Bench::NullNode(node) => node.run(),
        Bench::ReadTopic(reader) => runtime()?.block_on(reader.run()),
        Bench::ServeDoor(server) => actix_web::rt::System::new().block_on(server.run()),
    }
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?)
}

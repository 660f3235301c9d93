//! Bytes that a live call takes beyond what was said, at a great number of live calls.

use anyhow::{Result, bail};
use clap::Args;
use trunkline_core::call::Call;
use trunkline_core::door;
use trunkline_core::event::{Reading, read};
use trunkline_core::id::{TenantId, WorkspaceId};
use trunkline_core::metric::{Contribution, Partial, Rules, contribution};
use trunkline_core::record::Source;
use uuid::Uuid;

use crate::{cpu, sample};

/// Updates of each call: its transcript grows to this many events.
const UPDATES: usize = 3;

/// `memory`
#[derive(Debug, Args)]
pub struct Memory {
    /// Live calls.
    #[arg(long, default_value_t = 100_000)]
    calls: usize,
    /// Size of the last transcript update in bytes.
    #[arg(long, default_value_t = sample::SIZES[1])]
    size: usize,
}

impl Memory {
    /// Makes the calls and prints what they hold.
    pub fn run(self) -> Result<()> {
        println!("{}", cpu::machine());
        let rules = Rules::default();
        let mut sums = Partial::default();
        let mut held: Vec<(Call, Contribution)> = Vec::with_capacity(self.calls);
        // The scratch memory of reading is not a call's: it is there before the count begins.
        made(0, self.size)?;
        let before = cpu::resident()?;
        for n in 0..self.calls {
            let call = made(n, self.size)?;
            let adds = contribution(&call.facts(), &rules);
            sums.add(&adds);
            held.push((call, adds));
        }
        let resident = cpu::resident()?.saturating_sub(before);
        let each = |bytes: u64| bytes as f64 / self.calls as f64;
        let said: u64 = held.iter().map(|(call, _)| call.transcript_bytes() as u64).sum();
        let calls: u64 = held.iter().map(|(call, _)| call.memory_bytes() as u64).sum();
        let adds: u64 = held
            .iter()
            .map(|(_, adds)| (size_of::<Contribution>() + adds.memory_bytes()) as u64)
            .sum();
        println!("{} live calls, last update {} B; bytes for each call", self.calls, self.size);
        println!("  resident               {:>8.0}", each(resident));
        println!("  of it said             {:>8.0}", each(said));
        println!("  beyond what was said   {:>8.0}", each(resident.saturating_sub(said)));
        println!(
            "  by own count: call {:.0}, contribution {:.0}, figures {:.1}",
            each(calls - said),
            each(adds),
            each(sums.memory_bytes() as u64)
        );
        Ok(())
    }
}

fn made(n: usize, size: usize) -> Result<Call> {
    let mut call = None;
    let bodies = std::iter::once(sample::started(n)).chain((1..=UPDATES).map(|step| sample::updated(n, step, size * step / UPDATES)));
    for body in bodies {
        let (routed, body) = door::route(body);
        let (tenant, workspace) = (TenantId(Uuid::from_u128(1)), WorkspaceId(Uuid::from_u128(2)));
        let record = door::record(routed, body, sample::clock(), tenant, workspace, Source::Webhook);
        let Reading::Event(event) = read(&record) else {
            bail!("a sample is no event")
        };
        call.get_or_insert_with(|| Call::new(event.key().clone(), event.workspace()))
            .apply(&event);
    }
    call.ok_or_else(|| anyhow::anyhow!("a call of no events"))
}

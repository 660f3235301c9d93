//! The only live node, as a process that can be killed: the whole live group as it is served.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use tokio::sync::watch;
use tokio::time::sleep;
use trunkline_actors::{BoardScope, Engine, EngineOptions, Limits, Live};
use trunkline_core::access::Sight;
use trunkline_core::metric::Window;

use super::place::Where;
use super::{Right, Word};
use crate::directory::{TENANT, directory};

/// How often it looks at itself.
const LOOK: Duration = Duration::from_millis(2);

/// `live-node`: the process under test.
#[derive(Debug, Args)]
pub struct LiveNode {
    #[command(flatten)]
    place: Where,
    /// Seconds between two checkpoints.
    #[arg(long)]
    every: u32,
}

impl LiveNode {
    /// Runs until it is killed; says when its board is right and when all of it is kept.
    pub async fn run(self) -> Result<()> {
        let log = self.place.open().await?;
        let (_keep, directory) = watch::channel(Arc::new(directory()));
        let options = EngineOptions {
            limits: Limits {
                checkpoint_ms: Some(i64::from(self.every) * 1_000),
                ..Limits::default()
            },
            ..EngineOptions::default()
        };
        let engine = Engine::start(log, directory, options)?;
        let live = engine.live();
        while !is_right(&live) {
            sleep(LOOK).await;
        }
        say(&Word::Right(right(&live)))?;
        let ends: Vec<i64> = live.partitions().iter().map(|state| state.next).collect();
        loop {
            let states = live.partitions();
            let mut kept = states
                .iter()
                .zip(&ends)
                .map(|(state, end)| (state.checkpoint.map_or(0, |at| at.next), *end));
            if kept.all(|(next, end)| next >= end) {
                break;
            }
            sleep(LOOK).await;
        }
        say(&Word::Kept)?;
        std::future::pending().await
    }
}

fn is_right(live: &Live) -> bool {
    let state = live.completeness_of_all();
    !state.rebuilding && state.assigned == state.partitions
}

fn right(live: &Live) -> Right {
    let scope = BoardScope {
        window: Window::Minutes(25 * 60),
        ..BoardScope::whole(Sight::All)
    };
    let board = live.board(TENANT, &scope);
    let rebuilds: Vec<_> = live.partitions().into_iter().filter_map(|state| state.rebuild).collect();
    Right {
        in_progress: board.now.in_progress,
        offered: board.offered.total,
        from_checkpoint: rebuilds.iter().all(|rebuild| rebuild.from_checkpoint),
        restored: rebuilds.iter().map(|rebuild| rebuild.restored).sum(),
        replayed: rebuilds.iter().map(|rebuild| rebuild.replayed).sum(),
        took_ms: rebuilds.iter().map(|rebuild| rebuild.took_ms).max().unwrap_or_default(),
    }
}

fn say(word: &Word) -> Result<()> {
    println!("{}", serde_json::to_string(word)?);
    Ok(())
}

//! Time from an event's arrival to the screens that show it: the product as it is shipped, many boards open, a steady line.

pub mod post;
pub mod product;
pub mod report;
pub mod script;
pub mod watch;
pub mod wire;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde::Deserialize;
use tokio::task::JoinHandle;
use trunkline_connectors::simulator::World;
use trunkline_core::signature::SigningKey;

use crate::cpu;
use post::{Posted, post};
use product::Product;
use report::{Report, Stretch};
use script::{Cue, Line, Role, Wanted, marked_agent};
use watch::{Awaited, Mark, Screens, Shown, View, follow};

/// Load before anything is counted.
const WARM: Duration = Duration::from_secs(3);

/// Quiet time before memory is read.
const SETTLE: Duration = Duration::from_secs(3);

/// Streams have to show their first state within this time.
const OPEN: Duration = Duration::from_secs(30);

/// After the last event every delivery has to be there within this time.
const DRAIN: Duration = Duration::from_secs(10);

/// Longest load: events are signed beforehand, and signatures hold for five minutes.
const SECONDS_MAX: u64 = 60;

/// Most streams: both ends of each are open files of this machine.
const STREAMS_MAX: usize = 5_000;

/// `board`
#[derive(Debug, Args)]
pub struct Board {
    /// The product; without it the one beside this program.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Kafka broker, host:port, as its log; without it the log is in its own Postgres.
    #[arg(long)]
    brokers: Option<String>,
    /// A setting of the product, section.key=value; may be repeated.
    #[arg(long, value_name = "SETTING")]
    set: Vec<String>,
    /// Events a second.
    #[arg(long, default_value_t = 1_000.0)]
    rate: f64,
    /// Open boards: each business and all of them in turn.
    #[arg(long, default_value_t = 200)]
    boards: usize,
    /// Open lists of calls in progress.
    #[arg(long, default_value_t = 10)]
    lists: usize,
    /// Calls whose transcript is followed, each by one screen.
    #[arg(long, default_value_t = 10)]
    followed: usize,
    /// Seconds that count.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=SECONDS_MAX))]
    seconds: u64,
    /// Seconds of the same load without a screen, for comparison of CPU time.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=SECONDS_MAX))]
    alone_seconds: u64,
    /// Same seed, same conversations.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// The streams of one run.
struct Open {
    screens: Arc<Screens>,
    readers: Vec<JoinHandle<Result<Shown>>>,
    stop: tokio::sync::watch::Sender<bool>,
    awaited: tokio::sync::watch::Sender<Arc<Vec<Awaited>>>,
    followed: Vec<String>,
    views: Vec<View>,
}

impl Board {
    /// Runs it and prints what came out. What is wrong voids the figures: then it is an error.
    pub async fn run(self) -> Result<()> {
        ensure!(
            self.boards + self.lists + self.followed <= STREAMS_MAX,
            "at most {STREAMS_MAX} streams"
        );
        ensure!(self.boards > 0, "without a board there is nothing to measure");
        let product = Product::start(self.binary.as_deref(), self.brokers.as_deref(), &self.set).await?;
        let measured = self.measure(&product).await;
        product.stop().await;
        let report = measured?;
        match self.json {
            true => println!("{}", report.json()),
            false => println!("{}", report.table()),
        }
        Ok(())
    }

    async fn measure(&self, product: &Product) -> Result<Report> {
        let before = cpu::machine();
        let world = World::new();
        let line = Line {
            world: &world,
            host: product.intake.to_string(),
            path: product.path.clone(),
            key: SigningKey::from(product.signing_key.as_str()),
        };
        let wanted = |seconds: u64, followed: Vec<String>, seed: u64| Wanted {
            rate: self.rate,
            lasting: WARM + Duration::from_secs(seconds),
            followed,
            seed,
        };
        let (alone, _) = self
            .load(
                product,
                &line.script(&wanted(self.alone_seconds, Vec::new(), self.seed))?,
                None,
                Instant::now(),
            )
            .await
            .context("load without screens")?;
        tokio::time::sleep(SETTLE).await;
        let resident = cpu::resident_of(product.pid)?;
        let open = self.open(product, &world).await?;
        tokio::time::sleep(SETTLE).await;
        let grown = cpu::resident_of(product.pid)?.saturating_sub(resident);
        // Other conversations than before: the same ones would be repeats.
        let cues = line.script(&wanted(self.seconds, open.followed.clone(), !self.seed))?;
        let begun = Instant::now();
        open.awaited.send_replace(Arc::new(awaited(&cues, begun)));
        let (busy, posted) = self.load(product, &cues, Some(&open.screens), begun).await?;
        let streams = open.readers.len();
        let shown = close(open, &cues).await?;
        let delivered = report::deliveries(&cues, begun, WARM, &shown)?;
        Ok(Report {
            machine: [before, cpu::machine()],
            rate: self.rate,
            seconds: self.seconds,
            kafka: self.brokers.is_some(),
            event_bytes: cues.iter().map(|cue| cue.request.len() as u64).sum::<u64>() / cues.len().max(1) as u64,
            streams,
            boards: self.boards,
            grown_bytes: grown,
            alone,
            busy,
            posted,
            delivered,
        })
    }

    /// Posts the cues and reads the product's CPU time over the part that counts.
    async fn load(&self, product: &Product, cues: &[Cue], screens: Option<&Screens>, begun: Instant) -> Result<(Stretch, Posted)> {
        let end = cues.last().context("an empty script")?.at.max(WARM);
        let window = async {
            let read = || {
                let frames = screens.map_or(0, |screens| screens.frames.load(Ordering::Relaxed));
                let bytes = screens.map_or(0, |screens| screens.bytes.load(Ordering::Relaxed));
                Ok::<_, anyhow::Error>((
                    Instant::now(),
                    cpu::used(product.pid)?,
                    cpu::used(std::process::id())?,
                    frames,
                    bytes,
                ))
            };
            tokio::time::sleep_until((begun + WARM).into()).await;
            let from = read()?;
            tokio::time::sleep_until((begun + end).into()).await;
            let to = read()?;
            Ok::<_, anyhow::Error>(Stretch {
                lasted: to.0 - from.0,
                product: to.1.saturating_sub(from.1),
                client: to.2.saturating_sub(from.2),
                frames: to.3 - from.3,
                bytes: to.4 - from.4,
            })
        };
        tokio::try_join!(window, post(product.intake, cues, begun, WARM))
    }

    /// Opens all streams and waits until each has shown its first state.
    async fn open(&self, product: &Product, world: &World) -> Result<Open> {
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let (awaited, calls) = tokio::sync::watch::channel(Arc::default());
        let agents = (0..world.businesses.len())
            .map(|business| world.businesses[business].agents[marked_agent(world, business)].id.clone())
            .collect();
        let screens = Arc::new(Screens {
            site: product.site,
            api_key: product.api_key.clone(),
            agents,
            awaited: calls,
            delivered: AtomicU64::new(0),
            frames: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            open: AtomicU64::new(0),
        });
        let businesses = businesses(product, world).await?;
        let followed: Vec<String> = (0..self.followed)
            .map(|call| format!("call_{:027x}", (0xf0_u128 << 96) + call as u128))
            .collect();
        let views = (0..self.boards)
            .map(|n| match n % (businesses.len() + 1) {
                0 => (View::Board { business: None }, "board".to_owned()),
                n => (
                    View::Board { business: Some(n - 1) },
                    format!("board&business={}", businesses[n - 1]),
                ),
            })
            .chain((0..self.lists).map(|_| (View::Calls, "calls".to_owned())))
            .chain(
                followed
                    .iter()
                    .enumerate()
                    .map(|(call, id)| (View::Call { call }, format!("call:{id}"))),
            );
        let (views, topics): (Vec<View>, Vec<String>) = views.unzip();
        let readers: Vec<_> = std::iter::zip(views.clone(), topics)
            .map(|(view, topics)| {
                tokio::spawn(follow(
                    screens.clone(),
                    view,
                    format!("/v1/stream?topics={topics}"),
                    stopped.clone(),
                ))
            })
            .collect();
        let all = readers.len() as u64;
        wait(OPEN, || {
            screens.open.load(Ordering::Relaxed) == all || readers.iter().any(JoinHandle::is_finished)
        })
        .await;
        let opened = screens.open.load(Ordering::Relaxed);
        if opened < all {
            for reader in readers {
                if reader.is_finished() {
                    reader.await??;
                }
            }
            anyhow::bail!("{opened} of {all} streams opened");
        }
        Ok(Open {
            screens,
            readers,
            stop,
            awaited,
            followed,
            views,
        })
    }
}

/// Waits for the last deliveries and closes all streams.
async fn close(open: Open, cues: &[Cue]) -> Result<Vec<Shown>> {
    let expected = report::expected(cues, &open.views);
    wait(DRAIN, || open.screens.delivered.load(Ordering::Relaxed) >= expected).await;
    open.stop.send_replace(true);
    let mut shown = Vec::new();
    for reader in open.readers {
        shown.push(reader.await??);
    }
    Ok(shown)
}

/// Marked calls in order of time.
fn awaited(cues: &[Cue], begun: Instant) -> Vec<Awaited> {
    cues.iter()
        .filter_map(|cue| match cue.role {
            Role::Begins { business, turn } => Some(Awaited {
                mark: Mark::Begins { business, turn },
                due: begun + cue.at,
                id: cue.id.clone(),
            }),
            _ => None,
        })
        .collect()
}

async fn wait(longest: Duration, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() && begun.elapsed() < longest {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Ids of the simulated businesses, in the world's order.
async fn businesses(product: &Product, world: &World) -> Result<Vec<String>> {
    #[derive(Deserialize)]
    struct Listed {
        data: Vec<Business>,
    }
    #[derive(Deserialize)]
    struct Business {
        id: String,
        name: String,
    }
    let body = wire::Body::get(product.site, "/v1/businesses", &product.api_key)
        .await?
        .whole()
        .await?;
    let listed: Listed = serde_json::from_slice(&body).context("read the businesses")?;
    let find = |name: &str| {
        let found = listed.data.iter().find(|business| business.name == name);
        found
            .map(|business| business.id.clone())
            .with_context(|| format!("the demo has no business {name}"))
    };
    world.businesses.iter().map(|business| find(business.name)).collect()
}

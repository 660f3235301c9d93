//! What the intake notices of people who sign in: the product as it is shipped, a steady line, and a hundred at its door with their passwords.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use hdrhistogram::Histogram;
use reqwest::{Client, StatusCode};
use trunkline_connectors::simulator::World;
use trunkline_core::signature::SigningKey;

use crate::board::post::{Posted, post};
use crate::board::product::Product;
use crate::board::script::{Line, Wanted};
use crate::cpu;
use crate::load::histogram;

/// Load before anything is counted, in every stretch.
const WARM: Duration = Duration::from_secs(2);

/// Longest stretch: events are signed beforehand, and signatures hold for five minutes.
const SECONDS_MAX: u64 = 60;

/// The answer to a sign-in is a page; one that takes longer is a fault.
const ANSWER: Duration = Duration::from_secs(30);

/// Most of the calm p99 that a storm may make of it.
const GOAL: f64 = 1.2;

/// What keeps the storm from being turned away before a password is checked: all of it comes from one address.
const SETTINGS: [&str; 2] = ["limits.address_per_second=0", "sign_in.address_attempts_max=1000000000"];

/// `sign-ins`
#[derive(Debug, Args)]
pub struct SignIns {
    /// The product; without it the one beside this program.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Kafka broker, host:port, as its log; without it the log is in its own Postgres.
    #[arg(long)]
    brokers: Option<String>,
    /// Events a second.
    #[arg(long, default_value_t = 200.0)]
    rate: f64,
    /// People who sign in side by side, each again as soon as the last is in or refused.
    #[arg(long, default_value_t = 100)]
    people: usize,
    /// Stretches of each kind; calm ones and storms take turns.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds of a stretch that count.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=SECONDS_MAX))]
    seconds: u64,
    /// Same seed, same conversations.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Where one signs in, and with what.
struct Credentials {
    url: String,
    email: String,
    password: String,
}

impl Credentials {
    fn of(product: &Product) -> Credentials {
        Credentials {
            url: format!("http://{}/signin", product.site),
            email: product.email.clone(),
            password: product.password.clone(),
        }
    }
}

/// How many sign-ins ended how.
#[derive(Debug, Default)]
struct Ends {
    entered: AtomicU64,
    wrong: AtomicU64,
    turned_away: AtomicU64,
}

impl SignIns {
    /// Runs it and prints what came out. An event that is not taken, or a sign-in with an answer of another kind, voids the figures.
    pub async fn run(self) -> Result<()> {
        ensure!(
            self.people > 0 && self.rounds > 0,
            "without people or rounds there is nothing to measure"
        );
        // The client wants one, although it speaks plain HTTP here. There already is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let product = Product::start(self.binary.as_deref(), self.brokers.as_deref(), &SETTINGS).await?;
        let measured = self.measure(&product).await;
        product.stop().await;
        measured
    }

    async fn measure(&self, product: &Product) -> Result<()> {
        println!("{}", cpu::machine());
        let ends = Arc::new(Ends::default());
        let (mut calm, mut storm) = (histogram()?, histogram()?);
        let mut ratios = Vec::new();
        for round in 0..self.rounds {
            let quiet = self.load(product, 2 * round).await?;
            let stop = Arc::new(AtomicBool::new(false));
            let people: Vec<_> = (0..self.people)
                .map(|person| {
                    tokio::spawn(keep_signing_in(
                        Credentials::of(product),
                        round * self.people + person,
                        ends.clone(),
                        stop.clone(),
                    ))
                })
                .collect();
            let loud = self.load(product, 2 * round + 1).await;
            stop.store(true, Ordering::Relaxed);
            for person in people {
                person.await??;
            }
            let loud = loud?;
            let of = |posted: &Posted| posted.ack_us.value_at_quantile(0.99) as f64 / 1_000.0;
            ratios.push(of(&loud) / of(&quiet));
            println!(
                "round {}: p99 {:.1} ms calm, {:.1} ms while they sign in",
                round + 1,
                of(&quiet),
                of(&loud)
            );
            calm.add(&quiet.ack_us)?;
            storm.add(&loud.ack_us)?;
        }
        println!(
            "{:<24}{:>10}{:>10}{:>10}{:>10}{:>10}",
            "ms to acknowledgement", "events", "p50", "p90", "p99", "max"
        );
        row("calm", &calm);
        row("while they sign in", &storm);
        let count = |number: &AtomicU64| number.load(Ordering::Relaxed);
        println!(
            "{} people side by side, {} events/s: {} let in, {} with a wrong password, {} told to come again",
            self.people,
            self.rate,
            count(&ends.entered),
            count(&ends.wrong),
            count(&ends.turned_away)
        );
        ensure!(count(&ends.entered) + count(&ends.wrong) > 0, "no password was checked");
        println!(
            "p99 of a storm / of the calm before: {:.2} (median of {} rounds), {:.2} of all together, goal {GOAL}; load after: {}",
            crate::median(&mut ratios),
            self.rounds,
            storm.value_at_quantile(0.99) as f64 / calm.value_at_quantile(0.99) as f64,
            cpu::machine()
        );
        Ok(())
    }

    /// One stretch of the line: its own conversations, since the same ones would be repeats.
    async fn load(&self, product: &Product, stretch: usize) -> Result<Posted> {
        let line = Line {
            world: &World::new(),
            host: product.intake.to_string(),
            path: product.path.clone(),
            key: SigningKey::from(product.signing_key.as_str()),
        };
        let cues = line.script(&Wanted {
            rate: self.rate,
            lasting: WARM + Duration::from_secs(self.seconds),
            followed: Vec::new(),
            seed: self.seed.wrapping_mul(1 << 20).wrapping_add(stretch as u64),
        })?;
        post(product.intake, &cues, Instant::now(), WARM).await
    }
}

fn row(name: &str, us: &Histogram<u64>) {
    let ms = |quantile| us.value_at_quantile(quantile) as f64 / 1_000.0;
    println!(
        "{name:<24}{:>10}{:>10.1}{:>10.1}{:>10.1}{:>10.1}",
        us.len(),
        ms(0.5),
        ms(0.9),
        ms(0.99),
        us.max() as f64 / 1_000.0
    );
}

/// One of many who sign in: every other one knows the password, the rest are unknown. Who is told to come again does so when it is said.
async fn keep_signing_in(credentials: Credentials, number: usize, ends: Arc<Ends>, stop: Arc<AtomicBool>) -> Result<()> {
    let client = Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(ANSWER)
        .build()?;
    for turn in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let known = number.is_multiple_of(2);
        let email = match known {
            true => credentials.email.clone(),
            false => format!("person-{number}-{turn}@nobody.invalid"),
        };
        let form = form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("email", email.as_str()), ("password", &credentials.password), ("next", "/wall")])
            .finish();
        let request = client
            .post(&credentials.url)
            .header("content-type", "application/x-www-form-urlencoded");
        let answer = request.body(form).send().await.context("sign in")?;
        let (status, wait) = (answer.status(), answer.headers().get("retry-after").cloned());
        // Its page is read to the end, as a browser does.
        answer.bytes().await.context("read the answer to a sign-in")?;
        match status {
            StatusCode::SEE_OTHER if known => ends.entered.fetch_add(1, Ordering::Relaxed),
            // The page with its form again.
            StatusCode::UNPROCESSABLE_ENTITY if !known => ends.wrong.fetch_add(1, Ordering::Relaxed),
            StatusCode::TOO_MANY_REQUESTS => {
                ends.turned_away.fetch_add(1, Ordering::Relaxed);
                let seconds = wait.as_ref().and_then(|value| value.to_str().ok()?.parse().ok());
                tokio::time::sleep(Duration::from_secs(seconds.context("told to come again, not when")?)).await;
                0
            }
            other => bail!("a sign-in was answered {other}"),
        };
    }
    Ok(())
}

//! Posts planned events at the set rate, open loop: a slow receiver does not slow the arrivals, as on a real line.
//!
//! Time inside is virtual: it begins `history` before now and runs as fast as the receiver takes it until it has caught up with the
//! clock; from then on it is the clock. So a demo opens on a day that already happened, and a load test is a history without a present.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::sync::{Mutex, Semaphore, watch};
use tokio::task::JoinSet;
use trunkline_core::instant::Millis;
use trunkline_core::signature::{self, SigningKey};

use super::body;
use super::disorder::{Disorder, Fate};
use super::life::{Mix, Plan, Step};
use super::tally::{Counter, Tally};
use super::world::World;

/// How long one request may take: what Retell allows (EVENTS.md part 9).
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Attempts in all unless set otherwise: one and three repeats, as Retell does.
pub const ATTEMPTS: u32 = 4;
/// Pause before a repeat; Retell's spacing is not documented.
const RETRY_PAUSE: Duration = Duration::from_millis(500);
/// Conversations kept for get-call and list-calls.
const RECENT_PLANS: usize = 10_000;

/// What to send and where.
#[derive(Debug, Clone)]
pub struct SenderOptions {
    /// The intake address, with its token.
    pub url: String,
    /// Key that signs.
    pub key: SigningKey,
    /// New conversations per second of virtual time.
    pub calls_per_second: f64,
    /// How far in the past virtual time begins.
    pub history: Duration,
    /// Stop planning new conversations after this many.
    pub calls_limit: Option<u64>,
    /// Stop planning new conversations once this many events were sent.
    pub events_limit: Option<u64>,
    /// Stop at the present instead of following the clock.
    pub history_only: bool,
    /// Seed of everything random.
    pub seed: u64,
    /// Requests under way at most: protects this machine, not the receiver.
    pub in_flight: usize,
    /// Attempts per event in all; Retell makes [`ATTEMPTS`].
    pub attempts: u32,
    /// Leave out `transcript_updated`, as Retell does unless it is switched on.
    pub without_transcripts: bool,
    /// How often what happens.
    pub mix: Mix,
    /// What goes wrong on the way.
    pub disorder: Disorder,
}

/// The conversations that exist so far, newest last; what the stand-in for Retell's API answers from.
#[derive(Debug, Default)]
pub struct Recent {
    plans: HashMap<String, Arc<Plan>>,
    order: std::collections::VecDeque<String>,
    /// Where a sender is in its own time.
    present: Option<Millis>,
}

impl Recent {
    /// For a sender that has not begun: until it has caught up with the clock nothing can be listed.
    pub fn awaited() -> Recent {
        Recent {
            present: Some(Millis(0)),
            ..Recent::default()
        }
    }

    /// Keeps one more conversation; the oldest leaves when there are too many.
    pub fn add(&mut self, plan: &Arc<Plan>) {
        if self.order.len() >= RECENT_PLANS
            && let Some(old) = self.order.pop_front()
        {
            self.plans.remove(&old);
        }
        self.order.push_back(plan.id.clone());
        self.plans.insert(plan.id.clone(), Arc::clone(plan));
    }

    /// Where the sender is in its own time; `None` without one, or when it has ended.
    pub fn present(&self) -> Option<Millis> {
        self.present
    }

    /// One conversation by its id.
    pub fn get(&self, id: &str) -> Option<Arc<Plan>> {
        self.plans.get(id).cloned()
    }

    /// All conversations, oldest first.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Plan>> {
        self.order.iter().filter_map(|id| self.plans.get(id))
    }
}

/// The truth about a conversation at `now`: its last step so far, whether or not we were told of it.
pub fn step_at(plan: &Plan, now: Millis) -> Option<Step> {
    plan.steps
        .iter()
        .rfind(|(after, _)| plan.start_ms + after <= now.0)
        .map(|(_, step)| *step)
}

/// Sends.
pub struct Sender {
    world: Arc<World>,
    options: SenderOptions,
    client: reqwest::Client,
    counter: Arc<Mutex<Counter>>,
    recent: Arc<Mutex<Recent>>,
}

/// Why nothing could be sent.
#[derive(Debug, thiserror::Error)]
pub enum SenderError {
    /// The HTTP client could not be built.
    #[error("simulator's HTTP client could not be built: {0}")]
    Client(#[from] reqwest::Error),
    /// A setting makes no sense.
    #[error("{0}")]
    Setting(String),
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Due {
    at: i64,
    order: u64,
    id: String,
    place: usize,
    again: bool,
}

impl Sender {
    /// Prepares to send; nothing is sent yet.
    pub fn new(world: Arc<World>, options: SenderOptions) -> Result<Sender, SenderError> {
        if !(options.calls_per_second > 0.0 && options.calls_per_second <= 10_000.0) {
            return Err(SenderError::Setting(
                "the rate must be more than 0 and at most 10000 calls per second".to_owned(),
            ));
        }
        let shares = [
            options.disorder.duplicates,
            options.disorder.reordered,
            options.disorder.late_ends,
            options.disorder.missing_ends,
            options.disorder.unheard,
        ];
        if shares.iter().any(|share| !(0.0..=1.0).contains(share)) {
            return Err(SenderError::Setting("shares of disorder lie between 0 and 1".to_owned()));
        }
        let client = reqwest::Client::builder()
            .timeout(REQUEST_TIMEOUT)
            .pool_max_idle_per_host(options.in_flight)
            .no_proxy()
            .build()?;
        Ok(Sender {
            world,
            options,
            client,
            counter: Arc::default(),
            recent: Arc::default(),
        })
    }

    /// The figures so far, readable while it runs.
    pub fn counter(&self) -> Arc<Mutex<Counter>> {
        Arc::clone(&self.counter)
    }

    /// Keeps its conversations where somebody answers from already.
    pub fn remembering_in(self, recent: Arc<Mutex<Recent>>) -> Sender {
        Sender { recent, ..self }
    }

    /// The conversations so far, readable while it runs.
    pub fn recent(&self) -> Arc<Mutex<Recent>> {
        Arc::clone(&self.recent)
    }

    /// Sends until the limits are reached and every event is answered, or `stop` turns true.
    pub async fn run(self, mut stop: watch::Receiver<bool>) -> Tally {
        let mut random = ChaCha8Rng::seed_from_u64(self.options.seed);
        let in_flight = Arc::new(Semaphore::new(self.options.in_flight));
        let mut requests = JoinSet::new();
        let mut queue: BinaryHeap<Reverse<Due>> = BinaryHeap::new();
        let mut order = 0_u64;
        let present = clock();
        let mut arrival = present - self.options.history.as_millis() as i64;
        let (mut planned, mut sent) = (0_u64, 0_u64);
        let mut open: HashMap<String, (Arc<Plan>, usize)> = HashMap::new();
        loop {
            let planning = self.options.calls_limit.is_none_or(|limit| planned < limit)
                && self.options.events_limit.is_none_or(|limit| sent + queue.len() as u64 <= limit)
                && !(self.options.history_only && arrival > present);
            let next_due = queue.peek().map(|Reverse(due)| due.at);
            let now = match (planning, next_due) {
                (true, Some(due)) => arrival.min(due),
                (true, None) => arrival,
                (false, Some(due)) => due,
                (false, None) => break,
            };
            let ahead = now - clock();
            if ahead > 0 && !self.options.history_only {
                tokio::select! {
                    () = tokio::time::sleep(Duration::from_millis(ahead as u64)) => {}
                    _ = stop.changed() => break,
                }
            }
            if *stop.borrow() {
                break;
            }
            self.recent.lock().await.present = Some(Millis(now));
            if planning && now == arrival {
                planned += 1;
                let plan = Arc::new(Plan::draw(&self.world, &self.options.mix, arrival, &mut random));
                self.recent.lock().await.add(&plan);
                if self.options.disorder.draw_unheard(&plan, &mut random) {
                    self.counter.lock().await.unheard(plan.steps.len());
                    arrival += self.gap(order, &mut random);
                    continue;
                }
                let waiting = self.schedule(&plan, &mut queue, &mut order, &mut random).await;
                if waiting > 0 {
                    open.insert(plan.id.clone(), (plan, waiting));
                }
                arrival += self.gap(order, &mut random);
                continue;
            }
            let Some(Reverse(due)) = queue.pop() else { continue };
            let Some((plan, waiting)) = open.get_mut(&due.id) else { continue };
            let plan = Arc::clone(plan);
            *waiting -= 1;
            if *waiting == 0 {
                open.remove(&due.id);
            }
            let permit = Arc::clone(&in_flight).acquire_owned().await.expect("the semaphore is never closed");
            sent += 1;
            let step = plan.steps[due.place].1;
            let (world, client) = (Arc::clone(&self.world), self.client.clone());
            let (counter, options) = (Arc::clone(&self.counter), self.options.clone());
            requests.spawn(async move {
                deliver(&world, &client, &options, &counter, &plan, step).await;
                drop(permit);
            });
            while requests.try_join_next().is_some() {}
        }
        while requests.join_next().await.is_some() {}
        self.recent.lock().await.present = None;
        let counter = self.counter.lock().await;
        counter.tally()
    }

    /// Time to the next arrival: of a Poisson process.
    fn gap(&self, order: u64, random: &mut ChaCha8Rng) -> i64 {
        let gap = -(1.0 - random.random::<f64>()).ln() / self.options.calls_per_second;
        (gap * 1_000.0).max(0.0) as i64 + i64::from(gap < 0.001 && order.is_multiple_of(2))
    }

    /// Puts the events of one conversation into the queue; returns how many.
    async fn schedule(&self, plan: &Arc<Plan>, queue: &mut BinaryHeap<Reverse<Due>>, order: &mut u64, random: &mut ChaCha8Rng) -> usize {
        let end: Fate = self.options.disorder.draw_end(random);
        let mut waiting = 0;
        for (place, (after, step)) in plan.steps.iter().enumerate() {
            if self.options.without_transcripts && matches!(step, Step::Transcript(_)) {
                continue;
            }
            let fate = self.options.disorder.draw(*step, end, random);
            if fate.lost {
                self.counter.lock().await.withheld();
                continue;
            }
            if fate.delay_ms > 0 {
                self.counter.lock().await.delayed();
            }
            let at = plan.start_ms + after + fate.delay_ms;
            let times = [Some(at), fate.again_after_ms.map(|later| at + later)];
            for (again, at) in times.into_iter().flatten().enumerate() {
                *order += 1;
                waiting += 1;
                queue.push(Reverse(Due {
                    at,
                    order: *order,
                    id: plan.id.clone(),
                    place,
                    again: again > 0,
                }));
            }
        }
        waiting
    }
}

/// Posts one event and repeats it as Retell does when it is not acknowledged.
async fn deliver(world: &World, client: &reqwest::Client, options: &SenderOptions, counter: &Mutex<Counter>, plan: &Plan, step: Step) {
    let (name, body) = body::event(world, plan, step);
    for attempt in 0..options.attempts {
        if attempt > 0 {
            tokio::time::sleep(RETRY_PAUSE).await;
        }
        counter.lock().await.sent();
        let answer = client
            .post(&options.url)
            .header("content-type", "application/json")
            .header("x-retell-signature", signature::sign(&body, &options.key, Millis(clock())))
            .body(body.clone())
            .send()
            .await;
        let mut counter = counter.lock().await;
        match answer {
            Ok(answer) if answer.status().is_success() => return counter.accepted(world, plan, step, name),
            Ok(answer) => counter.refused(answer.status().as_u16()),
            Err(_) => counter.refused(0),
        }
    }
    counter.lock().await.gave_up();
}

fn clock() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as i64)
}

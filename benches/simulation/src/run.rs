//! One run: processes come and go while bodies come in; then it is quiet, and everything must be right; then all processes start anew,
//! and everything must be right again.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use rand::Rng as _;
use tokio::sync::oneshot;
use tokio::task::LocalSet;
use tokio::time::{sleep, timeout};

use crate::calls::{Sent, script};
use crate::house::{Mapping, any_mapping, directory};
use crate::outcome::{Acked, Counts, Outcome};
use crate::process::{Process, Request, Setup};
use crate::quiet;
use crate::trace::print;
use crate::world::{Node, World};

/// Retell waits this long for an answer, and tries this often.
const PATIENCE: Duration = Duration::from_secs(10);
const TRIES: u32 = 4;

/// Everything that the driver, the script and the clients share.
pub struct Stage {
    /// The world.
    pub world: World,
    /// Processes by number; none where one is dead.
    pub processes: RefCell<Vec<Option<Process>>>,
    /// What was acknowledged.
    pub acked: RefCell<Vec<Acked>>,
    /// How processes are set up.
    pub setup: Setup,
    /// The directory as it is by now.
    pub mapping: RefCell<(Mapping, u64)>,
    /// Bodies that are not settled yet.
    pub open: RefCell<usize>,
    lives: RefCell<Vec<u32>>,
    /// So far.
    pub counts: RefCell<Counts>,
}

/// Runs one seed.
pub fn run(seed: u64, traced: bool) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without IO needs nothing from the system");
    let mut stage = None;
    let found = runtime.block_on(async {
        let stage = &*stage.insert(Rc::new(Stage::new(seed, traced)));
        stage.act().await
    });
    let stage = stage.expect("set above");
    // Whatever is still held goes before its runtime does.
    stage.processes.borrow_mut().clear();
    let state = stage.world.state();
    let mut counts = *stage.counts.borrow();
    counts.steps = state.trace.count();
    counts.records = state.log.records().count() as u64;
    counts.acked = stage.acked.borrow().len() as u64;
    counts.repeated = state.tables.repeated;
    counts.fenced = state.ledger.fenced;
    counts.spooled = state.disks.iter().map(|disk| disk.written).sum();
    (counts.stale_puts, counts.torn_puts) = (state.topics.stale_puts, state.topics.torn_puts);
    Outcome {
        seed,
        hash: state.trace.hash(),
        found,
        counts,
    }
}

impl Stage {
    fn new(seed: u64, traced: bool) -> Stage {
        // Drawn from a source of its own, so that the number of processes is known before the world is.
        let nodes = 1 + (seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 60) as usize % 3;
        let partitions = 1 + (seed.wrapping_mul(0xd134_2543_de82_ef95) >> 61) as u32 % 3;
        let world = World::new(seed, partitions, nodes, traced);
        let setup = Setup::draw(&world);
        let mapping = world.draw(any_mapping);
        Stage {
            world,
            processes: RefCell::new((0..nodes).map(|_| None).collect()),
            acked: RefCell::default(),
            setup,
            mapping: RefCell::new((mapping, 1)),
            open: RefCell::new(0),
            lives: RefCell::new(vec![0; nodes]),
            counts: RefCell::default(),
        }
    }

    /// Plays the whole run: the script, the clients and the processes, each a little at a time, on this thread.
    async fn act(self: &Rc<Self>) -> Vec<String> {
        let mut clients = LocalSet::new();
        let bodies = self.world.draw(script);
        *self.open.borrow_mut() = bodies.len();
        for sent in bodies {
            let stage = Rc::clone(self);
            clients.spawn_local(async move { stage.send(sent).await });
        }
        let mut script = pin!(self.play());
        poll_fn(|context| {
            if let Poll::Ready(found) = script.as_mut().poll(context) {
                return Poll::Ready(found);
            }
            for process in self.processes.borrow_mut().iter_mut().flatten() {
                process.poll(context);
            }
            let _ = Pin::new(&mut clients).poll(context);
            self.bury();
            Poll::Pending
        })
        .await
    }

    /// Sweeps away who died; the groups find out later.
    fn bury(&self) {
        loop {
            let doomed = self.world.state().doomed.pop();
            let Some(node) = doomed else { return };
            let mut processes = self.processes.borrow_mut();
            let place = &mut processes[node.number];
            if place.as_ref().is_some_and(|process| process.node == node) {
                let gone = place.take();
                self.counts.borrow_mut().deaths += 1;
                self.world.note(&format!("{node} is dead"));
                drop(gone);
                self.expel_later(node, true);
            }
        }
    }

    /// The groups notice after a while that a process is not heard of.
    fn expel_later(&self, node: Node, is_dead: bool) {
        let (world, after) = (self.world.clone(), self.world.draw(|chance| chance.random_range(50..2_500)));
        tokio::spawn(async move {
            sleep(Duration::from_millis(after)).await;
            {
                let state = &mut *world.state();
                state.trace.note(world.elapsed_ms(), &format!("the groups give {node} up"));
                for group in state.log.groups.values_mut() {
                    group.expel(node, is_dead, &mut state.chance);
                }
            }
            world.ring();
        });
    }

    /// Starts a process where none is.
    pub fn start(&self, number: usize) {
        if self.processes.borrow()[number].is_some() {
            return;
        }
        let life = {
            let mut lives = self.lives.borrow_mut();
            lives[number] += 1;
            lives[number]
        };
        let node = Node { number, life };
        self.world.note(&format!("{node} starts"));
        let directory = self.directory();
        let process = Process::start(&self.world, node, &self.setup, directory);
        self.processes.borrow_mut()[number] = Some(process);
    }

    /// The directory as it is by now.
    pub fn directory(&self) -> std::sync::Arc<trunkline_stores::postgres::Directory> {
        let (mapping, version) = &*self.mapping.borrow();
        directory(mapping, *version)
    }

    fn nodes(&self) -> usize {
        self.lives.borrow().len()
    }

    /// Numbers of processes of which `chosen` holds.
    fn those(&self, chosen: impl Fn(&Option<Process>) -> bool) -> Vec<usize> {
        let processes = self.processes.borrow();
        let those = processes.iter().enumerate().filter(|(_, process)| chosen(process));
        those.map(|(number, _)| number).collect()
    }

    fn one_of(&self, those: &[usize]) -> Option<usize> {
        (!those.is_empty()).then(|| those[self.world.draw(|chance| chance.random_range(0..those.len()))])
    }

    /// The script.
    async fn play(self: &Rc<Self>) -> Vec<String> {
        let (span_ms, pace_ms) = self
            .world
            .draw(|chance| (chance.random_range(8_000..20_000), chance.random_range(200..2_500)));
        (0..self.nodes()).for_each(|number| self.start(number));
        while self.world.elapsed_ms() < span_ms {
            sleep(Duration::from_millis(self.world.draw(|chance| chance.random_range(1..pace_ms)))).await;
            self.step();
        }
        self.settle_down();
        let mut found = quiet::reach(self, false).await;
        if found.is_empty() {
            self.begin_anew().await;
            found = quiet::reach(self, true).await;
        }
        self.counts.borrow_mut().span_ms = self.world.elapsed_ms().unsigned_abs();
        let broken = std::mem::take(&mut self.world.state().broken);
        found.extend(broken.into_iter().map(|what| format!("I2: {what}")));
        found
    }

    /// Something happens to somebody.
    fn step(&self) {
        let alive = self.those(|process| process.as_ref().is_some_and(|process| !process.frozen));
        let frozen = self.those(|process| process.as_ref().is_some_and(|process| process.frozen));
        let dead = self.those(Option::is_none);
        match self.world.draw(|chance| chance.random_range(0..16)) {
            0 | 1 => {
                if let Some(number) = self.one_of(&alive) {
                    self.kill(number);
                }
            }
            2..=4 => {
                if let Some(number) = self.one_of(&dead) {
                    self.start(number);
                }
            }
            5 | 6 => {
                if let Some(number) = self.one_of(&alive) {
                    self.freeze(number, true);
                }
            }
            7..=9 => {
                if let Some(number) = self.one_of(&frozen) {
                    self.freeze(number, false);
                }
            }
            10 | 11 => {
                self.world.note("partitions are shared out anew");
                let state = &mut *self.world.state();
                for group in state.log.groups.values_mut() {
                    group.share_out(&mut state.chance);
                }
            }
            12 | 13 => {
                let number = self.world.draw(|chance| chance.random_range(0..self.nodes()));
                let full = self.world.draw(|chance| chance.random_bool(0.5));
                self.world
                    .note(&format!("the disk of {number} {}", if full { "is full" } else { "has room" }));
                self.world.state().disks[number].full = full;
            }
            14 => {
                let number = self.world.draw(|chance| chance.random_range(0..self.nodes()));
                let by_ms = self
                    .world
                    .draw(|chance| [-3_600_000, -2_000, 0, 1_500, 20_000, 3_600_000][chance.random_range(0..6)]);
                self.world.note(&format!("the clock of {number} is {by_ms} ms off"));
                self.world.skew(number, by_ms);
            }
            _ => {
                let mapping = self.world.draw(any_mapping);
                self.world.note("agents are mapped anew");
                let version = self.mapping.borrow().1 + 1;
                *self.mapping.borrow_mut() = (mapping, version);
                self.spread();
            }
        }
        self.world.ring();
    }

    fn kill(&self, number: usize) {
        let node = self.processes.borrow()[number].as_ref().map(|process| process.node);
        if let Some(node) = node {
            self.world.note(&format!("{node} is killed"));
            self.world.kill(node);
        }
    }

    fn freeze(&self, number: usize, is_frozen: bool) {
        if let Some(process) = &mut self.processes.borrow_mut()[number] {
            process.frozen = is_frozen;
            let (node, what) = (process.node, if is_frozen { "is stopped" } else { "wakes" });
            self.world.note(&format!("{node} {what}"));
            if is_frozen {
                self.counts.borrow_mut().freezes += 1;
                self.expel_later(node, false);
            }
        }
    }

    /// Tells every process what the directory is.
    fn spread(&self) {
        let directory = self.directory();
        for process in self.processes.borrow().iter().flatten() {
            process.learn(&directory);
        }
    }

    /// Nothing goes wrong from now on, and everybody is there.
    fn settle_down(&self) {
        self.world.note("from here on nothing goes wrong");
        {
            let state = &mut *self.world.state();
            state.faults.off = true;
            state.disks.iter_mut().for_each(|disk| disk.full = false);
        }
        for number in self.those(|process| process.as_ref().is_some_and(|process| process.frozen)) {
            self.freeze(number, false);
        }
        self.start_all(false);
        self.world.ring();
    }

    /// Starts whoever is not there; or the first alone.
    pub fn start_all(&self, is_alone: bool) {
        let nodes = if is_alone { 1 } else { self.nodes() };
        (0..nodes).for_each(|number| self.start(number));
    }

    /// Everybody ends, in order or not, and one process starts anew.
    async fn begin_anew(self: &Rc<Self>) {
        if self.world.draw(|chance| chance.random_bool(0.5)) {
            self.world.note("all end in order");
            for process in self.processes.borrow().iter().flatten() {
                process.stop.cancel();
            }
            sleep(Duration::from_secs(12)).await;
        }
        self.those(Option::is_some).into_iter().for_each(|number| self.kill(number));
        sleep(Duration::from_secs(3)).await;
        // A disk that damages a value is seldom; here it is not, since it takes a restart to be noticed.
        if self.world.draw(|chance| chance.random_bool(0.15)) {
            let pick = self.world.draw(|chance| chance.random_range(0..10_000));
            if self.world.state().topics.damage(pick) {
                self.world.note("a checkpoint is damaged on its disk");
            }
        }
        self.start(0);
    }

    /// Sends one body as Retell does: until it is acknowledged, a few times.
    async fn send(self: &Rc<Self>, sent: Sent) {
        sleep(Duration::from_millis(sent.at_ms)).await;
        for _ in 0..TRIES {
            let those = self.those(Option::is_some);
            if let Some(number) = self.one_of(&those) {
                let (answer, answered) = oneshot::channel();
                let request = Request {
                    sent: sent.clone(),
                    answer,
                };
                let is_taken = match &self.processes.borrow()[number] {
                    Some(process) => process.door.send(request).is_ok(),
                    None => false,
                };
                if is_taken && let Ok(Ok(true)) = timeout(PATIENCE, answered).await {
                    let is_heard = {
                        let state = &mut *self.world.state();
                        state.faults.off || !state.chance.random_bool(0.1)
                    };
                    if is_heard {
                        self.note_acked(&sent);
                        break;
                    }
                }
            }
            let pause = self.world.draw(|chance| chance.random_range(300..2_500));
            sleep(Duration::from_millis(pause)).await;
        }
        *self.open.borrow_mut() -= 1;
    }

    fn note_acked(&self, sent: &Sent) {
        let of = format!("{:?} {:?}", sent.tenant, sent.workspace);
        let print = print(&[of.as_bytes(), &sent.body].concat());
        self.world.note(&format!("acknowledged {print:016x}"));
        let words = String::from_utf8_lossy(&sent.body).chars().take(160).collect();
        self.acked.borrow_mut().push(Acked { print, words });
    }
}

//! The state of a role that can be looked at: tests, the operator page and the metrics read the same one.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

/// How a role is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// At work.
    Running,
    /// Died and is being built again.
    Rebuilding,
    /// Died too often; its guardian has given up.
    Failed,
    /// Ended in order.
    Stopped,
}

/// What a role shows of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RoleState {
    /// Name, such as `log_reader/3`.
    pub role: String,
    /// How it is.
    pub health: Health,
    /// Actors or tasks of this role that are alive.
    pub alive: i64,
    /// Deaths since start.
    pub deaths: u64,
    /// Room of one mailbox; 0 for tasks.
    pub mailbox_capacity: usize,
    /// Messages in mailboxes and handlers at this moment.
    pub in_flight: i64,
    /// Messages delivered since start.
    pub delivered: u64,
    /// Deliveries that had to wait for room.
    pub waits: u64,
    /// Time spent waiting for room, in microseconds.
    pub waited_us: u64,
    /// What happened last, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// The counters of one role, shared by all actors of that role.
#[derive(Debug)]
pub struct Role {
    name: String,
    capacity: usize,
    alive: AtomicI64,
    deaths: AtomicU64,
    in_flight: AtomicI64,
    delivered: AtomicU64,
    waits: AtomicU64,
    waited_us: AtomicU64,
    told: Mutex<(Health, Option<String>)>,
}

impl Role {
    fn new(name: String, capacity: usize) -> Role {
        Role {
            name,
            capacity,
            alive: AtomicI64::new(0),
            deaths: AtomicU64::new(0),
            in_flight: AtomicI64::new(0),
            delivered: AtomicU64::new(0),
            waits: AtomicU64::new(0),
            waited_us: AtomicU64::new(0),
            told: Mutex::new((Health::Running, None)),
        }
    }

    /// The role's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Room of one mailbox.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// The kind of role without its number, as used for metric labels: `log_reader` of `log_reader/3`.
    pub fn kind(&self) -> &str {
        self.name.split('/').next().unwrap_or(&self.name)
    }

    /// Notes a birth.
    pub fn born(&self) {
        self.alive.fetch_add(1, Relaxed);
    }

    /// Notes an end in order.
    pub fn ended(&self) {
        self.alive.fetch_sub(1, Relaxed);
    }

    /// Notes a death that was not ordered.
    pub fn died(&self, reason: &'static str) {
        self.alive.fetch_sub(1, Relaxed);
        self.count_death(reason);
    }

    /// Counts a death of one that is buried, and so not alive any more, by whoever found it.
    pub(crate) fn count_death(&self, reason: &'static str) {
        self.deaths.fetch_add(1, Relaxed);
        metrics::counter!("trunkline_actor_restarts_total", "actor" => self.kind().to_owned(), "reason" => reason).increment(1);
    }

    /// Says how it is, with a note for people.
    pub fn tell(&self, health: Health, note: Option<String>) {
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = (health, note);
    }

    pub(crate) fn sent(&self) {
        self.in_flight.fetch_add(1, Relaxed);
    }

    pub(crate) fn settled(&self) {
        self.in_flight.fetch_sub(1, Relaxed);
        self.delivered.fetch_add(1, Relaxed);
    }

    pub(crate) fn waited(&self, span: std::time::Duration) {
        self.waits.fetch_add(1, Relaxed);
        self.waited_us
            .fetch_add(u64::try_from(span.as_micros()).unwrap_or(u64::MAX), Relaxed);
        metrics::counter!("trunkline_actor_delivery_waits_total", "actor" => self.kind().to_owned()).increment(1);
        metrics::histogram!("trunkline_actor_delivery_wait_seconds", "actor" => self.kind().to_owned()).record(span.as_secs_f64());
    }

    /// What it shows of itself at this moment.
    pub fn state(&self) -> RoleState {
        let (health, note) = self.told.lock().unwrap_or_else(PoisonError::into_inner).clone();
        RoleState {
            role: self.name.clone(),
            health,
            alive: self.alive.load(Relaxed),
            deaths: self.deaths.load(Relaxed),
            mailbox_capacity: self.capacity,
            in_flight: self.in_flight.load(Relaxed),
            delivered: self.delivered.load(Relaxed),
            waits: self.waits.load(Relaxed),
            waited_us: self.waited_us.load(Relaxed),
            note,
        }
    }
}

/// All roles of this process.
#[derive(Debug, Clone, Default)]
pub struct Roles(Arc<Mutex<BTreeMap<String, Arc<Role>>>>);

impl Roles {
    /// The role of this name; made when it is new.
    pub fn role(&self, name: &str, mailbox_capacity: usize) -> Arc<Role> {
        let mut roles = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let make = || Arc::new(Role::new(name.to_owned(), mailbox_capacity));
        Arc::clone(roles.entry(name.to_owned()).or_insert_with(make))
    }

    /// The state of every role, by name.
    pub fn states(&self) -> Vec<RoleState> {
        let roles = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        roles.values().map(|role| role.state()).collect()
    }

    /// Writes the gauges; called once a second.
    pub(crate) fn write_gauges(&self) {
        let mut sums: BTreeMap<String, (i64, i64)> = BTreeMap::new();
        for role in self.0.lock().unwrap_or_else(PoisonError::into_inner).values() {
            let sum = sums.entry(role.kind().to_owned()).or_default();
            sum.0 += role.in_flight.load(Relaxed);
            sum.1 += role.alive.load(Relaxed);
        }
        for (kind, (in_flight, alive)) in sums {
            metrics::gauge!("trunkline_actor_mailbox_messages", "actor" => kind.clone()).set(in_flight as f64);
            metrics::gauge!("trunkline_actors_alive", "actor" => kind).set(alive as f64);
        }
    }
}

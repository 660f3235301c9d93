//! Groups of the log: who owns which partition, what each group has noted, and what its members are told.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use async_trait::async_trait;
use rand::Rng as _;
use rand_chacha::ChaCha8Rng;
use tokio::time::sleep;
use trunkline_stores::log::{Delivery, LogError, Mark, Marking, Subscription};

use crate::log::away;
use crate::world::{Asked, Node, State, World};

/// Longest delivery in records; small, so that batches are cut in many ways.
const DELIVERY_MAX: usize = 9;

/// One group.
pub struct Group {
    /// By partition: position and intent.
    pub committed: BTreeMap<u32, (i64, Option<String>)>,
    /// Who owns each partition.
    pub owners: Vec<Option<u64>>,
    members: BTreeMap<u64, Seat>,
    next: u64,
}

/// One member as the group sees it.
struct Seat {
    node: Node,
    news: VecDeque<Delivery>,
    /// The group counts it as dead, whether it is or not.
    expelled: bool,
    parts: BTreeMap<u32, Part>,
}

/// A partition of a member.
#[derive(Default)]
struct Part {
    cursor: Option<i64>,
    paused: bool,
    told_end: bool,
    /// Its process knows of it.
    known: bool,
}

impl Group {
    /// Nobody is in it.
    pub fn new(partitions: u32) -> Group {
        Group {
            committed: BTreeMap::new(),
            owners: vec![None; partitions as usize],
            members: BTreeMap::new(),
            next: 1,
        }
    }

    /// A new member.
    pub fn join(&mut self, node: Node, chance: &mut ChaCha8Rng) -> u64 {
        let member = self.next;
        self.next += 1;
        let seat = Seat {
            node,
            news: VecDeque::new(),
            expelled: false,
            parts: BTreeMap::new(),
        };
        self.members.insert(member, seat);
        self.share_out(chance);
        member
    }

    fn leave(&mut self, member: u64, chance: &mut ChaCha8Rng) {
        if self.members.remove(&member).is_some() {
            self.share_out(chance);
        }
    }

    /// The group gives up waiting for a process: its partitions go to others. It may be alive and not know it yet.
    pub fn expel(&mut self, node: Node, is_dead: bool, chance: &mut ChaCha8Rng) {
        for seat in self.members.values_mut().filter(|seat| seat.node == node) {
            seat.expelled = true;
        }
        if is_dead {
            self.members.retain(|_, seat| seat.node != node);
        }
        self.share_out(chance);
    }

    /// Gives every partition an owner, by chance, and tells who is concerned.
    pub fn share_out(&mut self, chance: &mut ChaCha8Rng) {
        let alive: Vec<u64> = self
            .members
            .iter()
            .filter(|(_, seat)| !seat.expelled)
            .map(|(member, _)| *member)
            .collect();
        for partition in 0..self.owners.len() {
            let before = self.owners[partition];
            let stays = before.is_some_and(|owner| alive.contains(&owner)) && chance.random_bool(0.5);
            if stays {
                continue;
            }
            let after = (!alive.is_empty()).then(|| alive[chance.random_range(0..alive.len())]);
            if before == after {
                continue;
            }
            self.owners[partition] = after;
            let partition = partition as u32;
            if let Some(seat) = before.and_then(|owner| self.members.get_mut(&owner)) {
                seat.parts.remove(&partition);
                let is_new = |news: &Delivery| matches!(news, Delivery::Assigned { partition: of, .. } if *of == partition);
                let told = !seat.news.iter().any(is_new);
                seat.news.retain(|news| !is_new(news));
                if told {
                    seat.news.push_back(Delivery::Revoked { partition });
                }
            }
            let (next, intent) = match self.committed.get(&partition) {
                Some((next, intent)) => (Some(*next), intent.clone()),
                None => (None, None),
            };
            if let Some(seat) = after.and_then(|owner| self.members.get_mut(&owner)) {
                seat.parts.insert(partition, Part::default());
                seat.news.push_back(Delivery::Assigned { partition, next, intent });
            }
        }
    }

    /// True when a partition is the member's, and it knows so: what it has of an earlier time may be old by now.
    fn owns(&self, member: u64, partition: u32) -> bool {
        let part = self.members.get(&member).and_then(|seat| seat.parts.get(&partition));
        self.owners[partition as usize] == Some(member) && part.is_some_and(|part| part.known)
    }
}

/// A member as its process sees it.
pub struct Member {
    world: World,
    node: Node,
    group: String,
    member: u64,
}

impl Member {
    /// The member that joined under this number.
    pub fn new(world: World, node: Node, group: &str, member: u64) -> Member {
        Member {
            world,
            node,
            group: group.to_owned(),
            member,
        }
    }

    fn set_paused(&self, partition: u32, is_paused: bool) {
        let state = &mut *self.world.state();
        let seat = state
            .log
            .groups
            .get_mut(&self.group)
            .and_then(|group| group.members.get_mut(&self.member));
        if let Some(part) = seat.and_then(|seat| seat.parts.get_mut(&partition)) {
            part.paused = is_paused;
        }
    }

    /// The next thing to deliver, if there is one.
    fn due(&self) -> Result<Option<Delivery>, LogError> {
        let state = &mut *self.world.state();
        let State { chance, log, faults, .. } = state;
        if !faults.off && faults.away > 0.0 && chance.random_bool(faults.away) {
            return Err(LogError::Unavailable("away for a moment".to_owned()));
        }
        let Some(group) = log.groups.get_mut(&self.group) else {
            return Ok(None);
        };
        let Some(seat) = group.members.get_mut(&self.member) else {
            return Ok(None);
        };
        if let Some(news) = seat.news.pop_front() {
            if let Delivery::Assigned { partition, .. } = &news
                && let Some(part) = seat.parts.get_mut(partition)
            {
                part.known = true;
            }
            return Ok(Some(news));
        }
        if std::mem::take(&mut seat.expelled) {
            group.share_out(chance);
            self.world.ring();
            return Ok(None);
        }
        let open: Vec<(u32, i64)> = seat
            .parts
            .iter()
            .filter(|(_, part)| !part.paused)
            .filter_map(|(partition, part)| Some((*partition, part.cursor?)))
            .collect();
        let full: Vec<(u32, i64)> = open
            .iter()
            .copied()
            .filter(|(partition, cursor)| *cursor < log.partitions[*partition as usize].len() as i64)
            .collect();
        if !full.is_empty() {
            let (partition, cursor) = full[chance.random_range(0..full.len())];
            let wanted = chance.random_range(1..=DELIVERY_MAX);
            let records: Vec<_> = log.partitions[partition as usize]
                .iter()
                .skip(cursor as usize)
                .take(wanted)
                .cloned()
                .collect();
            if let Some(part) = seat.parts.get_mut(&partition) {
                (part.cursor, part.told_end) = (Some(cursor + records.len() as i64), false);
            }
            return Ok(Some(Delivery::Batch { partition, records }));
        }
        for (partition, next) in open {
            if let Some(part) = seat.parts.get_mut(&partition).filter(|part| !part.told_end) {
                part.told_end = true;
                return Ok(Some(Delivery::CaughtUp { partition, next }));
            }
        }
        Ok(None)
    }
}

#[async_trait]
impl Subscription for Member {
    async fn next(&mut self) -> Result<Delivery, LogError> {
        loop {
            let news = self.world.news();
            match self.due() {
                Ok(Some(delivery)) => return Ok(delivery),
                Ok(None) => {}
                Err(error) => {
                    sleep(Duration::from_millis(20)).await;
                    return Err(error);
                }
            }
            news.await;
        }
    }

    async fn start(&mut self, partition: u32, offset: i64) -> Result<(), LogError> {
        let (name, member) = (self.group.clone(), self.member);
        let what = format!("{name} begins {partition} at {offset}");
        let started = self.world.ask(self.node, Asked::Read, what, move |state| {
            let end = state.log.end(partition);
            let group = state.log.groups.get_mut(&name);
            let part = group.and_then(|group| group.members.get_mut(&member)?.parts.get_mut(&partition));
            let Some(part) = part else {
                return Err(LogError::Unavailable(format!("partition {partition} is not ours any more")));
            };
            if offset > end || offset < 0 {
                let (wanted, begins) = (offset, 0);
                return Err(LogError::Gone { partition, wanted, begins });
            }
            (part.cursor, part.told_end) = (Some(offset), false);
            Ok(())
        });
        let outcome = started.await.map_err(away)?;
        self.world.ring();
        outcome
    }

    fn pause(&mut self, partition: u32) {
        self.set_paused(partition, true);
    }

    fn resume(&mut self, partition: u32) {
        self.set_paused(partition, false);
        self.world.ring();
    }

    fn mark(&mut self, marks: &[Mark]) -> Marking {
        let (name, member, marks) = (self.group.clone(), self.member, marks.to_vec());
        let words: Vec<String> = marks
            .iter()
            .map(|mark| {
                format!(
                    "{}:{}{}",
                    mark.partition,
                    mark.next,
                    mark.intent.as_deref().map_or("", |_| "+intent")
                )
            })
            .collect();
        let what = format!("{name} notes {}", words.join(" "));
        let effect = move |state: &mut State| {
            let Some(group) = state.log.groups.get_mut(&name) else {
                return Ok(());
            };
            if let Some(mark) = marks.iter().find(|mark| !group.owns(member, mark.partition)) {
                return Err(LogError::Unavailable(format!("partition {} is not ours any more", mark.partition)));
            }
            for mark in marks {
                group.committed.insert(mark.partition, (mark.next, mark.intent));
            }
            Ok(())
        };
        let (world, node) = (self.world.clone(), self.node);
        Box::pin(async move { world.ask(node, Asked::Ordered, what, effect).await.map_err(away)? })
    }

    async fn close(self: Box<Self>) {}
}

impl Drop for Member {
    /// Its connection ends, unless the process died: then the group finds out later.
    fn drop(&mut self) {
        let state = &mut *self.world.state();
        let is_dead = state.dead.contains(&self.node);
        if !is_dead && let Some(group) = state.log.groups.get_mut(&self.group) {
            group.leave(self.member, &mut state.chance);
        }
        if !is_dead {
            self.world.ring();
        }
    }
}

//! What a member of the group does with its subscription: takes deliveries from the log, hands them to the readers, holds back what they cannot take yet, commits.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use trunkline_core::instant::Millis;
use trunkline_stores::log::{Delivery, LogError, LogRecord, Mark, Marking, Subscription};

use super::desk::{Desk, spawn_reader};
use super::limits::{COMMIT_MS, WAITING_BYTES, WAITING_RECORDS};
use super::member::{AWAY_PAUSE, Member};
use super::reader::{Notice, Parcel, Recipe};
use crate::system::{Bound, Deaths, Health, Verdict, sleep_until};

/// Longest wait for the readers at a stop: they have at most a few micro-batches left.
const STOP_WAIT: Duration = Duration::from_secs(5);

/// Numbers assignments across all subscriptions of this process.
static EPOCH: AtomicU64 = AtomicU64::new(1);

/// Why a subscription is served no more.
pub(super) enum End {
    Stop,
    Fenced,
}

pub(super) struct Subscriber {
    member: Member,
    subscription: Box<dyn Subscription>,
    desks: BTreeMap<u32, Desk>,
    /// Deaths of readers outlive their desks.
    deaths: HashMap<u32, Deaths>,
    notices: mpsc::UnboundedReceiver<Notice>,
    reports: mpsc::UnboundedSender<Notice>,
    committed_at: Millis,
    committing: Option<Committing>,
    is_away: bool,
}

/// Offsets that are on their way. Deliveries go on meanwhile: while members come and go, the coordinator answers nobody before all have answered it.
struct Committing {
    answer: Marking,
    /// With the epochs of the desks.
    offsets: Vec<(u32, u64, i64)>,
}

impl Subscriber {
    pub(super) fn new(member: Member, subscription: Box<dyn Subscription>) -> Subscriber {
        let (reports, notices) = mpsc::unbounded_channel();
        let committed_at = member.shared.clock.now();
        Subscriber {
            member,
            subscription,
            desks: BTreeMap::new(),
            deaths: HashMap::new(),
            notices,
            reports,
            committed_at,
            committing: None,
            is_away: false,
        }
    }

    pub(super) async fn serve(&mut self, stop: &CancellationToken) -> End {
        let mut clock = self.member.shared.clock.clone();
        loop {
            let start = self.next_start().map(|(at, ..)| at);
            // In this order, so that what readers report is heard before they get more; a run with the same events takes the same way.
            tokio::select! {
                biased;
                () = stop.cancelled() => return End::Stop,
                Some(notice) = self.notices.recv() => self.hear(notice).await,
                () = sleep_until(start) => self.start_again().await,
                outcome = answer(&mut self.committing) => self.settle(outcome),
                _ = clock.beat() => self.commit(false),
                delivery = self.subscription.next() => match delivery {
                    Ok(delivery) => {
                        self.back();
                        self.take(delivery).await;
                    }
                    Err(LogError::Gone { partition, begins, wanted }) => {
                        tracing::error!(log.partition = partition, wanted, begins, "the log no longer holds what is to be read");
                        self.start_at(partition, begins).await;
                    }
                    Err(LogError::Fenced) => return End::Fenced,
                    Err(error) => {
                        self.is_away = true;
                        if self.member.away(&error).await {
                            return End::Stop;
                        }
                        if self.member.shared.log.healthy().await.is_ok() {
                            self.back();
                        }
                    }
                },
            }
        }
    }

    /// The log answers again.
    fn back(&mut self) {
        if std::mem::take(&mut self.is_away) {
            self.member.shared.hub.progress.log_away(None);
            self.member.role.tell(Health::Running, None);
        }
    }

    async fn take(&mut self, delivery: Delivery) {
        match delivery {
            Delivery::Assigned { partition, .. } => self.open(partition, false),
            Delivery::Batch { partition, records } => self.hand_over(partition, records),
            Delivery::CaughtUp { partition, .. } => {
                let desk = self.desks.get(&partition).filter(|desk| desk.is_read());
                if let Some(inbox) = desk.and_then(|desk| desk.inbox.as_ref()) {
                    let _ = inbox.send(Parcel::CaughtUp);
                }
            }
            Delivery::Revoked { partition } => drop(self.desks.remove(&partition)),
        }
    }

    /// Opens a partition: its reader finds out where to begin, whatever the group has committed.
    fn open(&mut self, partition: u32, distrusts: bool) {
        let shared = Arc::clone(&self.member.shared);
        let epoch = EPOCH.fetch_add(1, Ordering::Relaxed);
        let (inbox, parcels) = mpsc::unbounded_channel();
        let revoked = CancellationToken::new();
        let recipe = Recipe {
            partition,
            epoch,
            distrusts,
            shared: Arc::clone(&shared),
            directory: self.member.directory.clone(),
            inbox: parcels,
            notices: self.reports.clone(),
            questions: self.member.questions.clone(),
            revoked: revoked.clone(),
        };
        let role = shared.roles.role(&format!("log_reader/{partition}"), 0);
        role.tell(Health::Running, None);
        if !spawn_reader(&self.member.arbiters, recipe, Arc::clone(&role)) {
            role.tell(
                Health::Failed,
                Some("its thread is gone; the process must be started anew".to_owned()),
            );
            (shared.failure)(role.name());
        }
        let desk = Desk {
            epoch,
            inbox: Some(inbox),
            revoked,
            waiting_records: 0,
            waiting_bytes: 0,
            begun: false,
            paused: false,
            published: 0,
            committed: 0,
            wants: None,
        };
        self.desks.insert(partition, desk);
    }

    /// Has delivery begin where a reader stands. One try: if it fails, the next follows from [`Subscriber::start_again`], and meanwhile the
    /// subscription is listened to, because only there it is said that the partition has gone to somebody else.
    async fn start_at(&mut self, partition: u32, offset: i64) {
        let outcome = self.subscription.start(partition, offset).await;
        let Some(desk) = self.desks.get_mut(&partition) else { return };
        desk.wants = match outcome {
            Ok(()) => None,
            Err(LogError::Gone { begins, wanted, .. }) if wanted < begins => {
                tracing::error!(
                    log.partition = partition,
                    wanted,
                    begins,
                    "the log no longer holds what is to be read"
                );
                Some((begins, Instant::now()))
            }
            Err(error @ LogError::Misconfigured(_)) => {
                self.member.away(&error).await;
                return;
            }
            Err(error) => {
                tracing::warn!(log.partition = partition, %error, "begin reading a partition; trying again");
                self.member.shared.hub.progress.log_away(Some(self.member.shared.clock.now()));
                self.is_away = true;
                Some((offset, Instant::now() + AWAY_PAUSE))
            }
        };
    }

    /// The partition whose beginning is to be tried again next, and when.
    fn next_start(&self) -> Option<(Instant, u32, i64)> {
        let wanted = self
            .desks
            .iter()
            .filter_map(|(partition, desk)| desk.wants.map(|(offset, at)| (at, *partition, offset)));
        wanted.min()
    }

    async fn start_again(&mut self) {
        if let Some((_, partition, offset)) = self.next_start() {
            self.start_at(partition, offset).await;
            if self.next_start().is_none() {
                self.back();
            }
        }
    }

    /// Hands records to their reader in micro-batches; too many waiting: the partition pauses.
    fn hand_over(&mut self, partition: u32, records: Vec<LogRecord>) {
        let Some(desk) = self.desks.get_mut(&partition).filter(|desk| desk.is_read()) else {
            return;
        };
        let Some(inbox) = &desk.inbox else { return };
        let bytes = records.iter().map(|record| record.bytes.len()).sum::<usize>();
        desk.waiting_records += records.len();
        desk.waiting_bytes += bytes;
        Parcel::cut(records, bytes, |parcel| drop(inbox.send(parcel)));
        if !desk.paused && (desk.waiting_records >= WAITING_RECORDS || desk.waiting_bytes >= WAITING_BYTES) {
            desk.paused = true;
            metrics::counter!("trunkline_log_pauses_total").increment(1);
            self.subscription.pause(partition);
        }
    }

    async fn hear(&mut self, notice: Notice) {
        match notice {
            Notice::Begun { partition, epoch, start } => {
                let Some(desk) = self.desks.get_mut(&partition).filter(|desk| desk.epoch == epoch) else {
                    return;
                };
                (desk.begun, desk.published, desk.committed) = (true, start, start);
                self.start_at(partition, start).await;
            }
            Notice::Applied {
                partition,
                epoch,
                records,
                bytes,
            } => {
                let Some(desk) = self.desks.get_mut(&partition).filter(|desk| desk.epoch == epoch) else {
                    return;
                };
                desk.waiting_records = desk.waiting_records.saturating_sub(records);
                desk.waiting_bytes = desk.waiting_bytes.saturating_sub(bytes);
                if desk.paused && desk.waiting_records <= WAITING_RECORDS / 2 && desk.waiting_bytes <= WAITING_BYTES / 2 {
                    desk.paused = false;
                    self.subscription.resume(partition);
                }
            }
            Notice::Published { partition, epoch, next } => {
                if let Some(desk) = self.desks.get_mut(&partition).filter(|desk| desk.epoch == epoch) {
                    desk.published = next;
                }
            }
            Notice::Ended { partition, epoch, died } => {
                let held = self.desks.get(&partition).is_some_and(|desk| desk.epoch == epoch);
                if held && died {
                    self.rebuild(partition).await;
                }
            }
        }
    }

    /// A reader died: a new one takes the partition over.
    async fn rebuild(&mut self, partition: u32) {
        let shared = Arc::clone(&self.member.shared);
        let role = shared.roles.role(&format!("log_reader/{partition}"), 0);
        let deaths = self.deaths.entry(partition).or_insert_with(|| Deaths::new(Bound::ROLE));
        match deaths.note(shared.clock.now()) {
            Verdict::Rebuild(pause) => {
                tracing::error!(log.partition = partition, "reader died; the partition is taken over anew");
                role.tell(Health::Rebuilding, Some("died; the partition is taken over anew".to_owned()));
                tokio::time::sleep(pause).await;
                let died = self.desks.remove(&partition);
                // Over the checkpoint, if it had not begun.
                self.open(partition, died.as_ref().is_some_and(|desk| !desk.begun));
                if died.is_some_and(|desk| desk.paused) {
                    self.subscription.resume(partition);
                }
            }
            Verdict::GiveUp => {
                role.tell(Health::Failed, Some("died too often; the process must be started anew".to_owned()));
                self.desks.remove(&partition);
                (shared.failure)(role.name());
            }
        }
    }

    /// Begins to move the group's committed offsets to what is on the boards, unless that is under way.
    fn commit(&mut self, at_once: bool) {
        let now = self.member.shared.clock.now();
        if self.committing.is_some() || (!at_once && now.since(self.committed_at) < COMMIT_MS) {
            return;
        }
        self.committed_at = now;
        let ahead = self.desks.iter().filter(|(_, desk)| desk.published > desk.committed);
        let offsets: Vec<(u32, u64, i64)> = ahead.map(|(partition, desk)| (*partition, desk.epoch, desk.published)).collect();
        let mark = |&(partition, _, next): &(u32, u64, i64)| Mark {
            partition,
            next,
            intent: None,
        };
        let marks: Vec<Mark> = offsets.iter().map(mark).collect();
        if !marks.is_empty() {
            let answer = self.subscription.mark(&marks);
            self.committing = Some(Committing { answer, offsets });
        }
    }

    /// Waits until nothing is on its way.
    async fn settled(&mut self) {
        if self.committing.is_some() {
            let outcome = answer(&mut self.committing).await;
            self.settle(outcome);
        }
    }

    /// Hears what became of the offsets that were on their way; what was not committed is committed with the next.
    fn settle(&mut self, outcome: Result<(), LogError>) {
        let Some(Committing { offsets, .. }) = self.committing.take() else {
            return;
        };
        if let Err(error) = outcome {
            tracing::warn!(%error, "commit the live group's offsets");
            return;
        }
        for (partition, epoch, next) in offsets {
            if let Some(desk) = self.desks.get_mut(&partition).filter(|desk| desk.epoch == epoch) {
                desk.committed = desk.committed.max(next);
            }
        }
    }

    /// Lets the readers finish what they hold, commits, leaves the group.
    pub(super) async fn leave(mut self) {
        let mut readers = self.desks.len();
        for desk in self.desks.values_mut() {
            desk.inbox = None;
        }
        let deadline = tokio::time::Instant::now() + STOP_WAIT;
        while readers > 0 {
            match tokio::time::timeout_at(deadline, self.notices.recv()).await {
                Ok(Some(Notice::Ended { .. })) => readers -= 1,
                Ok(Some(notice)) => self.note_published(&notice),
                Ok(None) | Err(_) => break,
            }
        }
        // What is under way may be of an earlier moment.
        self.settled().await;
        self.commit(true);
        self.settled().await;
        self.subscription.close().await;
    }

    /// Gives up partitions that have another owner by now: what their readers still do has no effect.
    pub(super) async fn abandon(mut self) {
        self.desks.clear();
        self.subscription.close().await;
    }

    fn note_published(&mut self, notice: &Notice) {
        if let Notice::Published { partition, epoch, next } = notice
            && let Some(desk) = self.desks.get_mut(partition).filter(|desk| desk.epoch == *epoch)
        {
            desk.published = *next;
        }
    }
}

/// The answer to what is on its way; never, when nothing is. Cancel-safe: what is on its way stays where it is.
async fn answer(committing: &mut Option<Committing>) -> Result<(), LogError> {
    match committing {
        Some(committing) => (&mut committing.answer).await,
        None => std::future::pending().await,
    }
}

//! Where passwords are hashed: threads of their own that get what of the processors nobody else wants, behind a short queue.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use argon2::Block;
use tokio::sync::{Semaphore, oneshot};

use super::PasswordError;

/// Hashes that wait while others run; beyond, the caller is told to try again (S-102).
const WAITING_MAX: usize = 8;

/// Who has waited for so long gets a turn among the others: where the processors are never idle, nobody would ever be let in.
const PATIENCE: Duration = Duration::from_secs(2);

/// How much later than everything else such a one gets its turns, 0 to 19: signing in may take longer, an event of Retell may not (S-102).
const NICENESS: i32 = 10;

/// A thread rests for so long after each hash: even what runs only on an idle processor costs an event something. Without a break, on one of two
/// processors, it was a third of the time to acknowledgement at p90 (`sign-ins` in benches/README.md). A dozen people a second are let in.
const REST: Duration = Duration::from_millis(50);

/// What a hash is computed in; a thread keeps it from one to the next. Asked of the system and given back each time, it was a fifth of the work.
pub(super) type Memory = Vec<Block>;

/// May be begun twice, and is done once. Says whether there was something to do.
type Job = Arc<dyn Fn(&mut Memory) -> bool + Send + Sync>;

/// The one queue of them all.
#[derive(Clone)]
pub(super) struct Queue {
    places: Arc<Semaphore>,
    jobs: Sender<Job>,
    overdue: Sender<Job>,
}

/// When a thread gets its turn.
#[derive(Debug, Clone, Copy)]
enum Turn {
    /// When a processor has nothing else to do. Whatever else wants it gets it at once; a thread that is merely nice keeps it for a slice of some
    /// milliseconds, and an event passes through a dozen hands.
    Idle,
    /// After [`NICENESS`].
    Late,
}

impl Queue {
    /// At most `parallel` at once, and one that is overdue.
    pub(super) fn new(parallel: usize) -> Result<Queue, PasswordError> {
        Ok(Queue {
            places: Arc::new(Semaphore::new(parallel + WAITING_MAX)),
            jobs: threads(parallel, "password", Turn::Idle)?,
            overdue: threads(1, "password-late", Turn::Late)?,
        })
    }

    /// Whether one more would be refused at this moment.
    pub(super) fn is_full(&self) -> bool {
        self.places.available_permits() == 0
    }

    /// Has it done, or refuses at once.
    pub(super) async fn work<T: Send + 'static>(
        &self,
        job: impl Fn(&mut Memory) -> Result<T, PasswordError> + Send + Sync + 'static,
    ) -> Result<T, PasswordError> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| PasswordError::Busy)?;
        let (tell, mut told) = oneshot::channel();
        // The place is kept until a thread has come to it, not until the caller goes away: who comes and goes does not make the queue longer.
        let caller = Mutex::new(Some((tell, place)));
        let whole: Job = Arc::new(move |memory| {
            let caller = || caller.lock().unwrap_or_else(PoisonError::into_inner);
            if caller().as_ref().is_some_and(|(tell, _)| tell.is_closed()) {
                // Nobody waits for the answer any more.
                *caller() = None;
            }
            if caller().is_none() {
                return false;
            }
            let done = job(memory);
            if let Some((tell, _place)) = caller().take() {
                let _ = tell.send(done);
            }
            true
        });
        let ended = |_| PasswordError::Hashing("the thread for it has ended".to_owned());
        self.jobs.send(Arc::clone(&whole)).map_err(|_| ended(()))?;
        match tokio::time::timeout(PATIENCE, &mut told).await {
            Ok(done) => done.map_err(|_| ended(()))?,
            Err(_) => {
                self.overdue.send(whole).map_err(|_| ended(()))?;
                told.await.map_err(|_| ended(()))?
            }
        }
    }
}

/// So many threads that take jobs from one another's hand, until the last handle is gone.
fn threads(count: usize, name: &str, turn: Turn) -> Result<Sender<Job>, PasswordError> {
    let (jobs, queue) = channel::<Job>();
    let queue = Arc::new(Mutex::new(queue));
    for _ in 0..count {
        let queue = Arc::clone(&queue);
        let thread = std::thread::Builder::new().name(name.to_owned());
        thread
            .spawn(move || work_off(&queue, turn))
            .map_err(|error| PasswordError::Hashing(error.to_string()))?;
    }
    Ok(jobs)
}

fn work_off(queue: &Mutex<Receiver<Job>>, turn: Turn) {
    if let Err(error) = turn.wait_for() {
        tracing::warn!(%error, ?turn, "password checks run with the priority of everything else");
    }
    let mut memory = Memory::new();
    loop {
        let taken = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match taken {
            Ok(job) => {
                if job(&mut memory) {
                    std::thread::sleep(REST);
                }
            }
            Err(_) => return,
        }
    }
}

impl Turn {
    /// Of this thread, from now on.
    fn wait_for(self) -> std::io::Result<()> {
        match self {
            Turn::Idle => {
                let parameters = libc::sched_param { sched_priority: 0 };
                // SAFETY: reads the parameters, which outlive the call, and changes nothing but when this thread (0) runs.
                match unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &raw const parameters) } {
                    0 => Ok(()),
                    _ => Err(std::io::Error::last_os_error()),
                }
            }
            // Without a process id it is this thread alone.
            Turn::Late => Ok(rustix::process::setpriority_process(None, NICENESS)?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A job that says when it is begun and ends when it is let go, however often it is begun.
    fn endless() -> (
        impl Fn(&mut Memory) -> Result<(), PasswordError> + Send + Sync,
        Receiver<()>,
        Sender<()>,
    ) {
        let (begin, begun) = channel();
        let (hold, held) = channel::<()>();
        let held = Mutex::new(held);
        let job = move |_: &mut Memory| {
            let _ = begin.send(());
            let _ = held.lock().unwrap().recv();
            Ok(())
        };
        (job, begun, hold)
    }

    #[tokio::test]
    async fn a_queue_that_is_full_says_so_at_once() {
        let queue = Queue::new(1).unwrap();
        let (job, begun, hold) = endless();
        let mut waiting = Vec::new();
        // One that does not end, which the thread has taken (it is the last to get a turn where others compute), and a full queue.
        let queue_of = queue.clone();
        waiting.push(tokio::spawn(async move { queue_of.work(job).await }));
        tokio::task::spawn_blocking(move || begun.recv()).await.unwrap().unwrap();
        for _ in 0..WAITING_MAX {
            assert!(!queue.is_full());
            let queue = queue.clone();
            waiting.push(tokio::spawn(async move { queue.work(|_| Ok(())).await }));
            tokio::task::yield_now().await;
        }
        assert!(queue.is_full());
        assert!(matches!(queue.work(|_| Ok(())).await, Err(PasswordError::Busy)));
        drop(hold);
        for waiter in waiting {
            waiter.await.unwrap().unwrap();
        }
        assert!(!queue.is_full());
    }

    #[tokio::test]
    async fn who_has_waited_too_long_gets_a_turn_elsewhere() {
        let queue = Queue::new(1).unwrap();
        let (job, begun, hold) = endless();
        let queue_of = queue.clone();
        // It is overdue itself, but takes a turn of its own for that only while somebody waits for it.
        let stuck = tokio::spawn(async move { queue_of.work(job).await });
        tokio::task::spawn_blocking(move || begun.recv()).await.unwrap().unwrap();
        stuck.abort();
        assert!(stuck.await.unwrap_err().is_cancelled());
        let done = tokio::time::timeout(Duration::from_secs(60), queue.work(|_| Ok(7))).await;
        assert_eq!(done.expect("it waits for ever").unwrap(), 7);
        drop(hold);
    }

    #[tokio::test]
    async fn what_nobody_waits_for_any_more_is_not_begun() {
        let queue = Queue::new(1).unwrap();
        let (job, begun, hold) = endless();
        let first = tokio::spawn({
            let queue = queue.clone();
            async move { queue.work(job).await }
        });
        tokio::task::spawn_blocking(move || begun.recv()).await.unwrap().unwrap();
        let (left, was_left) = channel();
        let second = tokio::spawn({
            let queue = queue.clone();
            async move { queue.work(move |_| left.send(()).map_err(|_| PasswordError::Busy)).await }
        });
        tokio::task::yield_now().await;
        second.abort();
        assert!(second.await.unwrap_err().is_cancelled());
        drop(hold);
        first.await.unwrap().unwrap();
        queue.work(|_| Ok(())).await.unwrap();
        assert!(was_left.try_recv().is_err());
    }
}

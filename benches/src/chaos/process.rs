//! One part as a supervised process: killed, ended or frozen on request, and started again as a service manager would.

use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// A process that ended by itself is started again after so long.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// An orderly end may take so long: the product itself gives up after 30 s.
const END_WITHIN: Duration = Duration::from_secs(45);

/// What is done to a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blow {
    /// `kill -9`; started again after the fault's time.
    Kill,
    /// SIGTERM; started again after the fault's time.
    End,
    /// SIGSTOP for the fault's time.
    Freeze,
}

struct Order {
    blow: Blow,
    lasting: Duration,
    done: oneshot::Sender<()>,
}

/// A supervised process.
pub struct Process {
    orders: mpsc::Sender<Order>,
    task: JoinHandle<()>,
    unasked: Arc<AtomicU64>,
}

impl Process {
    /// Starts it; `make` makes the command line of each start.
    pub fn start(name: String, make: impl Fn() -> Result<Command> + Send + Sync + 'static) -> Result<Process> {
        let child = spawn(&make)?;
        let (orders, taken) = mpsc::channel(1);
        let unasked = Arc::new(AtomicU64::new(0));
        let task = tokio::spawn(supervise(name, make, child, taken, unasked.clone()));
        Ok(Process { orders, task, unasked })
    }

    /// Does it and waits until the process runs again; it need not be ready.
    pub async fn suffer(&self, blow: Blow, lasting: Duration) -> Result<()> {
        let (done, over) = oneshot::channel();
        let order = Order { blow, lasting, done };
        self.orders.send(order).await.ok().context("the process is no longer kept")?;
        over.await.context("the process is no longer kept")
    }

    /// How often it ended by itself.
    pub fn unasked(&self) -> u64 {
        self.unasked.load(Ordering::Relaxed)
    }

    /// Ends it in order, for good.
    pub async fn end(self) {
        drop(self.orders);
        // The task only ends the process; that it panicked is seen on standard error.
        let _ = self.task.await;
    }
}

fn spawn(make: &impl Fn() -> Result<Command>) -> Result<Child> {
    let mut command = make()?;
    command.kill_on_drop(true).spawn().with_context(|| format!("start {command:?}"))
}

async fn supervise(
    name: String,
    make: impl Fn() -> Result<Command>,
    mut child: Child,
    mut orders: mpsc::Receiver<Order>,
    unasked: Arc<AtomicU64>,
) {
    loop {
        let order = tokio::select! {
            ended = child.wait() => {
                unasked.fetch_add(1, Ordering::Relaxed);
                eprintln!("{name} ended by itself: {}", spoken(&ended));
                tokio::time::sleep(AGAIN_AFTER).await;
                child = again(&name, &make).await;
                continue;
            }
            order = orders.recv() => order,
        };
        let Some(Order { blow, lasting, done }) = order else {
            end(&name, &mut child).await;
            return;
        };
        match blow {
            Blow::Freeze => {
                signal(&child, Signal::STOP);
                tokio::time::sleep(lasting).await;
                signal(&child, Signal::CONT);
            }
            Blow::Kill | Blow::End => {
                if blow == Blow::Kill {
                    // Gone already is as good.
                    let _ = child.kill().await;
                } else {
                    end(&name, &mut child).await;
                }
                tokio::time::sleep(lasting).await;
                child = again(&name, &make).await;
            }
        }
        // Whoever asked may have been ended meanwhile.
        let _ = done.send(());
    }
}

async fn again(name: &str, make: &impl Fn() -> Result<Command>) -> Child {
    loop {
        match spawn(make) {
            Ok(child) => return child,
            Err(error) => eprintln!("{name} cannot be started again: {error:#}"),
        }
        tokio::time::sleep(AGAIN_AFTER).await;
    }
}

async fn end(name: &str, child: &mut Child) {
    signal(child, Signal::TERM);
    match tokio::time::timeout(END_WITHIN, child.wait()).await {
        Ok(ended) => {
            if !matches!(&ended, Ok(status) if status.success()) {
                eprintln!("{name} was asked to end: {}", spoken(&ended));
            }
        }
        Err(_) => {
            eprintln!("{name} did not end within {END_WITHIN:?} and is killed");
            // Gone already is as good.
            let _ = child.kill().await;
        }
    }
}

fn spoken(ended: &std::io::Result<ExitStatus>) -> String {
    match ended {
        Ok(status) => status.to_string(),
        Err(error) => error.to_string(),
    }
}

fn signal(child: &Child, signal: Signal) {
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let Some(pid) = pid {
        // Gone already is as good.
        let _ = kill_process(pid, signal);
    }
}

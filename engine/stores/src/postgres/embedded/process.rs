//! Starts the server as our child, watches over it, and stops it.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tokio::process::Child;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::cluster::Cluster;
use super::{EmbeddedError, setup};

/// A server that was killed replays its log before it answers; on slow disks that takes minutes.
const READY_WAIT: Duration = Duration::from_secs(300);
/// Time for a fast shutdown, which writes a checkpoint; after it we are less polite, and the next start replays the log.
const STOP_WAIT: Duration = Duration::from_secs(60);
/// Between two looks at a server that starts or stops.
const LOOK: Duration = Duration::from_millis(20);
/// Children of a killed server take a moment to notice; until then a new one refuses.
const ORPHANS_WAIT: Duration = Duration::from_secs(15);
/// Longest wait between two attempts to start a server that keeps dying.
const BACKOFF_MAX: Duration = Duration::from_secs(10);
/// The server's log is begun anew at start when it is larger than this; the one before is kept.
const LOG_BYTES: u64 = 16 * 1024 * 1024;
/// How much of the server's log an error quotes.
const QUOTED_LINES: usize = 6;

/// Starts the server and waits until it answers.
pub(super) async fn start(cluster: &Cluster) -> Result<Child, EmbeddedError> {
    let begun = Instant::now();
    loop {
        let mut child = spawn(cluster)?;
        match wait_for(cluster, &mut child).await {
            Ok(()) => return Ok(child),
            Err(error) if begun.elapsed() < ORPHANS_WAIT && has_orphans(cluster) => {
                tracing::info!(%error, "waiting for the last processes of a killed Postgres");
                sleep(LOOK * 10).await;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Restarts the server whenever it ends, until `stop`; then stops it.
pub(super) async fn keep(cluster: Arc<Cluster>, mut child: Child, pid: Arc<AtomicU32>, stop: CancellationToken) {
    loop {
        let ended = tokio::select! {
            ended = child.wait() => ended,
            () = stop.cancelled() => return shut_down(&mut child).await,
        };
        pid.store(0, Ordering::Release);
        tracing::error!(status = ?ended.ok(), "Postgres ended by itself; starting it again");
        let mut pause = LOOK * 10;
        child = loop {
            match stop.run_until_cancelled(start(&cluster)).await {
                None => return,
                Some(Ok(child)) => break child,
                Some(Err(error)) => tracing::error!(%error, "Postgres cannot be started again; trying on"),
            }
            if stop.run_until_cancelled(sleep(pause)).await.is_none() {
                return;
            }
            pause = (pause * 2).min(BACKOFF_MAX);
        };
        pid.store(child.id().unwrap_or_default(), Ordering::Release);
    }
}

/// Stops a server that a killed process of ours left running in these files; we hold the lock, so nobody else uses it.
pub(super) async fn stop_leftover(cluster: &Cluster) -> Result<(), EmbeddedError> {
    let note = cluster.files.join("postmaster.pid");
    let Some(pid) = noted_pid(&note) else { return Ok(()) };
    if is_alive(pid) && works_in(pid, &cluster.files) {
        tracing::warn!("a Postgres of an earlier run is still running here; stopping it");
        end(pid, cluster).await?;
    }
    if !processes_can_be_seen() {
        return Ok(());
    }
    // A number that is dead but not yet buried, or was given to another program since, is a running server to Postgres, and it
    // refuses; so its notes go. What they guard against, a backend that outlives its server, is looked for first.
    until_nobody_works_in(&cluster.files).await?;
    for stale in [note, cluster.socket_lock()] {
        match fs::remove_file(&stale) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(EmbeddedError::Setup(format!("cannot remove {}: {error}", stale.display())));
            }
            _ => {}
        }
    }
    Ok(())
}

async fn end(pid: Pid, cluster: &Cluster) -> Result<(), EmbeddedError> {
    for (signal, patience) in [
        (Signal::INT, STOP_WAIT),
        (Signal::QUIT, STOP_WAIT / 4),
        (Signal::KILL, STOP_WAIT / 4),
    ] {
        send(pid, signal);
        let until = Instant::now() + patience;
        while Instant::now() < until {
            if !is_alive(pid) || !works_in(pid, &cluster.files) {
                return Ok(());
            }
            sleep(LOOK).await;
        }
    }
    Err(EmbeddedError::NotStarted(format!(
        "the Postgres of an earlier run (process {pid}) does not end; end it by hand",
        pid = pid.as_raw_nonzero()
    )))
}

/// Backends of a killed server end by themselves when they next look up from their work.
async fn until_nobody_works_in(files: &Path) -> Result<(), EmbeddedError> {
    let until = Instant::now() + ORPHANS_WAIT;
    loop {
        let processes = fs::read_dir("/proc").map_err(|error| EmbeddedError::Setup(format!("cannot list processes: {error}")))?;
        let mut places = processes.filter_map(|entry| fs::read_link(entry.ok()?.path().join("cwd")).ok());
        if !places.any(|place| place == files) {
            return Ok(());
        }
        if Instant::now() > until {
            let shown = files.display();
            return Err(EmbeddedError::NotStarted(format!(
                "processes of a killed Postgres still work in {shown}; end them by hand"
            )));
        }
        sleep(LOOK).await;
    }
}

/// Waits until a server that somebody else starts answers.
pub(super) async fn wait_until_ready(cluster: &Cluster, patience: Duration) -> Result<(), EmbeddedError> {
    let until = Instant::now() + patience;
    loop {
        match setup::answers(cluster).await {
            Ok(()) => return Ok(()),
            Err(error) if Instant::now() > until => return Err(EmbeddedError::NotStarted(error.to_string())),
            Err(_) => sleep(LOOK).await,
        }
    }
}

/// Asks a server to stop without waiting for it.
pub(super) fn interrupt(pid: u32) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        send(pid, Signal::INT);
    }
}

fn spawn(cluster: &Cluster) -> Result<Child, EmbeddedError> {
    let failed = |error: std::io::Error| EmbeddedError::NotStarted(format!("run postgres: {error}"));
    let log = open_log(&log_path(cluster)).map_err(failed)?;
    let mut command = cluster.account.command(&cluster.binaries.program("postgres"));
    command.arg("-D").arg(&cluster.files).current_dir(&cluster.home);
    command.stdout(log.try_clone().map_err(failed)?).stderr(log);
    // A group of its own: Ctrl-C in our terminal is for us; the server ends when we have handed everything over.
    command.process_group(0);
    command.spawn().map_err(failed)
}

async fn wait_for(cluster: &Cluster, child: &mut Child) -> Result<(), EmbeddedError> {
    let begun = Instant::now();
    let mut said_at = begun;
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            return Err(EmbeddedError::NotStarted(format!("{status}; its log ends: {}", log_end(cluster))));
        }
        if setup::answers(cluster).await.is_ok() {
            return Ok(());
        }
        if begun.elapsed() > READY_WAIT {
            shut_down(child).await;
            return Err(EmbeddedError::NotStarted(format!("no answer within {} s", READY_WAIT.as_secs())));
        }
        if said_at.elapsed() > Duration::from_secs(5) {
            said_at = Instant::now();
            tracing::info!(seconds = begun.elapsed().as_secs(), "Postgres is starting, perhaps after a crash");
        }
        sleep(LOOK).await;
    }
}

async fn shut_down(child: &mut Child) {
    for (signal, patience) in [(Signal::INT, STOP_WAIT), (Signal::QUIT, STOP_WAIT / 4)] {
        interrupt_with(child, signal);
        if timeout(patience, child.wait()).await.is_ok() {
            return;
        }
        tracing::warn!("Postgres is slow to stop");
    }
    if let Err(error) = child.kill().await {
        tracing::error!(%error, "Postgres could not be killed");
    }
}

fn interrupt_with(child: &Child, signal: Signal) {
    if let Some(pid) = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw) {
        send(pid, signal);
    }
}

fn send(pid: Pid, signal: Signal) {
    // A process that has just ended is what we wanted; nothing else can go wrong with a process of ours.
    let _ = rustix::process::kill_process(pid, signal);
}

fn is_alive(pid: Pid) -> bool {
    !matches!(rustix::process::test_kill_process(pid), Err(rustix::io::Errno::SRCH))
}

/// Whether a process is the server of these files: it works in that directory. Where that cannot be seen, its number must do.
fn works_in(pid: Pid, files: &Path) -> bool {
    if !processes_can_be_seen() {
        return is_alive(pid);
    }
    fs::read_link(format!("/proc/{}/cwd", pid.as_raw_nonzero())).is_ok_and(|place| place == files)
}

fn processes_can_be_seen() -> bool {
    Path::new("/proc/self/cwd").exists()
}

fn noted_pid(note: &Path) -> Option<Pid> {
    fs::read_to_string(note)
        .ok()?
        .lines()
        .next()?
        .trim()
        .parse::<i32>()
        .ok()
        .and_then(Pid::from_raw)
}

fn has_orphans(cluster: &Cluster) -> bool {
    let end = log_end(cluster);
    end.contains("pre-existing shared memory block") || end.contains("lock file \"postmaster.pid\" already exists")
}

fn log_path(cluster: &Cluster) -> PathBuf {
    cluster.home.join("server.log")
}

fn open_log(path: &Path) -> std::io::Result<File> {
    if fs::metadata(path).is_ok_and(|found| found.len() > LOG_BYTES) {
        fs::rename(path, path.with_extension("log.1"))?;
    }
    let log = OpenOptions::new().create(true).append(true).open(path)?;
    log.set_permissions(fs::Permissions::from_mode(0o600))?;
    Ok(log)
}

fn log_end(cluster: &Cluster) -> String {
    let text = fs::read(log_path(cluster)).unwrap_or_default();
    let tail = String::from_utf8_lossy(&text[text.len().saturating_sub(4096)..]).into_owned();
    let lines: Vec<&str> = tail.lines().collect();
    lines[lines.len().saturating_sub(QUOTED_LINES)..].join(" | ")
}

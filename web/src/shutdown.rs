//! Leaving in order: not ready, streams closed, listeners stopped, engine drained, log flushed; one deadline.

use std::sync::Arc;

use tokio::sync::watch;

/// Where the process stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Stores are being opened.
    Starting,
    /// Serving.
    Ready,
    /// Readiness is off, everything still served, so that balancers look elsewhere.
    Draining,
    /// Streams end now; listeners stop.
    Closing,
}

/// The phase, for all to read; one writer.
#[derive(Clone)]
pub struct Lifecycle {
    phase: Arc<watch::Sender<Phase>>,
}

impl Default for Lifecycle {
    fn default() -> Self {
        Lifecycle {
            phase: Arc::new(watch::Sender::new(Phase::Starting)),
        }
    }
}

impl Lifecycle {
    /// The phase now.
    pub fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// Follows the phase.
    pub fn watch(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    /// Goes on to `phase`; never back.
    pub fn enter(&self, phase: Phase) {
        self.phase.send_if_modified(|current| {
            let later = phase > *current;
            if later {
                *current = phase;
            }
            later
        });
    }

    /// Returns when streams have to end.
    pub async fn closing(&self) {
        let mut phase = self.watch();
        // The sender lives in self, so waiting cannot fail.
        let _ = phase.wait_for(|phase| *phase >= Phase::Closing).await;
    }
}

/// Returns at the first request to stop (SIGTERM, SIGINT).
pub async fn requested() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    // A second signal leaves at once.
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        eprintln!("stopped at once by a second signal");
        std::process::exit(1);
    });
    Ok(())
}

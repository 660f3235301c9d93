//! How fast a workspace's account is asked: one request a gap, however many tasks ask.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// A steady pace shared by all who ask for one account.
#[derive(Debug, Clone)]
pub struct Pace {
    gap: Duration,
    next: Arc<Mutex<Instant>>,
}

impl Pace {
    /// At most so many requests a second; 0 is taken as 1.
    pub fn per_second(requests: u32) -> Pace {
        Pace {
            gap: Duration::from_secs(1) / requests.max(1),
            next: Arc::new(Mutex::new(Instant::now())),
        }
    }

    /// Waits for the next turn.
    pub(super) async fn turn(&self) {
        let at = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let at = (*next).max(Instant::now());
            *next = at + self.gap;
            at
        };
        tokio::time::sleep_until(at).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn many_who_ask_at_once_go_one_after_the_other() {
        let (pace, begun) = (Pace::per_second(50), Instant::now());
        let tasks: Vec<_> = (0..10)
            .map(|_| {
                let pace = pace.clone();
                tokio::spawn(async move { pace.turn().await })
            })
            .collect();
        for task in tasks {
            task.await.expect("it only waits");
        }
        assert!(begun.elapsed() >= Duration::from_millis(180), "nine gaps of 20 ms");
    }
}

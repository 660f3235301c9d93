//! How many requests and bytes may be in flight at once (rule A5); a permit gives its share back when it is dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// No room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

/// The shared counters.
#[derive(Debug)]
pub struct Caps {
    requests: AtomicUsize,
    bytes: AtomicUsize,
    requests_max: usize,
    bytes_max: usize,
}

/// The share of one request.
#[derive(Debug)]
pub struct Permit {
    caps: Arc<Caps>,
    bytes: usize,
}

impl Caps {
    /// Counters with these ceilings.
    pub fn new(requests_max: usize, bytes_max: usize) -> Caps {
        Caps {
            requests: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            requests_max,
            bytes_max,
        }
    }

    /// Takes room for one request, without bytes.
    pub fn enter(self: &Arc<Self>) -> Result<Permit, Full> {
        take(&self.requests, 1, self.requests_max)?;
        Ok(Permit {
            caps: self.clone(),
            bytes: 0,
        })
    }

    /// Requests and bytes in flight now.
    pub fn in_flight(&self) -> (usize, usize) {
        (self.requests.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed))
    }
}

impl Permit {
    /// Takes room for further bytes of this request.
    pub fn hold(&mut self, bytes: usize) -> Result<(), Full> {
        take(&self.caps.bytes, bytes, self.caps.bytes_max)?;
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.caps.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        self.caps.requests.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Adds first and takes back on overflow: one atomic operation in the usual case, and never more than the ceiling is granted.
fn take(counter: &AtomicUsize, amount: usize, max: usize) -> Result<(), Full> {
    if counter.fetch_add(amount, Ordering::Relaxed) + amount > max {
        counter.fetch_sub(amount, Ordering::Relaxed);
        return Err(Full);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_permit_gives_everything_back() {
        let caps = Arc::new(Caps::new(2, 100));
        let mut one = caps.enter().unwrap();
        one.hold(60).unwrap();
        let mut two = caps.enter().unwrap();
        assert_eq!(caps.enter().unwrap_err(), Full);
        assert_eq!(two.hold(41), Err(Full));
        assert_eq!(two.hold(40), Ok(()));
        drop(one);
        assert_eq!(caps.in_flight(), (1, 40));
        drop(two);
        assert_eq!(caps.in_flight(), (0, 0));
    }
}

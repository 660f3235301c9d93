//! How often one may ask: by API key, by person, and by address. The intake has limits of its own.

use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use trunkline_core::id::{KeyId, UserId};

use super::Who;
use crate::error::{Kind, Problem};
use crate::request;
use crate::settings;

/// Callers that have all of their allowance again are forgotten after so many questions, so that many addresses cost no memory for ever.
const FORGET_EVERY: u32 = 10_000;

/// Allowances of everybody who asked lately.
pub struct Limits {
    keys: Option<Limit<KeyId>>,
    people: Option<Limit<UserId>>,
    addresses: Option<Limit<IpAddr>>,
}

struct Limit<K: Hash + Eq + Clone> {
    limiter: DefaultKeyedRateLimiter<K>,
    clock: DefaultClock,
    asked: AtomicU32,
    whose: &'static str,
}

impl Limits {
    /// As the settings say; a rate of 0 is no limit.
    pub fn new(settings: &settings::Limits) -> Limits {
        Limits {
            keys: Limit::new(settings.key_per_second, settings.key_burst, "API key"),
            people: Limit::new(settings.person_per_second, settings.person_burst, "person"),
            addresses: Limit::new(settings.address_per_second, settings.address_burst, "address"),
        }
    }

    /// Refuses when a key or a person asks too often.
    pub fn check_caller(&self, who: &Who) -> Result<(), Problem> {
        match who {
            Who::Program { key, .. } => check(self.keys.as_ref(), key),
            Who::Person(person) => check(self.people.as_ref(), &person.user),
            // Its address is counted; it does nothing but look.
            Who::Screen { .. } => Ok(()),
        }
    }

    /// Refuses when too much comes from one address, whoever asks.
    pub fn check_address(&self, address: &IpAddr) -> Result<(), Problem> {
        check(self.addresses.as_ref(), address)
    }
}

fn check<K: Hash + Eq + Clone>(limit: Option<&Limit<K>>, key: &K) -> Result<(), Problem> {
    limit.map_or(Ok(()), |limit| limit.check(key))
}

impl<K: Hash + Eq + Clone> Limit<K> {
    fn new(per_second: u32, burst: u32, whose: &'static str) -> Option<Limit<K>> {
        let rate = NonZeroU32::new(per_second)?;
        let quota = Quota::per_second(rate).allow_burst(NonZeroU32::new(burst).unwrap_or(rate));
        Some(Limit {
            limiter: RateLimiter::keyed(quota),
            clock: DefaultClock::default(),
            asked: AtomicU32::new(0),
            whose,
        })
    }

    fn check(&self, key: &K) -> Result<(), Problem> {
        if self.asked.fetch_add(1, Ordering::Relaxed) % FORGET_EVERY == FORGET_EVERY - 1 {
            self.limiter.retain_recent();
            self.limiter.shrink_to_fit();
        }
        self.limiter.check_key(key).map_err(|until| {
            let wait = until.wait_time_from(self.clock.now());
            metrics::counter!("trunkline_rate_limited_total", "whose" => self.whose).increment(1);
            tracing::info!(target: "audit", event = "rate.limit", whose = self.whose, request_id = %request::current_id(), "refused");
            let detail = format!(
                "This {} asks more often than it may; ask less often, or have limits.* raised.",
                self.whose
            );
            Problem::new(Kind::TooMany, detail).retry_after(u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1))
        })
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn program(n: u128) -> Who {
        Who::Program {
            key: KeyId(Uuid::from_u128(n)),
            name: String::new(),
        }
    }

    #[test]
    fn s084_one_callers_haste_does_not_slow_another() {
        let settings = settings::Limits {
            key_per_second: 1,
            key_burst: 3,
            person_per_second: 0,
            person_burst: 0,
            address_per_second: 1,
            address_burst: 2,
        };
        let limits = Limits::new(&settings);
        for _ in 0..3 {
            limits.check_caller(&program(1)).unwrap();
        }
        let refused = limits.check_caller(&program(1)).unwrap_err();
        assert_eq!(refused.kind(), Kind::TooMany);
        limits.check_caller(&program(2)).unwrap();
        let (here, there) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        limits.check_address(&here).unwrap();
        limits.check_address(&here).unwrap();
        assert!(limits.check_address(&here).is_err());
        limits.check_address(&there).unwrap();
    }
}

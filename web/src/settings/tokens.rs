//! Settings of keys and tokens of the API.

use serde::Deserialize;

/// What an installation is for. Keys and tokens of one kind are not taken by the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Environment {
    /// Real calls.
    Live,
    /// Trying, staging, demonstrations.
    Test,
}

impl Environment {
    /// The word in keys and tokens.
    pub fn as_str(self) -> &'static str {
        match self {
            Environment::Live => "live",
            Environment::Test => "test",
        }
    }
}

/// `[tokens]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tokens {
    /// Life of an access token.
    pub access_minutes: u32,
    /// Idle limit of a session of the API.
    pub refresh_idle_days: u32,
    /// Absolute limit of a session of the API.
    pub refresh_absolute_days: u32,
    /// Age at which the key that signs is replaced.
    pub key_days: u32,
}

impl Tokens {
    /// Life of an access token in ms.
    pub fn access_ms(&self) -> i64 {
        i64::from(self.access_minutes) * 60_000
    }

    /// Idle limit of a session of the API in ms.
    pub fn idle_ms(&self) -> i64 {
        i64::from(self.refresh_idle_days) * 86_400_000
    }

    /// Absolute limit of a session of the API in ms.
    pub fn absolute_ms(&self) -> i64 {
        i64::from(self.refresh_absolute_days) * 86_400_000
    }

    /// Age at which the key that signs is replaced, in ms.
    pub fn key_ms(&self) -> i64 {
        i64::from(self.key_days) * 86_400_000
    }
}

//! Settings of single sign-on.

use serde::Deserialize;

/// `[single_sign_on]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SingleSignOn {
    /// Providers on inner addresses and over plain http may be asked.
    pub allow_private_networks: bool,
    /// Longest wait for a provider.
    pub timeout_seconds: u64,
}

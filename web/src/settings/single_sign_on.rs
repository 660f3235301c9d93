//! Settings of single sign-on.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Deserializer};

/// Where resolvers of DNS listen unless the setting says otherwise.
const DNS_PORT: u16 = 53;

/// `[single_sign_on]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SingleSignOn {
    /// Providers on inner addresses and over plain http may be asked.
    pub allow_private_networks: bool,
    /// Longest wait for a provider.
    pub timeout_seconds: u64,
    /// Who is asked for the records that prove mail domains; none: the resolvers of this machine.
    #[serde(deserialize_with = "servers")]
    pub dns_servers: Vec<SocketAddr>,
    /// Longest wait for one of them.
    pub dns_timeout_seconds: u64,
}

fn servers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<SocketAddr>, D::Error> {
    let read = |part: &String| {
        let with_port = part.parse::<SocketAddr>();
        with_port
            .or_else(|_| part.parse::<IpAddr>().map(|address| SocketAddr::new(address, DNS_PORT)))
            .map_err(|_| serde::de::Error::custom(format!("\"{part}\" is no address; write it like 192.0.2.53 or 192.0.2.53:5353")))
    };
    super::names(deserializer)?.iter().map(read).collect()
}

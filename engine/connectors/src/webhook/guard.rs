//! Which addresses may be called on behalf of somebody else (S-022 to S-026): the public internet over https, and nothing inside.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use reqwest::Url;
use url::Host;

/// Ports of services that speak no HTTP, or ours: nobody receives webhooks there.
const CLOSED_PORTS: [u16; 10] = [22, 23, 25, 110, 143, 465, 587, 5432, 6379, 8123];
/// Kafka and ClickHouse.
const CLOSED_PORTS_OF_STORES: [u16; 3] = [9000, 9092, 9093];

/// Why an address must not be called.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BlockedAddress {
    /// Not an address.
    #[error("the address cannot be read; write it like https://example.com/hooks")]
    Unreadable,
    /// Not https.
    #[error("the address must begin with https://")]
    Scheme,
    /// It carries a user name or a password.
    #[error("the address must not carry a user name or a password; the signature proves who calls")]
    Credentials,
    /// A port of another service.
    #[error("port {0} belongs to another service; use the one your web server listens on")]
    Port(u16),
    /// An address inside a network.
    #[error("the address leads into a private or reserved network; use a public one, or let the operator allow private networks")]
    Inner,
}

/// An address that may be called, as far as can be told before its name is resolved.
pub fn checked_url(text: &str, allow_private_networks: bool) -> Result<Url, BlockedAddress> {
    let url = Url::parse(text.trim()).map_err(|_| BlockedAddress::Unreadable)?;
    match url.scheme() {
        "https" => {}
        "http" if allow_private_networks => {}
        _ => return Err(BlockedAddress::Scheme),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(BlockedAddress::Credentials);
    }
    if let Some(port) = url
        .port()
        .filter(|port| CLOSED_PORTS.contains(port) || CLOSED_PORTS_OF_STORES.contains(port))
    {
        return Err(BlockedAddress::Port(port));
    }
    // Parsing has turned 2130706433, 0x7f.1 and 017700000001 into what they are.
    let inner = match url.host() {
        None => return Err(BlockedAddress::Unreadable),
        Some(Host::Ipv4(address)) => !is_public(IpAddr::V4(address)),
        Some(Host::Ipv6(address)) => !is_public(IpAddr::V6(address)),
        Some(Host::Domain(name)) => is_inner_name(name),
    };
    if inner && !allow_private_networks {
        return Err(BlockedAddress::Inner);
    }
    Ok(url)
}

/// Names that are never public, whatever resolves them.
fn is_inner_name(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let inner = ["localhost", "local", "internal", "localdomain", "home.arpa", "lan"];
    inner.iter().any(|ending| name == *ending || name.ends_with(&format!(".{ending}")))
}

/// Whether an address is of the public internet.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let reserved = address.is_unspecified()
        || a == 0
        || address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_broadcast()
        || address.is_documentation()
        || address.is_multicast()
        // Carrier-grade NAT.
        || (a == 100 && (64..=127).contains(&b))
        // Protocol assignments, 6to4 relays, benchmarking, and 240/4.
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (b == 18 || b == 19))
        || a >= 240;
    !reserved
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    // Addresses that carry an IPv4 address lead there.
    if let Some(inside) = address.to_ipv4_mapped() {
        return is_public_v4(inside);
    }
    let v4 = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match segments {
        // IPv4-compatible, unspecified and loopback.
        [0, 0, 0, 0, 0, 0, _, _] => false,
        // NAT64, well-known and local-use prefix.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => is_public_v4(v4(high, low)),
        [0x64, 0xff9b, ..] => false,
        // 6to4.
        [0x2002, high, low, ..] => is_public_v4(v4(high, low)),
        // Teredo, documentation, benchmarking, ORCHID and the other protocol assignments.
        [0x2001, second, ..] if second < 0x200 || second == 0xdb8 => false,
        // Documentation, segment routing.
        [0x3fff, second, ..] if second < 0x1000 => false,
        // Only 2000::/3 is given out: no unique local, link local, site local, multicast, discard or SRv6 addresses.
        [first, ..] => (0x2000..0x4000).contains(&first),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s022_nothing_inside_is_public_however_it_is_wrapped() {
        let inner = [
            "127.0.0.1",
            "127.8.8.8",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "100.127.255.255",
            "0.0.0.0",
            "0.1.2.3",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "192.88.99.1",
            "::",
            "::1",
            "::127.0.0.1",
            "::8.8.8.8",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::127.0.0.1",
            "64:ff9b::a00:1",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "2002:a00:1::1",
            "2002:c0a8:101::",
            "2001::1",
            "2001:db8::1",
            "2001:10::1",
            "3fff::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "100::1",
            "5f00::1",
        ];
        for address in inner {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
        let public = [
            "8.8.8.8",
            "1.1.1.1",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.17.0.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00:1450::1",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "2002:808:808::1",
        ];
        for address in public {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn s023_s024_an_address_is_read_for_what_it_means() {
        use BlockedAddress::{Credentials, Inner, Port, Scheme, Unreadable};
        for (text, why) in [
            ("https://2130706433/", Inner),
            ("https://0x7f.1/", Inner),
            ("https://017700000001/", Inner),
            ("https://127.1/", Inner),
            ("https://localhost/", Inner),
            ("https://LOCALHOST./", Inner),
            ("https://a.localhost/", Inner),
            ("https://metadata.google.internal/", Inner),
            ("https://[::1]/", Inner),
            ("https://[::ffff:7f00:1]/", Inner),
            ("https://a@127.0.0.1/", Credentials),
            ("https://a:b@example.com/", Credentials),
            ("https://example.com:22/", Port(22)),
            ("https://example.com:5432/", Port(5432)),
            ("https://example.com:9092/", Port(9092)),
            ("http://example.com/", Scheme),
            ("file:///etc/passwd", Scheme),
            ("gopher://example.com/", Scheme),
            ("example.com", Unreadable),
            ("", Unreadable),
        ] {
            assert_eq!(checked_url(text, false), Err(why), "{text}");
        }
        for text in ["https://example.com/hooks?a=b", "https://example.com:8443/", "https://8.8.8.8/"] {
            assert!(checked_url(text, false).is_ok(), "{text}");
        }
        assert!(checked_url("http://127.0.0.1:8080/", true).is_ok());
        assert_eq!(
            checked_url("http://127.0.0.1:6379/", true),
            Err(Port(6379)),
            "inside, too, it is no receiver"
        );
        assert_eq!(checked_url("file:///etc/passwd", true), Err(Scheme));
    }
}

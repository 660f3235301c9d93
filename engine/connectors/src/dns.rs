//! What a domain says in its DNS, asked of the resolvers of this machine or of those that the settings name.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::system_conf::read_system_conf;

/// Texts of one name that are looked at: large companies have some dozens at the top of their domain.
const TEXTS_MAX: usize = 500;

/// Tries for one question, each as long as the timeout says: a datagram may be lost.
const ATTEMPTS: usize = 2;

/// Whom to ask, and for how long.
#[derive(Debug, Clone)]
pub struct DnsOptions {
    /// Resolvers; none: those of `/etc/resolv.conf`.
    pub servers: Vec<SocketAddr>,
    /// An answer takes this long at most.
    pub timeout: Duration,
}

/// Why it is not known what a domain says.
#[derive(Debug, thiserror::Error)]
pub enum DnsError {
    /// There is nobody to ask.
    #[error("no resolver of DNS is known: {0}")]
    NoResolver(String),
    /// No name of DNS.
    #[error("this is no name of DNS")]
    Name,
    /// No answer, or one that says nothing.
    #[error("DNS does not answer: {0}")]
    NoAnswer(String),
}

/// Asks DNS. Nothing is kept: whoever asks again wants to know what is there now.
#[derive(Debug, Clone)]
pub struct Dns {
    options: DnsOptions,
}

impl Dns {
    /// Who asks like this.
    pub fn new(options: DnsOptions) -> Dns {
        Dns { options }
    }

    /// The texts (TXT) of a name, each in one piece; none when there are none, or no such name.
    pub async fn texts(&self, name: &str) -> Result<Vec<String>, DnsError> {
        let mut name = Name::from_ascii(name).map_err(|_| DnsError::Name)?;
        // Of this name, and not of one below the domain of this machine.
        name.set_fqdn(true);
        let looked = self.resolver()?.lookup(name, RecordType::TXT).await;
        let found = match looked {
            Ok(found) => found,
            Err(error) if error.is_no_records_found() => return Ok(Vec::new()),
            Err(error) => return Err(DnsError::NoAnswer(error.to_string())),
        };
        let texts = found.answers().iter().filter_map(|record| match &record.data {
            RData::TXT(text) => Some(String::from_utf8_lossy(&text.txt_data.concat()).into_owned()),
            _ => None,
        });
        Ok(texts.take(TEXTS_MAX).collect())
    }

    /// Made anew for each question, since `/etc/resolv.conf` may be another one by now; that costs nothing beside the question.
    fn resolver(&self) -> Result<TokioResolver, DnsError> {
        let unusable = |error: &dyn std::fmt::Display| DnsError::NoResolver(error.to_string());
        let servers = match self.options.servers.is_empty() {
            true => read_system_conf().map_err(|error| unusable(&error))?.0.name_servers,
            false => servers(&self.options.servers),
        };
        if servers.is_empty() {
            return Err(unusable(&"name some in single_sign_on.dns_servers"));
        }
        let mut options = ResolverOpts::default();
        options.timeout = self.options.timeout;
        options.attempts = ATTEMPTS;
        options.cache_size = 0;
        options.use_hosts_file = ResolveHosts::Never;
        let mut builder = TokioResolver::builder_with_config(ResolverConfig::from_name_servers(servers), TokioRuntimeProvider::default());
        *builder.options_mut() = options;
        builder.build().map_err(|error| unusable(&error))
    }
}

fn servers(addresses: &[SocketAddr]) -> Vec<NameServerConfig> {
    let unique: BTreeSet<SocketAddr> = addresses.iter().copied().collect();
    let server = |address: SocketAddr| {
        let (mut datagrams, mut stream) = (ConnectionConfig::udp(), ConnectionConfig::tcp());
        (datagrams.port, stream.port) = (address.port(), address.port());
        NameServerConfig::new(address.ip(), true, vec![datagrams, stream])
    };
    unique.into_iter().map(server).collect()
}

//! Outbound webhooks by Standard Webhooks: signed deliveries to addresses that other people chose.

mod guard;
mod sign;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{StatusCode, Url};
use secrecy::SecretString;

pub use guard::{BlockedAddress, checked_url, is_public};
pub use sign::{SECRET_BYTES, Secret, UnreadableSecret};

/// Connecting takes this long at most.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// One delivery.
#[derive(Debug, Clone)]
pub struct Delivery<'a> {
    /// Where to.
    pub url: &'a str,
    /// Signed with this.
    pub secret: &'a SecretString,
    /// And with this, for a while after a rotation.
    pub previous: Option<&'a SecretString>,
    /// The same for every try, so that receivers can tell repeats.
    pub id: &'a str,
    /// Seconds since the epoch, of this try.
    pub timestamp: i64,
    /// The body, signed and sent byte for byte.
    pub body: &'a str,
}

/// Why a delivery failed. Nothing of the answer's content is in it.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// The address must not be called.
    #[error(transparent)]
    Blocked(#[from] BlockedAddress),
    /// The stored secret cannot sign.
    #[error(transparent)]
    Secret(#[from] UnreadableSecret),
    /// The receiver wants nothing more (410).
    #[error("the receiver answered 410: it wants nothing more")]
    Gone,
    /// Any other answer than success; redirects are not followed.
    #[error("the receiver answered {0}")]
    Refused(u16),
    /// No answer in time.
    #[error("no answer within {0} s")]
    TimedOut(u64),
    /// No answer.
    #[error("the receiver could not be reached: {0}")]
    Unreachable(String),
}

/// Whom deliveries may go to, and how long they may take.
#[derive(Debug, Clone, Copy)]
pub struct SenderOptions {
    /// Addresses of inner networks and plain http are allowed: for installations whose receivers are inside.
    pub allow_private_networks: bool,
    /// A delivery takes this long at most.
    pub timeout: Duration,
}

/// Sends deliveries. Cheap to clone.
#[derive(Clone)]
pub struct Sender {
    http: reqwest::Client,
    options: SenderOptions,
}

impl Sender {
    /// A sender for these.
    pub fn new(options: SenderOptions) -> Result<Sender, DeliveryError> {
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(options.timeout)
            .redirect(reqwest::redirect::Policy::none())
            // A proxy would resolve names itself, past the guard.
            .no_proxy()
            .dns_resolver(Arc::new(Guarded {
                allow_private_networks: options.allow_private_networks,
            }))
            .user_agent(concat!("Trunkline/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| DeliveryError::Unreachable(error.to_string()))?;
        Ok(Sender { http, options })
    }

    /// Delivers once: success is any answer of 2xx.
    pub async fn deliver(&self, delivery: &Delivery<'_>) -> Result<(), DeliveryError> {
        let url = checked_url(delivery.url, self.options.allow_private_networks)?;
        let sign = |secret| Ok::<_, UnreadableSecret>(Secret::parse(secret)?.sign(delivery.id, delivery.timestamp, delivery.body));
        let mut signature = sign(delivery.secret)?;
        if let Some(previous) = delivery.previous {
            // Several signatures stand in one header with spaces between; a receiver accepts any that it can make itself.
            signature = format!("{signature} {}", sign(previous)?);
        }
        let request = self
            .http
            .post(url)
            .header("content-type", "application/json")
            .header("webhook-id", delivery.id)
            .header("webhook-timestamp", delivery.timestamp)
            .header("webhook-signature", signature)
            .body(delivery.body.to_owned());
        let answer = request.send().await.map_err(|error| self.failed(&error))?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            StatusCode::GONE => Err(DeliveryError::Gone),
            status => Err(DeliveryError::Refused(status.as_u16())),
        }
    }

    fn failed(&self, error: &reqwest::Error) -> DeliveryError {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
        let mut last = String::new();
        while let Some(inner) = cause {
            if let Some(blocked) = inner.downcast_ref::<BlockedAddress>() {
                return DeliveryError::Blocked(blocked.clone());
            }
            last = inner.to_string();
            cause = inner.source();
        }
        if error.is_timeout() {
            return DeliveryError::TimedOut(self.options.timeout.as_secs());
        }
        // The innermost cause has no address in it, which may hold a token.
        DeliveryError::Unreachable(last)
    }
}

/// Resolves names and passes on only what may be called: what was checked is what is connected to, so a name that changes between
/// check and call (DNS rebinding) gains nothing.
pub(crate) struct Guarded {
    pub(crate) allow_private_networks: bool,
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let allow = self.allow_private_networks;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let addresses: Vec<_> = found.collect();
            let blocked = |address: IpAddr| !allow && !is_public(address);
            // One inner address among them is enough: a name that means two places is no honest receiver.
            if addresses.iter().any(|address| blocked(address.ip())) {
                return Err(BlockedAddress::Inner.into());
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// The host of an address, for people.
pub fn host(url: &str) -> Option<String> {
    Url::parse(url).ok()?.host_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn s025_a_name_that_leads_inside_is_refused_when_it_is_resolved() {
        let resolve = |allow| {
            let guarded = Guarded {
                allow_private_networks: allow,
            };
            guarded.resolve("localhost".parse().unwrap())
        };
        let refused = resolve(false).await.err().expect("refused");
        assert_eq!(refused.downcast_ref(), Some(&BlockedAddress::Inner));
        assert!(resolve(true).await.unwrap().all(|address| address.ip().is_loopback()));
    }

    #[tokio::test]
    async fn s026_a_redirect_is_a_failure_and_leads_nowhere() {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        use tokio::net::TcpListener;

        let _ = rustls::crypto::ring::default_provider().install_default();
        let (inner, receiver) = (
            TcpListener::bind("127.0.0.1:0").await.unwrap(),
            TcpListener::bind("127.0.0.1:0").await.unwrap(),
        );
        let url = format!("http://{}/hook", receiver.local_addr().unwrap());
        let to = format!("http://{}/secret", inner.local_addr().unwrap());
        let answering = tokio::spawn(async move {
            for status in [
                "301 Moved Permanently",
                "302 Found",
                "307 Temporary Redirect",
                "308 Permanent Redirect",
            ] {
                let (mut socket, _) = receiver.accept().await.unwrap();
                let mut request = vec![0; 4_096];
                let _ = socket.read(&mut request).await.unwrap();
                let answer = format!("HTTP/1.1 {status}\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                socket.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        let sender = Sender::new(SenderOptions {
            allow_private_networks: true,
            timeout: Duration::from_secs(10),
        })
        .unwrap();
        let secret = Secret::written([7; SECRET_BYTES]);
        for status in [301, 302, 307, 308] {
            let delivery = Delivery {
                url: &url,
                secret: &secret,
                previous: None,
                id: "msg_1",
                timestamp: 1_764_000_000,
                body: "{}",
            };
            let refused = sender.deliver(&delivery).await;
            assert!(
                matches!(refused, Err(DeliveryError::Refused(found)) if found == status),
                "{refused:?}"
            );
        }
        answering.await.unwrap();
        let followed = tokio::time::timeout(Duration::from_millis(200), inner.accept()).await;
        assert!(followed.is_err(), "the inner address was asked");
    }
}

//! TLS of our own listeners: reads certificate and key, refuses what does not fit together, and takes new files without a restart.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use arc_swap::ArcSwap;
use jiff::Timestamp;
use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;
use x509_cert::der::Decode as _;

use crate::settings::Tls;

/// From one look at the files to the next. They are judged when two looks have found the same, so that a file half written or one of
/// a pair is no alarm.
const LOOK_EVERY: Duration = Duration::from_secs(3);

/// A certificate with its key, fit for use.
#[derive(Debug)]
pub struct Identity {
    certified: Arc<CertifiedKey>,
    /// When it begins to be believed.
    pub begins: Timestamp,
    /// When it ceases to be believed.
    pub ends: Timestamp,
}

/// What a listener shows to its callers now.
#[derive(Debug)]
struct Shown(ArcSwap<CertifiedKey>);

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

/// The two files as they lie there.
struct Files {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl Files {
    fn read(tls: &Tls) -> anyhow::Result<Files> {
        let read = |path: &Path| std::fs::read(path).with_context(|| format!("read {}", path.display()));
        Ok(Files {
            certificate: read(&tls.certificate)?,
            key: read(&tls.key)?,
        })
    }

    /// Tells one pair from another without keeping the key.
    fn mark(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update((self.certificate.len() as u64).to_be_bytes());
        hash.update(&self.certificate);
        hash.update(&self.key);
        hash.finalize().into()
    }

    fn identity(&self, tls: &Tls) -> anyhow::Result<Identity> {
        let (certificate, key) = (tls.certificate.display(), tls.key.display());
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&self.certificate)
            .collect::<Result<_, _>>()
            .with_context(|| format!("read certificates from {certificate}"))?;
        let first = chain
            .first()
            .with_context(|| format!("{certificate} holds no certificate; it has to be PEM, the server's own certificate first"))?;
        let read = x509_cert::Certificate::from_der(first).with_context(|| format!("read the first certificate of {certificate}"))?;
        let validity = &read.tbs_certificate.validity;
        let instant = |time: &x509_cert::time::Time| Timestamp::from_second(time.to_unix_duration().as_secs() as i64);
        let (begins, ends) = (instant(&validity.not_before)?, instant(&validity.not_after)?);
        let key = PrivateKeyDer::from_pem_slice(&self.key)
            .with_context(|| format!("read a private key from {key}; it has to be PEM, without a passphrase"))?;
        let certified = CertifiedKey::from_der(chain, key, &default_provider())
            .with_context(|| format!("{} does not belong to {certificate}", tls.key.display()))?;
        Ok(Identity {
            certified: Arc::new(certified),
            begins,
            ends,
        })
    }
}

/// Reads the files of a listener; the error says which one to mend.
pub fn read(tls: &Tls) -> anyhow::Result<Identity> {
    Files::read(tls)?.identity(tls)
}

/// What a listener takes TLS with, or `None` when it speaks plain HTTP; new files are followed until `tasks` ends.
pub fn open(listener: &'static str, tls: &Tls, tasks: &CancellationToken) -> anyhow::Result<Option<ServerConfig>> {
    if !tls.is_set() {
        return Ok(None);
    }
    let files = Files::read(tls).with_context(|| format!("{listener}.tls"))?;
    let identity = files.identity(tls).with_context(|| format!("{listener}.tls"))?;
    let now = Timestamp::now();
    if identity.ends <= now || identity.begins > now {
        tracing::warn!(listener, begins = %identity.begins, ends = %identity.ends, "the TLS certificate is not valid today: callers will refuse it");
    }
    tracing::info!(listener, ends = %identity.ends, "TLS");
    tell(listener, &identity);
    let shown = Arc::new(Shown(ArcSwap::new(identity.certified)));
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .context("choose TLS versions")?
        .with_no_client_auth()
        .with_cert_resolver(shown.clone());
    let follower = Follower {
        listener,
        tls: tls.clone(),
        shown,
        judged: Ok(files.mark()),
    };
    tokio::spawn(tasks.clone().run_until_cancelled_owned(follower.run()));
    Ok(Some(config))
}

/// Looks at the files again and again. Their contents decide, since times and inodes say little about mounted secrets and symbolic links.
struct Follower {
    listener: &'static str,
    tls: Tls,
    shown: Arc<Shown>,
    /// What was last taken or refused: the files' mark, or why they could not be read.
    judged: Result<[u8; 32], String>,
}

impl Follower {
    async fn run(mut self) {
        let mut before = self.judged.clone();
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let tls = self.tls.clone();
            let Ok(found) = tokio::task::spawn_blocking(move || Files::read(&tls)).await else {
                continue;
            };
            let mark = found.as_ref().map(Files::mark).map_err(|error| format!("{error:#}"));
            if mark == before && mark != self.judged {
                self.judged = mark.clone();
                self.judge(found);
            }
            before = mark;
        }
    }

    fn judge(&self, found: anyhow::Result<Files>) {
        let listener = self.listener;
        let usable = found.and_then(|files| files.identity(&self.tls)).and_then(|identity| {
            ensure!(identity.ends > Timestamp::now(), "the new certificate ended at {}", identity.ends);
            Ok(identity)
        });
        match usable {
            Ok(identity) => {
                tell(listener, &identity);
                metrics::counter!("trunkline_tls_reloads_total", "listener" => listener, "outcome" => "taken").increment(1);
                tracing::info!(listener, ends = %identity.ends, "new TLS certificate in use");
                self.shown.0.store(identity.certified);
            }
            Err(error) => {
                metrics::gauge!("trunkline_tls_files_refused", "listener" => listener).set(1.0);
                metrics::counter!("trunkline_tls_reloads_total", "listener" => listener, "outcome" => "refused").increment(1);
                tracing::error!(
                    listener,
                    error = format!("{error:#}"),
                    "new TLS files are refused; the old certificate stays in use"
                );
            }
        }
    }
}

/// Metrics of what is in use; nothing is refused at that moment.
fn tell(listener: &'static str, identity: &Identity) {
    metrics::gauge!("trunkline_tls_certificate_ends_timestamp_seconds", "listener" => listener).set(identity.ends.as_second() as f64);
    metrics::gauge!("trunkline_tls_files_refused", "listener" => listener).set(0.0);
}

//! A ClickHouse behind https: it is used with questions and inserts, and its certificate is checked, always.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use trunkline_stores::clickhouse::{Analytics, AnalyticsError, AnalyticsOptions};

use crate::analytics_given::{NOON, event};
use crate::engine::engine;
use crate::tls::certificates;

/// Takes TLS in front of the engine's own door, as a ClickHouse server's https port does; gives its port.
async fn https_door(directory: &Path) -> u16 {
    let certificate = CertificateDer::from_pem_file(directory.join("server.crt")).unwrap();
    let key = PrivateKeyDer::from_pem_file(directory.join("server.key")).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let inner = engine().url.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let (acceptor, inner) = (acceptor.clone(), inner.clone());
            tokio::spawn(async move {
                // A client that refuses our certificate ends here.
                let Ok(mut outside) = acceptor.accept(socket).await else { return };
                let mut inside = TcpStream::connect(inner).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut outside, &mut inside).await;
            });
        }
    });
    port
}

#[tokio::test]
async fn s066_a_server_is_used_over_https_and_must_prove_who_it_is() {
    let directory = tempfile::tempdir().unwrap();
    certificates(directory.path());
    let port = https_door(directory.path()).await;
    let connect = |authority: &str| {
        let (url, password) = (format!("https://127.0.0.1:{port}"), engine().password.clone());
        Analytics::connect(AnalyticsOptions {
            ca_file: Some(directory.path().join(authority)),
            compress: true,
            ..AnalyticsOptions::new(url, &engine().user, password, "over_https")
        })
    };
    let analytics = connect("authority.crt").unwrap();
    analytics.version().await.unwrap();
    analytics.migrate().await.unwrap();
    analytics.insert_events(&[event(1, 0, "a", NOON, b"{}")], "t").await.unwrap();
    assert_eq!(analytics.density("log-a").await.unwrap().len(), 1);

    let stranger = connect("stranger.crt").unwrap().version().await;
    assert!(matches!(stranger, Err(AnalyticsError::Unavailable { .. })), "{stranger:?}");
    let missing = connect("nothing.crt").map(drop);
    assert!(
        matches!(&missing, Err(AnalyticsError::Misconfigured(why)) if why.contains("nothing.crt")),
        "{missing:?}"
    );
}

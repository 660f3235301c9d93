//! TLS of our own listeners, with clients that did not come with us: what is taken, what is refused, and new files under load.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream as Plain};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use reqwest::{Certificate, Client, StatusCode, redirect};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use secrecy::SecretString;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use trunkline_core::access::Role;
use trunkline_core::audit::By;
use trunkline_core::signature::{SigningKey, sign};
use trunkline_stores::postgres::row::{NewUser, NewWorkspace};
use trunkline_web::identity::password::Passwords;

use crate::app::{App, PATIENCE, client, event, fresh, now, program};
use crate::identity::PASSWORD;
use crate::process::eventually;

/// Callers at the same time while files change.
const CALLERS: usize = 4;

/// Certificates of one authority, and where the product reads them.
struct Authority {
    directory: PathBuf,
}

impl Authority {
    fn new(directory: &Path) -> Authority {
        openssl(
            directory,
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=authority -keyout authority.key -out authority.crt",
        );
        std::fs::write(directory.join("names"), "subjectAltName=IP:127.0.0.1\n").unwrap();
        Authority {
            directory: directory.to_owned(),
        }
    }

    /// Makes `NAME.crt` and `NAME.key` for 127.0.0.1, valid for so many days.
    fn sign(&self, name: &str, days: u32) {
        openssl(
            &self.directory,
            &format!("req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN={name} -keyout {name}.key -out {name}.csr"),
        );
        openssl(
            &self.directory,
            &format!(
                "x509 -req -in {name}.csr -CA authority.crt -CAkey authority.key -CAcreateserial -days {days} -extfile names -out {name}.crt"
            ),
        );
    }

    /// Puts what `sign` made where the product looks, one file after the other, as renewing programs do.
    fn install(&self, name: &str) {
        for ending in ["crt", "key"] {
            let new = self.directory.join("new");
            std::fs::copy(self.path(&format!("{name}.{ending}")), &new).unwrap();
            std::fs::rename(&new, self.path(&format!("server.{ending}"))).unwrap();
        }
    }

    fn path(&self, file: &str) -> PathBuf {
        self.directory.join(file)
    }

    fn certificate(&self, name: &str) -> CertificateDer<'static> {
        CertificateDer::from_pem_file(self.path(&format!("{name}.crt"))).unwrap()
    }
}

fn openssl(directory: &Path, arguments: &str) {
    let output = Command::new("openssl")
        .args(arguments.split(' '))
        .current_dir(directory)
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A product that speaks TLS on both of its outer listeners.
struct Given {
    app: App,
    authority: Authority,
}

fn given() -> &'static Given {
    static GIVEN: OnceLock<Given> = OnceLock::new();
    GIVEN.get_or_init(|| {
        let data = tempfile::Builder::new().prefix("trunkline-web-").tempdir().unwrap().keep();
        let files = data.join("tls");
        std::fs::create_dir(&files).unwrap();
        let authority = Authority::new(&files);
        authority.sign("first", 2);
        authority.install("first");
        let [certificate, key] = ["server.crt", "server.key"].map(|file| authority.path(file).display().to_string());
        let app = App::start(
            &data,
            true,
            &[
                ("TRUNKLINE_SERVER__TLS__CERTIFICATE", &certificate),
                ("TRUNKLINE_SERVER__TLS__KEY", &key),
                ("TRUNKLINE_INTAKE__TLS__CERTIFICATE", &certificate),
                ("TRUNKLINE_INTAKE__TLS__KEY", &key),
            ],
        );
        Given { app, authority }
    })
}

/// A client that believes the authority and nobody else, and shakes hands for every request.
fn believing(authority: &Authority) -> Client {
    let pem = std::fs::read(authority.path("authority.crt")).unwrap();
    Client::builder()
        .tls_certs_only([Certificate::from_pem(&pem).unwrap()])
        .redirect(redirect::Policy::none())
        .pool_max_idle_per_host(0)
        .timeout(PATIENCE)
        .build()
        .unwrap()
}

/// The certificate that the listener shows now.
async fn shown(authority: &Authority, address: SocketAddr) -> CertificateDer<'static> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(authority.certificate("authority")).unwrap();
    let config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let socket = TcpStream::connect(address).await.unwrap();
    let stream = TlsConnector::from(Arc::new(config))
        .connect(address.ip().into(), socket)
        .await
        .unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
}

#[tokio::test]
async fn s037_s121_pages_and_events_travel_over_tls_with_secure_cookies() {
    let Given { app, authority } = given();
    let config = app.config().await;
    let tenant = config.ensure_organisation(&fresh("org")).await.unwrap();
    let email = format!("{}@people.invalid", fresh("p"));
    let password_hash = Passwords::new(1)
        .unwrap()
        .hash(&SecretString::from(PASSWORD.to_owned()))
        .await
        .unwrap();
    let new = NewUser {
        email: email.clone(),
        name: "Ana".to_owned(),
        role: Some(Role::Viewer),
        grants: Vec::new(),
        password_hash,
    };
    config.create_user(tenant, &By::system(), &new).await.unwrap();
    let client_of_ours = believing(authority);
    let form = format!(
        "email={}&password={}&next=/wall",
        email.replace('@', "%40"),
        PASSWORD.replace(' ', "+")
    );
    let entered = client_of_ours
        .post(format!("https://{}/signin", app.site))
        .header("content-type", "application/x-www-form-urlencoded")
        .header("origin", format!("https://{}", app.site))
        .body(form)
        .send()
        .await
        .unwrap();
    assert_eq!(entered.status(), StatusCode::SEE_OTHER);
    assert_eq!(
        entered.headers()["strict-transport-security"],
        "max-age=31536000; includeSubDomains"
    );
    let cookie = entered.headers()["set-cookie"].to_str().unwrap();
    assert!(cookie.starts_with("__Host-") && cookie.contains("; Secure"), "{cookie}");
    let page = client_of_ours
        .get(format!("https://{}/wall", app.site))
        .header("cookie", cookie.split(';').next().unwrap())
        .send()
        .await
        .unwrap();
    assert_eq!(page.status(), StatusCode::OK);

    let (token, key) = (hex::encode(rand::random::<[u8; 20]>()), fresh("key"));
    let workspace = NewWorkspace {
        name: fresh("workspace"),
        token: token.clone(),
        signing_keys: vec![SecretString::from(key.clone())],
        api_key: None,
        zone: "UTC".to_owned(),
    };
    config.create_workspace(tenant, &By::operator(), &workspace).await.unwrap();
    let body = event("call_started", &fresh("call")).to_string();
    eventually("an event is taken", PATIENCE, async || {
        let signature = sign(body.as_bytes(), &SigningKey::new(&key), now());
        let request = client_of_ours
            .post(format!("https://{}/v1/retell/{token}", app.intake))
            .header("x-retell-signature", signature);
        let status = request.body(body.clone()).send().await.unwrap().status();
        if status == StatusCode::NO_CONTENT { Ok(()) } else { Err(status) }
    })
    .await;
    // Who does not know the authority does not get in.
    let stranger = client().get(format!("https://{}/signin", app.site)).send().await;
    assert!(stranger.is_err_and(|error| error.is_connect()));
}

#[tokio::test]
async fn s045_plain_http_is_refused_without_a_word_of_http() {
    let given = given();
    for address in [given.app.site, given.app.intake] {
        let answer = tokio::task::spawn_blocking(move || {
            let mut socket = Plain::connect(address).unwrap();
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            let request =
                "POST /v1/retell/x HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk_live_secret\r\nContent-Length: 6\r\n\r\nsecret";
            socket.write_all(request.as_bytes()).unwrap();
            let mut answer = Vec::new();
            // A reset is as good as an end: nothing was answered.
            let _ = socket.read_to_end(&mut answer);
            answer
        })
        .await
        .unwrap();
        let text = String::from_utf8_lossy(&answer);
        assert!(
            !text.contains("HTTP/") && !text.contains("Location") && !text.contains("secret"),
            "{text:?}"
        );
    }
}

#[test]
fn s046_old_versions_and_weak_suites_are_refused() {
    let Given { app, authority } = given();
    let shake = |address: SocketAddr, words: &str| -> Output {
        let mut command = Command::new("openssl");
        command.args(["s_client", "-connect", &address.to_string(), "-verify_return_error", "-CAfile"]);
        command.arg(authority.path("authority.crt")).args(words.split(' '));
        command.stdin(Stdio::null()).output().unwrap()
    };
    for address in [app.site, app.intake] {
        for taken in ["-tls1_3", "-tls1_2"] {
            let output = shake(address, taken);
            assert!(output.status.success(), "{taken}: {}", String::from_utf8_lossy(&output.stderr));
        }
        for refused in [
            "-tls1_1 -cipher ALL:@SECLEVEL=0",
            "-tls1 -cipher ALL:@SECLEVEL=0",
            "-tls1_2 -cipher ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA384:@SECLEVEL=0",
            "-tls1_2 -cipher AES128-GCM-SHA256:AES256-SHA:@SECLEVEL=0",
            "-tls1_2 -cipher aNULL:eNULL:@SECLEVEL=0",
        ] {
            let output = shake(address, refused);
            let said = String::from_utf8_lossy(&output.stderr);
            // The refusal is the server's, not the client's own.
            assert!(!output.status.success() && said.contains("alert"), "{refused}: {said}");
        }
    }
}

/// HTTP/2's own attacks (rapid reset, a flood of CONTINUATION) need HTTP/2.
#[test]
fn s091_http2_is_not_spoken() {
    let Given { app, authority } = given();
    for (offered, agreed) in [("h2,http/1.1", "ALPN protocol: http/1.1"), ("h2", "alert no application protocol")] {
        let mut command = Command::new("openssl");
        command.args(["s_client", "-connect", &app.site.to_string(), "-alpn", offered, "-CAfile"]);
        let output = command.arg(authority.path("authority.crt")).stdin(Stdio::null()).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(said.contains(agreed), "{offered}: {said}");
    }
    // And without TLS, where a client may begin with it unasked.
    let mut socket = Plain::connect(crate::app::app().site).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    socket.write_all(preface).unwrap();
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer);
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 400 "), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewed_certificate_is_taken_under_load_and_a_broken_one_is_not() {
    let Given { app, authority } = given();
    let (done, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let (client, done, asked) = (believing(authority), done.clone(), asked.clone());
            let url = format!("https://{}/signin", app.site);
            tokio::spawn(async move {
                while !done.load(Ordering::Relaxed) {
                    let answer = client.get(&url).send().await.expect("no request fails");
                    assert_eq!(answer.status(), StatusCode::OK);
                    answer.bytes().await.expect("no answer is cut");
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let until_shown = async |name: &str| {
        for address in [app.site, app.intake] {
            eventually(name, PATIENCE, async || {
                let found = shown(authority, address).await;
                if found == authority.certificate(name) {
                    Ok(())
                } else {
                    Err("another one")
                }
            })
            .await;
        }
    };
    let told = async |line: &str| {
        for listener in ["server", "intake"] {
            let line = line.replace("LISTENER", listener);
            eventually(&line, PATIENCE, async || {
                let metrics = app.metrics().await;
                if metrics.lines().any(|found| found == line) {
                    Ok(())
                } else {
                    Err(metrics)
                }
            })
            .await;
        }
    };
    let refused = async |times: u32| {
        told("trunkline_tls_files_refused{listener=\"LISTENER\"} 1").await;
        told(&format!(
            "trunkline_tls_reloads_total{{listener=\"LISTENER\",outcome=\"refused\"}} {times}"
        ))
        .await;
    };
    authority.sign("second", 2);
    authority.install("second");
    until_shown("second").await;
    // The key of another certificate.
    std::fs::copy(authority.path("first.key"), authority.path("server.key")).unwrap();
    refused(1).await;
    std::fs::remove_file(authority.path("server.key")).unwrap();
    refused(2).await;
    // Over before it is looked at: valid for no day, and it is judged seconds later.
    authority.sign("over", 0);
    authority.install("over");
    refused(3).await;
    until_shown("second").await;
    authority.sign("third", 2);
    authority.install("third");
    until_shown("third").await;
    told("trunkline_tls_files_refused{listener=\"LISTENER\"} 0").await;
    done.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.await.unwrap();
    }
    assert!(asked.load(Ordering::Relaxed) > CALLERS as u64);
    let output = program(&app.data)
        .args(["--json", "doctor"])
        .env("TRUNKLINE_SERVER__TLS__CERTIFICATE", authority.path("third.crt"))
        .env("TRUNKLINE_SERVER__TLS__KEY", authority.path("third.key"))
        .env("TRUNKLINE_INTAKE__TLS__CERTIFICATE", authority.path("over.crt"))
        .env("TRUNKLINE_INTAKE__TLS__KEY", authority.path("over.key"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    let check = |name: &str| {
        answer["checks"]
            .as_array()
            .unwrap()
            .iter()
            .find(|check| check["name"] == name)
            .unwrap()
            .clone()
    };
    let (fine, over) = (check("server TLS"), check("intake TLS"));
    assert!(fine["found"].as_str().unwrap().contains("its certificate ends at 20"), "{fine}");
    assert!(
        over["ok"] == false && over["found"].as_str().unwrap().contains("ended at"),
        "{over}"
    );
}

#[test]
fn files_that_do_not_fit_are_refused_at_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new(directory.path());
    authority.sign("one", 2);
    authority.sign("other", 2);
    std::fs::write(
        authority.path("garbage"),
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    )
    .unwrap();
    let data = authority.path("data");
    let start = |certificate: &str, key: &str| {
        let of = |file: &str| {
            if file.is_empty() {
                String::new()
            } else {
                authority.path(file).display().to_string()
            }
        };
        let mut command = program(&data);
        command.args(["serve", "--set", &format!("server.tls.certificate={}", of(certificate))]);
        command.args(["--set", &format!("server.tls.key={}", of(key))]);
        let output = command.stdin(Stdio::null()).output().unwrap();
        assert!(!output.status.success(), "{certificate} {key}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    for (certificate, key, says) in [
        ("one.crt", "other.key", "other.key does not belong to"),
        ("one.crt", "", "server.tls.key is not"),
        ("", "one.key", "server.tls.certificate is not"),
        ("nothing.crt", "one.key", "nothing.crt"),
        ("one.key", "one.key", "holds no certificate"),
        ("one.crt", "one.crt", "read a private key from"),
        ("garbage", "one.key", "garbage"),
    ] {
        let said = start(certificate, key);
        assert!(said.contains(says), "{certificate} {key}: {said}");
    }
    assert!(!data.exists(), "nothing was made before the refusal");
}

//! Attacks on the machine under the product: what can be reached of it, and its database taken away.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use reqwest::{Method, StatusCode};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use trunkline_core::access::{Permission, Role};

use crate::app::{App, PATIENCE, app, browser, client};
use crate::identity::{PASSWORD, cookie, enter_at, person};
use crate::invitations::submit;
use crate::mailbox;
use crate::tokens::signed_in;

/// The server of Postgres of a product, by its note.
fn postgres(data: &Path) -> u32 {
    let note = fs::read_to_string(data.join("postgres/cluster/postmaster.pid")).unwrap();
    note.lines().next().unwrap().trim().parse().unwrap()
}

/// Processes and their parents.
fn parents() -> BTreeMap<u32, u32> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir("/proc").unwrap().filter_map(Result::ok) {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>() else {
            continue;
        };
        // `pid (name) state parent ...`; a name may hold anything.
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let parent = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1));
        if let Some(parent) = parent.and_then(|parent| parent.parse().ok()) {
            found.insert(pid, parent);
        }
    }
    found
}

/// Processes and all that they have started.
fn family(roots: &[u32]) -> BTreeSet<u32> {
    let parents = parents();
    let mut found: BTreeSet<u32> = roots.iter().copied().collect();
    loop {
        let more: Vec<u32> = parents
            .iter()
            .filter(|(pid, parent)| found.contains(parent) && !found.contains(pid))
            .map(|(pid, _)| *pid)
            .collect();
        if more.is_empty() {
            return found;
        }
        found.extend(more);
    }
}

/// Sockets of a process, by their number in the kernel's tables.
fn sockets(pid: u32) -> BTreeSet<u64> {
    let Ok(open) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return BTreeSet::new();
    };
    let links = open.filter_map(Result::ok).filter_map(|entry| fs::read_link(entry.path()).ok());
    links
        .filter_map(|link| link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok())
        .collect()
}

/// An address of the kernel's tables: words of four bytes in the machine's order, in hex.
fn address(text: &str) -> SocketAddr {
    let (host, port) = text.split_once(':').unwrap();
    let bytes: Vec<u8> = (0..host.len() / 8)
        .flat_map(|word| u32::from_str_radix(&host[word * 8..word * 8 + 8], 16).unwrap().to_ne_bytes())
        .collect();
    let host = match <[u8; 4]>::try_from(bytes.as_slice()) {
        Ok(four) => IpAddr::V4(Ipv4Addr::from(four)),
        Err(_) => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes.as_slice()).unwrap())).to_canonical(),
    };
    SocketAddr::new(host, u16::from_str_radix(port, 16).unwrap())
}

/// Where some processes can be reached over the network: listening TCP sockets, and UDP ones that are bound to no peer.
fn reachable(of: &BTreeSet<u32>) -> BTreeSet<SocketAddr> {
    const LISTEN: &str = "0A";
    const UNCONNECTED: &str = "07";
    let ours: BTreeSet<u64> = of.iter().flat_map(|pid| sockets(*pid)).collect();
    let mut found = BTreeSet::new();
    for (table, state) in [("tcp", LISTEN), ("tcp6", LISTEN), ("udp", UNCONNECTED), ("udp6", UNCONNECTED)] {
        let text = fs::read_to_string(format!("/proc/net/{table}")).unwrap_or_default();
        for line in text.lines().skip(1) {
            let words: Vec<&str> = line.split_whitespace().collect();
            if words[3] == state && ours.contains(&words[9].parse().unwrap()) {
                found.insert(address(words[1]));
            }
        }
    }
    found
}

#[tokio::test]
async fn s039_nothing_listens_but_the_doors_and_the_stores_on_the_loopback() {
    let app = app();
    app.line().await;
    let roots = [app.pid, postgres(&app.data)];
    let reachable = reachable(&family(&roots));
    println!("{reachable:?}");
    let doors = BTreeSet::from([app.site, app.intake, app.admin]);
    assert!(
        reachable.is_superset(&doors),
        "the tables are read rightly: {doors:?} in {reachable:?}"
    );
    for found in &reachable {
        assert!(found.ip().is_loopback(), "{found} can be reached from elsewhere");
    }
    // What is behind the doors: Postgres and the door of the embedded engine, for this machine only, each with a secret.
    let others: BTreeSet<&SocketAddr> = reachable.difference(&doors).collect();
    assert!(others.len() <= 2, "{others:?}");
    for other in others {
        // Whatever it is, it tells nothing to who has no secret.
        let answer = client().get(format!("http://{other}/?query=SELECT+1")).send().await;
        assert!(answer.is_err() || !answer.unwrap().status().is_success(), "{other}");
    }
}

/// Stops Postgres and all that serve its connections, the server first, so that it makes no more; gives who was stopped.
fn stop(server: u32) -> Vec<Pid> {
    let first = Pid::from_raw(server as i32).unwrap();
    kill_process(first, Signal::STOP).unwrap();
    let rest = family(&[server]).into_iter().filter(|pid| *pid != server);
    let rest: Vec<Pid> = rest.filter_map(|pid| Pid::from_raw(pid as i32)).collect();
    for pid in &rest {
        let _ = kill_process(*pid, Signal::STOP);
    }
    std::iter::once(first).chain(rest).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s143_s099_without_postgres_nobody_is_allowed_anything_and_asking_for_a_mail_tells_nothing() {
    let data = tempfile::Builder::new().prefix("trunkline-away-").tempdir().unwrap().keep();
    let mail = mailbox::settings();
    let mail = mail.each_ref().map(|(name, value)| (*name, value.as_str()));
    let own: &'static App = Box::leak(Box::new(App::start(&data, true, &mail)));
    let line = own.line().await;
    let scopes: Vec<&str> = Permission::ALL.iter().map(|permission| permission.scope()).collect();
    let key = line.api_key(&scopes).await;
    let (_, tokens) = signed_in(&line, Role::Owner).await;
    let owner = person(&line, Role::Owner).await;
    let session = cookie(&enter_at(own, &owner, PASSWORD, &[]).await).unwrap();
    let link = client()
        .post(own.url("/v1/tv-links"))
        .bearer_auth(&key)
        .json(&json!({ "name": "x" }));
    let link: serde_json::Value = link.send().await.unwrap().json().await.unwrap();
    let opened = browser();
    let path = link["url"].as_str().unwrap().split('/').skip(3).collect::<Vec<_>>().join("/");
    let screen = cookie(&opened.get(own.url(&format!("/{path}"))).send().await.unwrap()).unwrap();
    let token = tokens["access_token"].as_str().unwrap().to_owned();
    let credentials = [
        ("a key", "authorization", format!("Bearer {key}")),
        ("a token", "authorization", format!("Bearer {token}")),
        ("a session", "cookie", session),
        ("a screen", "cookie", screen),
    ];
    let asked = [
        (Method::GET, "/v1/board"),
        (Method::GET, "/v1/people"),
        (Method::POST, "/v1/businesses"),
        (Method::GET, "/wall"),
        (Method::GET, "/v1/stream?topics=board"),
    ];
    let all = async |expected: &dyn Fn(StatusCode) -> bool, what: &str| {
        let mut requests = Vec::new();
        for (who, name, value) in &credentials {
            for (method, path) in &asked {
                let request = opened.request(method.clone(), own.url(path)).header(*name, value);
                let request = request.json(&json!({ "name": "Shop", "time_zone": "UTC" }));
                let request = request.timeout(PATIENCE * 2);
                requests.push(async move {
                    loop {
                        match request.try_clone().unwrap().send().await {
                            Ok(answer) if answer.status() != StatusCode::REQUEST_TIMEOUT => return (*who, *path, answer.status()),
                            Ok(_) => {}
                            // On a slow machine a request comes too late: the server has given it up, nothing was asked.
                            Err(error) => assert!(error.is_request() && !error.is_timeout(), "{what}: {who} {path}: {error}"),
                        }
                    }
                });
            }
        }
        for (who, path, status) in futures::future::join_all(requests).await {
            assert!(expected(status), "{what}: {who} {path}: {status}");
        }
    };
    // Each is known before; what a screen may not do is refused.
    all(
        &|status| status.is_success() || status == StatusCode::FORBIDDEN || status.is_redirection(),
        "before",
    )
    .await;

    let away = |status: StatusCode| status == StatusCode::SERVICE_UNAVAILABLE;
    let server = postgres(&data);
    // It stands still: connections are open and nothing comes.
    let stopped = stop(server);
    all(&away, "standing still").await;
    // Who asks for a mail is answered before anything is looked up, so the clock does not tell who is here (S-099).
    for email in [owner.as_str(), "nobody@people.invalid"] {
        assert_eq!(
            submit(own, "/forgot", &[("email", email)]).await.status(),
            StatusCode::OK,
            "{email}"
        );
    }
    for pid in stopped.iter().rev() {
        let _ = kill_process(*pid, Signal::CONT);
    }
    let begun = std::time::Instant::now();
    while client().get(own.url("/v1/board")).bearer_auth(&key).send().await.unwrap().status() != StatusCode::OK {
        assert!(begun.elapsed() < PATIENCE, "it does not go on");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

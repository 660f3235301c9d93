//! Refresh tokens as they are kept: taken once, found again for a moment, and what comes later ends everything (S-110 to S-112).

use trunkline_core::access::Role;
use trunkline_core::audit::By;
use trunkline_core::id::TenantId;
use trunkline_core::instant::Millis;
use trunkline_stores::postgres::Config;
use trunkline_stores::postgres::config::token_keys::Turn;
use trunkline_stores::postgres::config::tokens::{Begun, GRACE_MS, Refreshed, Shown};
use trunkline_stores::postgres::row::{Hash32, NewSession};
use uuid::Uuid;

use crate::people::person;
use crate::server;

/// The hash of what follows a token, as the product makes it of token and seed.
fn next(seed: &[u8; 32]) -> Hash32 {
    let mut hash = *seed;
    hash[0] ^= 0xff;
    hash
}

async fn show(config: &Config, hash: Hash32, seed: u8, at: i64) -> Refreshed {
    let shown = Shown {
        hash: &hash,
        seed: [seed; 32],
        successor: &next,
        mail: true,
    };
    config.refresh(&By::system(), &shown, Millis(at)).await.unwrap()
}

fn seed(refreshed: &Refreshed) -> u8 {
    match refreshed {
        Refreshed::Session(_, seed) => seed[0],
        other => panic!("{other:?}"),
    }
}

async fn session(config: &Config, tenant: TenantId, refresh: Hash32) -> Uuid {
    let email = format!("{}@acme.example", hex::encode(&refresh[..4]));
    let user = person(config, tenant, &email, Role::Viewer).await;
    let new = NewSession {
        user,
        token_hash: rand::random(),
        created_at: Millis(0),
        expires_at: Millis(1_000_000),
        idle_ms: 100_000,
        source: String::new(),
        device: "curl".into(),
    };
    match config.begin_api_session(tenant, &By::system(), &new, None, &refresh).await.unwrap() {
        Begun::Session(session) => session.id,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_token_is_taken_once_and_given_again_only_for_a_moment() {
    let config = server::config().await;
    let acme = config.ensure_organisation("Acme").await.unwrap();
    let id = session(&config, acme, [1; 32]).await;
    assert_eq!(seed(&show(&config, [1; 32], 2, 1_000).await), 2);
    assert_eq!(seed(&show(&config, [1; 32], 3, 1_000 + GRACE_MS).await), 2, "the same successor");
    assert!(config.api_session(acme, id, Millis(1_001)).await.unwrap().is_some());
    let late = show(&config, [1; 32], 4, 1_001 + GRACE_MS).await;
    assert!(matches!(late, Refreshed::Reused { tenant } if tenant == acme), "{late:?}");
    assert!(config.api_session(acme, id, Millis(1_001)).await.unwrap().is_none());
    for hash in [[1; 32], next(&[2; 32])] {
        assert!(
            matches!(show(&config, hash, 5, 1_002).await, Refreshed::Unknown),
            "everything of it is gone"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s112_fifty_at_once_get_one_successor() {
    let config = server::config().await;
    let acme = config.ensure_organisation("Acme").await.unwrap();
    session(&config, acme, [1; 32]).await;
    let all = futures::future::join_all((2..52).map(|seed| show(&config, [1; 32], seed, 1_000))).await;
    let given: std::collections::BTreeSet<u8> = all.iter().map(seed).collect();
    assert_eq!(given.len(), 1, "{given:?}");
}

#[tokio::test]
async fn a_token_whose_successor_was_used_ends_the_session_at_once() {
    let config = server::config().await;
    let acme = config.ensure_organisation("Acme").await.unwrap();
    let id = session(&config, acme, [1; 32]).await;
    assert_eq!(seed(&show(&config, [1; 32], 2, 1_000).await), 2);
    assert_eq!(seed(&show(&config, next(&[2; 32]), 3, 1_001).await), 3);
    assert!(matches!(show(&config, [1; 32], 4, 1_002).await, Refreshed::Reused { .. }));
    assert!(config.api_session(acme, id, Millis(1_003)).await.unwrap().is_none());
}

#[tokio::test]
async fn a_session_of_the_api_ends_when_idle_and_in_any_case() {
    let config = server::config().await;
    let acme = config.ensure_organisation("Acme").await.unwrap();
    session(&config, acme, [1; 32]).await;
    assert!(matches!(show(&config, [1; 32], 2, 100_000).await, Refreshed::Unknown), "idle");
    let id = session(&config, acme, [9; 32]).await;
    // Seen again and again, until its end.
    for at in (90_000..1_000_000).step_by(90_000) {
        assert!(config.api_session(acme, id, Millis(at)).await.unwrap().is_some(), "{at}");
    }
    assert!(config.api_session(acme, id, Millis(1_000_000)).await.unwrap().is_none());
    let bolt = config.ensure_organisation("Bolt").await.unwrap();
    assert!(
        config.api_session(bolt, id, Millis(90_001)).await.unwrap().is_none(),
        "of another organisation"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_follow_each_other_and_one_of_many_processes_makes_the_next() {
    let config = server::config().await;
    let turn = |unless_after| Turn {
        unless_after: Millis(unless_after),
        publish_ms: 600,
        overlap_ms: 60,
    };
    let due = turn(0);
    let all = futures::future::join_all((0..8).map(|_| config.add_token_key(Millis(1), &due))).await;
    assert_eq!(all.into_iter().filter(|made| *made.as_ref().unwrap()).count(), 1);
    let first = config.token_keys(Millis(1)).await.unwrap().remove(0);
    assert_eq!((first.signs_from, first.public.len()), (Millis(1), 32), "the first signs at once");
    assert!(!config.add_token_key(Millis(1_000), &turn(0)).await.unwrap(), "not its turn");
    assert!(config.add_token_key(Millis(1_000), &turn(1)).await.unwrap());
    let both = config.token_keys(Millis(1_659)).await.unwrap();
    assert_eq!(both.iter().map(|key| key.signs_from.0).collect::<Vec<_>>(), [1_600, 1]);
    assert_eq!(
        config.token_keys(Millis(1_660)).await.unwrap().len(),
        1,
        "what it signed last has expired"
    );
    let at_once = Turn {
        unless_after: Millis(2_000),
        publish_ms: 0,
        overlap_ms: 0,
    };
    assert!(config.add_token_key(Millis(2_000), &at_once).await.unwrap());
    let only = config.token_keys(Millis(2_000)).await.unwrap();
    assert_eq!((only.len(), only[0].signs_from), (1, Millis(2_000)));
    assert_ne!(only[0].id, first.id);
}

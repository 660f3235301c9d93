//! Sessions of browsers as they are kept: secrets that follow each other (S-113), and ends that stay (S-149).

use trunkline_core::access::Role;
use trunkline_core::audit::By;
use trunkline_core::instant::Millis;
use trunkline_stores::postgres::config::sessions::{Renewal, Secret};
use trunkline_stores::postgres::row::{NewSession, PersonState};

use crate::people::person;
use crate::server;

#[tokio::test]
async fn s113_a_session_gets_another_secret_once_and_the_one_before_is_taken_for_a_moment() {
    let config = server::config().await;
    let acme = config.ensure_organisation("Acme").await.unwrap();
    let user_id = person(&config, acme, "ana@acme.example", Role::Supervisor).await;
    let session = NewSession {
        user: user_id,
        token_hash: [1; 32],
        created_at: Millis(0),
        expires_at: Millis(100_000_000),
        idle_ms: 50_000_000,
        source: String::new(),
        device: String::new(),
    };
    config.create_session(acme, &By::system(), &session).await.unwrap();
    let secret = async |byte: u8, at: i64| {
        let found = config.session_access(&[byte; 32], Millis(at)).await.unwrap();
        found.map(|found| found.secret)
    };
    let renewal = |before: u8, after: u8, until: i64| Renewal {
        before: [before; 32],
        after: [after; 32],
        seed: [after; 32],
        until: Millis(until),
    };
    assert_eq!(secret(1, 1).await, Some(Secret::Holds));
    assert!(
        !config.renew_session(&renewal(1, 2, 9_000), Millis(1)).await.unwrap(),
        "it is not due"
    );
    let state = |role: Role| PersonState {
        role: Some(role),
        grants: Vec::new(),
        disabled: false,
    };
    let becomes = async |before: Role, after: Role| {
        let (before, after) = (state(before), state(after));
        config.change_person(acme, &By::system(), user_id, &before, &after).await.unwrap();
    };
    becomes(Role::Supervisor, Role::Admin).await;
    assert_eq!(secret(1, 2).await, Some(Secret::Due));
    assert!(config.renew_session(&renewal(1, 2, 9_000), Millis(2)).await.unwrap());
    assert!(
        !config.renew_session(&renewal(1, 3, 9_000), Millis(2)).await.unwrap(),
        "one of many is first"
    );
    assert_eq!(secret(1, 8_999).await, Some(Secret::Followed([2; 32])));
    assert_eq!(secret(2, 8_999).await, Some(Secret::Holds));
    assert_eq!(secret(3, 8_999).await, None);

    // Changed again meanwhile: the next one comes when this one is no longer followed.
    becomes(Role::Admin, Role::Viewer).await;
    assert_eq!(secret(2, 8_999).await, Some(Secret::Holds));
    assert_eq!(secret(1, 9_000).await, None, "the moment is over");
    assert_eq!(secret(2, 9_000).await, Some(Secret::Due));
    assert!(config.renew_session(&renewal(2, 4, 19_000), Millis(9_000)).await.unwrap());
    assert_eq!(secret(4, 9_001).await, Some(Secret::Holds));

    // Ended by either secret; and what was found to have run out does not come back (S-149).
    assert_eq!(secret(2, 100_000_000).await, None);
    assert_eq!(secret(4, 9_002).await, None);
}

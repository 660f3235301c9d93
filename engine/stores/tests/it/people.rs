//! People: always an owner, one change after the other, and requests that are answered once.

use std::collections::BTreeSet;

use secrecy::{ExposeSecret, SecretString};
use trunkline_core::access::Role;
use trunkline_core::audit::{Actor, By};
use trunkline_core::id::{TenantId, UserId};
use trunkline_core::instant::Millis;
use trunkline_stores::postgres::config::idempotency::{ABANDONED_MS, Answer, Asked, KEPT_MS, Known};
use trunkline_stores::postgres::row::{NewApiKey, NewSession, NewUser, PersonState, Span};
use trunkline_stores::postgres::{Config, PostgresError};
use uuid::Uuid;

use crate::{schema, server};

fn state(role: Role) -> PersonState {
    PersonState {
        role: Some(role),
        grants: Vec::new(),
        disabled: false,
    }
}

pub async fn person(config: &Config, tenant: TenantId, email: &str, role: Role) -> UserId {
    let new = NewUser {
        email: email.to_owned(),
        name: "Ana".to_owned(),
        role: Some(role),
        grants: Vec::new(),
        password_hash: "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2g".to_owned().into(),
    };
    config.create_user(tenant, &By::operator(), &new).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_owner_stays_also_when_two_go_at_the_same_moment() {
    let config = server::config().await;
    let by = By::operator();
    for round in 0..12 {
        let acme = config.ensure_organisation(&format!("Acme {round}")).await.unwrap();
        let one = person(&config, acme, &format!("one{round}@acme.example"), Role::Owner).await;
        let two = person(&config, acme, &format!("two{round}@acme.example"), Role::Owner).await;
        let owner = state(Role::Owner);
        let lesser = match round % 2 {
            0 => state(Role::Admin),
            _ => PersonState {
                disabled: true,
                ..state(Role::Owner)
            },
        };
        let (first, second) = futures::join!(
            config.change_person(acme, &by, one, &owner, &lesser),
            config.remove_person(acme, &by, two, &owner)
        );
        let refused = [&first, &second].into_iter().filter(|outcome| outcome.is_err()).count();
        assert_eq!(refused, 1, "{first:?} {second:?}");
        for outcome in [first, second] {
            assert!(matches!(outcome, Ok(()) | Err(PostgresError::Conflict { .. })), "{outcome:?}");
        }
        let left = config.users(acme, Span::first(10)).await.unwrap();
        assert!(left.iter().any(|person| person.state == owner), "{left:?}");
        assert!(config.verify_deeds(acme).await.unwrap().is_ok());
    }
}

#[tokio::test]
async fn s109_whoever_is_disabled_or_removed_is_out_and_their_keys_stay() {
    let config = server::config().await;
    let acme = config.ensure_organisation("Acme").await.unwrap();
    let owner = person(&config, acme, "owner@acme.example", Role::Owner).await;
    let user = person(&config, acme, "ana@acme.example", Role::Admin).await;
    let session = |byte: u8| NewSession {
        user,
        token_hash: [byte; 32],
        created_at: Millis(0),
        expires_at: Millis(1_000_000),
        idle_ms: 1_000_000,
        source: String::new(),
        device: String::new(),
    };
    config.create_session(acme, &By::system(), &session(1)).await.unwrap();
    let listed = config.user(acme, user).await.unwrap().unwrap();
    assert_eq!((listed.sessions, listed.last_seen_at), (1, Some(Millis(0))));
    let (admin, by) = (state(Role::Admin), By::operator());
    let disabled = PersonState {
        disabled: true,
        ..admin.clone()
    };
    config.change_person(acme, &by, user, &admin, &disabled).await.unwrap();
    config.change_person(acme, &by, user, &disabled, &admin).await.unwrap();
    assert!(
        config.session_access(&[1; 32], Millis(1)).await.unwrap().is_none(),
        "a session does not come back with its person"
    );

    config.create_session(acme, &By::system(), &session(2)).await.unwrap();
    let mine = By {
        actor: Actor::Person(user),
        ..By::operator()
    };
    let new = NewApiKey {
        name: "export".into(),
        key_hash: [3; 32],
        last_four: "wxyz".into(),
        scopes: vec!["calls:read".into()],
        businesses: Vec::new(),
        expires_at: None,
        created_by: Some(user),
    };
    let key = config.create_api_key(acme, &mine, &new).await.unwrap();
    config.remove_person(acme, &by, user, &admin).await.unwrap();
    assert!(config.user(acme, user).await.unwrap().is_none());
    assert!(config.session_access(&[2; 32], Millis(1)).await.unwrap().is_none());
    assert_eq!(config.api_key(acme, key).await.unwrap().unwrap().created_by, None);
    assert!(config.api_key_access(&[3; 32], Millis(1)).await.unwrap().is_some());
    let again = config.remove_person(acme, &by, user, &admin).await;
    assert!(matches!(again, Err(PostgresError::Missing { .. })), "{again:?}");
    let last = config.remove_person(acme, &by, owner, &state(Role::Owner)).await;
    assert!(matches!(last, Err(PostgresError::Conflict { .. })), "{last:?}");
}

#[tokio::test]
async fn a_list_is_read_forwards_and_backwards() {
    let config = server::config().await;
    let acme = config.ensure_organisation("Acme").await.unwrap();
    let mut ids = Vec::new();
    for n in 0..5 {
        ids.push(person(&config, acme, &format!("p{n}@acme.example"), Role::Viewer).await);
    }
    let page = async |span| {
        let found = config.users(acme, span).await.unwrap();
        found.into_iter().map(|user| user.id).collect::<Vec<_>>()
    };
    assert_eq!(page(Span::first(2)).await, ids[..3], "one more says that there are more");
    let after = Span {
        after: Some(ids[2].0),
        ..Span::first(10)
    };
    assert_eq!(page(after).await, ids[3..]);
    let before = Span {
        before: Some(ids[4].0),
        ..Span::first(1)
    };
    assert_eq!(page(before).await, ids[2..4], "the last ones before it, in order");
    let distinct: BTreeSet<_> = ids.iter().collect();
    assert_eq!(distinct.len(), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s095_a_request_is_done_once_and_its_answer_is_kept_encrypted() {
    let options = server::database().await;
    let config = server::config_of(&options).await;
    let acme = config.ensure_organisation("Acme").await.unwrap();
    let asked = Asked {
        tenant: acme,
        actor: Uuid::from_u128(7),
        key: [1; 32],
        request: [2; 32],
    };
    let now = Millis(1_000_000_000);
    let many = (0..8).map(|_| config.begin_request(&asked, now));
    let outcomes = futures::future::join_all(many).await;
    let mut fresh = outcomes.iter().filter_map(|outcome| match outcome.as_ref().unwrap() {
        Known::Fresh(begun) => Some(*begun),
        _ => None,
    });
    let begun = fresh.next().unwrap();
    assert!(fresh.next().is_none(), "only one of them does it");
    assert!(matches!(config.begin_request(&asked, now).await.unwrap(), Known::Running));

    let answer = Answer {
        status: 201,
        location: Some("/v1/api-keys/key_1".to_owned()),
        body: SecretString::from("{\"key\":\"sk_live_visible\"}"),
    };
    config.answer_request(begun, &answer).await.unwrap();
    let Known::Answered(found) = config.begin_request(&asked, now).await.unwrap() else {
        panic!("it was answered")
    };
    assert_eq!((found.status, found.location), (201, answer.location.clone()));
    assert_eq!(found.body.expose_secret(), answer.body.expose_secret());
    let owner = schema::owner(&options).await;
    owner
        .batch_execute("ALTER TABLE idempotent_requests NO FORCE ROW LEVEL SECURITY")
        .await
        .unwrap();
    let stored: String = owner.query_one("SELECT answer FROM idempotent_requests", &[]).await.unwrap().get(0);
    assert!(!stored.contains("visible"), "{stored}");

    let other = Asked { request: [3; 32], ..asked };
    assert!(matches!(config.begin_request(&other, now).await.unwrap(), Known::Other));
    let somebody = Asked {
        actor: Uuid::from_u128(8),
        ..other
    };
    let Known::Fresh(theirs) = config.begin_request(&somebody, now).await.unwrap() else {
        panic!("keys are each caller's own")
    };
    config.release_request(theirs).await.unwrap();
    let Known::Fresh(_) = config.begin_request(&somebody, now).await.unwrap() else {
        panic!("what was refused may be tried again")
    };
    // Its process died: the same request takes it over, another does not.
    let later = now.plus(ABANDONED_MS + 1);
    let changed = Asked {
        request: [9; 32],
        ..somebody
    };
    assert!(matches!(config.begin_request(&changed, later).await.unwrap(), Known::Other));
    assert!(matches!(config.begin_request(&somebody, later).await.unwrap(), Known::Fresh(_)));
    let next_day = now.plus(KEPT_MS + 1);
    assert!(matches!(config.begin_request(&other, next_day).await.unwrap(), Known::Fresh(_)));
    assert_eq!(config.forget_requests(now.plus(2 * KEPT_MS + 2), 100).await.unwrap(), 2);
}

//! Access tokens of the API: JWTs by RFC 9068, signed with Ed25519, good for minutes.
//!
//! A token says who asks; what they may do is looked up for every request, so a right that is taken away, a session that is ended and a
//! key that is revoked count at once.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode};
use serde::{Deserialize, Serialize};
use trunkline_core::access::Access;
use trunkline_core::id::{KeyId, TenantId, UserId};
use trunkline_core::instant::Millis;
use trunkline_stores::postgres::PostgresError;
use trunkline_stores::postgres::config::token_keys::{TokenKey, Turn};
use trunkline_stores::postgres::config::tokens::ApiSession;
use uuid::Uuid;

use super::session::{Held, now};
use super::{Caller, Person, Who, key, platform};
use crate::api::tokens::PublicKey;
use crate::request;
use crate::state::AppState;

/// RFC 9068, section 2.1: an access token cannot be taken for another kind of JWT, nor the other way round (S-108).
const TYPE: &str = "at+jwt";

/// Clocks of machines differ a little (S-107).
const LEEWAY_SECONDS: u64 = 5;

/// Keys are read again after this: one that was ended by hand is refused within the five seconds that hold for every credential (S-109).
const KEYS_KEPT: Duration = Duration::from_secs(4);

/// A token that names a key we do not know makes us look, but not more often than this, whoever sends them.
const KEYS_SOUGHT_EVERY: Duration = Duration::from_secs(1);

/// Whoever keeps a copy of our public keys may keep it for so long...
pub const PUBLISHED_SECONDS: i64 = 300;

/// ...so that a new one is there for twice as long before it signs.
const PUBLISH_MS: i64 = 2 * PUBLISHED_SECONDS * 1_000;

/// Keys in force, as read a moment ago.
#[derive(Default)]
pub struct TokenKeys(ArcSwapOption<Kept>);

struct Kept {
    read: Instant,
    keys: Vec<Key>,
}

struct Key {
    id: String,
    /// The public half as JWKs have it.
    x: String,
    signs_from: Millis,
    created_at: Millis,
    signs: EncodingKey,
    verifies: DecodingKey,
}

/// What a token says.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    /// The person or the API key, by its public id.
    sub: String,
    /// Seconds since 1970, as all of them.
    iat: i64,
    nbf: i64,
    exp: i64,
    jti: Uuid,
    /// The organisation, by its public id.
    org: String,
    /// The session, of a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sid: Option<Uuid>,
    /// How often the person's rights had been changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rights: Option<i32>,
}

/// Who a token is for.
pub enum Bearer<'a> {
    /// A person with a session.
    Person(&'a ApiSession),
    /// A program with an API key.
    Program(TenantId, KeyId),
}

/// A token and its end.
pub struct Signed {
    /// The token.
    pub token: String,
    /// Not taken from then on.
    pub expires_at: Millis,
}

/// Whether a credential has the form of a token rather than of an API key.
pub fn is_token(text: &str) -> bool {
    text.split('.').count() == 3
}

/// Makes a token; the key that signs is made, or followed by a new one, when it is time.
pub async fn sign(state: &AppState, bearer: &Bearer<'_>) -> Result<Signed, PostgresError> {
    let at = now();
    let settings = &state.settings.tokens;
    let mut kept = keys(state, KEYS_KEPT).await?;
    let due = kept
        .keys
        .first()
        .is_none_or(|newest| at.0 - newest.created_at.0 >= settings.key_ms());
    if due {
        let turn = Turn {
            unless_after: at.plus(-settings.key_ms()),
            publish_ms: PUBLISH_MS,
            overlap_ms: overlap_ms(settings.access_ms()),
        };
        if state.config.add_token_key(at, &turn).await? {
            tracing::info!(target: "audit", event = "key.rotate", "a new key for access tokens");
        }
        kept = keys(state, Duration::ZERO).await?;
    }
    let unusable = || PostgresError::Missing {
        doing: "find the key that signs access tokens",
    };
    let key = kept.keys.iter().find(|key| key.signs_from <= at).ok_or_else(unusable)?;
    let (sub, tenant, sid, rights) = match bearer {
        Bearer::Person(session) => (
            session.row.user.to_string(),
            session.row.tenant,
            Some(session.id),
            Some(session.rights),
        ),
        Bearer::Program(tenant, key) => (key.to_string(), *tenant, None, None),
    };
    let expires_at = at.plus(settings.access_ms());
    let claims = Claims {
        iss: issuer(state),
        aud: audience(state),
        sub,
        iat: at.0 / 1_000,
        nbf: at.0 / 1_000,
        exp: expires_at.0 / 1_000,
        jti: Uuid::new_v4(),
        org: tenant.to_string(),
        sid,
        rights,
    };
    let header = Header {
        typ: Some(TYPE.to_owned()),
        kid: Some(key.id.clone()),
        ..Header::new(Algorithm::EdDSA)
    };
    let token =
        encode(&header, &claims, &key.signs).map_err(|error| PostgresError::Misconfigured(format!("sign an access token: {error}")))?;
    Ok(Signed { token, expires_at })
}

/// The caller of a token; `None` when it is not ours, has expired, or what it stands for no longer holds.
pub async fn find(state: &AppState, text: &str, source: Option<IpAddr>) -> Result<Option<Caller>, PostgresError> {
    let claims = match read(state, text).await? {
        Ok(claims) => claims,
        Err(why) => {
            tracing::info!(target: "audit", event = why, request_id = %request::current_id(), "refused");
            return Ok(None);
        }
    };
    let revoked = || {
        tracing::info!(target: "audit", event = "token.revoked", request_id = %request::current_id(), "refused");
    };
    let Ok(tenant) = claims.org.parse::<TenantId>() else {
        return Ok(None);
    };
    let until = Some(Millis(claims.exp * 1_000));
    let found = match claims.sid {
        Some(id) => {
            let session = state.config.api_session(tenant, id, now()).await?;
            let ours = |session: &ApiSession| claims.sub == session.row.user.to_string() && claims.rights == Some(session.rights);
            session.filter(ours).map(|session| person(session, source, until))
        }
        None => match claims.sub.parse::<KeyId>() {
            Ok(id) => key::listed(state, tenant, id).await?.map(|listed| Caller {
                tenant,
                access: key::access_of(&listed),
                who: Who::Program {
                    key: id,
                    name: listed.name,
                },
                source,
                until,
                platform: Default::default(),
                opening: None,
            }),
            Err(_) => None,
        },
    };
    match found {
        Some(caller) => platform::seen(state, caller).await.map(Some),
        None => {
            revoked();
            Ok(None)
        }
    }
}

/// What the person of a session may do now; `None` when it has ended.
pub async fn look(state: &AppState, tenant: TenantId, session: Uuid, user: UserId) -> Result<Option<Access>, PostgresError> {
    let found = state.config.api_session(tenant, session, now()).await?;
    let found = found.filter(|found| found.row.user == user && (found.row.has_factor || !found.row.needs_factor));
    Ok(found.map(|found| Access::of_person(found.row.role, &found.row.grants)))
}

fn person(session: ApiSession, source: Option<IpAddr>, until: Option<Millis>) -> Caller {
    let row = session.row;
    Caller {
        tenant: row.tenant,
        access: Access::of_person(row.role, &row.grants),
        who: Who::Person(Person {
            user: row.user,
            home: row.tenant,
            name: row.name,
            email: row.email,
            role: row.role,
            session: Held::Api {
                id: session.id,
                hash: session.token_hash,
            },
            must_enrol: row.needs_factor && !row.has_factor,
        }),
        source,
        until,
        platform: Default::default(),
        opening: None,
    }
}

/// The claims of a token that we signed for this installation and that has not expired; else why not, as a word for the log.
async fn read(state: &AppState, text: &str) -> Result<Result<Claims, &'static str>, PostgresError> {
    let Ok(header) = decode_header(text) else {
        return Ok(Err("token.invalid"));
    };
    // Where a token says that its key is to be found, nobody looks (S-105).
    let leads_elsewhere =
        header.jku.is_some() || header.jwk.is_some() || header.x5u.is_some() || header.x5c.is_some() || header.crit.is_some();
    if leads_elsewhere || header.alg != Algorithm::EdDSA {
        return Ok(Err("token.invalid"));
    }
    if header.typ.as_deref() != Some(TYPE) {
        return Ok(Err("token.type"));
    }
    let Some(id) = header.kid else { return Ok(Err("token.invalid")) };
    let mut kept = keys(state, KEYS_KEPT).await?;
    if !kept.keys.iter().any(|key| key.id == id) {
        kept = keys(state, KEYS_SOUGHT_EVERY).await?;
    }
    let Some(key) = kept.keys.iter().find(|key| key.id == id) else {
        return Ok(Err("token.invalid"));
    };
    Ok(verify(text, key, &issuer(state), &audience(state)))
}

fn verify(text: &str, key: &Key, issuer: &str, audience: &str) -> Result<Claims, &'static str> {
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.leeway = LEEWAY_SECONDS;
    validation.validate_nbf = true;
    validation.set_audience(&[audience]);
    validation.set_issuer(&[issuer]);
    // What is not demanded is only looked at when it is there (S-106).
    validation.set_required_spec_claims(&["exp", "nbf", "aud", "iss", "sub"]);
    match decode::<Claims>(text, &key.verifies, &validation) {
        Ok(token) => Ok(token.claims),
        Err(error) => Err(match error.kind() {
            ErrorKind::ExpiredSignature => "token.expired",
            ErrorKind::InvalidAudience | ErrorKind::InvalidIssuer => "token.type",
            _ => "token.invalid",
        }),
    }
}

/// The public keys as others may keep them.
pub async fn published(state: &AppState) -> Result<Vec<PublicKey>, PostgresError> {
    let kept = keys(state, KEYS_KEPT).await?;
    let one = |key: &Key| PublicKey {
        kty: "OKP",
        crv: "Ed25519",
        alg: "EdDSA",
        purpose: "sig",
        kid: key.id.clone(),
        x: key.x.clone(),
    };
    Ok(kept.keys.iter().map(one).collect())
}

/// How long a key is accepted after it has ceased to sign: as long as the last token it signed.
pub fn overlap_ms(access_ms: i64) -> i64 {
    // A process notices the next key a moment late, and clocks differ.
    access_ms + KEYS_KEPT.as_millis() as i64 + 60_000
}

/// The turn of a key by hand.
pub fn turn(at_once: bool, at: Millis, access_ms: i64) -> Turn {
    Turn {
        unless_after: at,
        publish_ms: if at_once { 0 } else { PUBLISH_MS },
        overlap_ms: if at_once { 0 } else { overlap_ms(access_ms) },
    }
}

/// Keys that are not older than `age`.
async fn keys(state: &AppState, age: Duration) -> Result<Arc<Kept>, PostgresError> {
    if let Some(kept) = state.token_keys.0.load_full().filter(|kept| kept.read.elapsed() < age) {
        return Ok(kept);
    }
    let read = Instant::now();
    let found = state.config.token_keys(now()).await?;
    let kept = Arc::new(Kept {
        read,
        keys: found.iter().map(Key::of).collect(),
    });
    state.token_keys.0.store(Some(kept.clone()));
    Ok(kept)
}

impl Key {
    fn of(stored: &TokenKey) -> Key {
        Key {
            id: stored.id.to_string(),
            x: URL_SAFE_NO_PAD.encode(&stored.public),
            signs_from: stored.signs_from,
            created_at: stored.created_at,
            signs: EncodingKey::from_ed_der(&stored.pkcs8()),
            verifies: DecodingKey::from_ed_der(&stored.public),
        }
    }
}

fn issuer(state: &AppState) -> String {
    state.settings.server.origin()
}

/// For which installation: the API of one is not the API of another, nor is a trial the real thing.
fn audience(state: &AppState) -> String {
    format!(
        "{}/v1#{}",
        state.settings.server.origin(),
        state.settings.server.environment.as_str()
    )
}

//! Browser sessions: a random opaque cookie, of which Postgres keeps only the hash.

use std::net::IpAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use actix_web::cookie::time::Duration as CookieDuration;
use actix_web::cookie::{Cookie, SameSite};
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use trunkline_core::access::Access;
use trunkline_core::audit::By;
use trunkline_core::id::UserId;
use trunkline_core::instant::Millis;
use trunkline_stores::postgres::PostgresError;
use trunkline_stores::postgres::config::sessions::{Renewal, Secret};
use trunkline_stores::postgres::row::{Hash32, NewSession, SessionRow};
use uuid::Uuid;

use super::{Caller, Person, Who, platform};
use crate::settings::Session;
use crate::state::AppState;

/// Over https: the prefix makes browsers insist on Secure, our host alone and the whole path.
const COOKIE_SECURE: &str = "__Host-trunkline_session";

/// Over http on loopback, where browsers refuse the prefix.
const COOKIE_PLAIN: &str = "trunkline_session";

/// Somebody whose code is awaited has this one, over https and over http.
const STEP_SECURE: &str = "__Host-trunkline_step";
const STEP_PLAIN: &str = "trunkline_step";

/// Characters kept of what a browser calls itself.
const DEVICE_CHARS: usize = 300;

/// 256 bits: not to be guessed.
const TOKEN_BYTES: usize = 32;

/// The secret of a session. Lives in the cookie and for the time of a request; shown nowhere.
#[derive(Clone)]
pub struct SessionKey([u8; TOKEN_BYTES]);

impl std::fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SessionKey([hidden])")
    }
}

impl SessionKey {
    pub(super) fn new() -> SessionKey {
        SessionKey(rand::random())
    }

    fn read(text: &str) -> Option<SessionKey> {
        URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok().map(SessionKey)
    }

    /// What Postgres keeps of it.
    pub fn hash(&self) -> Hash32 {
        Sha256::digest(self.0).into()
    }

    /// What follows it: made of it and of a seed that Postgres keeps, so that every request of the browser that still sends the one before is
    /// told the same one, and neither who has only the cookie nor who has only the database can make it.
    fn successor(&self, seed: &[u8; 32]) -> SessionKey {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of every length");
        mac.update(b"trunkline session");
        mac.update(seed);
        SessionKey(mac.finalize().into_bytes().into())
    }

    fn form_mac(&self) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of every length");
        mac.update(b"trunkline form");
        mac
    }

    /// The token of this session's forms: derived, so that it needs no place of its own.
    pub fn form_token(&self) -> String {
        hex::encode(self.form_mac().finalize().into_bytes())
    }

    /// Whether [`SessionKey::form_token`] gave this out; in constant time.
    pub fn gave_out(&self, token: &str) -> bool {
        hex::decode(token).is_ok_and(|bytes| self.form_mac().verify_slice(&bytes).is_ok())
    }
}

/// What a signed-in person shows with each request.
#[derive(Debug, Clone)]
pub enum Held {
    /// The cookie of a browser.
    Cookie {
        /// The present one, which forms are made for.
        key: SessionKey,
        /// The one that was sent, when another one has followed it.
        sent: Option<SessionKey>,
    },
    /// An access token of a session of the API.
    Api {
        /// The session.
        id: Uuid,
        /// What Postgres keeps beside it.
        hash: Hash32,
    },
}

impl Held {
    /// What Postgres keeps of it.
    pub fn hash(&self) -> Hash32 {
        match self {
            Held::Cookie { key, .. } => key.hash(),
            Held::Api { hash, .. } => *hash,
        }
    }

    /// The token of a browser's forms; programs send none.
    pub fn form_token(&self) -> String {
        match self {
            Held::Cookie { key, .. } => key.form_token(),
            Held::Api { .. } => String::new(),
        }
    }

    /// Whether [`Held::form_token`] gave this out; in constant time.
    pub fn gave_out(&self, token: &str) -> bool {
        match self {
            Held::Cookie { key, sent } => key.gave_out(token) || sent.as_ref().is_some_and(|sent| sent.gave_out(token)),
            Held::Api { .. } => false,
        }
    }
}

/// The session of a request's cookie, not yet looked up.
pub fn of(request: &HttpRequest, secure: bool) -> Option<SessionKey> {
    SessionKey::read(request.cookie(name(secure))?.value())
}

/// What somebody with this cookie holds: the secret that follows it, where one does.
fn held(secret: &Secret, key: &SessionKey) -> Held {
    let (key, sent) = match secret {
        Secret::Followed(seed) => (key.successor(seed), Some(key.clone())),
        Secret::Holds | Secret::Due => (key.clone(), None),
    };
    Held::Cookie { key, sent }
}

/// The caller of a session; `None` when it is unknown, ended or too old.
pub async fn find(state: &AppState, key: &SessionKey, source: Option<IpAddr>) -> Result<Option<Caller>, PostgresError> {
    let Some(found) = state.config.session_access(&key.hash(), now()).await? else {
        return Ok(None);
    };
    let held = held(&found.secret, key);
    caller_of(state, found.row, held, source).await.map(Some)
}

/// The caller of a request with a session's cookie, and the next cookie where one is due: somebody who was given other rights, or has
/// proved more, goes on with another secret, and the one from before is soon worth nothing (S-113).
pub async fn enter(state: &AppState, key: &SessionKey, source: Option<IpAddr>) -> Result<Option<(Caller, Option<Next>)>, PostgresError> {
    let (at, hash) = (now(), key.hash());
    let Some(mut found) = state.config.session_access(&hash, at).await? else {
        return Ok(None);
    };
    if found.secret == Secret::Due {
        let seed: [u8; 32] = rand::random();
        let renewal = Renewal {
            before: hash,
            after: key.successor(&seed).hash(),
            seed,
            until: at.plus(i64::from(state.settings.session.renewal_grace_seconds) * 1_000),
        };
        if state.config.renew_session(&renewal, at).await? {
            tracing::info!(target: "audit", event = "session.renew", tenant = %found.row.tenant, user = %found.row.user,
                request_id = %crate::request::current_id(), "another cookie follows a change of rights");
            found.secret = Secret::Followed(seed);
        } else {
            // Another request was first: it is told the same.
            let Some(again) = state.config.session_access(&hash, at).await? else {
                return Ok(None);
            };
            found = again;
        }
    }
    let held = held(&found.secret, key);
    let next = match &held {
        Held::Cookie { key: next, sent: Some(_) } => {
            let left = found.row.expires_at.0.saturating_sub(at.0);
            let secure = state.settings.server.secure();
            Some(Next(cookie(name(secure), next, left, secure)))
        }
        _ => None,
    };
    let caller = caller_of(state, found.row, held, source).await?;
    Ok(Some((caller, next)))
}

/// The cookie that a browser is to send from now on.
#[derive(Debug, Clone)]
pub struct Next(Cookie<'static>);

impl Next {
    /// Tells the browser, unless the answer says another thing about its session anyway.
    pub fn tell<B>(&self, response: &mut HttpResponse<B>) -> Result<(), impl std::fmt::Display + use<B>> {
        let told = response.cookies().any(|cookie| cookie.name() == self.0.name());
        if told { Ok(()) } else { response.add_cookie(&self.0) }
    }
}

async fn caller_of(state: &AppState, row: SessionRow, held: Held, source: Option<IpAddr>) -> Result<Caller, PostgresError> {
    let caller = Caller {
        tenant: row.tenant,
        access: Access::of_person(row.role, &row.grants),
        source,
        until: None,
        platform: Default::default(),
        opening: None,
        who: Who::Person(Person {
            user: row.user,
            home: row.tenant,
            name: row.name,
            email: row.email,
            role: row.role,
            session: held,
            must_enrol: row.needs_factor && !row.has_factor,
        }),
    };
    platform::seen(state, caller).await
}

/// A new session of a user and its cookie. Always a new secret: one from before signing in is worth nothing (S-113).
pub fn fresh(state: &AppState, request: &HttpRequest, by: &By, user: UserId) -> (NewSession, Cookie<'static>) {
    let key = SessionKey::new();
    let limits = &state.settings.session;
    let created_at = now();
    let new = NewSession {
        user,
        token_hash: key.hash(),
        created_at,
        expires_at: created_at.plus(absolute_ms(limits)),
        idle_ms: i64::from(limits.idle_hours) * 3_600_000,
        source: by.source.map(|source| source.to_string()).unwrap_or_default(),
        device: device(request),
    };
    let cookie = cookie(
        name(state.settings.server.secure()),
        &key,
        absolute_ms(limits),
        state.settings.server.secure(),
    );
    (new, cookie)
}

/// What the browser or program of a request calls itself, cut to [`DEVICE_CHARS`].
pub fn device(request: &HttpRequest) -> String {
    let agent = request.headers().get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
    agent.unwrap_or_default().chars().take(DEVICE_CHARS).collect()
}

/// The cookie of somebody whose code is awaited; without a key, the one that makes the browser forget it.
pub fn step_cookie(key: Option<&SessionKey>, lifetime_ms: i64, secure: bool) -> Cookie<'static> {
    let name = if secure { STEP_SECURE } else { STEP_PLAIN };
    match key {
        Some(key) => cookie(name, key, lifetime_ms, secure),
        None => build(name, String::new(), CookieDuration::ZERO, secure),
    }
}

/// The second step that a request's cookie names, not yet looked up.
pub fn step_of(request: &HttpRequest, secure: bool) -> Option<SessionKey> {
    SessionKey::read(request.cookie(if secure { STEP_SECURE } else { STEP_PLAIN })?.value())
}

/// Ends the session of a person and gives the cookie that makes the browser forget it.
pub async fn end(state: &AppState, caller: &Caller, person: &Person) -> Result<Cookie<'static>, PostgresError> {
    let hash = person.session.hash();
    state.config.end_session(person.home, &caller.by(), person.user, &hash).await?;
    let secure = state.settings.server.secure();
    Ok(build(name(secure), String::new(), CookieDuration::ZERO, secure))
}

fn name(secure: bool) -> &'static str {
    if secure { COOKIE_SECURE } else { COOKIE_PLAIN }
}

fn cookie(name: &'static str, key: &SessionKey, lifetime_ms: i64, secure: bool) -> Cookie<'static> {
    build(
        name,
        URL_SAFE_NO_PAD.encode(key.0),
        CookieDuration::milliseconds(lifetime_ms),
        secure,
    )
}

fn build(name: &'static str, value: String, lifetime: CookieDuration, secure: bool) -> Cookie<'static> {
    Cookie::build(name, value)
        .path("/")
        .http_only(true)
        .secure(secure)
        .same_site(SameSite::Lax)
        .max_age(lifetime)
        .finish()
}

fn absolute_ms(limits: &Session) -> i64 {
    i64::from(limits.absolute_days) * 86_400_000
}

/// Wall clock in ms.
pub fn now() -> Millis {
    Millis(
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_millis() as i64),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_token_belongs_to_one_session() {
        let (one, other) = (SessionKey::new(), SessionKey::new());
        assert!(one.gave_out(&one.form_token()));
        assert!(!other.gave_out(&one.form_token()));
        assert!(!one.gave_out(""));
        assert!(!one.gave_out("zz"));
    }

    #[test]
    fn a_successor_is_the_same_for_the_same_seed_and_no_other() {
        let (one, other) = (SessionKey::new(), SessionKey::new());
        assert_eq!(one.successor(&[1; 32]).hash(), one.successor(&[1; 32]).hash());
        let others = [one.hash(), one.successor(&[2; 32]).hash(), other.successor(&[1; 32]).hash()];
        assert!(!others.contains(&one.successor(&[1; 32]).hash()));
    }

    #[test]
    fn a_cookie_is_for_our_host_alone_when_the_site_is_https() {
        let text = build(name(true), "v".to_owned(), CookieDuration::days(1), true).to_string();
        assert!(text.starts_with("__Host-trunkline_session=v"), "{text}");
        for part in ["HttpOnly", "Secure", "SameSite=Lax", "Path=/"] {
            assert!(text.contains(part), "{text}");
        }
        assert!(!text.contains("Domain"), "{text}");
    }
}

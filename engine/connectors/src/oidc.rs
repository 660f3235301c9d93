//! OpenID Connect as a relying party: authorization code with PKCE, against providers that organisations chose.
//!
//! Sources: OpenID Connect Core 1.0 (section 3.1), OpenID Connect Discovery 1.0 (section 4), RFC 7636 (PKCE), RFC 9207 (issuer in the
//! answer), RFC 9700 (current practice).

mod claims;
mod provider;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Url;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

pub use claims::{Identity, Refused};
pub use provider::Provider;

use crate::webhook::{BlockedAddress, Guarded, checked_url};
use claims::Expected;
use provider::{Answer, Keys, UserInfo};

/// What a provider says of itself is asked again after this.
const KEPT: Duration = Duration::from_secs(3_600);

/// A token that names a key we do not know makes us ask for the keys, but not more often than this.
const KEYS_SOUGHT_EVERY: Duration = Duration::from_secs(10);

/// Most bytes of an answer: documents of large providers have a few thousand.
const ANSWER_BYTES: usize = 256 * 1024;

/// Providers that are kept; beyond, all are asked again.
const PROVIDERS_MAX: usize = 1_000;

/// Connecting takes this long at most.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Which providers may be asked, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct OidcOptions {
    /// Addresses of inner networks and plain http are allowed: for providers inside one's own network.
    pub allow_private_networks: bool,
    /// An answer takes this long at most.
    pub timeout: Duration,
}

/// Why nobody comes in. Nothing of a token or of an answer's content is in it.
#[derive(Debug, thiserror::Error)]
pub enum OidcError {
    /// The provider's address must not be called.
    #[error(transparent)]
    Blocked(#[from] BlockedAddress),
    /// No answer.
    #[error("the provider could not be reached: {0}")]
    Unreachable(String),
    /// Another answer than success.
    #[error("the provider answered {0} at {1}")]
    Answered(u16, &'static str),
    /// The answer is not what the standard says.
    #[error("the provider's {0} cannot be read")]
    Unreadable(&'static str),
    /// It says that it is another one.
    #[error("the provider calls itself by another issuer than the one that was set")]
    OtherIssuer,
    /// It cannot do what is needed.
    #[error("the provider does not offer {0}")]
    Lacks(&'static str),
    /// The token does not prove who this is.
    #[error(transparent)]
    Refused(#[from] Refused),
}

/// Whom we are at a provider.
#[derive(Debug, Clone, Copy)]
pub struct Registration<'a> {
    /// Who signs in there.
    pub issuer: &'a str,
    /// Our name there.
    pub client_id: &'a str,
    /// And our secret.
    pub client_secret: &'a SecretString,
    /// Where it sends people back to.
    pub redirect_uri: &'a str,
}

/// One try to sign in, kept with the browser until it comes back.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// Comes back with the browser.
    pub state: String,
    /// Comes back within the token.
    pub nonce: String,
    /// Proves to the provider that who began is who fetches the token.
    pub verifier: String,
    /// When it was begun, in seconds since 1970.
    pub begun: i64,
}

impl Attempt {
    /// A new one.
    pub fn fresh(now: i64) -> Attempt {
        let random = || URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
        Attempt {
            state: random(),
            nonce: random(),
            verifier: random(),
            begun: now,
        }
    }
}

/// Asks providers. Cheap to clone.
#[derive(Clone)]
pub struct OidcClient {
    http: reqwest::Client,
    options: OidcOptions,
    kept: Arc<Mutex<HashMap<String, Arc<Kept>>>>,
}

/// What is known of a provider.
struct Kept {
    read: Instant,
    provider: Provider,
    keys: tokio::sync::Mutex<Option<(Instant, Arc<Keys>)>>,
}

impl OidcClient {
    /// A client for these.
    pub fn new(options: OidcOptions) -> Result<OidcClient, OidcError> {
        crate::jose::install();
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(options.timeout)
            // An answer from elsewhere is no answer of the provider (S-026).
            .redirect(reqwest::redirect::Policy::none())
            // A proxy would resolve names itself, past the guard.
            .no_proxy()
            .dns_resolver(Arc::new(Guarded {
                allow_private_networks: options.allow_private_networks,
            }))
            .user_agent(concat!("Trunkline/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| OidcError::Unreachable(error.to_string()))?;
        Ok(OidcClient {
            http,
            options,
            kept: Arc::default(),
        })
    }

    /// What a provider says of itself, asked now: for whoever sets it up.
    pub async fn discover(&self, issuer: &str) -> Result<Provider, OidcError> {
        let wanted = self.checked(issuer)?;
        // Discovery 1.0, section 4: behind the issuer, without a slash between them twice.
        let address = format!("{}/.well-known/openid-configuration", wanted.as_str().trim_end_matches('/'));
        let found: Provider = self.json(self.http.get(self.checked(&address)?), "discovery document").await?;
        if found.issuer != issuer {
            return Err(OidcError::OtherIssuer);
        }
        found.check()?;
        for address in found.addresses() {
            self.checked(address)?;
        }
        Ok(found)
    }

    /// Where a browser goes to sign in.
    pub async fn begin(&self, registration: &Registration<'_>, attempt: &Attempt, hint: Option<&str>) -> Result<String, OidcError> {
        let kept = self.provider(registration.issuer).await?;
        let mut address = self.checked(&kept.provider.authorization_endpoint)?;
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(attempt.verifier.as_bytes()));
        let mut query = address.query_pairs_mut();
        query
            .append_pair("response_type", "code")
            .append_pair("client_id", registration.client_id)
            .append_pair("redirect_uri", registration.redirect_uri)
            .append_pair("scope", "openid email profile")
            .append_pair("state", &attempt.state)
            .append_pair("nonce", &attempt.nonce)
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256");
        if let Some(hint) = hint {
            query.append_pair("login_hint", hint);
        }
        drop(query);
        Ok(address.into())
    }

    /// Who came back with this code.
    pub async fn finish(&self, registration: &Registration<'_>, attempt: &Attempt, code: &str, now: i64) -> Result<Identity, OidcError> {
        let kept = self.provider(registration.issuer).await?;
        let answer = self.exchange(registration, &kept.provider, attempt, code).await?;
        let expected = Expected {
            issuer: registration.issuer,
            client_id: registration.client_id,
            nonce: &attempt.nonce,
            access_token: answer.access_token.expose_secret(),
            begun: attempt.begun,
            now,
        };
        let token = answer.id_token.expose_secret();
        let keys = self.keys(&kept, KEPT).await?;
        let verified = match claims::verify(token, &keys, &expected) {
            Err(Refused::UnknownKey) => claims::verify(token, &*self.keys(&kept, KEYS_SOUGHT_EVERY).await?, &expected),
            verified => verified,
        };
        let identity = verified?;
        // Core, section 5.4: with an access token at hand, providers may tell the address only there.
        match &kept.provider.userinfo_endpoint {
            Some(endpoint) if identity.email.is_none() => {
                let request = self
                    .http
                    .get(self.checked(endpoint)?)
                    .bearer_auth(answer.access_token.expose_secret());
                let info: UserInfo = self.json(request, "user info").await?;
                Ok(identity.with(info)?)
            }
            _ => Ok(identity),
        }
    }

    async fn exchange(
        &self,
        registration: &Registration<'_>,
        provider: &Provider,
        attempt: &Attempt,
        code: &str,
    ) -> Result<Answer, OidcError> {
        let secret = registration.client_secret.expose_secret();
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", registration.redirect_uri),
            ("code_verifier", &attempt.verifier),
        ];
        let mut request = self.http.post(self.checked(&provider.token_endpoint)?);
        if provider.takes_basic() {
            // RFC 6749, section 2.3.1: both are form-encoded first.
            let coded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
            request = request.basic_auth(coded(registration.client_id), Some(coded(secret)));
        } else {
            form.extend([("client_id", registration.client_id), ("client_secret", secret)]);
        }
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(body);
        self.json(request, "token endpoint").await
    }

    /// What is known of a provider, asked when it is not or no longer.
    async fn provider(&self, issuer: &str) -> Result<Arc<Kept>, OidcError> {
        let known = self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(issuer).cloned();
        if let Some(kept) = known.filter(|kept| kept.read.elapsed() < KEPT) {
            return Ok(kept);
        }
        let kept = Arc::new(Kept {
            read: Instant::now(),
            provider: self.discover(issuer).await?,
            keys: tokio::sync::Mutex::default(),
        });
        let mut all = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= PROVIDERS_MAX {
            all.clear();
        }
        all.insert(issuer.to_owned(), kept.clone());
        Ok(kept)
    }

    /// The keys of a provider, not older than `age`; many who ask at once make one request.
    async fn keys(&self, kept: &Kept, age: Duration) -> Result<Arc<Keys>, OidcError> {
        let mut held = kept.keys.lock().await;
        if let Some((_, keys)) = held.as_ref().filter(|(read, _)| read.elapsed() < age) {
            return Ok(keys.clone());
        }
        let request = self.http.get(self.checked(&kept.provider.jwks_uri)?);
        let keys = Arc::new(self.json::<Keys>(request, "keys").await?);
        *held = Some((Instant::now(), keys.clone()));
        Ok(keys)
    }

    fn checked(&self, address: &str) -> Result<Url, OidcError> {
        Ok(checked_url(address, self.options.allow_private_networks)?)
    }

    async fn json<T: serde::de::DeserializeOwned>(&self, request: reqwest::RequestBuilder, what: &'static str) -> Result<T, OidcError> {
        let request = request.header("accept", "application/json");
        let mut answer = request.send().await.map_err(|error| unreachable(&error))?;
        if !answer.status().is_success() {
            return Err(OidcError::Answered(answer.status().as_u16(), what));
        }
        let mut body = Vec::new();
        while let Some(part) = answer.chunk().await.map_err(|error| unreachable(&error))? {
            if body.len() + part.len() > ANSWER_BYTES {
                return Err(OidcError::Unreadable(what));
            }
            body.extend_from_slice(&part);
        }
        serde_json::from_slice(&body).map_err(|_| OidcError::Unreadable(what))
    }
}

/// The innermost cause; it has no address in it.
fn unreachable(error: &reqwest::Error) -> OidcError {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    let mut last = String::new();
    while let Some(inner) = cause {
        if let Some(blocked) = inner.downcast_ref::<BlockedAddress>() {
            return OidcError::Blocked(blocked.clone());
        }
        last = inner.to_string();
        cause = inner.source();
    }
    OidcError::Unreachable(last)
}

//! `/v1/tokens`: access tokens that are good for minutes, and refresh tokens that new ones are got with; and the keys that verify them.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, get, post, web};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::form::{json, moment};
use crate::configure::refused;
use crate::error::{Problem, Written};
use crate::identity::access_token::{self, PUBLISHED_SECONDS};
use crate::identity::grant::{self, Granted};
use crate::identity::session::now;
use crate::state::AppState;

/// What tokens are asked for with.
#[derive(Deserialize, ToSchema)]
#[serde(tag = "grant_type", rename_all = "snake_case", deny_unknown_fields)]
pub enum TokenDraft {
    /// A person's password, and the code of their app where there is one.
    Password {
        /// Address.
        email: String,
        /// Password.
        #[schema(value_type = String)]
        password: SecretString,
        /// Code of the authenticator app, or a recovery code.
        #[serde(default)]
        code: Option<String>,
    },
    /// An API key.
    ApiKey {
        /// The key.
        #[schema(value_type = String)]
        api_key: SecretString,
    },
}

/// A refresh token.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RefreshDraft {
    /// The newest one of its session.
    #[schema(value_type = String)]
    pub refresh_token: SecretString,
}

/// Tokens; each is shown this once.
#[derive(Debug, Serialize, ToSchema)]
pub struct TokensForm {
    /// Always `tokens`.
    pub object: &'static str,
    /// Send it with every request: `Authorization: Bearer ...`. A JWT (RFC 9068) signed with Ed25519.
    pub access_token: String,
    /// Always `Bearer`.
    pub token_type: &'static str,
    /// Seconds that the access token is taken.
    pub expires_in: i64,
    /// Gets the next tokens, once; null for an API key, which can be shown again.
    pub refresh_token: Option<String>,
    /// When one has to sign in again in any case.
    pub refresh_expires_at: Option<String>,
    /// The session among the devices of the person; ending it ends these tokens.
    pub session_id: Option<String>,
}

/// Public keys of access tokens (RFC 7517).
#[derive(Debug, Serialize, ToSchema)]
pub struct Keys {
    /// Keys of Ed25519 (RFC 8037), the newest first: those that sign, will sign, and have signed what is still taken.
    pub keys: Vec<PublicKey>,
}

/// A public key.
#[derive(Debug, Serialize, ToSchema)]
pub struct PublicKey {
    /// Always `OKP`.
    pub kty: &'static str,
    /// Always `Ed25519`.
    pub crv: &'static str,
    /// Always `EdDSA`.
    pub alg: &'static str,
    /// Always `sig`.
    #[serde(rename = "use")]
    pub purpose: &'static str,
    /// Its name in the header of tokens.
    pub kid: String,
    /// The key, in URL-safe base64.
    pub x: String,
}

/// Gives tokens for a password with its code, or for an API key. They may do what their person or key may do at the moment they are used.
#[utoipa::path(tag = "tokens", operation_id = "createTokens", request_body = TokenDraft, security(()),
    responses((status = 201, description = "Tokens", body = TokensForm),
    (status = 401, description = "Not accepted, or the code is missing (`mfa_required`)", body = Written),
    (status = 403, description = "A second factor has to be set up first", body = Written),
    (status = 422, description = "A field that cannot be", body = Written), (status = 429, description = "Too many wrong tries", body = Written)))]
#[post("/v1/tokens")]
pub async fn create(request: HttpRequest, state: web::Data<AppState>, body: web::Bytes) -> Result<HttpResponse, Problem> {
    let granted = match json::<TokenDraft>(&body)? {
        TokenDraft::Password { email, password, code } => {
            let code = code.as_deref().filter(|code| !code.trim().is_empty());
            grant::for_password(&state, &request, (&email, password), code).await?
        }
        TokenDraft::ApiKey { api_key } => grant::for_key(&state, &request, &api_key).await?,
    };
    Ok(HttpResponse::Created().json(TokensForm::of(granted)))
}

/// Gives new tokens for a refresh token, which is not taken again. One that comes a second time ends its session, because a copy of it is in
/// other hands; only within ten seconds, and while its successor was not used, it gets the same successor again.
#[utoipa::path(tag = "tokens", operation_id = "refreshTokens", request_body = RefreshDraft, security(()),
    responses((status = 200, description = "Tokens", body = TokensForm), (status = 401, description = "Not accepted", body = Written),
    (status = 403, description = "A second factor has to be set up first, or another site asks", body = Written),
    (status = 422, description = "A field that cannot be", body = Written)))]
#[post("/v1/tokens/refresh")]
pub async fn refresh(request: HttpRequest, state: web::Data<AppState>, body: web::Bytes) -> Result<HttpResponse, Problem> {
    let draft: RefreshDraft = json(&body)?;
    let granted = grant::for_refresh(&state, &request, &draft.refresh_token).await?;
    Ok(HttpResponse::Ok().json(TokensForm::of(granted)))
}

/// Ends the session of a refresh token, with its access tokens; of one that is unknown nothing is said.
#[utoipa::path(tag = "tokens", operation_id = "revokeTokens", request_body = RefreshDraft, security(()),
    responses((status = 204, description = "It is not taken any more"), (status = 401, description = "Never", body = Written),
    (status = 422, description = "A field that cannot be", body = Written)))]
#[post("/v1/tokens/revoke")]
pub async fn revoke(request: HttpRequest, state: web::Data<AppState>, body: web::Bytes) -> Result<HttpResponse, Problem> {
    let draft: RefreshDraft = json(&body)?;
    grant::revoke(&state, &request, &draft.refresh_token).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// The public keys that access tokens are verified with. May be kept for five minutes; a new key is here for ten before it signs.
#[utoipa::path(tag = "tokens", operation_id = "getTokenKeys", security(()),
    responses((status = 200, description = "Keys", body = Keys), (status = 401, description = "Never", body = Written)))]
#[get("/.well-known/jwks.json")]
pub async fn keys(state: web::Data<AppState>) -> Result<HttpResponse, Problem> {
    let found = access_token::published(&state).await;
    let published = found.map_err(|error| refused("read the keys of access tokens", error))?;
    Ok(HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, format!("public, max-age={PUBLISHED_SECONDS}")))
        .json(Keys { keys: published }))
}

impl TokensForm {
    fn of(granted: Granted) -> TokensForm {
        let session = granted.refresh.as_ref();
        TokensForm {
            object: "tokens",
            access_token: granted.access.token,
            token_type: "Bearer",
            expires_in: (granted.access.expires_at.0 - now().0).max(0) / 1_000,
            refresh_token: session.map(|session| session.token.expose_secret().to_owned()),
            refresh_expires_at: session.and_then(|session| moment(session.expires_at)),
            session_id: session.map(|session| session.session.to_string()),
        }
    }
}

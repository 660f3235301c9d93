//! What providers answer.

use jsonwebtoken::jwk::Jwk;
use secrecy::SecretString;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::OidcError;

/// The discovery document, as far as it is of use here.
#[derive(Debug, Clone, Deserialize)]
pub struct Provider {
    /// Who it is: part of every token.
    pub issuer: String,
    /// Where browsers sign in.
    pub authorization_endpoint: String,
    /// Where a code becomes a token.
    pub token_endpoint: String,
    /// Where its public keys are.
    pub jwks_uri: String,
    /// Where the address of a person is told.
    #[serde(default)]
    pub userinfo_endpoint: Option<String>,
    #[serde(default)]
    response_types_supported: Option<Vec<String>>,
    #[serde(default)]
    code_challenge_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
}

impl Provider {
    /// Refuses one that says it cannot do what is needed. What it says nothing of is tried.
    pub(super) fn check(&self) -> Result<(), OidcError> {
        let lacks = |offered: &Option<Vec<String>>, wanted: &[&str]| {
            let offered = offered.as_ref();
            offered.is_some_and(|offered| !offered.iter().any(|word| wanted.contains(&word.as_str())))
        };
        if lacks(&self.response_types_supported, &["code"]) {
            return Err(OidcError::Lacks("the authorization code flow"));
        }
        if lacks(&self.code_challenge_methods_supported, &["S256"]) {
            return Err(OidcError::Lacks("PKCE with S256"));
        }
        if lacks(
            &self.token_endpoint_auth_methods_supported,
            &["client_secret_basic", "client_secret_post"],
        ) {
            return Err(OidcError::Lacks("a client secret"));
        }
        Ok(())
    }

    /// Whether the client's secret goes in a header; what the standard has when nothing is said.
    pub(super) fn takes_basic(&self) -> bool {
        let offered = self.token_endpoint_auth_methods_supported.as_ref();
        offered.is_none_or(|offered| offered.iter().any(|word| word == "client_secret_basic"))
    }

    /// Every address that is called, or that browsers are sent to.
    pub(super) fn addresses(&self) -> impl Iterator<Item = &str> {
        let all = [&self.authorization_endpoint, &self.token_endpoint, &self.jwks_uri];
        all.into_iter().chain(&self.userinfo_endpoint).map(String::as_str)
    }
}

/// Public keys of a provider.
#[derive(Debug, Clone, Deserialize)]
pub struct Keys {
    /// All of them; kinds that we cannot use are passed over.
    #[serde(deserialize_with = "readable")]
    pub keys: Vec<Jwk>,
}

fn readable<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Jwk>, D::Error> {
    let all = Vec::<Value>::deserialize(deserializer)?;
    Ok(all.into_iter().filter_map(|key| serde_json::from_value(key).ok()).collect())
}

/// What a code becomes.
#[derive(Debug, Deserialize)]
pub struct Answer {
    /// Who it is.
    pub id_token: SecretString,
    /// Opens the user info.
    pub access_token: SecretString,
}

/// What the user info says.
#[derive(Debug, Deserialize)]
pub struct UserInfo {
    /// The same subject as the token's.
    pub sub: String,
    /// Address.
    #[serde(default)]
    pub email: Option<String>,
    /// Whether the provider has made sure of it.
    #[serde(default, deserialize_with = "truth")]
    pub email_verified: bool,
    /// Name.
    #[serde(default)]
    pub name: Option<String>,
}

/// True, or the text "true", which some providers write; everything else is not.
pub fn truth<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    let value = Value::deserialize(deserializer)?;
    Ok(value == Value::Bool(true) || value.as_str() == Some("true"))
}

//! Whether a token proves who somebody is (OpenID Connect Core 1.0, section 3.1.3.7).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::jwk::{Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, Validation, decode, decode_header};
use ring::digest::{SHA256, SHA384, SHA512, digest};
use serde::Deserialize;

use super::provider::{Keys, UserInfo, truth};

/// How far the provider's clock may be from ours, in seconds.
const SKEW: i64 = 60;

/// Why a token proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Not a token, or signed in a way that proves nothing.
    #[error("the token is malformed or not signed by a public key")]
    Malformed,
    /// Its key is not among the provider's.
    #[error("the token names a key that the provider does not have")]
    UnknownKey,
    /// Changed, or signed by somebody else.
    #[error("the token's signature does not hold")]
    Signature,
    /// From another provider.
    #[error("the token is from another issuer")]
    Issuer,
    /// For somebody else than us.
    #[error("the token is for another client")]
    Audience,
    /// Too old, or made before the sign-in was begun, or in the future.
    #[error("the token's times do not fit; look at the clocks of both machines")]
    Times,
    /// Of another sign-in.
    #[error("the token belongs to another sign-in")]
    Nonce,
    /// Not of the access token that came with it.
    #[error("the token does not belong to the access token it came with")]
    AccessToken,
    /// The user info is of somebody else.
    #[error("the user info is of another person than the token")]
    OtherPerson,
}

/// Who somebody is, as their provider says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Their name for ever at this provider.
    pub subject: String,
    /// Address, if told.
    pub email: Option<String>,
    /// The provider has made sure of the address.
    pub email_verified: bool,
    /// Name, if told.
    pub name: Option<String>,
}

impl Identity {
    /// With what the user info adds.
    pub(super) fn with(self, info: UserInfo) -> Result<Identity, Refused> {
        if info.sub != self.subject {
            return Err(Refused::OtherPerson);
        }
        Ok(Identity {
            email: info.email,
            email_verified: info.email_verified,
            name: self.name.or(info.name),
            subject: self.subject,
        })
    }
}

/// What a token has to say.
pub(super) struct Expected<'a> {
    pub issuer: &'a str,
    pub client_id: &'a str,
    pub nonce: &'a str,
    pub access_token: &'a str,
    pub begun: i64,
    pub now: i64,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    exp: i64,
    iat: i64,
    #[serde(default)]
    nbf: Option<i64>,
    #[serde(default)]
    nonce: Option<String>,
    #[serde(default)]
    azp: Option<String>,
    #[serde(default)]
    at_hash: Option<String>,
    #[serde(default)]
    email: Option<String>,
    #[serde(default, deserialize_with = "truth")]
    email_verified: bool,
    #[serde(default)]
    name: Option<String>,
}

/// Who a token says somebody is.
pub(super) fn verify(token: &str, keys: &Keys, expected: &Expected<'_>) -> Result<Identity, Refused> {
    let header = decode_header(token).map_err(|_| Refused::Malformed)?;
    if header.alg.family() == AlgorithmFamily::Hmac || header.crit.is_some() {
        return Err(Refused::Malformed);
    }
    let key = key_of(keys, header.kid.as_deref(), header.alg).ok_or(Refused::UnknownKey)?;
    let key = DecodingKey::from_jwk(key).map_err(|_| Refused::UnknownKey)?;
    let mut validation = Validation::new(header.alg);
    // Looked at below, by the moment we were told and with a reason of their own.
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    let claims = match decode::<Claims>(token, &key, &validation) {
        Ok(token) => token.claims,
        Err(error) => {
            return Err(match error.kind() {
                ErrorKind::InvalidSignature => Refused::Signature,
                _ => Refused::Malformed,
            });
        }
    };
    check(&claims, header.alg, expected)?;
    Ok(Identity {
        subject: claims.sub,
        email: claims.email,
        email_verified: claims.email_verified,
        name: claims.name,
    })
}

fn check(claims: &Claims, algorithm: Algorithm, expected: &Expected<'_>) -> Result<(), Refused> {
    if claims.iss != expected.issuer {
        return Err(Refused::Issuer);
    }
    let audience = match &claims.aud {
        Audience::One(one) => std::slice::from_ref(one),
        Audience::Many(many) => many.as_slice(),
    };
    let ours = audience.iter().any(|audience| audience == expected.client_id);
    let party = match &claims.azp {
        Some(party) => party == expected.client_id,
        // For several, one has to be named as the one it was made for.
        None => audience.len() == 1,
    };
    if !ours || !party {
        return Err(Refused::Audience);
    }
    let early = |at: i64| at > expected.now + SKEW;
    if claims.exp <= expected.now - SKEW || early(claims.iat) || claims.nbf.is_some_and(early) || claims.iat < expected.begun - SKEW {
        return Err(Refused::Times);
    }
    if claims.nonce.as_deref() != Some(expected.nonce) {
        return Err(Refused::Nonce);
    }
    if claims.sub.is_empty() || claims.sub.len() > 255 {
        return Err(Refused::Malformed);
    }
    match &claims.at_hash {
        Some(hash) if *hash != half_hash(algorithm, expected.access_token) => Err(Refused::AccessToken),
        _ => Ok(()),
    }
}

/// The key that a token names; without a name, the only one that fits.
fn key_of<'a>(keys: &'a Keys, id: Option<&str>, algorithm: Algorithm) -> Option<&'a Jwk> {
    let fits = |key: &&Jwk| {
        let signs = key
            .common
            .public_key_use
            .as_ref()
            .is_none_or(|purpose| *purpose == PublicKeyUse::Signature);
        let family = DecodingKey::from_jwk(key).is_ok_and(|decoding| decoding.family() == algorithm.family());
        signs && family
    };
    let mut fitting = keys.keys.iter().filter(fits);
    match id {
        Some(id) => fitting.find(|key| key.common.key_id.as_deref() == Some(id)),
        None => fitting.next().filter(|_| fitting.next().is_none()),
    }
}

/// Core, section 3.1.3.6: the left half of the hash that the token's signature uses.
fn half_hash(algorithm: Algorithm, access_token: &str) -> String {
    let function = match algorithm {
        Algorithm::RS384 | Algorithm::PS384 | Algorithm::ES384 => &SHA384,
        Algorithm::RS512 | Algorithm::PS512 | Algorithm::EdDSA => &SHA512,
        _ => &SHA256,
    };
    let hash = digest(function, access_token.as_bytes());
    URL_SAFE_NO_PAD.encode(&hash.as_ref()[..hash.as_ref().len() / 2])
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{EncodingKey, Header, encode};
    use ring::rand::SystemRandom;
    use ring::signature::{Ed25519KeyPair, KeyPair as _};
    use serde_json::{Value, json};

    use super::*;

    const NOW: i64 = 1_800_000_000;

    struct Signer {
        key: EncodingKey,
        keys: Keys,
    }

    fn signer(id: &str) -> Signer {
        crate::jose::install();
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let pair = Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap();
        let x = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
        let keys = json!({ "keys": [
            { "kty": "OKP", "crv": "Ed25519", "use": "sig", "kid": id, "x": x },
            { "kty": "strange", "kid": "other" },
        ] });
        Signer {
            key: EncodingKey::from_ed_der(document.as_ref()),
            keys: serde_json::from_value(keys).unwrap(),
        }
    }

    fn claims() -> Value {
        json!({
            "iss": "https://id.example", "sub": "s-1", "aud": "trunkline", "exp": NOW + 300, "iat": NOW, "nonce": "n-1",
            "at_hash": half_hash(Algorithm::EdDSA, "at-1"), "email": "ana@acme.example", "email_verified": "true", "name": "Ana",
        })
    }

    fn expected() -> Expected<'static> {
        Expected {
            issuer: "https://id.example",
            client_id: "trunkline",
            nonce: "n-1",
            access_token: "at-1",
            begun: NOW - 20,
            now: NOW,
        }
    }

    fn token(signer: &Signer, id: &str, claims: &Value) -> String {
        let header = Header {
            kid: Some(id.to_owned()),
            ..Header::new(Algorithm::EdDSA)
        };
        encode(&header, claims, &signer.key).unwrap()
    }

    #[test]
    fn a_token_for_us_and_now_tells_who_it_is() {
        let signer = signer("k");
        let found = verify(&token(&signer, "k", &claims()), &signer.keys, &expected()).unwrap();
        assert_eq!((found.subject.as_str(), found.email.as_deref()), ("s-1", Some("ana@acme.example")));
        assert!(found.email_verified);
        let mut many = claims();
        many["aud"] = json!(["trunkline", "other"]);
        many["azp"] = json!("trunkline");
        assert!(verify(&token(&signer, "k", &many), &signer.keys, &expected()).is_ok());
        let plain = encode(&Header::new(Algorithm::EdDSA), &claims(), &signer.key).unwrap();
        assert!(verify(&plain, &signer.keys, &expected()).is_ok(), "one key needs no name");
    }

    #[test]
    fn everything_else_proves_nothing() {
        use Refused::{AccessToken, Audience, Issuer, Malformed, Nonce, Signature, Times, UnknownKey};
        let (ours, stranger) = (signer("k"), signer("k"));
        for (name, value, why) in [
            ("iss", json!("https://evil.example"), Issuer),
            ("iss", json!("https://id.example/"), Issuer),
            ("aud", json!("other"), Audience),
            ("aud", json!(["other"]), Audience),
            ("aud", json!(["trunkline", "other"]), Audience),
            ("aud", json!([]), Audience),
            ("azp", json!("other"), Audience),
            ("exp", json!(NOW - 60), Times),
            ("exp", json!("soon"), Malformed),
            ("iat", json!(NOW + 61), Times),
            ("iat", json!(NOW - 81), Times),
            ("nbf", json!(NOW + 61), Times),
            ("nonce", json!("n-2"), Nonce),
            ("nonce", Value::Null, Nonce),
            ("at_hash", json!(half_hash(Algorithm::EdDSA, "at-2")), AccessToken),
            ("sub", json!(""), Malformed),
        ] {
            let mut changed = claims();
            changed[name] = value;
            let found = verify(&token(&ours, "k", &changed), &ours.keys, &expected());
            assert_eq!(found, Err(why), "{name} {}", changed[name]);
        }
        for name in ["iss", "aud", "exp", "iat", "sub"] {
            let mut less = claims();
            less.as_object_mut().unwrap().remove(name);
            assert_eq!(
                verify(&token(&ours, "k", &less), &ours.keys, &expected()),
                Err(Malformed),
                "no {name}"
            );
        }
        let good = token(&ours, "k", &claims());
        assert_eq!(verify(&good, &stranger.keys, &expected()), Err(Signature));
        assert_eq!(verify(&token(&ours, "l", &claims()), &ours.keys, &expected()), Err(UnknownKey));
        let parts: Vec<&str> = good.split('.').collect();
        let mut other = claims();
        other["email"] = json!("boss@acme.example");
        let changed = format!("{}.{}.{}", parts[0], URL_SAFE_NO_PAD.encode(other.to_string()), parts[2]);
        assert_eq!(verify(&changed, &ours.keys, &expected()), Err(Signature));
        for algorithm in ["none", "HS256"] {
            let header = URL_SAFE_NO_PAD.encode(json!({ "alg": algorithm, "kid": "k" }).to_string());
            let token = format!("{header}.{}.{}", parts[1], parts[2]);
            assert_eq!(verify(&token, &ours.keys, &expected()), Err(Malformed), "{algorithm}");
        }
        for text in ["", "..", "a.b.c", parts[0]] {
            assert_eq!(verify(text, &ours.keys, &expected()), Err(Malformed), "{text}");
        }
    }

    #[test]
    fn the_user_info_of_somebody_else_adds_nothing() {
        let signer = signer("k");
        let mut bare = claims();
        bare.as_object_mut().unwrap().remove("email");
        let found = verify(&token(&signer, "k", &bare), &signer.keys, &expected()).unwrap();
        let info =
            |sub: &str| serde_json::from_value::<UserInfo>(json!({ "sub": sub, "email": "a@b.example", "email_verified": 1 })).unwrap();
        assert_eq!(found.clone().with(info("s-2")), Err(Refused::OtherPerson));
        let with = found.with(info("s-1")).unwrap();
        assert_eq!((with.email.as_deref(), with.email_verified), (Some("a@b.example"), false));
    }
}

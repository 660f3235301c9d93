//! The cryptography of JSON Web Tokens (RFC 7515, RFC 7518, RFC 8037), by ring like everything else here: the library that reads and writes
//! tokens brings none of its own.
//!
//! We sign with Ed25519 only. Signatures of others are checked when they are made with a public key; there is nothing here that takes a
//! shared secret, so a token that names HMAC is refused whatever key it is checked with (S-104).

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{ErrorKind, Result};
use jsonwebtoken::jwk::{EllipticCurve, ThumbprintHash};
use jsonwebtoken::signature::{Error as SignatureError, Signer, Verifier};
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind, EncodingKey};
use ring::signature::{
    self as ring_signature, ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, Ed25519KeyPair, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512,
    RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: signer,
    verifier_factory: verifier,
    key_utils: KeyUtils {
        rsa_pub_components_from_private_key: |_| Err(ErrorKind::UnsupportedAlgorithm.into()),
        rsa_pub_components_from_public_key: |_| Err(ErrorKind::UnsupportedAlgorithm.into()),
        ec_pub_components_from_private_key: |_, _| Err(ErrorKind::UnsupportedAlgorithm.into()),
        ed_pub_components_from_private_key: no_component,
        compute_digest: no_digest,
    },
};

/// Makes the library work with ring; to be called before the first token is read or written. Calling it again changes nothing.
pub fn install() {
    // The only error is that it is there already.
    let _ = PROVIDER.install_default();
}

fn no_component(_: &[u8], _: &EllipticCurve) -> Result<Vec<u8>> {
    Err(ErrorKind::UnsupportedAlgorithm.into())
}

fn no_digest(_: &[u8], _: ThumbprintHash) -> Result<Vec<u8>> {
    Err(ErrorKind::UnsupportedAlgorithm.into())
}

struct Ed25519Signer(Ed25519KeyPair);

impl Signer<Vec<u8>> for Ed25519Signer {
    fn try_sign(&self, message: &[u8]) -> std::result::Result<Vec<u8>, SignatureError> {
        Ok(self.0.sign(message).as_ref().to_vec())
    }
}

impl JwtSigner for Ed25519Signer {
    fn algorithm(&self) -> Algorithm {
        Algorithm::EdDSA
    }
}

fn signer(algorithm: &Algorithm, key: &EncodingKey) -> Result<Box<dyn JwtSigner>> {
    if *algorithm != Algorithm::EdDSA || key.family() != algorithm.family() {
        return Err(ErrorKind::UnsupportedAlgorithm.into());
    }
    let pair = Ed25519KeyPair::from_pkcs8(key.as_bytes()).map_err(|_| ErrorKind::InvalidEddsaKey)?;
    Ok(Box::new(Ed25519Signer(pair)))
}

/// How a signature is checked.
enum Check {
    /// By the bytes of a public key.
    Plain(&'static dyn VerificationAlgorithm),
    /// By modulus and exponent.
    Rsa(&'static RsaParameters),
}

struct RingVerifier {
    algorithm: Algorithm,
    check: Check,
    key: DecodingKey,
}

impl Verifier<Vec<u8>> for RingVerifier {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> std::result::Result<(), SignatureError> {
        let checked = match (&self.check, self.key.kind()) {
            (Check::Plain(algorithm), DecodingKeyKind::SecretOrDer(key)) => {
                UnparsedPublicKey::new(*algorithm, key).verify(message, signature)
            }
            (Check::Rsa(parameters), DecodingKeyKind::RsaModulusExponent { n, e }) => {
                RsaPublicKeyComponents { n, e }.verify(parameters, message, signature)
            }
            _ => Err(ring::error::Unspecified),
        };
        checked.map_err(|ring::error::Unspecified| SignatureError::new())
    }
}

impl JwtVerifier for RingVerifier {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>> {
    let rsa = |parameters: &'static ring_signature::RsaParameters| Check::Rsa(parameters);
    let check = match algorithm {
        Algorithm::EdDSA => Check::Plain(&ED25519),
        Algorithm::ES256 => Check::Plain(&ECDSA_P256_SHA256_FIXED),
        Algorithm::ES384 => Check::Plain(&ECDSA_P384_SHA384_FIXED),
        Algorithm::RS256 => rsa(&RSA_PKCS1_2048_8192_SHA256),
        Algorithm::RS384 => rsa(&RSA_PKCS1_2048_8192_SHA384),
        Algorithm::RS512 => rsa(&RSA_PKCS1_2048_8192_SHA512),
        Algorithm::PS256 => rsa(&RSA_PSS_2048_8192_SHA256),
        Algorithm::PS384 => rsa(&RSA_PSS_2048_8192_SHA384),
        Algorithm::PS512 => rsa(&RSA_PSS_2048_8192_SHA512),
        _ => return Err(ErrorKind::UnsupportedAlgorithm.into()),
    };
    if key.family() != algorithm.family() {
        return Err(ErrorKind::InvalidKeyFormat.into());
    }
    Ok(Box::new(RingVerifier {
        algorithm: *algorithm,
        check,
        key: key.clone(),
    }))
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{Header, Validation, decode, encode};
    use ring::rand::SystemRandom;
    use ring::signature::KeyPair as _;
    use serde_json::{Value, json};

    use super::*;

    fn pair() -> (EncodingKey, Vec<u8>) {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let public = Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap();
        (EncodingKey::from_ed_der(document.as_ref()), public.public_key().as_ref().to_vec())
    }

    #[test]
    fn s104_only_the_own_key_and_the_own_algorithm_verify() {
        install();
        install();
        let (key, public) = pair();
        let claims = json!({ "exp": jsonwebtoken::get_current_timestamp() + 60, "a": 1 });
        let token = encode(&Header::new(Algorithm::EdDSA), &claims, &key).unwrap();
        let reads = |token: &str, key: &DecodingKey, algorithm| decode::<Value>(token, key, &Validation::new(algorithm));
        assert_eq!(
            reads(&token, &DecodingKey::from_ed_der(&public), Algorithm::EdDSA).unwrap().claims,
            claims
        );
        assert!(
            reads(&token, &DecodingKey::from_ed_der(&pair().1), Algorithm::EdDSA).is_err(),
            "another key"
        );
        assert!(
            reads(&token, &DecodingKey::from_ec_der(&public), Algorithm::EdDSA).is_err(),
            "a key of another family"
        );
        // The public key, which everybody has, as the secret of an HMAC.
        let secret = DecodingKey::from_secret(&public).unwrap();
        for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
            assert!(reads(&token, &secret, algorithm).is_err());
            assert!(encode(&Header::new(algorithm), &claims, &EncodingKey::from_secret(&public).unwrap()).is_err());
        }
        let changed = format!("{}{}", &token[..token.len() - 2], if token.ends_with("AA") { "BA" } else { "AA" });
        assert!(reads(&changed, &DecodingKey::from_ed_der(&public), Algorithm::EdDSA).is_err());
    }

    /// RFC 8037, appendix A.4: the signature of another implementation.
    #[test]
    fn the_signature_of_the_rfc_verifies() {
        install();
        let key = DecodingKey::from_ed_components("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo").unwrap();
        let verifier = verifier(&Algorithm::EdDSA, &key).unwrap();
        let message = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
        let signature = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
        let bytes = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, signature).unwrap();
        assert!(verifier.verify(message, &bytes).is_ok());
        assert!(verifier.verify(b"something else", &bytes).is_err());
    }
}

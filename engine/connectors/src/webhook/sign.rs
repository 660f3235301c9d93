//! Signs as Standard Webhooks 1.0.0 says: HMAC-SHA256 of `id.timestamp.body`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

/// What secrets begin with.
const PREFIX: &str = "whsec_";
/// Bytes of a secret that we make.
pub const SECRET_BYTES: usize = 32;

/// The secret of an endpoint is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the secret of the endpoint is not of the form whsec_ and 24 to 64 bytes in base64")]
pub struct UnreadableSecret;

/// What deliveries to an endpoint are signed with.
pub struct Secret(Vec<u8>);

impl Secret {
    /// The written form of these random bytes.
    pub fn written(bytes: [u8; SECRET_BYTES]) -> SecretString {
        SecretString::from(format!("{PREFIX}{}", STANDARD.encode(bytes)))
    }

    /// Reads the written form.
    pub fn parse(text: &SecretString) -> Result<Secret, UnreadableSecret> {
        let coded = text.expose_secret().strip_prefix(PREFIX).ok_or(UnreadableSecret)?;
        let bytes = STANDARD.decode(coded).map_err(|_| UnreadableSecret)?;
        if (24..=64).contains(&bytes.len()) {
            Ok(Secret(bytes))
        } else {
            Err(UnreadableSecret)
        }
    }

    /// The value of `webhook-signature`.
    pub fn sign(&self, id: &str, timestamp: i64, body: &str) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("a key of any length is taken");
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body.as_bytes());
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_signs_as_the_published_example_of_standard_webhooks() {
        let secret = Secret::parse(&SecretString::from("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")).unwrap();
        let signed = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn what_is_written_is_read_and_nothing_shorter() {
        let written = Secret::written([7; SECRET_BYTES]);
        assert_eq!(Secret::parse(&written).unwrap().0, [7; SECRET_BYTES]);
        for wrong in ["", "whsec_", "whsec_AAAA", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_%%%"] {
            assert!(Secret::parse(&SecretString::from(wrong)).is_err(), "{wrong}");
        }
    }
}

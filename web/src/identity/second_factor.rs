//! Authenticator apps (RFC 6238) and recovery codes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use qrcode::render::svg;
use qrcode::{EcLevel, QrCode};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use totp_rs::{Builder, Secret, Totp};
use trunkline_core::instant::Millis;
use trunkline_stores::postgres::row::Hash32;

/// Random bytes of an app's secret: what RFC 4226 recommends.
const SECRET_BYTES: usize = 20;

/// Time steps before and after now whose code is taken as well: clocks of telephones are a few seconds off.
const SKEW_STEPS: u16 = 1;

/// Recovery codes given out at once.
pub const RECOVERY_CODES: usize = 10;

/// Letters and digits of a recovery code, 5 bits each: 80 bits, so that a plain hash of it is not to be undone.
const RECOVERY_CHARS: usize = 16;

/// Crockford's base32: nothing in it looks like something else.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Something that does not happen with our own secrets and names.
#[derive(Debug, thiserror::Error)]
#[error("write a second factor for an app: {0}")]
pub struct Unwritable(String);

/// A new secret for an app, in base32 as people type it.
pub fn fresh() -> SecretString {
    SecretString::from(Secret::from(rand::random::<[u8; SECRET_BYTES]>()).to_base32())
}

/// The time step that a code belongs to, if it fits.
pub fn step_of(secret: &SecretString, code: &str, now: Millis) -> Option<i64> {
    let code: String = code.chars().filter(|c| !c.is_whitespace()).collect();
    let seconds = u64::try_from(now.0).ok()? / 1_000;
    let step = totp(secret, "").ok()?.check(&code, seconds)?;
    i64::try_from(step).ok()
}

/// The picture that an app scans: a square of SVG as a `data:` address.
pub fn picture(secret: &SecretString, account: &str) -> Result<String, Unwritable> {
    let url = totp(secret, account)?.to_url().map_err(|error| Unwritable(error.to_string()))?;
    let code = QrCode::with_error_correction_level(url.as_bytes(), EcLevel::M).map_err(|error| Unwritable(error.to_string()))?;
    let picture = code.render::<svg::Color<'_>>().min_dimensions(240, 240).build();
    Ok(format!("data:image/svg+xml;base64,{}", STANDARD.encode(picture)))
}

/// The secret in groups of four, for those who type it.
pub fn in_groups(secret: &SecretString) -> String {
    in_fours(secret.expose_secret(), " ")
}

fn in_fours(text: &str, between: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    let groups: Vec<String> = letters.chunks(4).map(|group| group.iter().collect()).collect();
    groups.join(between)
}

fn totp(secret: &SecretString, account: &str) -> Result<Totp, Unwritable> {
    let secret = Secret::try_from_base32(secret.expose_secret()).map_err(|error| Unwritable(error.to_string()))?;
    Builder::new()
        .with_secret(secret)
        .with_skew(SKEW_STEPS)
        // A colon would end the issuer's name in the address.
        .with_account_name(account.replace(':', ""))
        .with_issuer(Some("Trunkline"))
        .build()
        .map_err(|error| Unwritable(error.to_string()))
}

/// New recovery codes: as shown once, and the hashes that are kept.
pub fn recovery_codes() -> Vec<(String, Hash32)> {
    let code = |_| {
        let letters = rand::random::<[u8; RECOVERY_CHARS]>().map(|byte| char::from(ALPHABET[usize::from(byte & 31)]));
        let plain: String = letters.iter().collect();
        (in_fours(&plain, "-"), Sha256::digest(plain.as_bytes()).into())
    };
    (0..RECOVERY_CODES).map(code).collect()
}

/// The hash of a recovery code as typed; `None` when it has not the form of one.
pub fn recovery_hash(typed: &str) -> Option<Hash32> {
    let plain: String = typed
        .chars()
        .filter(|c| !c.is_whitespace() && *c != '-')
        .collect::<String>()
        .to_lowercase();
    let ours = plain.len() == RECOVERY_CHARS && plain.bytes().all(|byte| ALPHABET.contains(&byte));
    ours.then(|| Sha256::digest(plain.as_bytes()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238, appendix B: the secret of SHA-1, of which six digits are the last six of the eight printed there.
    const RFC: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

    #[test]
    fn codes_are_those_of_the_rfc() {
        let secret = SecretString::from(RFC.to_owned());
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_234_567_890, "005924"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(step_of(&secret, code, Millis(seconds * 1_000)), Some(seconds / 30), "{seconds}");
            let (front, back) = code.split_at(3);
            assert!(step_of(&secret, &format!("{front} {back}"), Millis(seconds * 1_000)).is_some());
            assert!(
                step_of(&secret, code, Millis((seconds + 29) * 1_000)).is_some(),
                "a clock that is late"
            );
            assert_eq!(step_of(&secret, code, Millis((seconds + 90) * 1_000)), None);
        }
        for wrong in ["", "28708", "2870822", "abcdef", "２８７０８２"] {
            assert_eq!(step_of(&secret, wrong, Millis(59_000)), None, "{wrong}");
        }
    }

    #[test]
    fn every_secret_has_a_picture_and_is_its_own() {
        let (one, other) = (fresh(), fresh());
        assert_ne!(one.expose_secret(), other.expose_secret());
        assert_eq!(one.expose_secret().len(), 32);
        assert_eq!(in_groups(&one).split(' ').count(), 8);
        assert!(picture(&one, "ana:@example.org").unwrap().starts_with("data:image/svg+xml;base64,"));
    }

    #[test]
    fn recovery_codes_differ_and_are_read_as_people_type_them() {
        let codes = recovery_codes();
        assert_eq!(codes.len(), RECOVERY_CODES);
        let (shown, hash) = &codes[0];
        assert_eq!(shown.len(), 19);
        assert_eq!(recovery_hash(&shown.to_uppercase().replace('-', " ")), Some(*hash));
        assert!(codes[1..].iter().all(|(_, other)| other != hash));
        for wrong in ["", "123456", "0000-0000-0000-000", "iiii-iiii-iiii-iiii"] {
            assert_eq!(recovery_hash(wrong), None);
        }
    }
}

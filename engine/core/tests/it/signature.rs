//! Signatures against the vectors that both official SDKs were asked about.

use serde_json::Value;
use trunkline_core::instant::Millis;
use trunkline_core::signature::{Refused, SigningKey, sign, verify};

fn vectors() -> Vec<Value> {
    let file: Value = serde_json::from_str(include_str!("data/signature-vectors.json")).unwrap();
    file["vectors"].as_array().unwrap().clone()
}

fn check(vector: &Value) -> Result<usize, Refused> {
    let text = |name: &str| vector[name].as_str().unwrap();
    verify(
        &[text("header").as_bytes()],
        text("body").as_bytes(),
        &[SigningKey::from(text("key"))],
        Millis(vector["now_ms"].as_i64().unwrap()),
    )
}

#[test]
fn a3_all_vectors_are_judged_as_both_sdks_do_and_upper_case_hex_is_taken() {
    let vectors = vectors();
    assert_eq!(vectors.len(), 22);
    for vector in &vectors {
        let name = vector["name"].as_str().unwrap();
        let sdks = [vector["python_sdk_verify"] == true, vector["typescript_sdk_verify"] == true];
        let expected = if name == "digest_uppercase" { true } else { sdks[0] };
        assert!(name == "digest_uppercase" || sdks[0] == sdks[1], "{name}");
        assert_eq!(check(vector).is_ok(), expected, "{name}");
    }
}

#[test]
fn a3_the_reason_of_a_refusal_is_told_apart_for_counters() {
    let reason = |name: &str| check(vectors().iter().find(|vector| vector["name"] == name).unwrap()).unwrap_err();
    assert_eq!(reason("expired_by_1ms"), Refused::Expired);
    assert_eq!(reason("future_by_1ms"), Refused::Expired);
    assert_eq!(reason("tampered_body"), Refused::Wrong);
    assert_eq!(reason("plain_hex_only"), Refused::Malformed);
    assert_eq!(verify(&[], b"", &[SigningKey::from("k")], Millis(0)), Err(Refused::Missing));
}

#[test]
fn s129_a3_a_second_header_is_refused_even_when_it_is_equal() {
    let (key, now) = (SigningKey::from("k"), Millis(1_767_225_600_000));
    let header = sign(b"{}", &key, now);
    assert_eq!(verify(&[header.as_bytes()], b"{}", std::slice::from_ref(&key), now), Ok(0));
    assert_eq!(
        verify(&[header.as_bytes(), header.as_bytes()], b"{}", &[key], now),
        Err(Refused::Malformed)
    );
}

#[test]
fn s129_a3_leading_zeros_white_space_and_too_many_digits_are_malformed() {
    let key = SigningKey::from("k");
    let digest = "0".repeat(64);
    for header in [
        format!("v=01767225600000,d={digest}"),
        format!("v=,d={digest}"),
        format!("v=12345678901234567,d={digest}"),
        format!(" v=1767225600000,d={digest}"),
        format!("v=1767225600000,d={digest} "),
        format!("v=-1767225600000,d={digest}"),
        format!("v=1767225600000,d={}g", "0".repeat(63)),
        format!("v=1767225600000,d={digest}0"),
    ] {
        assert_eq!(
            verify(&[header.as_bytes()], b"", std::slice::from_ref(&key), Millis(1_767_225_600_000)),
            Err(Refused::Malformed),
            "{header}"
        );
    }
}

#[test]
fn a3_every_active_key_is_tried_and_the_one_that_fits_is_named() {
    let now = Millis(1_767_225_600_000);
    let keys = [SigningKey::from("old"), SigningKey::from("new")];
    let header = sign(b"body", &keys[1], now);
    assert_eq!(verify(&[header.as_bytes()], b"body", &keys, now), Ok(1));
    assert_eq!(verify(&[header.as_bytes()], b"body", &keys[..1], now), Err(Refused::Wrong));
    assert_eq!(verify(&[header.as_bytes()], b"body", &[], now), Err(Refused::Wrong));
}

#[test]
fn a_signing_key_never_shows_itself() {
    assert!(!format!("{:?}", SigningKey::from("secret-value")).contains("secret"));
}

/// Body and time are signed one behind the other without anything between: digits that wander over the seam give the same text (S-128).
#[test]
fn s128_digits_that_wander_between_body_and_time_gain_nothing() {
    let key = SigningKey::from("key");
    let now = Millis(1_764_000_000_000);
    let body = "{\"a\":12345}";
    let header = sign(body.as_bytes(), &key, now);
    assert!(verify(&[header.as_bytes()], body.as_bytes(), std::slice::from_ref(&key), now).is_ok());
    let digest = header.split("d=").nth(1).unwrap();
    let whole = format!("{body}{}", now.0);
    for seam in 1..whole.len() {
        let (forged, time) = whole.split_at(seam);
        if forged == body || !time.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        let header = format!("v={time},d={digest}");
        let answer = verify(&[header.as_bytes()], forged.as_bytes(), std::slice::from_ref(&key), now);
        assert!(answer.is_err(), "{forged} at {time}");
    }
    // A body that ends in digits is no JSON object, so what a longer time would take from it is nothing that is sent.
    let header = sign(b"{}1", &key, now);
    let digest = header.split("d=").nth(1).unwrap();
    let shifted = format!("v=1{},d={digest}", now.0);
    assert!(verify(&[shifted.as_bytes()], b"{}", &[key], now).is_err());
}

//! Events to send: `transcript_updated` bodies of a wanted size, each of its own call, signed.

use std::fmt::Write;
use std::sync::OnceLock;

use bytes::Bytes;
use trunkline_core::instant::Millis;
use trunkline_core::signature::{SigningKey, sign};

/// Key that signs and verifies in benches.
pub const KEY: &str = "key_bench_7f3a";

/// Sizes of the classes: about what a start event, a short and a long transcript, and a very long one have.
pub const SIZES: [usize; 4] = [700, 2_000, 10_000, 50_000];

/// Milliseconds since the epoch, now.
pub fn clock() -> Millis {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Millis(since.map_or(0, |since| since.as_millis() as i64))
}

/// When the `n`-th call began: one moment in all events of the call, as Retell has it; never a later one than now, which boards would leave out.
fn began(n: usize) -> Millis {
    static FIRST: OnceLock<Millis> = OnceLock::new();
    FIRST.get_or_init(clock).plus(-(n as i64))
}

/// Id of the `n`-th call.
pub fn call_id(n: usize) -> String {
    format!("call_{n:028x}")
}

/// A `call_started` of the `n`-th call.
pub fn started(n: usize) -> Bytes {
    Bytes::from(head("call_started", n, clock()) + "}}")
}

/// The `step`-th `transcript_updated` of the `n`-th call, of about `bytes` bytes; each step says a little more.
pub fn updated(n: usize, step: usize, bytes: usize) -> Bytes {
    let mut body = head("transcript_updated", n, clock());
    speak(&mut body, step, bytes);
    body.push_str("}}");
    Bytes::from(body)
}

/// A `call_ended` of the `n`-th call of about `bytes` bytes, with latency and cost.
pub fn ended(n: usize, bytes: usize) -> Bytes {
    let mut body = head("call_ended", n, clock());
    let end = began(n).0 + 90_000;
    let _ = write!(
        body,
        concat!(
            r#","end_timestamp":{},"duration_ms":90000,"disconnection_reason":"user_hangup","latency":{{"e2e":{{"p50":820,"#,
            r#""values":[790,820,1310],"num":3}}}},"call_cost":{{"combined_cost":12.5,"total_duration_seconds":90}}"#
        ),
        end
    );
    speak(&mut body, 0, bytes);
    body.push_str("}}");
    Bytes::from(body)
}

/// Turns with word times until the body has about `bytes` bytes.
fn speak(body: &mut String, step: usize, bytes: usize) {
    body.push_str(r#","transcript_object":["#);
    let mut words = 0;
    let mut turn = 0;
    loop {
        let role = if turn % 2 == 0 { "agent" } else { "user" };
        if turn > 0 {
            body.push(',');
        }
        // A conversation never says the same amount twice: each update is longer than the one before.
        let said = format!("Thursday at nine{:.<step$}", "");
        let _ = write!(body, r#"{{"role":"{role}","content":"{said}","words":["#);
        for (at, word) in said.split(' ').enumerate() {
            let comma = if at > 0 { "," } else { "" };
            // Milliseconds without needless zeros, as Retell spells them.
            let (start, end) = (f64::from(words * 371) / 1e3, f64::from(words * 371 + 352) / 1e3);
            let _ = write!(body, r#"{comma}{{"word":"{word} ","start":{start},"end":{end}}}"#);
            words += 1;
        }
        body.push_str("]}");
        turn += 1;
        if body.len() >= bytes {
            break;
        }
    }
    body.push(']');
}

fn head(event: &str, n: usize, at: Millis) -> String {
    let (id, ms, start) = (call_id(n), at.0, began(n).0);
    format!(
        concat!(
            r#"{{"event":"{event}","event_timestamp":{ms},"call":{{"call_type":"phone_call","call_id":"{id}","direction":"inbound","#,
            r#""agent_id":"agent_{agent:02}","agent_name":"Reception","agent_version":3,"call_status":"ongoing","#,
            r#""from_number":"+15550100{tail:03}","to_number":"+15550199000","start_timestamp":{start}"#
        ),
        event = event,
        ms = ms,
        start = start,
        id = id,
        agent = n % 20,
        tail = n % 1_000,
    )
}

/// The whole HTTP request that delivers `body`.
pub fn request(path: &str, body: &[u8]) -> Bytes {
    let signature = sign(body, &SigningKey::from(KEY), clock());
    let mut request = format!(
        "POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nX-Retell-Signature: {signature}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(body);
    request.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_json_of_about_the_wanted_size() {
        for size in SIZES {
            for body in [updated(7, 3, size), ended(7, size)] {
                let read: serde_json::Value = serde_json::from_slice(&body).unwrap();
                assert_eq!(read["call"]["call_id"], call_id(7));
                assert!(body.len() >= size && body.len() < size + 400, "{size}: {}", body.len());
            }
        }
    }
}

//! Overwrites credentials before a body leaves the intake (rule A12).

use bytes::{Bytes, BytesMut};

const NAME: &[u8] = b"\"access_token\"";

/// Overwrites each place with `*`; says whether there was any.
pub(super) fn overwrite(body: Bytes, places: &[(usize, usize)]) -> (Bytes, bool) {
    if places.is_empty() {
        return (body, false);
    }
    // The buffer itself when nobody else holds it, else a copy.
    let mut bytes = body.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&shared[..]));
    for (start, end) in places {
        bytes[*start..*end].fill(b'*');
    }
    (bytes.freeze(), true)
}

/// The texts behind every `"access_token":` of a body that is no JSON, up to the closing quote or the end.
pub(super) fn scan(body: &[u8]) -> Vec<(usize, usize)> {
    let mut places = Vec::new();
    let mut from = 0;
    while let Some(found) = memchr::memmem::find(&body[from..], NAME) {
        from += found + NAME.len();
        let Some(start) = text_behind_colon(body, from) else {
            continue;
        };
        let end = closing_quote(body, start);
        if end > start {
            places.push((start, end));
        }
        from = end;
    }
    places
}

fn text_behind_colon(body: &[u8], at: usize) -> Option<usize> {
    let colon = space(body, at);
    if body.get(colon) != Some(&b':') {
        return None;
    }
    let quote = space(body, colon + 1);
    (body.get(quote) == Some(&b'"')).then_some(quote + 1)
}

fn space(body: &[u8], mut at: usize) -> usize {
    while matches!(body.get(at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
        at += 1;
    }
    at
}

fn closing_quote(body: &[u8], mut at: usize) -> usize {
    while let Some(byte) = body.get(at) {
        match byte {
            b'"' => break,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    at.min(body.len())
}

//! A refusal as a ClickHouse server words it: number, text and HTTP status.

use hyper::StatusCode;

/// What went wrong with one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    /// ClickHouse's error number.
    pub code: u32,
    /// `Code: n. DB::Exception: …`.
    pub text: String,
    /// The status it is answered with.
    pub status: StatusCode,
}

impl Fault {
    /// A refusal of the door's own, in the server's wording.
    pub fn new(code: u32, sentence: impl AsRef<str>) -> Fault {
        Fault {
            code,
            text: format!("Code: {code}. DB::Exception: {}.", sentence.as_ref()),
            status: status(code),
        }
    }

    /// What the engine said; it begins with its number.
    pub fn from_engine(text: String) -> Fault {
        let digits = text.find("Code: ").map(|at| &text[at + "Code: ".len()..]).unwrap_or_default();
        let end = digits.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(digits.len());
        // 1002 is ClickHouse's own number for what has none.
        let code = digits[..end].parse().unwrap_or(1002);
        Fault {
            code,
            text,
            status: status(code),
        }
    }
}

/// The status a server gives for an error number (the cases that clients tell apart).
fn status(code: u32) -> StatusCode {
    match code {
        // not understood: bad arguments, types, syntax, too few or many columns, values that do not parse
        6 | 7 | 8 | 20 | 26 | 27 | 33 | 36 | 38 | 41 | 42 | 43 | 53 | 62 | 69 | 70 | 72 | 117 | 456 | 457 => StatusCode::BAD_REQUEST,
        // unknown function, identifier, type, storage, table, database, setting, format
        46 | 47 | 50 | 56 | 60 | 73 | 81 | 115 => StatusCode::NOT_FOUND,
        // wrong credentials, read-only, access denied
        164 | 192 | 193 | 194 | 497 | 516 => StatusCode::FORBIDDEN,
        159 | 160 => StatusCode::REQUEST_TIMEOUT,
        48 => StatusCode::NOT_IMPLEMENTED,
        202 => StatusCode::SERVICE_UNAVAILABLE,
        TOO_LARGE => StatusCode::PAYLOAD_TOO_LARGE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// TOO_MANY_BYTES.
pub(super) const TOO_LARGE: u32 = 307;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engines_number_is_found_wherever_it_stands() {
        let fault = Fault::from_engine("Error: Code: 60. DB::Exception: Unknown table. (UNKNOWN_TABLE)".into());
        assert_eq!((fault.code, fault.status), (60, StatusCode::NOT_FOUND));
        let fault = Fault::from_engine("something else".into());
        assert_eq!((fault.code, fault.status), (1002, StatusCode::INTERNAL_SERVER_ERROR));
    }

    #[test]
    fn our_own_refusals_are_worded_like_the_servers() {
        let fault = Fault::new(164, "no writing here");
        assert_eq!(fault.text, "Code: 164. DB::Exception: no writing here.");
        assert_eq!(fault.status, StatusCode::FORBIDDEN);
    }
}

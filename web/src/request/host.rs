//! Whether a request is for us: by the name it asks for (S-043).

use std::net::IpAddr;

use actix_web::HttpRequest;
use actix_web::http::{Version, header};

use crate::error::{Kind, Problem};
use crate::settings::Settings;

/// Why a request is not for us. With `server.public_url` set, other names than its and `server.other_names` are refused: they are tricks
/// with a name server or with a proxy's cache. Addresses of numbers are taken, since probes ask by them.
pub fn refusal(request: &HttpRequest, settings: Option<&Settings>) -> Option<Problem> {
    let mut values = request.headers().get_all(header::HOST);
    let name = match (values.next(), values.next()) {
        (None, _) if request.version() < Version::HTTP_11 => return None,
        (Some(one), None) => one.to_str().ok().and_then(name_of),
        _ => None,
    };
    let bad = |detail: &str| Some(Problem::new(Kind::BadRequest, detail).closing());
    let Some(name) = name else {
        return bad("The request has to name one host.");
    };
    match settings {
        Some(settings) if !is_ours(&name, settings) => {
            bad("This server is not asked by that name; see server.public_url and server.other_names.")
        }
        _ => None,
    }
}

/// The name in a Host header, in small letters, without its port; `None` for what is no host.
fn name_of(value: &str) -> Option<String> {
    let authority: actix_web::http::uri::Authority = value.parse().ok()?;
    let host = authority.host();
    let plain = !value.contains('@') && !host.is_empty();
    plain.then(|| host.trim_end_matches('.').to_ascii_lowercase())
}

fn is_ours(name: &str, settings: &Settings) -> bool {
    let server = &settings.server;
    if server.public_url.is_empty() || name == "localhost" || name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() {
        return true;
    }
    let public = server.public_url.split_once("://").and_then(|(_, authority)| name_of(authority));
    public.as_deref() == Some(name) || server.other_names.iter().any(|other| other.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s043_a_host_is_read_for_its_name_alone() {
        for (written, name) in [
            ("a.example", Some("a.example")),
            ("A.Example:8080", Some("a.example")),
            ("a.example.", Some("a.example")),
            ("[::1]:80", Some("[::1]")),
            ("user@a.example", None),
            ("a.example/path", None),
            ("a b", None),
            ("", None),
            (":80", None),
        ] {
            assert_eq!(name_of(written).as_deref(), name, "{written}");
        }
    }
}

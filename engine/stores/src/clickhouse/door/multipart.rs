//! Reads `multipart/form-data` bodies: that is how the client sends a statement with parameters.

use super::fault::Fault;

const BAD_ARGUMENTS: u32 = 36;

/// The boundary that a content type names; nothing when it is no form.
pub(super) fn boundary(content_type: &str) -> Option<&str> {
    let mut parts = content_type.split(';').map(str::trim);
    if !parts.next()?.eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    parts
        .find_map(|part| part.strip_prefix("boundary="))
        .map(|boundary| boundary.trim_matches('"'))
        .filter(|boundary| !boundary.is_empty())
}

/// Names and values of all fields, in order.
pub(super) fn fields<'b>(body: &'b [u8], boundary: &str) -> Result<Vec<(&'b str, &'b str)>, Fault> {
    let broken = || Fault::new(BAD_ARGUMENTS, "the form in the body is broken");
    let text = std::str::from_utf8(body).map_err(|_| Fault::new(BAD_ARGUMENTS, "the form in the body is not UTF-8"))?;
    let marker = format!("\r\n--{boundary}");
    let mut rest = text.strip_prefix(&marker[2..]).ok_or_else(broken)?;
    let mut fields = Vec::new();
    while !rest.starts_with("--") {
        let part = rest.strip_prefix("\r\n").ok_or_else(broken)?;
        let (headers, after) = part.split_once("\r\n\r\n").ok_or_else(broken)?;
        let (value, next) = after.split_once(&marker).ok_or_else(broken)?;
        fields.push((name(headers).ok_or_else(broken)?, value));
        rest = next;
    }
    Ok(fields)
}

/// The field's name in its `Content-Disposition` line.
fn name(headers: &str) -> Option<&str> {
    let disposition = headers
        .lines()
        .find(|line| line.to_ascii_lowercase().starts_with("content-disposition:"))?;
    let (_, after) = disposition.split_once("; name=\"")?;
    after.split_once('"').map(|(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_keep_their_bytes_and_their_order() {
        let body = "--b\r\nContent-Disposition: form-data; name=\"query\"\r\n\r\nSELECT\r\n{a:String}\r\n--b\r\n\
                    content-disposition: form-data; name=\"param_a\"\r\nContent-Type: text/plain\r\n\r\n雪 --b\r\n--b--\r\n";
        assert_eq!(
            fields(body.as_bytes(), "b").unwrap(),
            [("query", "SELECT\r\n{a:String}"), ("param_a", "雪 --b")]
        );
    }

    #[test]
    fn a_broken_form_is_refused() {
        for body in [
            "",
            "--b",
            "--b\r\n\r\nx",
            "--b\r\nContent-Disposition: form-data; name=\"q\"\r\n\r\nno end",
            "--c\r\n",
        ] {
            assert!(fields(body.as_bytes(), "b").is_err(), "{body:?}");
        }
        assert!(fields(b"--b\r\n\xff", "b").is_err());
    }

    #[test]
    fn the_boundary_is_found_in_the_content_type() {
        assert_eq!(boundary("multipart/form-data; boundary=x1"), Some("x1"));
        assert_eq!(boundary("Multipart/Form-Data; charset=utf-8; boundary=\"x 1\""), Some("x 1"));
        assert_eq!(boundary("text/plain"), None);
        assert_eq!(boundary("multipart/form-data; boundary="), None);
    }
}

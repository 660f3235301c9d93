//! What a request asks: statement, parameters, settings and data, taken apart from ClickHouse's HTTP form.

use std::borrow::Cow;

use bytes::Bytes;

use super::fault::Fault;
use super::multipart;

/// One thing to run.
#[derive(Debug, Default)]
pub(super) struct Statement {
    /// The statement; of an insert with data, without its `FORMAT`.
    pub sql: String,
    /// The answer's format when the statement names none; of an insert with data, the format of the data.
    pub format: String,
    /// Values of `{name:Type}` in the statement.
    pub parameters: Vec<(String, String)>,
    /// Settings for this statement alone.
    pub settings: Vec<(String, String)>,
    /// Which database unqualified names mean.
    pub database: Option<String>,
    /// Rows to insert, in the order they came.
    pub data: Option<Vec<Bytes>>,
}

/// What the address says, before the body is read.
#[derive(Debug, Default)]
pub(super) struct Address {
    /// `query=`.
    pub query: String,
    /// True when the body is in ClickHouse's compressed blocks.
    pub compressed: bool,
    /// `user=` and `password=`.
    pub user: Option<String>,
    pub password: Option<String>,
    database: Option<String>,
    format: Option<String>,
    parameters: Vec<(String, String)>,
    settings: Vec<(String, String)>,
}

const NOT_IMPLEMENTED: u32 = 48;
const BAD_ARGUMENTS: u32 = 36;

/// Names in the address that steer a server's HTTP handler and mean nothing here.
const IGNORED: [&str; 8] = [
    "buffer_size",
    "wait_end_of_query",
    "query_id",
    "quota_key",
    "client_protocol_version",
    "enable_http_compression",
    "send_progress_in_http_headers",
    "http_write_exception_in_output_format",
];

impl Address {
    /// Reads the address's query string; what the door cannot do is refused here rather than done differently.
    pub fn read(query_string: &str) -> Result<Address, Fault> {
        let mut address = Address::default();
        for (name, value) in form_urlencoded::parse(query_string.as_bytes()) {
            let value = value.into_owned();
            match name.as_ref() {
                "query" => address.query = value,
                "database" => address.database = Some(value).filter(|name| !name.is_empty()),
                "default_format" => address.format = Some(value),
                "user" => address.user = Some(value),
                "password" => address.password = Some(value),
                "decompress" => address.compressed = value == "1",
                "compress" if value == "0" => {}
                "compress" => return Err(Fault::new(NOT_IMPLEMENTED, "this door answers uncompressed: leave out compress=1")),
                "session_id" | "session_timeout" | "session_check" => {
                    return Err(Fault::new(NOT_IMPLEMENTED, "this door keeps no sessions: leave out session_id"));
                }
                "role" => return Err(Fault::new(NOT_IMPLEMENTED, "this door has no roles: leave out role")),
                ignored if IGNORED.contains(&ignored) => {}
                other => match other.strip_prefix("param_") {
                    Some(parameter) => address.parameters.push((parameter.to_owned(), value)),
                    None if is_setting_name(other) => address.settings.push((other.to_owned(), value)),
                    None => return Err(Fault::new(BAD_ARGUMENTS, format!("{other:?} is not the name of a setting"))),
                },
            }
        }
        Ok(address)
    }

    /// True when the body is rows of an insert, which may be far larger than a statement.
    pub fn carries_rows(&self) -> bool {
        insert_format(&self.query).is_some()
    }

    /// Puts address and body together. `content_type` tells a form from plain text.
    pub fn with_body(self, content_type: Option<&str>, header_format: Option<String>, chunks: Vec<Bytes>) -> Result<Statement, Fault> {
        let mut statement = Statement {
            parameters: self.parameters,
            settings: self.settings,
            database: self.database,
            format: self.format.or(header_format).unwrap_or_else(|| "TabSeparated".into()),
            ..Statement::default()
        };
        if let Some((sql, format)) = insert_format(&self.query) {
            if !statement.parameters.is_empty() {
                return Err(Fault::new(NOT_IMPLEMENTED, "this door takes no parameters beside rows to insert"));
            }
            (statement.sql, statement.format) = (sql.to_owned(), format.to_owned());
            statement.data = Some(chunks);
            return Ok(statement);
        }
        let body = joined(&chunks);
        let mut sql = self.query;
        match content_type.and_then(multipart::boundary) {
            Some(boundary) => {
                for (name, value) in multipart::fields(&body, boundary)? {
                    match name.strip_prefix("param_") {
                        Some(parameter) => statement.parameters.push((parameter.to_owned(), value.to_owned())),
                        None if name == "query" => sql.push_str(value),
                        None => return Err(Fault::new(BAD_ARGUMENTS, format!("unexpected form field {name:?}"))),
                    }
                }
            }
            None => {
                let text = std::str::from_utf8(&body).map_err(|_| Fault::new(BAD_ARGUMENTS, "the statement is not UTF-8"))?;
                if !sql.is_empty() && !text.is_empty() {
                    sql.push('\n');
                }
                sql.push_str(text);
            }
        }
        statement.sql = sql;
        Ok(statement)
    }
}

impl Statement {
    /// True for inserts, with data or from a query.
    pub fn inserts(&self) -> bool {
        leading_keyword(&self.sql).eq_ignore_ascii_case("INSERT")
    }

    /// The last value given for a setting.
    pub fn setting(&self, name: &str) -> Option<&str> {
        self.settings
            .iter()
            .rev()
            .find(|(have, _)| have == name)
            .map(|(_, value)| value.as_str())
    }

    /// `SET …` for all settings, or nothing.
    pub fn set(&self) -> Option<String> {
        let list: Vec<String> = self
            .settings
            .iter()
            .map(|(name, value)| format!("{name} = {}", quoted(value, '\'')))
            .collect();
        (!list.is_empty()).then(|| format!("SET {}", list.join(", ")))
    }

    /// `USE …` for the database, or nothing.
    pub fn use_database(&self) -> Option<String> {
        self.database.as_ref().map(|name| format!("USE {}", quoted(name, '`')))
    }
}

/// `text` in quotes, with what ends a quote escaped.
fn quoted(text: &str, quote: char) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push(quote);
    for character in text.chars() {
        if character == quote || character == '\\' {
            out.push('\\');
        }
        out.push(character);
    }
    out.push(quote);
    out
}

fn is_setting_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn joined(chunks: &[Bytes]) -> Cow<'_, [u8]> {
    match chunks {
        [one] => Cow::Borrowed(one),
        many => Cow::Owned(many.concat()),
    }
}

/// `INSERT … FORMAT x` at the very end: the statement before it and `x`. The engine wants them apart, because data written
/// behind the statement fail once they are large and binary.
fn insert_format(sql: &str) -> Option<(&str, &str)> {
    if !leading_keyword(sql).eq_ignore_ascii_case("INSERT") {
        return None;
    }
    let trimmed = sql.trim_end_matches(|c: char| c.is_whitespace() || c == ';');
    let (rest, format) = trimmed.rsplit_once(char::is_whitespace)?;
    let (before, keyword) = rest.trim_end().rsplit_once(|c: char| c.is_whitespace() || c == ')')?;
    let is_name = format.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let keeps = rest.trim_end().len() - keyword.len();
    debug_assert!(keeps > before.len());
    (keyword.eq_ignore_ascii_case("FORMAT") && is_name).then(|| (&sql[..keeps], format))
}

/// The first word behind comments and space.
fn leading_keyword(sql: &str) -> &str {
    let mut rest = sql.trim_start();
    loop {
        let after = if let Some(line) = rest.strip_prefix("--") {
            line.split_once('\n').map_or("", |(_, after)| after)
        } else if let Some(block) = rest.strip_prefix("/*") {
            block.split_once("*/").map_or("", |(_, after)| after)
        } else {
            return rest.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or("");
        };
        rest = after.trim_start();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_insert_with_rows_is_split_from_its_format() {
        for (sql, want) in [
            ("INSERT INTO t(a,b) FORMAT RowBinary", Some(("INSERT INTO t(a,b) ", "RowBinary"))),
            (
                "insert into t (a)format JSONEachRow ;\n",
                Some(("insert into t (a)", "JSONEachRow")),
            ),
            (
                "/* x */ -- y\n INSERT INTO t FORMAT CSV",
                Some(("/* x */ -- y\n INSERT INTO t ", "CSV")),
            ),
            ("INSERT INTO t VALUES (1)", None),
            ("INSERT INTO t SELECT 1", None),
            ("SELECT 1 FORMAT CSV", None),
            ("", None),
        ] {
            assert_eq!(insert_format(sql), want, "{sql}");
        }
    }

    #[test]
    fn s048_settings_and_names_cannot_leave_their_quotes() {
        let address = Address::read("database=a%60b&max_threads=1&insert_deduplication_token=x'%2C%20readonly%3D0%5C").unwrap();
        let statement = address.with_body(None, None, vec![Bytes::from_static(b"SELECT 1")]).unwrap();
        assert_eq!(statement.use_database().unwrap(), r"USE `a\`b`");
        assert_eq!(
            statement.set().unwrap(),
            r"SET max_threads = '1', insert_deduplication_token = 'x\', readonly=0\\'"
        );
    }

    #[test]
    fn what_the_door_cannot_do_is_refused_with_a_sentence() {
        for (query, word) in [
            ("compress=1", "uncompressed"),
            ("session_id=a", "sessions"),
            ("role=r", "roles"),
            ("a%20b=1", "setting"),
        ] {
            let fault = Address::read(query).unwrap_err();
            assert!(fault.text.contains(word), "{}", fault.text);
        }
    }

    #[test]
    fn a_statement_may_come_in_the_address_and_go_on_in_the_body() {
        let address = Address::read("query=SELECT+%7Bx%3AUInt8%7D&param_x=7&default_format=CSV").unwrap();
        let statement = address
            .with_body(None, None, vec![Bytes::from_static(b"FORMAT "), Bytes::from_static(b"TSV")])
            .unwrap();
        assert_eq!(statement.sql, "SELECT {x:UInt8}\nFORMAT TSV");
        assert_eq!(statement.parameters, [("x".to_owned(), "7".to_owned())]);
        assert_eq!(statement.format, "CSV");
        assert!(!statement.inserts());
    }

    #[test]
    fn damaged_requests_are_read_or_refused() {
        let seeds = [
            "query=SELECT+1&database=a\n",
            "query=INSERT+INTO+t+FORMAT+CSV&insert_deduplication_token=x&decompress=1\n1,2",
            "param_x=7&max_threads=1&default_format=TSV&user=u&password=p\nSELECT {x:UInt8} -- y\n FORMAT CSV ;",
            "\n--b\r\nContent-Disposition: form-data; name=\"query\"\r\n\r\nSELECT {a:String}\r\n--b\r\ncontent-disposition: form-data; name=\"param_a\"\r\n\r\nx\r\n--b--\r\n",
            "\n/* x */ insert into t (a)format JSONEachRow ;",
        ];
        let seeds: Vec<Vec<u8>> = seeds.into_iter().map(|seed| seed.as_bytes().to_vec()).collect();
        crate::damage::damage("requests to the engine's door", &seeds, |request| {
            let cut = request.iter().position(|byte| *byte == b'\n').unwrap_or(request.len());
            let (line, body) = request.split_at(cut);
            let body = Bytes::copy_from_slice(body.get(1..).unwrap_or_default());
            for content_type in [None, Some("multipart/form-data; boundary=b")] {
                let Ok(address) = Address::read(&String::from_utf8_lossy(line)) else {
                    return;
                };
                let rows = address.carries_rows();
                if let Ok(statement) = address.with_body(content_type, None, vec![body.clone()]) {
                    assert!(!rows || statement.inserts() || content_type.is_some());
                    if let Some(set) = statement.set() {
                        assert!(set.starts_with("SET "), "{set}");
                    }
                    let _ = (statement.use_database(), statement.setting("max_threads"));
                }
            }
        });
    }
}

//! Fields of files for spreadsheets.

/// A text as a field. One that a spreadsheet would read as a formula gets an apostrophe, since its author may be somebody else (S-073).
pub fn quoted(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    format!("\"{}{}\"", if formula { "'" } else { "" }, text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn s073_nothing_becomes_a_formula() {
        for start in ["=", "+", "-", "@", "\t", "\r"] {
            assert_eq!(quoted(&format!("{start}1")), format!("\"'{start}1\""));
        }
        assert_eq!(quoted("a \"b\""), "\"a \"\"b\"\"\"");
    }
}

//! Numbers, times and money as people read them. The scripts have the same rules in `format.js`; a browser test compares them.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use trunkline_core::instant::Millis;

/// What stands where there is no value: empty is never zero.
pub const DASH: &str = "–";

/// `12,345`.
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A number with this many decimals and grouped thousands.
pub fn decimal(value: f64, decimals: usize) -> String {
    // Halves are rounded up, as browsers do; the formatter alone would round them to even.
    let scale = 10_f64.powi(decimals as i32);
    let text = format!("{:.*}", decimals, (value.abs() * scale).round() / scale);
    let (whole, rest) = text
        .split_once('.')
        .map_or((text.as_str(), None), |(whole, rest)| (whole, Some(rest)));
    let sign = if value < 0.0 && text.chars().any(|c| ('1'..='9').contains(&c)) {
        "−"
    } else {
        ""
    };
    let whole = whole.parse::<u64>().map_or_else(|_| whole.to_owned(), count);
    rest.map_or_else(|| format!("{sign}{whole}"), |rest| format!("{sign}{whole}.{rest}"))
}

/// `0:12`, `14:52`, `1:02:03`.
pub fn duration(ms: i64) -> String {
    let seconds = ms.max(0) / 1000;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes}:{seconds:02}")
    }
}

/// A latency: `0.21 s`, `1.38 s`.
pub fn latency(ms: f64) -> String {
    format!("{} s", decimal(ms / 1000.0, 2))
}

/// Cents of a dollar as `$ 0.61`; three decimals below ten cents, where two would hide half of it.
pub fn money(cents: f64) -> String {
    let dollars = cents / 100.0;
    let decimals = if dollars != 0.0 && dollars.abs() < 0.1 { 3 } else { 2 };
    format!("$ {}", decimal(dollars, decimals))
}

/// Cents with three decimals, for prices of a minute and parts of a cost: `$ 0.109`.
pub fn money_fine(cents: f64) -> String {
    format!("$ {}", decimal(cents / 100.0, 3))
}

/// `14:03:05` in `zone`.
pub fn clock(at: Millis, zone: &TimeZone) -> String {
    strftime(at, zone, "%H:%M:%S")
}

/// `14:03` in `zone`.
pub fn minute(at: Millis, zone: &TimeZone) -> String {
    strftime(at, zone, "%H:%M")
}

/// `Sun 22 Nov 2026` in `zone`.
pub fn day(at: Millis, zone: &TimeZone) -> String {
    strftime(at, zone, "%a %-d %b %Y")
}

/// `2026-11-22 14:03:05 CET` in `zone`.
pub fn full(at: Millis, zone: &TimeZone) -> String {
    strftime(at, zone, "%Y-%m-%d %H:%M:%S %Z")
}

/// For `datetime=`: RFC 3339 in UTC.
pub fn machine(at: Millis) -> String {
    Timestamp::from_millisecond(at.0).map_or_else(|_| String::new(), |t| t.to_string())
}

/// `12 s`, `8 min`, `3 h`, `2 d`: the age of something, one unit.
pub fn age(ms: i64) -> String {
    match ms.max(0) / 1000 {
        s @ 0..=99 => format!("{s} s"),
        s @ 100..=5999 => format!("{} min", s / 60),
        s @ 6000..=172_799 => format!("{} h", s / 3600),
        s => format!("{} d", s / 86_400),
    }
}

/// A number for lists: country or area and the last four digits, the rest masked. Anything short or odd shows nothing of itself.
pub fn masked(number: &str) -> String {
    let digits: String = number.chars().filter(char::is_ascii_digit).collect();
    if digits.len() < 7 {
        return "···".to_owned();
    }
    let last = &digits[digits.len() - 4..];
    if !number.starts_with('+') {
        return format!("··· {last}");
    }
    match digits.as_bytes()[0] {
        b'1' if digits.len() == 11 => format!("+1 {} ··· {last}", &digits[1..4]),
        b'1' | b'7' => format!("+{} ··· {last}", &digits[..1]),
        _ => format!("+{} ··· {last}", &digits[..country_digits(&digits)]),
    }
}

/// A whole number with room between its groups: `+1 555 010 0147`. Others stay as they came.
pub fn number(number: &str) -> String {
    let digits = number
        .strip_prefix("+1")
        .filter(|rest| rest.len() == 10 && rest.bytes().all(|byte| byte.is_ascii_digit()));
    digits.map_or_else(
        || number.to_owned(),
        |rest| format!("+1 {} {} {}", &rest[..3], &rest[3..6], &rest[6..]),
    )
}

/// Two-digit country codes of E.164; every other one that is not 1 or 7 has three digits.
fn country_digits(digits: &str) -> usize {
    const TWO: &str = " 20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 60 61 62 63 64 65 66 81 82 84 86 90 91 92 93 94 95 98 ";
    if TWO.contains(&format!(" {} ", &digits[..2])) { 2 } else { 3 }
}

/// `call_7f0c…a91e`: both ends of a long id.
pub fn short_id(id: &str) -> String {
    let letters: Vec<char> = id.chars().collect();
    if letters.len() <= 18 {
        return id.to_owned();
    }
    format!(
        "{}…{}",
        letters[..9].iter().collect::<String>(),
        letters[letters.len() - 4..].iter().collect::<String>()
    )
}

/// First letters of up to two words.
pub fn initials(name: &str) -> String {
    name.split_whitespace()
        .filter_map(|word| word.chars().next())
        .take(2)
        .flat_map(char::to_uppercase)
        .collect()
}

/// An id inside a path: everything outside the unreserved characters is escaped.
pub fn path_segment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(byte as char);
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn strftime(at: Millis, zone: &TimeZone, form: &str) -> String {
    Timestamp::from_millisecond(at.0).map_or_else(|_| DASH.to_owned(), |t| t.to_zoned(zone.clone()).strftime(form).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_rounded() {
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(decimal(1234.56, 1), "1,234.6");
        assert_eq!(decimal(-0.04, 1), "0.0");
        assert_eq!(decimal(-2.5, 1), "−2.5");
        assert_eq!(money(21_240.0), "$ 212.40");
        assert_eq!(money(4.1), "$ 0.041");
        assert_eq!(money(0.0), "$ 0.00");
    }

    #[test]
    fn durations_have_hours_only_above_one() {
        assert_eq!(duration(12_400), "0:12");
        assert_eq!(duration(892_000), "14:52");
        assert_eq!(duration(3_723_000), "1:02:03");
        assert_eq!(duration(-5), "0:00");
    }

    #[test]
    fn a_number_on_a_list_shows_its_ends_only() {
        assert_eq!(masked("+15550100147"), "+1 555 ··· 0147");
        assert_eq!(masked("+34910000188"), "+34 ··· 0188");
        assert_eq!(masked("+971500000119"), "+971 ··· 0119");
        assert_eq!(masked("sip:someone@example.org"), "···");
        assert_eq!(masked("110"), "···");
    }

    #[test]
    fn a_time_is_shown_in_the_zone_of_the_reader() {
        let berlin = TimeZone::get("Europe/Berlin").expect("the zone database has Berlin");
        assert_eq!(clock(Millis(1_795_352_585_000), &berlin), "14:03:05");
        assert_eq!(machine(Millis(1_795_352_585_000)), "2026-11-22T13:03:05Z");
    }

    #[test]
    fn an_id_in_a_path_survives() {
        assert_eq!(path_segment("call_1/ü"), "call_1%2F%C3%BC");
    }
}

//! Numbers kept as text and read leniently and exactly (rule A6).

use std::cmp::Ordering;

/// A JSON number as spelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Number<'a>(pub &'a str);

/// Exponents beyond this are as good as infinite: no text of ours has that many digits.
const EXPONENT_CAP: i64 = 1 << 32;

/// A number's digits and where its point stands.
struct Decimal<'a> {
    negative: bool,
    whole: &'a [u8],
    fraction: &'a [u8],
    exponent: i64,
}

impl<'a> Decimal<'a> {
    fn of(text: &'a str) -> Decimal<'a> {
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, read_exponent(exponent)),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        Decimal {
            negative,
            whole: whole.as_bytes(),
            fraction: fraction.as_bytes(),
            exponent,
        }
    }

    fn digits(&self) -> impl Iterator<Item = u8> {
        self.whole.iter().chain(self.fraction).map(|digit| digit - b'0')
    }

    /// Magnitude before the point, moved `shift` places to the right, the first digit behind it, and whether anything
    /// else but zeros is behind. `None` when the magnitude is beyond 64 bits.
    fn split(&self, shift: i64) -> Option<(u64, u8, bool)> {
        let point = self.whole.len() as i64 + self.exponent + shift;
        let (mut magnitude, mut next, mut rest) = (0u64, 0u8, false);
        let mut place = 0;
        for digit in self.digits() {
            match place.cmp(&point) {
                Ordering::Less => magnitude = magnitude.checked_mul(10)?.checked_add(u64::from(digit))?,
                Ordering::Equal => next = digit,
                Ordering::Greater => rest |= digit != 0,
            }
            place += 1;
        }
        while place < point && magnitude != 0 {
            magnitude = magnitude.checked_mul(10)?;
            place += 1;
        }
        if point < 0 {
            // Zeros stand between the point and the first digit: the first digit behind the point is one of them.
            (next, rest) = (0, rest || self.digits().any(|digit| digit != 0));
        }
        Some((magnitude, next, rest))
    }
}

fn read_exponent(text: &str) -> i64 {
    let (negative, digits) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let size = digits
        .bytes()
        .fold(0i64, |size, digit| (size * 10 + i64::from(digit - b'0')).min(EXPONENT_CAP));
    if negative { -size } else { size }
}

fn signed(negative: bool, magnitude: u64) -> Option<i64> {
    if negative {
        0i64.checked_sub_unsigned(magnitude)
    } else {
        i64::try_from(magnitude).ok()
    }
}

impl Number<'_> {
    /// The nearest whole number, halves up; `None` beyond 64 bits.
    pub fn rounded(self) -> Option<i64> {
        self.scaled(0)
    }

    /// A thousand times this, then rounded: seconds as milliseconds.
    pub fn thousandfold(self) -> Option<i64> {
        self.scaled(3)
    }

    fn scaled(self, shift: i64) -> Option<i64> {
        if let Some(value) = self.plainly_scaled(shift) {
            return Some(value);
        }
        let number = Decimal::of(self.0);
        let (magnitude, next, rest) = number.split(shift)?;
        // Halves go up: away from zero for positive numbers, towards it for negative ones.
        let away = if number.negative {
            next > 5 || (next == 5 && rest)
        } else {
            next >= 5
        };
        signed(number.negative, magnitude.checked_add(u64::from(away))?)
    }

    /// The same for what nearly all numbers are: few digits, no sign, no exponent, and no more of them behind the point than
    /// the shift takes in.
    #[inline]
    fn plainly_scaled(self, shift: i64) -> Option<i64> {
        if self.0.len() > 15 {
            return None;
        }
        let (mut value, mut left, mut behind_point) = (0i64, shift, false);
        for byte in self.0.bytes() {
            match byte {
                b'0'..=b'9' => {
                    value = value * 10 + i64::from(byte - b'0');
                    left -= i64::from(behind_point);
                }
                b'.' => behind_point = true,
                _ => return None,
            }
        }
        if left < 0 {
            return None;
        }
        // At most 15 digits and 3 more places: far below the limit of the type.
        (0..left).for_each(|_| value *= 10);
        Some(value)
    }

    /// The value, if it is integral however spelled and fits 64 bits.
    pub fn integral(self) -> Option<i64> {
        let number = Decimal::of(self.0);
        let (magnitude, next, rest) = number.split(0)?;
        if next != 0 || rest {
            None
        } else {
            signed(number.negative, magnitude)
        }
    }

    /// As a floating-point number; `None` when it is beyond that.
    pub fn float(self) -> Option<f64> {
        self.0.parse().ok().filter(|value: &f64| value.is_finite())
    }
}

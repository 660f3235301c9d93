//! Sparklines: the path of a small line and the height of its target. `spark.js` draws the following ones by the same rules.

const WIDTH: f64 = 200.0;
const HEIGHT: f64 = 34.0;
/// Keeps the stroke inside the box.
const MARGIN: f64 = 1.0;

/// A small line in a box of 200 by 34.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Spark {
    /// `d` of the path; a gap where there is no value.
    pub path: String,
    /// Height of the target line.
    pub target: String,
    /// Whether there is one.
    pub has_target: bool,
}

/// Draws `values` with the target's height in the same scale.
pub fn spark(values: &[Option<f64>], target: Option<f64>) -> Spark {
    let known: Vec<f64> = values.iter().flatten().copied().filter(|value| value.is_finite()).collect();
    if known.is_empty() {
        return Spark {
            target: "0".to_owned(),
            ..Spark::default()
        };
    }
    // It begins with the first value: a morning without calls would leave it a speck at the end.
    let values = &values[values.iter().position(|value| value.is_some_and(f64::is_finite)).unwrap_or(0)..];
    let ends = known.iter().copied().chain(target);
    let (mut low, mut high) = ends.fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)));
    if high - low < 1e-9 {
        low -= 1.0;
        high += 1.0;
    }
    let y = |value: f64| HEIGHT - MARGIN - (value - low) / (high - low) * (HEIGHT - 2.0 * MARGIN);
    let step = if values.len() > 1 { WIDTH / (values.len() - 1) as f64 } else { 0.0 };
    let mut path = String::with_capacity(values.len() * 12);
    let mut pen = false;
    for (place, value) in values.iter().enumerate() {
        let Some(value) = value.filter(|value| value.is_finite()) else {
            pen = false;
            continue;
        };
        let alone = !pen && values.get(place + 1).is_none_or(Option::is_none);
        path.push_str(&format!(
            "{}{:.1} {:.1}",
            if pen { 'L' } else { 'M' },
            place as f64 * step,
            y(value)
        ));
        if alone {
            // A single value between gaps is a dot.
            path.push_str("l.1 0");
        }
        pen = true;
    }
    Spark {
        path,
        target: target.map_or_else(|| "0".to_owned(), |at| format!("{:.1}", y(at))),
        has_target: target.is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_value_is_a_gap_not_a_zero() {
        let line = spark(&[Some(1.0), Some(2.0), None, Some(1.0)], Some(1.5));
        assert_eq!(line.path, "M0.0 33.0L66.7 1.0M200.0 33.0l.1 0");
        assert_eq!(line.target, "17.0");
    }

    #[test]
    fn nothing_is_no_line() {
        assert_eq!(spark(&[None, None], None).path, "");
        assert_eq!(spark(&[], Some(1.0)).path, "");
    }
}

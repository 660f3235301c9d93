//! Percentiles against exact ones.

use proptest::prelude::*;
use trunkline_core::metric::{RELATIVE_ERROR, Sketch, bucket, bucket_value};

fn exact(sorted: &[f64], q: f64) -> f64 {
    let rank = ((q * sorted.len() as f64).ceil() as usize).clamp(1, sorted.len());
    sorted[rank - 1]
}

#[test]
fn what_is_no_span_has_no_bucket() {
    assert_eq!(bucket(-1.0), None);
    assert_eq!(bucket(f64::NAN), None);
    assert_eq!(bucket(f64::INFINITY), None);
    assert_eq!(bucket(0.0), Some(0));
    assert_eq!(bucket_value(0), 0.0);
}

#[test]
fn an_empty_sketch_has_no_percentile() {
    assert_eq!(Sketch::default().quantile(0.95), None);
}

#[test]
fn the_longest_span_is_counted_in_the_last_bucket() {
    assert_eq!(bucket(f64::MAX), bucket(1e12));
}

proptest! {
    #[test]
    fn a_bucket_stands_for_its_values_within_one_per_cent(value in 0.002f64..86_400_000.0) {
        let shown = bucket_value(bucket(value).unwrap());
        prop_assert!((shown - value).abs() <= value * RELATIVE_ERROR * 1.000_001, "{value} shown as {shown}");
    }

    #[test]
    fn percentiles_are_the_exact_ones_within_one_per_cent(mut values in prop::collection::vec(0.01f64..60_000.0, 1..400)) {
        let mut sketch = Sketch::default();
        values.iter().for_each(|value| sketch.add(bucket(*value).unwrap(), 1));
        values.sort_by(f64::total_cmp);
        for q in [0.5, 0.9, 0.95, 0.99, 1.0] {
            let (shown, exact) = (sketch.quantile(q).unwrap(), exact(&values, q));
            prop_assert!((shown - exact).abs() <= exact * RELATIVE_ERROR * 1.000_001, "p{q}: {exact} shown as {shown}");
        }
    }

    #[test]
    fn merged_sketches_equal_the_sketch_of_all(
        left in prop::collection::vec(0.0f64..60_000.0, 0..80),
        right in prop::collection::vec(0.0f64..60_000.0, 0..80),
    ) {
        let of = |values: &[f64]| {
            let mut sketch = Sketch::default();
            values.iter().for_each(|value| sketch.add(bucket(*value).unwrap(), 1));
            sketch
        };
        let mut merged = of(&left);
        merged.merge(&of(&right));
        prop_assert_eq!(merged, of(&[left, right].concat()));
    }
}

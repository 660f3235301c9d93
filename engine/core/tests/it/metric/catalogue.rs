//! The catalogue itself: order, completeness, words.

use trunkline_core::metric::*;

/// Stored arrays are read by position for ever: names may be appended to the golden file, never moved or removed.
#[test]
fn the_stored_order_is_the_golden_order() {
    let golden: Vec<&str> = include_str!("../../golden/metrics.txt").lines().collect();
    let (columns, order) = sql_columns();
    let order: Vec<&str> = order.collect();
    assert_eq!(columns, ["measure_num", "measure_den"]);
    assert_eq!(
        order, golden,
        "append new metrics at the end of the enum and of tests/golden/metrics.txt"
    );
}

#[test]
fn every_metric_is_defined_in_words() {
    assert_eq!(CATALOGUE.len(), Metric::COUNT);
    for (index, definition) in CATALOGUE.iter().enumerate() {
        assert_eq!(definition.metric.index(), index);
        assert!(!definition.name.is_empty() && !definition.formula.is_empty() && !definition.null_rule.is_empty());
        assert_eq!(definition.metric.id().parse::<Metric>(), Ok(definition.metric));
    }
}

#[test]
fn a_name_outside_the_catalogue_is_refused() {
    assert_eq!("service_levle".parse::<Metric>(), Err(UnknownMetric("service_levle".into())));
}

#[test]
fn default_targets_have_their_watch_limit_on_the_worse_side() {
    let settings: serde_json::Map<String, serde_json::Value> = CATALOGUE
        .iter()
        .filter_map(|d| Some((d.metric.id().to_owned(), serde_json::to_value(d.target?).ok()?)))
        .collect();
    assert!(settings.len() > 10);
    Targets::read(&settings.into()).unwrap();
}

#[test]
fn targets_are_read_from_settings_and_bad_ones_refused_with_the_metric() {
    let read = |json: serde_json::Value| Targets::read(&json);
    let set = read(serde_json::json!({"containment": {"target": 0.7}, "aht_ai": null})).unwrap();
    assert_eq!(set.of(Metric::Containment), Some(Target { target: 0.7, watch: None }));
    assert_eq!(set.of(Metric::AhtAi), None);
    assert_eq!(set.of(Metric::SuccessRate), Metric::SuccessRate.definition().target);
    assert_eq!(read(serde_json::Value::Null).unwrap(), Targets::default());
    let beyond = read(serde_json::json!({"containment": {"target": 0.7, "watch": 0.8}}));
    assert_eq!(beyond, Err(BadTarget::WatchBeyondTarget(Metric::Containment)));
    let beyond = read(serde_json::json!({"aht_ai": {"target": 100.0, "watch": 80.0}}));
    assert_eq!(beyond, Err(BadTarget::WatchBeyondTarget(Metric::AhtAi)));
    let unknown = read(serde_json::json!({"contaiment": {"target": 0.7}})).unwrap_err();
    assert!(unknown.to_string().contains("contaiment"), "{unknown}");
    assert!(read(serde_json::json!({"containment": {"target": 0.7, "wach": 0.6}})).is_err());
}

//! Reads the object fields: cost, latency, and maps merged by key.

use std::sync::Arc;

use super::field::{Latency, Map};
use super::reader::Reader;
use super::word;
use crate::facts::{Cost, STAGES, Stage};
use crate::json::{Shape, Value, last_of_each, shown};
use crate::limit::COST_CENTS;

/// `call_cost` or `chat_cost`: there if the combined cost or any part is readable (rules B3, B8).
pub(super) fn cost(reader: &mut Reader, value: Option<Value<'_>>) -> Option<Cost> {
    let object = reader.object(value, "call_cost")?;
    let found = last_of_each!(
        object,
        combined_cost,
        total_duration_seconds,
        total_duration_unit_price,
        product_costs
    );
    let mut cost = Cost {
        combined_cents: reader.amount(found.combined_cost, "combined_cost", COST_CENTS),
        total_seconds: reader.amount(found.total_duration_seconds, "total_duration_seconds", f64::MAX),
        unit_price_cents: reader.amount(found.total_duration_unit_price, "total_duration_unit_price", COST_CENTS),
        ..Cost::default()
    };
    let (mut sum, mut legs) = (0.0, None);
    for part in reader
        .array(found.product_costs, "product_costs")
        .into_iter()
        .flat_map(Value::elements)
    {
        let Some(part) = reader.object(Some(part), "product_costs") else {
            continue;
        };
        let part = last_of_each!(part, product, cost, is_transfer_leg_cost);
        let Some(cents) = reader.amount(part.cost, "product_costs.cost", COST_CENTS) else {
            continue;
        };
        let product = reader.text(part.product, "product_costs.product");
        sum += cents;
        if reader.flag(part.is_transfer_leg_cost, "product_costs.is_transfer_leg_cost") == Some(true) {
            legs = Some(legs.unwrap_or(0.0) + cents);
        }
        cost.parts.push((Arc::from(product.as_deref().unwrap_or("")), cents));
    }
    if !cost.parts.is_empty() {
        cost.parts_cents = Some(sum);
        cost.transfer_leg_cents = legs;
    }
    (cost.combined_cents.is_some() || !cost.parts.is_empty()).then_some(cost)
}

/// `latency`: the samples of each stage. Percentiles are not read: they do not add up over calls.
pub(super) fn latency(reader: &mut Reader, value: Option<Value<'_>>) -> Option<Latency> {
    let object = reader.object(value, "latency")?;
    let mut stages: Vec<(Stage, Arc<[f64]>)> = Vec::new();
    for stage in STAGES {
        let Some(of_stage) = reader.object(object.get(stage.as_str()), "latency") else {
            continue;
        };
        let samples: Vec<f64> = reader
            .array(of_stage.get("values"), "latency.values")
            .into_iter()
            .flat_map(Value::elements)
            .filter_map(|sample| reader.amount(Some(sample), "latency.values", f64::MAX))
            .collect();
        if !samples.is_empty() {
            stages.push((stage, samples.into()));
        }
    }
    (!stages.is_empty()).then(|| stages.into())
}

/// An object whose values are kept as JSON text. Missing values inside are missing too (rule A8); sorted by name.
pub(super) fn map(reader: &mut Reader, value: Option<Value<'_>>, name: &'static str) -> Option<Map> {
    let object = reader.object(value, name)?;
    let shown_name = |name: Value<'_>| shown(name.name()).map_or_else(|| Arc::from(""), |name| word::shared(&name));
    let mut all: Vec<(Arc<str>, Value<'_>)> = object.members().map(|(name, value)| (shown_name(name), value)).collect();
    // Stable, so that of repeated names the last stands last; and no quadratic search: the sender chooses how many there are.
    all.sort_by(|one, other| one.0.cmp(&other.0));
    let mut pairs: Vec<(Arc<str>, Arc<str>)> = Vec::with_capacity(all.len());
    for (place, (name, value)) in all.iter().enumerate() {
        let repeated = all.get(place + 1).is_some_and(|(next, _)| next == name);
        if !repeated && !value.is_missing() {
            pairs.push((name.clone(), json_text(*value)));
        }
    }
    (!pairs.is_empty()).then(|| pairs.into())
}

fn json_text(value: Value<'_>) -> Arc<str> {
    match value.shape() {
        Shape::String => format!("\"{}\"", value.raw()).into(),
        _ => value.raw().into(),
    }
}

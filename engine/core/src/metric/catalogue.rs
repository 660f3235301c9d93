//! The catalogue: every definition, placed by its metric.

mod dials;
mod ends;
mod floor;
mod legs;
mod quality;

use super::definition::{Base, Definition, Unit};
use super::name::Metric;

/// Every metric in stored order: `CATALOGUE[metric.index()]` defines `metric`.
pub static CATALOGUE: &[Definition] = &PLACED;

const GROUPS: [&[Definition]; 5] = [&floor::ALL, &legs::ALL, &quality::ALL, &dials::ALL, &ends::ALL];

static PLACED: [Definition; Metric::COUNT] = place();

/// Puts each definition at its metric's index; a metric without one, or with two, does not compile.
const fn place() -> [Definition; Metric::COUNT] {
    let blank = Definition::count(Metric::CallsInProgress, "", Base::Instant, Unit::Calls);
    let mut placed = [blank; Metric::COUNT];
    let mut total = 0;
    let mut group = 0;
    while group < GROUPS.len() {
        let mut at = 0;
        while at < GROUPS[group].len() {
            let definition = GROUPS[group][at];
            let index = definition.metric.index();
            assert!(placed[index].name.is_empty(), "a metric is defined twice");
            placed[index] = definition;
            total += 1;
            at += 1;
        }
        group += 1;
    }
    assert!(total == Metric::COUNT, "a metric has no definition");
    placed
}

impl Metric {
    /// Its definition.
    pub fn definition(self) -> &'static Definition {
        &CATALOGUE[self.index()]
    }
}

/// The names of the two array columns and, in order, the metric of each element. ClickHouse keeps `measure_num` and
/// `measure_den` with every call; `sumForEach` of both over any calls gives the sums that [`Definition::value`] takes.
pub fn sql_columns() -> ([&'static str; 2], impl Iterator<Item = &'static str>) {
    (["measure_num", "measure_den"], Metric::ALL.iter().map(|metric| metric.id()))
}

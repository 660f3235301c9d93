//! The figures of reports: the same integers that the board sums, summed by ClickHouse.

use std::collections::BTreeMap;

use clickhouse::Row;
use clickhouse::query::Query;
use serde::Deserialize;
use trunkline_core::facts::{Channel, Direction, STAGES, Stage};
use trunkline_core::id::{BusinessId, TenantId};
use trunkline_core::instant::Millis;
use trunkline_core::metric::{Base, Metric, Sketch, bucket};

use super::client::{Analytics, AnalyticsError, answer};
use super::rows::word;

const MEASURES: &str = include_str!("../../../../clickhouse/queries/measures.sql");
const LATENCY: &str = include_str!("../../../../clickhouse/queries/latency.sql");
const SCOPE: &str = include_str!("../../../../clickhouse/queries/figures_scope.sql");

/// Which calls figures are about; what is empty is not cut.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FigureScope {
    /// Any of these businesses.
    pub businesses: Vec<BusinessId>,
    /// One agent.
    pub agent: Option<String>,
    /// Inbound or outbound.
    pub direction: Option<Direction>,
    /// Phone, web or chat.
    pub channel: Option<Channel>,
}

/// The sums of one interval, by [`Metric::index`].
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// Start of the interval.
    pub at: Millis,
    /// Calls that opened in it.
    pub opened: u64,
    /// Calls that closed in it.
    pub closed: u64,
    num: Vec<i128>,
    den: Vec<i128>,
}

impl Measured {
    fn empty(at: Millis) -> Self {
        Self {
            at,
            opened: 0,
            closed: 0,
            num: vec![0; Metric::COUNT],
            den: vec![0; Metric::COUNT],
        }
    }

    /// Numerator and denominator in stored units. Measures of the moment and of overlap are not sums of an interval and stay 0.
    pub fn sums(&self, metric: Metric) -> (i128, i128) {
        (self.num[metric.index()], self.den[metric.index()])
    }

    /// The shown value.
    pub fn value(&self, metric: Metric) -> Option<f64> {
        let (num, den) = self.sums(metric);
        metric.definition().value(num, den)
    }

    /// Takes the measures of one time base from a row; rows of an older catalogue are shorter.
    fn take(&mut self, base: Base, num: &[f64], den: &[f64]) {
        for metric in Metric::ALL.iter().filter(|metric| metric.definition().base == base) {
            let place = metric.index();
            // Integers up to 2^53 are exact in a float.
            self.num[place] = num.get(place).copied().unwrap_or_default() as i128;
            self.den[place] = den.get(place).copied().unwrap_or_default() as i128;
        }
    }
}

#[derive(Row, Deserialize)]
struct MeasureRow {
    base: String,
    at: i64,
    calls: u64,
    num: Vec<f64>,
    den: Vec<f64>,
}

#[derive(Row, Deserialize)]
struct SampleRow {
    stage: String,
    sample_ms: f64,
    samples: u64,
}

impl FigureScope {
    fn bind(&self, query: Query) -> Query {
        query
            .param("businesses", self.businesses.iter().map(|id| id.0.to_string()).collect::<Vec<_>>())
            .param("agent", self.agent.as_deref().unwrap_or_default())
            .param("direction", self.direction.as_ref().map(word).unwrap_or_default())
            .param("channel", self.channel.as_ref().map(word).unwrap_or_default())
    }
}

impl Analytics {
    /// The sums of every interval of `step_ms` in a range that has calls; a step of 0 makes one interval of the whole range.
    pub async fn measures(
        &self,
        tenant: TenantId,
        scope: &FigureScope,
        (from, to): (Millis, Millis),
        step_ms: i64,
    ) -> Result<Vec<Measured>, AnalyticsError> {
        let query = scope
            .bind(self.ask(&MEASURES.replace("{scope}", SCOPE), tenant.0))
            .param("from", from.0)
            .param("to", to.0)
            .param("step", step_ms.max(0));
        let rows: Vec<MeasureRow> = answer("sum the measures", query.fetch_all()).await?;
        let mut intervals: BTreeMap<i64, Measured> = BTreeMap::new();
        for row in rows {
            let measured = intervals.entry(row.at).or_insert_with(|| Measured::empty(Millis(row.at)));
            if row.base == "arrival" {
                measured.opened = row.calls;
                measured.take(Base::Arrival, &row.num, &row.den);
            } else {
                measured.closed = row.calls;
                measured.take(Base::Completion, &row.num, &row.den);
            }
        }
        Ok(intervals.into_values().collect())
    }

    /// The latency samples of voice calls that closed in a range, per stage, in the same buckets as the board's.
    pub async fn latency(
        &self,
        tenant: TenantId,
        scope: &FigureScope,
        (from, to): (Millis, Millis),
    ) -> Result<Vec<(Stage, Sketch)>, AnalyticsError> {
        let query = scope
            .bind(self.ask(&LATENCY.replace("{scope}", SCOPE), tenant.0))
            .param("from", from.0)
            .param("to", to.0);
        let rows: Vec<SampleRow> = answer("collect latency samples", query.fetch_all()).await?;
        let mut stages: Vec<(Stage, Sketch)> = STAGES.iter().map(|stage| (*stage, Sketch::default())).collect();
        for row in rows {
            let stage = stages.iter_mut().find(|(stage, _)| stage.as_str() == row.stage);
            if let (Some((_, sketch)), Some(bucket)) = (stage, bucket(row.sample_ms)) {
                sketch.add(bucket, row.samples);
            }
        }
        stages.retain(|(_, sketch)| sketch.total() > 0);
        Ok(stages)
    }
}

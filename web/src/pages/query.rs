//! What the address of the call log asks for: a filter, a place in the list, addresses with one thing changed.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Deserialize;
use trunkline_core::access::Sight;
use trunkline_core::facts::{Channel, Direction, ReasonClass, Sentiment};
use trunkline_core::id::BusinessId;
use trunkline_core::instant::Millis;
use trunkline_core::metric::{Kind, Metric};
use trunkline_stores::clickhouse::{Behind, CallFilter, Cursor, Share, Turning, Words};

use crate::error::Problem;
use crate::pages::format;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 86_400_000;

/// Ranges of time to choose from; the first is what an address without one means.
pub(super) const RANGES: [&str; 6] = ["7d", "1h", "today", "yesterday", "30d", "all"];

/// What the address asks for. The names are those of the API; empty means not asked.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct LogQuery {
    /// `1h`, `today`, `yesterday`, `7d`, `30d`, `all`.
    pub range: String,
    /// Instead of a range its start, RFC 3339: what a number on the wall looks back to.
    pub since: String,
    /// Only the calls behind this metric.
    pub behind: String,
    /// Of these `all`, `counted`, `rest`.
    pub behind_part: String,
    /// Business.
    pub business: String,
    /// Agent's id.
    pub agent: String,
    /// `inbound`, `outbound`.
    pub direction: String,
    /// `phone`, `web`, `chat`.
    pub channel: String,
    /// Class of the reason.
    pub reason_class: String,
    /// Mood.
    pub sentiment: String,
    /// `true`, `false`.
    pub successful: String,
    /// `true`, `false`.
    pub transferred: String,
    /// Words, a number or an id.
    pub q: String,
    /// Go on below this call.
    pub after: String,
    /// Go back above this call.
    pub before: String,
}

impl LogQuery {
    /// Every filter with its value.
    pub(super) fn fields(&self) -> [(&'static str, &str); 13] {
        [
            ("range", &self.range),
            ("since", &self.since),
            ("behind", &self.behind),
            ("behind_part", &self.behind_part),
            ("business", &self.business),
            ("agent", &self.agent),
            ("direction", &self.direction),
            ("channel", &self.channel),
            ("reason_class", &self.reason_class),
            ("sentiment", &self.sentiment),
            ("successful", &self.successful),
            ("transferred", &self.transferred),
            ("q", &self.q),
        ]
    }

    /// The address of the log with one field changed, from the newest page.
    pub(super) fn link(&self, change: &str, value: &str) -> String {
        // A range takes the place of a start, and without its figure a part means nothing.
        let gone = |name: &str| matches!((change, name), ("range", "since")) || (change == "behind" && name == "behind_part");
        let asked = self.fields().into_iter().map(|(name, old)| match name {
            name if name == change => (name, value),
            name if gone(name) => (name, ""),
            name => (name, old),
        });
        let more = (change == "before" || change == "after").then_some((change, value));
        let query: Vec<String> = asked
            .chain(more)
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| format!("{name}={}", format::path_segment(value)))
            .collect();
        if query.is_empty() {
            "/calls".to_owned()
        } else {
            format!("/calls?{}", query.join("&"))
        }
    }

    /// Where to ask how many calls there are above `top`; nowhere on a page that is not the newest.
    pub(super) fn news(&self, top: Option<&Cursor>) -> String {
        if !self.after.is_empty() || !self.before.is_empty() {
            return String::new();
        }
        let above = top.map(Cursor::to_string).unwrap_or_default();
        self.link("before", &above).replacen("/calls", "/calls/news", 1)
    }

    /// What a change of business keeps.
    pub fn kept(&self) -> Vec<(String, String)> {
        let others = self
            .fields()
            .into_iter()
            .filter(|(name, value)| *name != "business" && !value.is_empty());
        others.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// The range of time, the usual one where none is asked for; none beside a start.
    pub(super) fn range(&self) -> &str {
        if !self.since.is_empty() {
            return "";
        }
        RANGES.iter().find(|range| **range == self.range).copied().unwrap_or(RANGES[0])
    }

    /// Whether it looks for a telephone number.
    pub fn by_number(&self) -> bool {
        matches!(asked_for(&self.q), Asked::Number)
    }

    /// The filter that this address means at `now` in `zone`.
    pub fn filter(&self, sight: Sight, now: Millis, zone: &TimeZone) -> Result<CallFilter, Problem> {
        let (from, to) = match self.since.as_str() {
            "" => span(self.range(), now, zone),
            since => (one(since, "since", moment)?.pop(), None),
        };
        let mut filter = CallFilter {
            from,
            to,
            businesses: one(&self.business, "business", |text| text.parse::<BusinessId>().ok())?,
            agents: if self.agent.is_empty() {
                Vec::new()
            } else {
                vec![self.agent.clone()]
            },
            directions: one(&self.direction, "direction", word::<Direction>)?,
            channels: one(&self.channel, "channel", word::<Channel>)?,
            reason_classes: one(&self.reason_class, "reason_class", word::<ReasonClass>)?,
            sentiments: one(&self.sentiment, "sentiment", word::<Sentiment>)?,
            successful: one(&self.successful, "successful", yes_no)?.pop(),
            transferred: one(&self.transferred, "transferred", yes_no)?.pop(),
            behind: self
                .metric()?
                .map(|metric| -> Result<Behind, Problem> {
                    let part = one(&self.behind_part, "behind_part", word::<Share>)?.pop();
                    Ok(Behind {
                        metric,
                        part: part.unwrap_or_default(),
                    })
                })
                .transpose()?,
            ..CallFilter::whole(sight)
        };
        match asked_for(&self.q) {
            Asked::Nothing => {}
            Asked::Id => filter.id = Some(self.q.trim().to_owned()),
            Asked::Number => filter.number = Some(self.q.clone()),
            Asked::Words => filter.words = Words::typed(&self.q),
        }
        Ok(filter)
    }

    /// The metric whose calls are asked for.
    pub(super) fn metric(&self) -> Result<Option<Metric>, Problem> {
        Ok(one(&self.behind, "behind", |text| text.parse().ok())?.pop())
    }

    /// Parts that the calls behind a metric fall into: only ratios have calls that count and calls that do not.
    pub(super) fn parts(&self) -> &'static [&'static str] {
        let ratio = |metric: &Metric| metric.definition().kind == Kind::Ratio;
        match self.metric().ok().flatten().filter(ratio) {
            Some(_) => &["all", "counted", "rest"],
            None => &[],
        }
    }

    /// Which page of the list.
    pub fn turning(&self) -> Result<Turning, Problem> {
        let cursor = |name: &str, text: &str| {
            text.parse::<Cursor>()
                .map_err(|error| Problem::field(name, "cursor", error.to_string()))
        };
        Ok(match (self.after.as_str(), self.before.as_str()) {
            ("", "") => Turning::First,
            ("", before) => Turning::Newer(cursor("before", before)?),
            (after, _) => Turning::Older(cursor("after", after)?),
        })
    }
}

enum Asked {
    Nothing,
    Id,
    Number,
    Words,
}

/// One field for everything: what looks like an id is one, what is mostly digits is a number, the rest are words.
fn asked_for(typed: &str) -> Asked {
    let typed = typed.trim();
    let digits = typed.chars().filter(char::is_ascii_digit).count();
    let idlike = !typed.contains(char::is_whitespace)
        && (typed.starts_with("call_") || typed.starts_with("chat_") || (typed.len() >= 24 && typed.is_ascii() && digits >= 4));
    if typed.is_empty() {
        Asked::Nothing
    } else if idlike {
        Asked::Id
    } else if digits >= 3 && !typed.chars().any(char::is_alphabetic) {
        Asked::Number
    } else {
        Asked::Words
    }
}

fn one<T>(text: &str, name: &str, read: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, Problem> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    read(text)
        .map(|value| vec![value])
        .ok_or_else(|| Problem::field(name, "unknown", format!("{name} has no value of that name")))
}

/// Reads the stored word of an enum.
pub(super) fn word<T: for<'a> Deserialize<'a>>(text: &str) -> Option<T> {
    serde_json::from_value(serde_json::Value::String(text.to_owned())).ok()
}

fn moment(text: &str) -> Option<Millis> {
    text.parse::<Timestamp>().ok().map(|at| Millis(at.as_millisecond()))
}

fn yes_no(text: &str) -> Option<bool> {
    text.parse().ok()
}

/// Start and end of a range. Days are cut in `zone`, so that one of 23 or 25 hours is right.
fn span(range: &str, now: Millis, zone: &TimeZone) -> (Option<Millis>, Option<Millis>) {
    let midnight = |days_back: i64| {
        let day = Timestamp::from_millisecond(now.0).ok()?.to_zoned(zone.clone()).date();
        let start = day.saturating_sub(jiff::Span::new().days(days_back)).to_zoned(zone.clone()).ok()?;
        Some(Millis(start.timestamp().as_millisecond()))
    };
    match range {
        "1h" => (Some(now.plus(-HOUR_MS)), None),
        "today" => (midnight(0), None),
        "yesterday" => (midnight(1), midnight(0)),
        "7d" => (Some(now.plus(-7 * DAY_MS)), None),
        "30d" => (Some(now.plus(-30 * DAY_MS)), None),
        _ => (None, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_field_finds_ids_numbers_and_words() {
        assert!(matches!(asked_for("call_7f0c1"), Asked::Id));
        assert!(matches!(asked_for("7f0c1d2e3f4a5b6c7d8e9f0a1b2c3d4e"), Asked::Id));
        assert!(matches!(asked_for("+49 (0)30 123"), Asked::Number));
        assert!(matches!(asked_for("refund \"next monday\""), Asked::Words));
        assert!(matches!(asked_for("24 hours"), Asked::Words));
    }

    #[test]
    fn yesterday_is_cut_in_the_zone_also_when_the_clock_changes() {
        let berlin = TimeZone::get("Europe/Berlin").expect("the zone database has Berlin");
        // 2026-10-26 12:00 in Berlin: the day before had 25 hours.
        let (from, to) = span("yesterday", Millis(1_793_012_400_000), &berlin);
        assert_eq!(to.expect("an end").since(from.expect("a start")), 25 * HOUR_MS);
    }

    #[test]
    fn an_address_keeps_its_filters_and_drops_the_page_when_one_changes() {
        let query = LogQuery {
            range: "today".into(),
            agent: "agent 1".into(),
            before: "xyz".into(),
            ..LogQuery::default()
        };
        assert_eq!(
            query.link("direction", "inbound"),
            "/calls?range=today&agent=agent%201&direction=inbound"
        );
        assert_eq!(query.link("before", "abc"), "/calls?range=today&agent=agent%201&before=abc");
        assert_eq!(query.link("agent", ""), "/calls?range=today");
    }

    #[test]
    fn the_way_from_a_figure_names_its_start_its_metric_and_its_part() {
        let query = LogQuery {
            since: "2026-11-27T00:00:00Z".into(),
            behind: "success_rate".into(),
            behind_part: "rest".into(),
            ..LogQuery::default()
        };
        let filter = query
            .filter(Sight::All, Millis(1_795_770_000_000), &TimeZone::UTC)
            .expect("it can be read");
        assert_eq!((filter.from, filter.to), (Some(Millis(1_795_737_600_000)), None));
        let behind = filter.behind.expect("a figure");
        assert_eq!((behind.metric, behind.part), (Metric::SuccessRate, Share::Rest));
        assert_eq!(query.range(), "");
        assert_eq!(query.link("range", "7d"), "/calls?range=7d&behind=success_rate&behind_part=rest");
        assert_eq!(query.link("behind", ""), "/calls?since=2026-11-27T00%3A00%3A00Z");
        let wrong = LogQuery {
            behind: "luck".into(),
            ..LogQuery::default()
        };
        assert!(wrong.filter(Sight::All, Millis(0), &TimeZone::UTC).is_err());
    }

    #[test]
    fn a_filter_that_is_not_there_is_refused_in_words() {
        let query = LogQuery {
            sentiment: "angry".into(),
            ..LogQuery::default()
        };
        let refused = query
            .filter(Sight::All, Millis(0), &TimeZone::UTC)
            .expect_err("there is no such mood");
        assert!(refused.detail().contains("sentiment"));
    }
}

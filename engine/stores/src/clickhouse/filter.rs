//! Which calls a list shows. Every filter is a bound parameter of one fixed question; an unset one is an empty value.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clickhouse::query::Query;
use serde::{Deserialize, Serialize};
use trunkline_core::access::{Agents, Sight};
use trunkline_core::facts::{CallState, Channel, Direction, ReasonClass, Sentiment};
use trunkline_core::id::{BusinessId, Kind};
use trunkline_core::instant::Millis;
use trunkline_core::metric::{Base, Metric};

use super::rows::word;

/// Words searched for at once; the question has this many places.
pub const WORDS: usize = 5;
/// Longest search text in characters: longer ones are no search.
const WORDS_CHARS: usize = 200;
/// End of the time range when none is given: 2200-01-01, the far end of what the column holds without loss.
const FAR_FUTURE_MS: i64 = 7_258_118_400_000;

/// Filters of the call log. Empty lists and `None` do not restrict.
#[derive(Debug, Clone, PartialEq)]
pub struct CallFilter {
    /// Whose calls the reader may see.
    pub sight: Sight,
    /// Opened at or after.
    pub from: Option<Millis>,
    /// Opened before.
    pub to: Option<Millis>,
    /// Any of these businesses.
    pub businesses: Vec<BusinessId>,
    /// Calls, chats or both.
    pub kind: Option<Kind>,
    /// Any of these agents.
    pub agents: Vec<String>,
    /// Any of these directions.
    pub directions: Vec<Direction>,
    /// Any of these channels.
    pub channels: Vec<Channel>,
    /// Any of these states.
    pub states: Vec<CallState>,
    /// Any of these classes of reasons.
    pub reason_classes: Vec<ReasonClass>,
    /// Any of these reasons, as Retell spells them.
    pub reasons: Vec<String>,
    /// Any of these moods.
    pub sentiments: Vec<Sentiment>,
    /// The analysis says so.
    pub successful: Option<bool>,
    /// Part of the far or near number, in any way of writing it.
    pub number: Option<String>,
    /// Beginning of the call or chat id.
    pub id: Option<String>,
    /// At least this long.
    pub duration_min_ms: Option<i64>,
    /// At most this long.
    pub duration_max_ms: Option<i64>,
    /// All of these words were said.
    pub words: Words,
    /// With, or without, a transfer attempt.
    pub transferred: Option<bool>,
    /// Only the calls behind a figure.
    pub behind: Option<Behind>,
}

/// The calls behind a figure: those that its numerator and denominator are made of. For metrics on the completion base the time
/// range of the filter is that of the end, as it is for the figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Behind {
    /// Which figure.
    pub metric: Metric,
    /// Which of them.
    pub part: Share,
}

/// Which of the calls behind a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Share {
    /// All.
    #[default]
    All,
    /// Those in the numerator.
    Counted,
    /// Those in the denominator only.
    Rest,
}

/// Words to find in what was said; letter case does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Words(Vec<String>);

impl Words {
    /// Splits what somebody typed. A phrase in double quotes is one word; more than [`WORDS`] are cut.
    pub fn typed(text: &str) -> Self {
        let text: String = text.chars().take(WORDS_CHARS).collect();
        let mut words = Vec::new();
        for (place, piece) in text.split('"').enumerate() {
            let quoted = place % 2 == 1;
            if quoted {
                words.push(piece.trim().to_lowercase());
            } else {
                words.extend(piece.split_whitespace().map(str::to_lowercase));
            }
        }
        words.retain(|word| !word.is_empty());
        words.truncate(WORDS);
        Self(words)
    }

    /// Nothing to find.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The words, lower case.
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }

    /// Place `n` as a `LIKE` pattern; empty when there is no such word.
    fn pattern(&self, n: usize) -> String {
        let escaped = |word: &String| word.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
        self.0.get(n).map(|word| format!("%{}%", escaped(word))).unwrap_or_default()
    }
}

/// A place in the list: the call after or before which a page goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// Opening time of that call.
    pub opened_at: i64,
    /// Its id.
    pub call_id: String,
    /// Call or chat.
    pub kind: Kind,
}

/// Why a text is no cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the page cursor is not one that this service gave out")]
pub struct BadCursor;

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = format!("{}.{}.{}", self.opened_at, self.kind.as_str(), self.call_id);
        f.write_str(&URL_SAFE_NO_PAD.encode(plain))
    }
}

impl FromStr for Cursor {
    type Err = BadCursor;

    fn from_str(text: &str) -> Result<Self, BadCursor> {
        let plain = URL_SAFE_NO_PAD.decode(text).map_err(|_| BadCursor)?;
        let plain = String::from_utf8(plain).map_err(|_| BadCursor)?;
        let mut parts = plain.splitn(3, '.');
        let opened_at = parts.next().and_then(|part| part.parse().ok()).ok_or(BadCursor)?;
        let kind = match parts.next() {
            Some("call") => Kind::Call,
            Some("chat") => Kind::Chat,
            _ => return Err(BadCursor),
        };
        let call_id = parts.next().filter(|id| !id.is_empty()).ok_or(BadCursor)?.to_owned();
        Ok(Self { opened_at, call_id, kind })
    }
}

/// Which way a page goes. Lists show the newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Turning<Place = Cursor> {
    /// From the newest.
    #[default]
    First,
    /// Older than this one.
    Older(Place),
    /// Newer than this one.
    Newer(Place),
}

/// Binds whose calls a question may see: parameters `sees_all`, `sees` (whole businesses) and `sees_agents` (`business/agent`).
pub(super) fn bind_sight(sight: &Sight, query: Query) -> Query {
    let (mut whole, mut parts) = (Vec::new(), Vec::new());
    if let Sight::Only(seen) = sight {
        for (business, agents) in seen.iter() {
            match agents {
                Agents::All => whole.push(business.0.to_string()),
                Agents::Only(agents) => parts.extend(agents.iter().map(|agent| format!("{}/{agent}", business.0))),
            }
        }
    }
    query
        .param("sees_all", *sight == Sight::All)
        .param("sees", whole)
        .param("sees_agents", parts)
}

impl CallFilter {
    /// Every call that a reader sees.
    pub fn whole(sight: Sight) -> Self {
        CallFilter {
            sight,
            from: None,
            to: None,
            businesses: Vec::new(),
            kind: None,
            agents: Vec::new(),
            directions: Vec::new(),
            channels: Vec::new(),
            states: Vec::new(),
            reason_classes: Vec::new(),
            reasons: Vec::new(),
            sentiments: Vec::new(),
            successful: None,
            number: None,
            id: None,
            duration_min_ms: None,
            duration_max_ms: None,
            words: Words::default(),
            transferred: None,
            behind: None,
        }
    }

    /// Binds every filter.
    pub(super) fn bind(&self, query: Query) -> Query {
        let words = |values: Vec<String>| values;
        let (digits, text) = number(self.number.as_deref().unwrap_or_default());
        let businesses: Vec<String> = self.businesses.iter().map(|id| id.0.to_string()).collect();
        let from = self.from.map_or(0, |at| at.0.clamp(0, FAR_FUTURE_MS));
        let to = self.to.map_or(FAR_FUTURE_MS, |at| at.0.clamp(0, FAR_FUTURE_MS));
        let by_close = self
            .behind
            .is_some_and(|behind| behind.metric.definition().base == Base::Completion);
        let opened = if by_close { (0, FAR_FUTURE_MS) } else { (from, to) };
        let mut query = bind_sight(&self.sight, query)
            .param("from", opened.0)
            .param("to", opened.1)
            .param("by_close", by_close)
            .param("closed_from", from)
            .param("closed_to", to)
            // Places in a ClickHouse array begin at 1, so that 0 can mean no figure.
            .param("measure", self.behind.map_or(0, |behind| behind.metric.index() as u32 + 1))
            .param("measure_part", word(&self.behind.map(|behind| behind.part).unwrap_or_default()))
            .param("businesses", businesses)
            .param("kind", self.kind.map(Kind::as_str).unwrap_or_default())
            .param("agents", &self.agents)
            .param("directions", words(self.directions.iter().map(word).collect()))
            .param("channels", words(self.channels.iter().map(word).collect()))
            .param("states", words(self.states.iter().map(word).collect()))
            .param("reason_classes", words(self.reason_classes.iter().map(word).collect()))
            .param("reasons", &self.reasons)
            .param("sentiments", words(self.sentiments.iter().map(word).collect()))
            .param("successful", three(self.successful))
            .param("transferred", three(self.transferred))
            .param("number_digits", digits)
            .param("number_text", text)
            .param("id", self.id.as_deref().unwrap_or_default())
            .param("duration_min_ms", self.duration_min_ms.unwrap_or(i64::MIN))
            .param("duration_max_ms", self.duration_max_ms.unwrap_or(i64::MAX))
            .param("any_duration", self.duration_min_ms.is_none() && self.duration_max_ms.is_none());
        for place in 0..WORDS {
            query = query.param(&format!("word_{place}"), self.words.pattern(place));
        }
        query
    }
}

/// Yes, no, or not asked, as the questions read it.
fn three(value: Option<bool>) -> i8 {
    match value {
        None => -1,
        Some(false) => 0,
        Some(true) => 1,
    }
}

/// What to look for among digits, or else as text. `+49 (0)30 123`, `0049 30 123` and `030 123` find the same number.
fn number(typed: &str) -> (String, String) {
    let typed = typed.trim();
    if typed.is_empty() || typed.chars().any(char::is_alphabetic) {
        return (String::new(), typed.to_owned());
    }
    let digits: String = typed.replace("(0)", "").chars().filter(char::is_ascii_digit).collect();
    let significant = digits.trim_start_matches('0');
    // A search for zeros only is a search for them.
    let wanted = if significant.is_empty() { digits.as_str() } else { significant };
    match wanted.is_empty() {
        true => (String::new(), typed.to_owned()),
        false => (wanted.to_owned(), String::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_found_however_it_is_written() {
        for typed in ["+49 (0)30 1234-567", "0049 30 1234567", "+49301234567", "49301234567"] {
            assert_eq!(number(typed).0, "49301234567", "{typed}");
        }
        assert_eq!(number("030 123").0, "30123");
        assert_eq!(number("(415) 555-0100").0, "4155550100");
        assert_eq!(number("anonymous"), (String::new(), "anonymous".to_owned()));
        assert_eq!(number("000").0, "000");
        assert_eq!(number("  "), (String::new(), String::new()));
    }

    #[test]
    fn words_are_split_and_phrases_kept() {
        assert_eq!(
            Words::typed("Refund \"Next Monday\"  ÄRGER").as_slice(),
            ["refund", "next monday", "ärger"]
        );
        assert!(Words::typed(" \"\" ").is_empty());
        assert_eq!(Words::typed("a b c d e f g").as_slice().len(), WORDS);
        assert_eq!(Words::typed("50%_\\").pattern(0), "%50\\%\\_\\\\%");
    }

    #[test]
    fn a_cursor_survives_being_a_text() {
        let cursor = Cursor {
            opened_at: 1_764_547_200_000,
            call_id: "a.b.c ü".into(),
            kind: Kind::Chat,
        };
        assert_eq!(cursor.to_string().parse::<Cursor>(), Ok(cursor));
        for bad in ["", "x", "MS5jYWxsLg", "MS5vdGhlci5h"] {
            assert_eq!(bad.parse::<Cursor>(), Err(BadCursor), "{bad}");
        }
    }

    #[test]
    fn damaged_places_words_and_numbers_are_read_or_refused() {
        let place = Cursor {
            opened_at: 1_795_305_600_000,
            call_id: "call.1".to_owned(),
            kind: Kind::Call,
        };
        let seeds = [place.to_string(), "\"a b\" c % _ \\".to_owned(), "+49 (0)30 1234-567".to_owned()];
        let seeds: Vec<Vec<u8>> = seeds.into_iter().map(String::into_bytes).collect();
        crate::damage::damage("places, words and numbers of a search", &seeds, |text| {
            let text = String::from_utf8_lossy(text);
            if let Ok(place) = text.parse::<Cursor>() {
                assert_eq!(place.to_string().parse::<Cursor>().ok(), Some(place));
            }
            assert!(Words::typed(&text).as_slice().len() <= WORDS);
            let _ = number(&text);
        });
    }
}

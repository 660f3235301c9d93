//! Query parameters: read by name, unknown ones refused, so that a typing error never widens a filter.

use actix_web::HttpRequest;
use actix_web::web::Query;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use trunkline_actors::{BoardScope, CallScope};
use trunkline_core::access::Permission;
use trunkline_core::id::BusinessId;
use trunkline_core::instant::Millis;
use trunkline_core::metric::Window;

use crate::error::{Kind, Problem};
use crate::identity::Caller;
use crate::state::AppState;

/// Values of one list parameter at most; more make no sensible filter.
const VALUES_MAX: usize = 100;

/// Longest window of a board in minutes: a day.
const WINDOW_MINUTES_MAX: u32 = 1_440;

/// Parameters of one request; each is taken once.
pub struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// All parameters of the request's query.
    pub fn of(request: &HttpRequest) -> Result<Parameters, Problem> {
        let pairs = Query::<Vec<(String, String)>>::from_query(request.query_string())
            .map_err(|_| Problem::new(Kind::BadRequest, "The query cannot be read."))?
            .into_inner();
        // No text of ours holds one, and Postgres takes none.
        if let Some((name, _)) = pairs.iter().find(|(name, value)| name.contains('\0') || value.contains('\0')) {
            return Err(Problem::field(
                &name.replace('\0', ""),
                "unreadable",
                "A parameter holds a null byte.",
            ));
        }
        Ok(Parameters(pairs))
    }

    /// The value of `name`; twice is refused. An empty text is a form field that was left empty, and as good as none.
    pub fn text(&mut self, name: &str) -> Result<Option<String>, Problem> {
        Ok(self.written(name)?.filter(|text| !text.is_empty()))
    }

    /// The value of `name` as it stands there.
    fn written(&mut self, name: &str) -> Result<Option<String>, Problem> {
        let mut found = self.all(name).into_iter();
        match (found.next(), found.next()) {
            (_, Some(_)) => Err(Problem::field(name, "repeated", format!("{name} is given more than once."))),
            (value, None) => Ok(value),
        }
    }

    /// The values of a list: `name=a,b`, `name[in]=a,b` or repeated.
    pub fn list(&mut self, name: &str) -> Result<Vec<String>, Problem> {
        let written = self.all(name).into_iter().chain(self.all(&format!("{name}[in]")));
        let values: Vec<String> = written
            .flat_map(|text| text.split(',').map(|part| part.trim().to_owned()).collect::<Vec<_>>())
            .filter(|part| !part.is_empty())
            .collect();
        if values.len() > VALUES_MAX {
            return Err(Problem::field(
                name,
                "too_many",
                format!("{name} takes at most {VALUES_MAX} values."),
            ));
        }
        Ok(values)
    }

    /// A list of words of an enumeration.
    pub fn words<T: DeserializeOwned>(&mut self, name: &str) -> Result<Vec<T>, Problem> {
        self.list(name)?.into_iter().map(|text| word(name, text)).collect()
    }

    /// One word of an enumeration.
    pub fn word<T: DeserializeOwned>(&mut self, name: &str) -> Result<Option<T>, Problem> {
        self.text(name)?.map(|text| word(name, text)).transpose()
    }

    /// A whole number.
    pub fn number<T: std::str::FromStr>(&mut self, name: &str) -> Result<Option<T>, Problem> {
        let read = |text: String| {
            text.parse()
                .map_err(|_| Problem::field(name, "not_a_number", format!("{name} must be a whole number.")))
        };
        self.written(name)?.map(read).transpose()
    }

    /// `true` or `false`.
    pub fn flag(&mut self, name: &str) -> Result<Option<bool>, Problem> {
        let read = |text: String| {
            text.parse()
                .map_err(|_| Problem::field(name, "not_a_flag", format!("{name} must be true or false.")))
        };
        self.written(name)?.map(read).transpose()
    }

    /// A moment in RFC 3339.
    pub fn moment(&mut self, name: &str) -> Result<Option<Millis>, Problem> {
        let read = |text: String| {
            text.parse::<Timestamp>().map(|at| Millis(at.as_millisecond())).map_err(|_| {
                Problem::field(
                    name,
                    "not_a_moment",
                    format!("{name} must be a moment such as 2026-11-22T14:00:00Z."),
                )
            })
        };
        self.text(name)?.map(read).transpose()
    }

    /// A business that the caller sees; others do not exist for them.
    pub fn business(&mut self, name: &str, state: &AppState, caller: &Caller) -> Result<Option<BusinessId>, Problem> {
        self.text(name)?.map(|text| business(name, &text, state, caller)).transpose()
    }

    /// Businesses that the caller sees.
    pub fn businesses(&mut self, name: &str, state: &AppState, caller: &Caller) -> Result<Vec<BusinessId>, Problem> {
        self.list(name)?.iter().map(|text| business(name, text, state, caller)).collect()
    }

    /// Page size, 1 to 100.
    pub fn limit(&mut self) -> Result<u32, Problem> {
        let limit = self.number("limit")?.unwrap_or(25);
        if !(1..=100).contains(&limit) {
            return Err(Problem::field("limit", "out_of_range", "limit must be between 1 and 100."));
        }
        Ok(limit)
    }

    /// Which board, of what the caller may see live.
    pub fn board_scope(&mut self, state: &AppState, caller: &Caller) -> Result<BoardScope, Problem> {
        let minutes: Option<u32> = self.number("window_minutes")?;
        if minutes.is_some_and(|minutes| !(5..=WINDOW_MINUTES_MAX).contains(&minutes)) {
            let detail = format!("window_minutes must be between 5 and {WINDOW_MINUTES_MAX}; leave it out for the day.");
            return Err(Problem::field("window_minutes", "out_of_range", detail));
        }
        Ok(BoardScope {
            sight: caller.sight(Permission::Live)?,
            business: self.business("business", state, caller)?,
            agent: self.text("agent")?,
            direction: caller.direction(self.word("direction")?)?,
            channel: self.word("channel")?,
            window: minutes.map_or(Window::Day, Window::Minutes),
            all_figures: self.flag("figures")?.unwrap_or(false),
        })
    }

    /// Refuses what nobody asked for.
    pub fn end(self) -> Result<(), Problem> {
        match self.0.first() {
            None => Ok(()),
            Some((name, _)) => Err(Problem::field(
                name,
                "unknown_parameter",
                format!("There is no parameter {name} here."),
            )),
        }
    }

    fn all(&mut self, name: &str) -> Vec<String> {
        let (found, rest) = std::mem::take(&mut self.0).into_iter().partition(|(key, _)| key == name);
        self.0 = rest;
        found.into_iter().map(|(_, value): (String, String)| value).collect()
    }
}

/// The calls that a board of this scope counts.
pub fn calls_of(scope: &BoardScope, with_ended: bool) -> CallScope {
    CallScope {
        sight: scope.sight.clone(),
        business: scope.business,
        agent: scope.agent.clone(),
        direction: scope.direction,
        with_ended,
    }
}

/// A word of an enumeration, as the API spells it.
pub fn word<T: DeserializeOwned>(name: &str, text: String) -> Result<T, Problem> {
    let shown = text.clone();
    serde_json::from_value(serde_json::Value::String(text)).map_err(|error| {
        // "unknown variant `x`, expected one of ..." says what is possible.
        let possible = error
            .to_string()
            .split_once("expected ")
            .map(|(_, rest)| rest.to_owned())
            .unwrap_or_default();
        Problem::field(
            name,
            "unknown_value",
            format!("{name} has no value \"{shown}\"; possible: {possible}."),
        )
    })
}

fn business(name: &str, text: &str, state: &AppState, caller: &Caller) -> Result<BusinessId, Problem> {
    let id: BusinessId = text
        .parse()
        .map_err(|error| Problem::new(Kind::BadRequest, format!("{name}: {error}.")))?;
    if caller.knows(state, id) {
        Ok(id)
    } else {
        Err(Problem::not_found())
    }
}

//! `GET /v1/calls`: the call log, page by page.

use std::str::FromStr;

use actix_web::{HttpRequest, get, web};
use trunkline_stores::clickhouse::{AnalyticsError, Behind, CallFilter, Cursor, Turning, Words};

use super::form::{Call, Page};
use super::query::Parameters;
use crate::error::{Problem, Written};
use crate::identity::Caller;
use crate::state::AppState;
use trunkline_core::access::{Permission, Sight};
use trunkline_core::id::BusinessId;

/// Name of the list that cursors are signed for.
const LIST: &str = "calls";

/// Calls and chats, newest first. Lists of values are separated by commas.
#[utoipa::path(tag = "calls", operation_id = "listCalls", params(
    ("opened_at[gte]" = Option<String>, Query, description = "Opened at or after, RFC 3339"),
    ("opened_at[lt]" = Option<String>, Query, description = "Opened before, RFC 3339"),
    ("business" = Option<String>, Query, description = "Any of these businesses"),
    ("kind" = Option<String>, Query, description = "call or chat"),
    ("agent" = Option<String>, Query, description = "Any of these agents, by Retell's id"),
    ("direction" = Option<String>, Query, description = "Any of inbound, outbound, none"),
    ("channel" = Option<String>, Query, description = "Any of phone, web, chat, other"),
    ("state" = Option<String>, Query, description = "Any of registered, ongoing, ended"),
    ("reason_class" = Option<String>, Query, description = "Any of these classes of reasons"),
    ("reason" = Option<String>, Query, description = "Any of these reasons, in Retell's words"),
    ("sentiment" = Option<String>, Query, description = "Any of positive, neutral, negative, unknown, other"),
    ("successful" = Option<bool>, Query, description = "The analysis says so"),
    ("transferred" = Option<bool>, Query, description = "With, or without, an attempt to pass the caller on"),
    ("number" = Option<String>, Query, description = "Part of a number, however written"),
    ("id" = Option<String>, Query, description = "Beginning of Retell's id"),
    ("duration_ms[gte]" = Option<i64>, Query, description = "At least this long"),
    ("duration_ms[lte]" = Option<i64>, Query, description = "At most this long"),
    ("behind" = Option<String>, Query, description = "Only the calls that this metric counts, by its name in /v1/metrics. For metrics on the completion base opened_at then means the end of the call"),
    ("behind_part" = Option<String>, Query, description = "Of these all (default), counted (in the numerator) or rest (in the denominator only)"),
    ("q" = Option<String>, Query, description = "Words that were said; a phrase in double quotes"),
    ("limit" = Option<u32>, Query, description = "1 to 100, default 25"),
    ("after" = Option<String>, Query, description = "next_cursor of the page before"),
    ("before" = Option<String>, Query, description = "previous_cursor of the page after"),
), responses(
    (status = 200, description = "A page of calls", body = Page<Call>),
    (status = 401, description = "No credential", body = Written), (status = 403, description = "Not allowed", body = Written),
    (status = 422, description = "A parameter or cursor is refused", body = Written), (status = 503, description = "ClickHouse is away", body = Written),
))]
#[get("/v1/calls", wrap = "actix_web::middleware::from_fn(super::etag::conditional)")]
pub async fn calls(caller: Caller, request: HttpRequest, state: web::Data<AppState>) -> Result<web::Json<Page<Call>>, Problem> {
    let mut parameters = Parameters::of(&request)?;
    let filter = filter(&mut parameters, &caller, &state)?;
    let limit = parameters.limit()?;
    let turning = turning(&mut parameters, &caller, &state, LIST)?;
    parameters.end()?;
    let page = state
        .analytics
        .calls(caller.tenant, &filter, &turning, limit)
        .await
        .map_err(|error| unread("list calls", error))?;
    let numbers = caller.access.sight(Permission::Numbers);
    let form = |call: trunkline_stores::clickhouse::ListedCall| {
        let shown = numbers.holds(BusinessId(call.business), Some(&call.agent_id));
        let form = Call::listed(call);
        if shown { form } else { form.masked() }
    };
    let seal = |cursor: Cursor| state.cursors.seal(caller.tenant, LIST, &cursor.to_string());
    Ok(web::Json(Page {
        data: page.calls.into_iter().map(form).collect(),
        has_more: page.older.is_some(),
        next_cursor: page.older.map(seal),
        previous_cursor: page.newer.map(seal),
    }))
}

fn filter(parameters: &mut Parameters, caller: &Caller, state: &AppState) -> Result<CallFilter, Problem> {
    let number = parameters.text("number")?;
    Ok(CallFilter {
        sight: number_sight(caller, number.is_some())?,
        from: parameters.moment("opened_at[gte]")?,
        to: parameters.moment("opened_at[lt]")?,
        businesses: parameters.businesses("business", state, caller)?,
        kind: parameters.word("kind")?,
        agents: parameters.list("agent")?,
        directions: parameters.words("direction")?,
        channels: parameters.words("channel")?,
        states: parameters.words("state")?,
        reason_classes: parameters.words("reason_class")?,
        reasons: parameters.list("reason")?,
        sentiments: parameters.words("sentiment")?,
        successful: parameters.flag("successful")?,
        transferred: parameters.flag("transferred")?,
        number,
        id: parameters.text("id")?,
        duration_min_ms: parameters.number("duration_ms[gte]")?,
        duration_max_ms: parameters.number("duration_ms[lte]")?,
        words: Words::typed(&parameters.text("q")?.unwrap_or_default()),
        behind: behind(parameters)?,
    })
}

/// Whose calls a filter may find: by a number, only those whose numbers may be seen, or the filter would tell them digit by digit.
pub fn number_sight(caller: &Caller, by_number: bool) -> Result<Sight, Problem> {
    let reads = caller.sight(Permission::Calls)?;
    if by_number { caller.sight(Permission::Numbers) } else { Ok(reads) }
}

fn behind(parameters: &mut Parameters) -> Result<Option<Behind>, Problem> {
    let part = parameters.word("behind_part")?;
    match (parameters.word("behind")?, part) {
        (Some(metric), part) => Ok(Some(Behind {
            metric,
            part: part.unwrap_or_default(),
        })),
        (None, None) => Ok(None),
        (None, Some(_)) => Err(Problem::field(
            "behind_part",
            "contradiction",
            "behind_part needs behind, the name of a metric.",
        )),
    }
}

/// Which way the page goes, by the cursors that `list` gave out.
pub fn turning<Place: FromStr>(
    parameters: &mut Parameters,
    caller: &Caller,
    state: &AppState,
    list: &str,
) -> Result<Turning<Place>, Problem> {
    let open = |text: String| -> Result<Place, Problem> {
        let place = state.cursors.open(caller.tenant, list, &text)?;
        place
            .parse()
            .map_err(|_| Problem::new(crate::error::Kind::Cursor, "The cursor is from another version; begin without it."))
    };
    match (parameters.text("after")?, parameters.text("before")?) {
        (None, None) => Ok(Turning::First),
        (Some(after), None) => open(after).map(Turning::Older),
        (None, Some(before)) => open(before).map(Turning::Newer),
        (Some(_), Some(_)) => Err(Problem::field("before", "contradiction", "after and before cannot be combined.")),
    }
}

/// ClickHouse did not answer: away, or a bug of ours.
pub fn unread(attempted: &'static str, error: AnalyticsError) -> Problem {
    match error {
        AnalyticsError::Unavailable { .. } => Problem::unavailable(attempted, error),
        other => Problem::internal(attempted, other),
    }
}

//! Pages of lists that Postgres keeps in order of ids: what a request asks for, and the cursors that lead on.

use trunkline_stores::postgres::row::Span;
use uuid::Uuid;

use super::form::Page;
use super::query::Parameters;
use crate::error::{Kind, Problem};
use crate::identity::Caller;
use crate::state::AppState;

/// The part that `limit`, `after` and `before` ask for.
pub fn span(parameters: &mut Parameters, state: &AppState, caller: &Caller, list: &str) -> Result<Span, Problem> {
    let limit = parameters.limit()?;
    let (after, before) = (parameters.text("after")?, parameters.text("before")?);
    if after.is_some() && before.is_some() {
        return Err(Problem::field("before", "contradiction", "Give after or before, not both."));
    }
    let open = |cursor: String| {
        let place = state.cursors.open(caller.tenant, list, &cursor)?;
        place
            .parse::<Uuid>()
            .map_err(|_| Problem::new(Kind::Cursor, "The cursor is not one that this list gave out; begin without it."))
    };
    Ok(Span {
        after: after.map(open).transpose()?,
        before: before.map(open).transpose()?,
        limit,
    })
}

/// The page of what was found for `span`, of which there may be one more than asked for.
pub fn page<T, F>(
    (state, caller, list): (&AppState, &Caller, &str),
    span: &Span,
    mut found: Vec<T>,
    id: impl Fn(&T) -> Uuid,
    form: impl FnMut(T) -> F,
) -> Page<F> {
    let surplus = found.len() > span.limit as usize;
    if surplus {
        let extra = if span.before.is_some() { 0 } else { found.len() - 1 };
        found.remove(extra);
    }
    let seal = |item: Option<&T>| item.map(|item| state.cursors.seal(caller.tenant, list, &id(item).to_string()));
    let has_more = if span.before.is_some() { !found.is_empty() } else { surplus };
    let has_earlier = if span.before.is_some() { surplus } else { span.after.is_some() };
    let next_cursor = if has_more { seal(found.last()) } else { None };
    let previous_cursor = if has_earlier { seal(found.first()) } else { None };
    Page {
        data: found.into_iter().map(form).collect(),
        has_more,
        next_cursor,
        previous_cursor,
    }
}

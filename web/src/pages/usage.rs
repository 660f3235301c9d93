//! The usage page: what the calls of a month used, by business and day, and the same as a file.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use serde::Deserialize;
use trunkline_core::usage::Usage;

use crate::api::usage::{Days, Month, read, total};
use crate::error::Problem;
use crate::identity::Caller;
use crate::pages::csv::quoted;
use crate::pages::shell::{Place, Shell};
use crate::pages::{format, frame, html};
use crate::state::AppState;

/// What the address says.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct UsageQuery {
    month: String,
    business: String,
}

/// A row of a table.
struct Line {
    name: String,
    href: String,
    cells: Vec<String>,
}

/// The page.
#[derive(Template)]
#[template(path = "usage.html")]
pub struct UsagePage {
    s: Shell,
    month: String,
    previous: String,
    next: String,
    file: String,
    heads: Vec<String>,
    businesses: Vec<Line>,
    days: Vec<Line>,
    sum: Vec<String>,
}

/// `GET /usage`.
pub async fn usage(
    caller: Caller,
    request: HttpRequest,
    state: web::Data<AppState>,
    query: web::Query<UsageQuery>,
) -> Result<HttpResponse, Problem> {
    let month = month(&query)?;
    let business = frame::business(&state, &caller, &query.business)?;
    let mut s = frame::shell(&request, &state, &caller, Place::Usage, "nav-usage", &query.business)?;
    s.scope_action = "/usage".to_owned();
    s.scope_keep = vec![("month".to_owned(), month.to_string())];
    let found = read(&state, &caller, business, month).await?;
    let name = |id| frame::business_name(&state, id);
    html(StatusCode::OK, &UsagePage::of(s, month, &query.business, &found, name))
}

/// `GET /usage.csv`: a row for each business and day.
pub async fn file(caller: Caller, state: web::Data<AppState>, query: web::Query<UsageQuery>) -> Result<HttpResponse, Problem> {
    let month = month(&query)?;
    let business = frame::business(&state, &caller, &query.business)?;
    let found = read(&state, &caller, business, month).await?;
    let text = csv(&found, |id| frame::business_name(&state, id).unwrap_or_default());
    let name = format!("attachment; filename=\"usage-{month}.csv\"");
    Ok(HttpResponse::Ok()
        .content_type("text/csv; charset=utf-8")
        .insert_header((header::CONTENT_DISPOSITION, name))
        .body(text))
}

fn month(query: &UsageQuery) -> Result<Month, Problem> {
    if query.month.is_empty() {
        return Ok(Month::current());
    }
    Month::parse(&query.month).ok_or_else(|| Problem::field("month", "not_a_month", "month must be a month such as 2026-11."))
}

fn csv(days: &Days, name: impl Fn(trunkline_core::id::BusinessId) -> String) -> String {
    let mut text =
        String::from("business_id,business,day,calls,connected,timed,talk_ms,chats,priced,cost_microcents,transfer_leg_microcents\r\n");
    for (business, days) in days {
        let named = quoted(&name(*business));
        for (day, used) in days {
            let _ = write!(
                text,
                "{business},{named},{day},{},{},{},{},{},{},{},{}\r\n",
                used.calls,
                used.connected,
                used.timed,
                used.talk_ms,
                used.chats,
                used.priced,
                used.cost_microcents,
                used.transfer_leg_microcents
            );
        }
    }
    text
}

impl UsagePage {
    fn of(
        s: Shell,
        month: Month,
        business: &str,
        found: &Days,
        name: impl Fn(trunkline_core::id::BusinessId) -> Option<String>,
    ) -> UsagePage {
        let link = |path: &str, month: Month, business: &str| {
            let scope = if business.is_empty() {
                String::new()
            } else {
                format!("&business={business}")
            };
            format!("{path}?month={month}{scope}")
        };
        let mut by_day: BTreeMap<&str, Usage> = BTreeMap::new();
        for (day, used) in found.values().flatten() {
            *by_day.entry(day).or_default() += *used;
        }
        let unknown = s.l.t("usage-no-business");
        let mut businesses: Vec<Line> = found
            .iter()
            .map(|(id, days)| {
                let known = name(*id);
                Line {
                    href: known.as_ref().map(|_| link("/usage", month, &id.to_string())).unwrap_or_default(),
                    name: known.unwrap_or_else(|| unknown.clone()),
                    cells: cells(&total(days)),
                }
            })
            .collect();
        businesses.sort_by_key(|line| line.name.to_lowercase());
        UsagePage {
            month: month.to_string(),
            previous: link("/usage", month.moved(-1), business),
            next: link("/usage", month.moved(1), business),
            file: link("/usage.csv", month, business),
            heads: [
                "usage-calls",
                "usage-connected",
                "usage-minutes",
                "usage-chats",
                "usage-cost",
                "usage-legs",
                "usage-priced",
            ]
            .map(|key| s.l.t(key))
            .into(),
            businesses,
            days: by_day
                .iter()
                .map(|(day, used)| Line {
                    name: (*day).to_owned(),
                    href: String::new(),
                    cells: cells(used),
                })
                .collect(),
            sum: cells(&total(found.values().flatten())),
            s,
        }
    }
}

fn cells(used: &Usage) -> Vec<String> {
    let count = |value: i64| format::count(value.max(0).unsigned_abs());
    let cents = |value: i128| format::money(value as f64 / 1_000_000.0);
    vec![
        count(used.calls),
        count(used.connected),
        format::decimal(used.talk_ms as f64 / 60_000.0, 1),
        count(used.chats),
        cents(used.cost_microcents),
        cents(used.transfer_leg_microcents),
        format!("{} / {}", count(used.priced), count(used.calls + used.chats)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_has_a_row_for_each_day_and_no_formula_of_others() {
        let business = trunkline_core::id::BusinessId(uuid::Uuid::from_u128(7));
        let used = Usage {
            calls: 2,
            talk_ms: 61_000,
            cost_microcents: 5,
            ..Usage::default()
        };
        let days = Days::from([(business, vec![("2026-11-22".to_owned(), used)])]);
        let text = csv(&days, |_| "=A \"B\"".to_owned());
        let lines: Vec<&str> = text.split("\r\n").collect();
        assert_eq!(
            lines[1],
            "biz_00000000000000000000000007,\"'=A \"\"B\"\"\",2026-11-22,2,0,0,61000,0,0,5,0"
        );
        assert_eq!(lines[0].split(',').count(), lines[1].split(',').count());
    }
}

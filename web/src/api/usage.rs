//! `GET /v1/usage`: what the calls of a month used, by business and day, from the ledger in Postgres.

use std::collections::BTreeMap;

use actix_web::{HttpRequest, get, web};
use jiff::ToSpan;
use jiff::civil::Date;
use serde::Serialize;
use trunkline_core::id::BusinessId;
use trunkline_core::usage::Usage;
use utoipa::ToSchema;

use super::query::Parameters;
use crate::error::{Problem, Written};
use crate::identity::Caller;
use crate::identity::session::now;
use crate::state::AppState;
use trunkline_core::access::Permission;

/// A calendar month.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Month(Date);

/// What a month used.
#[derive(Debug, Serialize, ToSchema)]
pub struct MonthUsage {
    /// The month, as 2026-11.
    pub month: String,
    /// Sum over the businesses.
    pub total: UsageForm,
    /// By business; those that used nothing are left out.
    pub businesses: Vec<BusinessUsage>,
}

/// What a business used.
#[derive(Debug, Serialize, ToSchema)]
pub struct BusinessUsage {
    /// Which business.
    pub business_id: String,
    /// Sum over its days.
    pub total: UsageForm,
    /// By local date of the opening of calls, in the business's time zone; days without use are left out.
    pub days: Vec<DayForm>,
}

/// What a day used.
#[derive(Debug, Serialize, ToSchema)]
pub struct DayForm {
    /// Local date, as 2026-11-22.
    pub day: String,
    /// What its calls and chats used.
    #[serde(flatten)]
    pub used: UsageForm,
}

/// Use in whole numbers.
#[derive(Debug, Serialize, ToSchema)]
pub struct UsageForm {
    /// Voice calls, connected or not.
    pub calls: i64,
    /// Connected voice calls.
    pub connected: i64,
    /// Connected calls with a known duration: the share that `talk_ms` speaks of.
    pub timed: i64,
    /// Durations of connected calls in ms.
    pub talk_ms: i64,
    /// Chats.
    pub chats: i64,
    /// Calls and chats with a known cost: the share that `cost_microcents` speaks of.
    pub priced: i64,
    /// Combined cost as Retell says it, in millionths of a US cent.
    pub cost_microcents: i64,
    /// Cost of transfer legs among its parts, in millionths of a US cent.
    pub transfer_leg_microcents: i64,
}

impl Month {
    /// The month in UTC at this moment.
    pub fn current() -> Month {
        let at = jiff::Timestamp::from_millisecond(now().0).unwrap_or_default();
        Month(at.to_zoned(jiff::tz::TimeZone::UTC).date().first_of_month())
    }

    /// Reads `2026-11`.
    pub fn parse(text: &str) -> Option<Month> {
        let is_month = text.len() == 7 && text.as_bytes()[4] == b'-';
        let first = is_month.then(|| format!("{text}-01").parse::<Date>().ok()).flatten()?;
        (2015..=2999).contains(&first.year()).then_some(Month(first))
    }

    /// A month later or earlier.
    pub fn moved(self, months: i64) -> Month {
        Month(self.0.saturating_add(months.months()))
    }

    /// First day.
    pub fn first_day(self) -> String {
        self.0.to_string()
    }
}

impl std::fmt::Display for Month {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.to_string()[..7])
    }
}

/// Days of each business of a month, in order.
pub type Days = BTreeMap<BusinessId, Vec<(String, Usage)>>;

/// Reads a month from the ledger, of the businesses whose use the caller may see.
pub async fn read(state: &AppState, caller: &Caller, business: Option<BusinessId>, month: Month) -> Result<Days, Problem> {
    let sight = caller.sight(Permission::Usage)?;
    let found = state
        .ledger
        .usage(caller.tenant, business, &month.first_day(), &month.moved(1).first_day())
        .await
        .map_err(|error| Problem::unavailable("read usage", error))?;
    let mut days = Days::new();
    // Use is kept by business, so it is shown to those who see the whole of it.
    let seen = found
        .into_iter()
        .filter(|day| sight.whole(day.business) && day.usage != Usage::default());
    for day in seen {
        days.entry(day.business).or_default().push((day.day, day.usage));
    }
    Ok(days)
}

/// The sum of some days.
pub fn total<'a>(days: impl IntoIterator<Item = &'a (String, Usage)>) -> Usage {
    days.into_iter().fold(Usage::default(), |sum, (_, used)| sum + *used)
}

/// Use of a month by business and day. Corrections of earlier calls change the day of the call.
#[utoipa::path(tag = "usage", operation_id = "getUsage", params(
    ("month" = Option<String>, Query, description = "The month, as 2026-11; default this month in UTC"),
    ("business" = Option<String>, Query, description = "Only this business"),
), responses((status = 200, description = "Use of the month", body = MonthUsage),
    (status = 401, description = "No credential", body = Written), (status = 403, description = "Not allowed", body = Written),
    (status = 503, description = "Postgres is away", body = Written)))]
#[get("/v1/usage")]
pub async fn usage(caller: Caller, request: HttpRequest, state: web::Data<AppState>) -> Result<web::Json<MonthUsage>, Problem> {
    let mut parameters = Parameters::of(&request)?;
    let business = parameters.business("business", &state, &caller)?;
    let month = match parameters.text("month")? {
        None => Month::current(),
        Some(text) => {
            Month::parse(&text).ok_or_else(|| Problem::field("month", "not_a_month", "month must be a month such as 2026-11."))?
        }
    };
    parameters.end()?;
    let days = read(&state, &caller, business, month).await?;
    Ok(web::Json(MonthUsage {
        month: month.to_string(),
        total: UsageForm::of(total(days.values().flatten())),
        businesses: days.into_iter().map(BusinessUsage::of).collect(),
    }))
}

impl BusinessUsage {
    fn of((business, days): (BusinessId, Vec<(String, Usage)>)) -> BusinessUsage {
        BusinessUsage {
            business_id: business.to_string(),
            total: UsageForm::of(total(&days)),
            days: days
                .into_iter()
                .map(|(day, used)| DayForm {
                    day,
                    used: UsageForm::of(used),
                })
                .collect(),
        }
    }
}

impl UsageForm {
    fn of(used: Usage) -> UsageForm {
        // Sums beyond 64 bits are ninety billion dollars in millionths of a cent.
        let cut = |value: i128| i64::try_from(value).unwrap_or(i64::MAX);
        UsageForm {
            calls: used.calls,
            connected: used.connected,
            timed: used.timed,
            talk_ms: used.talk_ms,
            chats: used.chats,
            priced: used.priced,
            cost_microcents: cut(used.cost_microcents),
            transfer_leg_microcents: cut(used.transfer_leg_microcents),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_is_read_strictly_and_its_neighbours_cross_years() {
        let month = Month::parse("2026-12").unwrap();
        assert_eq!(
            (month.first_day(), month.to_string()),
            ("2026-12-01".to_owned(), "2026-12".to_owned())
        );
        assert_eq!(month.moved(1).to_string(), "2027-01");
        assert_eq!(month.moved(-12).to_string(), "2025-12");
        for wrong in ["2026-13", "2026-1", "202611", "2026-11-01", "0001-01", "", "abcd-ef"] {
            assert_eq!(Month::parse(wrong), None, "{wrong}");
        }
    }
}

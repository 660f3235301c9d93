//! Boards made from partials on demand, at most once a pulse each, and shared by all who look at the same one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;
use dashmap::DashMap;
use jiff::tz::TimeZone;
use trunkline_core::access::Sight;
use trunkline_core::facts::{Channel, Direction};
use trunkline_core::id::{BusinessId, TenantId};
use trunkline_core::instant::Millis;
use trunkline_core::metric::{self, Board, Partial, Scope, Seen, Targets, View, Window};
use trunkline_stores::postgres::Directory;

use super::completeness::Completeness;
use super::hub::TenantView;

/// A board is not made anew within this time: a little less than a pulse, so that each pulse may have its own and none waits for two.
const BOARD_MS: i64 = 80;

/// Without a change of its tenant a board is made anew this often, because ages and windows move with time alone.
const STILL_BOARD_MS: i64 = 1_000;

/// Boards kept per tenant; more different ones are made for each caller anew.
const BOARDS_MAX: usize = 1_000;

/// Boards that nobody asked for within this time are dropped.
const FORGET_MS: i64 = 60_000;

/// Which board.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BoardScope {
    /// Whose calls the reader may see; no other is counted.
    pub sight: Sight,
    /// One business; `None`: all that are seen.
    pub business: Option<BusinessId>,
    /// One agent.
    pub agent: Option<String>,
    /// Inbound or outbound.
    pub direction: Option<Direction>,
    /// Phone, web or chat.
    pub channel: Option<Channel>,
    /// Which span.
    pub window: Window,
    /// Fill [`Board::figures`].
    pub all_figures: bool,
}

impl BoardScope {
    /// All that a reader sees, since the beginning of the day.
    pub fn whole(sight: Sight) -> Self {
        BoardScope {
            sight,
            business: None,
            agent: None,
            direction: None,
            channel: None,
            window: Window::default(),
            all_figures: false,
        }
    }
}

#[derive(Debug, Default)]
struct Cell {
    board: ArcSwapOption<Made>,
    making: Mutex<()>,
}

#[derive(Debug)]
struct Made {
    board: Arc<Board>,
    version: u64,
}

/// The boards of one tenant.
#[derive(Debug, Default)]
pub(crate) struct BoardCache(DashMap<BoardScope, Arc<Cell>>);

/// What a board is made from, beside the partials.
pub(crate) struct Making<'a> {
    pub(crate) tenant: TenantId,
    pub(crate) view: &'a TenantView,
    pub(crate) directory: &'a Directory,
    pub(crate) rules: &'a metric::Rules,
    pub(crate) now: Millis,
    pub(crate) completeness: &'a dyn Fn() -> Completeness,
}

impl BoardCache {
    /// The board of `scope`, no older than its interval. While one caller makes it, others get the one before.
    pub(crate) fn board(&self, scope: &BoardScope, making: &Making<'_>) -> Arc<Board> {
        let version = *making.view.version.borrow();
        let held = self.0.get(scope).map(|cell| Arc::clone(&cell));
        let cell = match held {
            Some(cell) => cell,
            None if self.0.len() >= BOARDS_MAX => return Arc::new(make(scope, making)),
            None => Arc::clone(&self.0.entry(scope.clone()).or_default()),
        };
        let fresh = |made: &Arc<Made>| {
            let age = making.now.since(made.board.as_of);
            age >= 0 && (age < BOARD_MS || made.version == version && age < STILL_BOARD_MS)
        };
        if let Some(made) = cell.board.load_full().filter(fresh) {
            return Arc::clone(&made.board);
        }
        let guard = match (cell.making.try_lock(), cell.board.load_full()) {
            (Ok(guard), _) => guard,
            (Err(_), Some(before)) => return Arc::clone(&before.board),
            (Err(_), None) => cell.making.lock().unwrap_or_else(PoisonError::into_inner),
        };
        // Another caller may have made it between the look and the lock.
        if let Some(made) = cell.board.load_full().filter(fresh) {
            return Arc::clone(&made.board);
        }
        let board = Arc::new(make(scope, making));
        cell.board.store(Some(Arc::new(Made {
            board: Arc::clone(&board),
            version,
        })));
        drop(guard);
        board
    }

    /// Drops boards that nobody looks at any more.
    pub(crate) fn forget(&self, now: Millis) {
        self.0.retain(|_, cell| {
            cell.board
                .load()
                .as_ref()
                .is_none_or(|made| now.since(made.board.as_of) < FORGET_MS)
        });
    }
}

fn make(scope: &BoardScope, making: &Making<'_>) -> Board {
    let held: Vec<(BusinessId, Arc<Partial>)> = making
        .view
        .partials
        .iter()
        .filter(|entry| scope.business.is_none_or(|business| entry.key().0 == business))
        .map(|entry| (entry.key().0, Arc::clone(entry.value())))
        .collect();
    let partials: Vec<Seen<'_>> = held
        .iter()
        .filter_map(|(business, partial)| {
            let agents = scope.sight.agents(*business)?;
            Some(Seen { partial, agents })
        })
        .collect();
    let frame = Frame::of(scope, making);
    let cut = Scope {
        agent: scope.agent.as_deref().map(Arc::from),
        direction: scope.direction,
        channel: scope.channel,
    };
    let mut board = metric::board(
        &partials,
        &View {
            scope: &cut,
            now: making.now,
            day_start: frame.day_start,
            window: scope.window,
            targets: &frame.targets,
            rules: making.rules,
            concurrency_limit: frame.concurrency_limit,
            all_figures: scope.all_figures,
        },
    );
    let completeness = (making.completeness)();
    board.complete_to = completeness.complete_to;
    board.gaps = completeness.gaps.iter().map(|gap| gap.last.abs_diff(gap.first) + 1).sum();
    board.lag_ms = completeness.lag_ms;
    for row in &mut board.agents {
        row.name = row.agent.as_deref().and_then(|agent| making.view.agent_name(agent));
    }
    board
}

/// What the directory says of the business, or of all businesses of the tenant together.
struct Frame {
    day_start: Millis,
    targets: Targets,
    concurrency_limit: Option<u32>,
}

impl Frame {
    fn of(scope: &BoardScope, making: &Making<'_>) -> Frame {
        let directory = making.directory;
        if let Some(entry) = scope
            .business
            .and_then(|id| directory.businesses.get(&id))
            .filter(|entry| entry.tenant == making.tenant)
        {
            let targets = Targets::read(&entry.targets).unwrap_or_default();
            let day_start = day_start(making.now, &entry.zone, entry.day_start_minute);
            return Frame {
                day_start,
                targets,
                concurrency_limit: entry.concurrency_limit,
            };
        }
        // All businesses: the day that most of them have, limits only if each has one. Targets differ, so the catalogue's hold.
        let own: Vec<_> = directory
            .businesses
            .iter()
            .filter(|(id, entry)| entry.tenant == making.tenant && scope.sight.agents(**id).is_some())
            .map(|(_, entry)| entry)
            .collect();
        let mut days: HashMap<(&str, u16), usize> = HashMap::new();
        for entry in &own {
            *days.entry((entry.zone.as_str(), entry.day_start_minute)).or_default() += 1;
        }
        let most = days.into_iter().max_by_key(|(day, count)| (*count, std::cmp::Reverse(*day)));
        let (zone, minute) = most.map_or(("UTC", 0), |(day, _)| day);
        let limits: Option<Vec<u32>> = own.iter().map(|entry| entry.concurrency_limit).collect();
        let concurrency_limit = limits.filter(|limits| !limits.is_empty()).map(|limits| limits.iter().sum());
        Frame {
            day_start: day_start(making.now, zone, minute),
            targets: Targets::default(),
            concurrency_limit,
        }
    }
}

/// The last daily reset at or before `now`, in the zone of the business. An unknown zone counts as UTC.
pub(crate) fn day_start(now: Millis, zone: &str, minute: u16) -> Millis {
    let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
    let Ok(instant) = jiff::Timestamp::from_millisecond(now.0) else {
        return now;
    };
    let today = instant.to_zoned(zone.clone()).date();
    let minute = i8::try_from(minute / 60 % 24).ok().zip(i8::try_from(minute % 60).ok());
    let (hour, minute) = minute.unwrap_or((0, 0));
    for date in [Some(today), today.yesterday().ok()].into_iter().flatten() {
        // A reset that falls into the hour that a clock change leaves out happens right after the gap.
        if let Ok(reset) = date.at(hour, minute, 0, 0).to_zoned(zone.clone()) {
            let at = Millis(reset.timestamp().as_millisecond());
            if at <= now {
                return at;
            }
        }
    }
    now
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Millis {
        Millis(text.parse::<jiff::Timestamp>().expect("a moment").as_millisecond())
    }

    /// AC-18: the day of a business begins at its own minute, in its own zone, through clock changes.
    #[test]
    fn a_day_begins_at_the_minute_of_the_business_in_its_zone() {
        for (now, zone, minute, start) in [
            ("2026-11-22T12:00:00Z", "UTC", 0, "2026-11-22T00:00:00Z"),
            ("2026-11-22T00:00:00Z", "UTC", 0, "2026-11-22T00:00:00Z"),
            ("2026-11-22T03:59:59Z", "UTC", 240, "2026-11-21T04:00:00Z"),
            ("2026-11-22T12:00:00Z", "Asia/Kolkata", 0, "2026-11-21T18:30:00Z"),
            ("2026-11-22T04:59:00Z", "America/New_York", 0, "2026-11-21T05:00:00Z"),
            // Clocks go back: that Sunday has 25 hours. Clocks go forward at 02:00, and the day begins in the gap.
            ("2026-11-02T04:30:00Z", "America/New_York", 0, "2026-11-01T04:00:00Z"),
            ("2026-03-08T12:00:00Z", "America/New_York", 150, "2026-03-08T07:30:00Z"),
            ("2026-11-22T12:00:00Z", "Mars/Olympus", 0, "2026-11-22T00:00:00Z"),
        ] {
            assert_eq!(day_start(at(now), zone, minute), at(start), "{now} {zone} {minute}");
        }
    }
}

//! Analytics: ClickHouse, as a server by URL or as the real engine inside our process behind [`door`].

mod aside;
mod audit;
mod client;
pub mod door;
mod endings;
mod figures;
mod filter;
mod history;
mod insert;
mod list;
mod mark;
mod place;
mod platform;
mod rows;
mod schema;
mod story;
mod tables;
mod whose;
mod workspace;

pub use aside::{AsidePage, AsidePlace, StoredSetAside};
pub use audit::{AgentReceipts, ClassCount, Density, Missing, StandingCalls, StoredOddity};
pub use client::{Analytics, AnalyticsError, AnalyticsOptions};
pub use endings::{EndingsOf, Standing, Standings, StoredEnding};
pub use figures::{FigureScope, Measured};
pub use filter::{BadCursor, Behind, CallFilter, Cursor, Share, Turning, WORDS, Words};
pub use history::{MOVED_CALLS, Owned};
pub use insert::{BLOCK_BYTES, BLOCK_ROWS, by_month};
pub use list::{COUNTED_CALLS, CallPage, ListedCall, PAGE_CALLS, Total};
pub use mark::{Hit, Part, mark};
pub use place::{Known, Place, Placed, after, place, weight};
pub use platform::Arrived;
pub use rows::{CallRow, EventRow, Raw, TranscriptRow};
pub use schema::Migrated;
pub use story::{EventPlace, StoredCall, StoredEvent};
pub use tables::FactTables;
pub use workspace::{SeenAgent, WorkspaceEvents};

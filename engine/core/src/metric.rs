//! Every number on a screen, defined once: what it counts, how one call adds to it, how sums become a board.
//!
//! The way of a number:
//!
//! 1. [`CATALOGUE`] says of each [`Metric`] its time base, formula in words, unit and null rule.
//! 2. [`contribution()`] turns the facts of *one* call into what it adds: for each metric a numerator and a denominator,
//!    both **integers** in the metric's stored unit (a count, a millisecond, a millionth of a cent).
//! 3. A [`Partial`] sums contributions by agent, direction, channel and five-minute interval. A changed call is replaced: the old
//!    contribution is subtracted, the new one added. Integers make that exact, so figures never drift.
//! 4. [`board()`] merges the partials of all partitions and writes the form that screens and `/v1/board` show.
//!
//! # One number everywhere
//!
//! [`Contribution::measures`] gives the same integers as two arrays in catalogue order; ClickHouse stores them with the call
//! and sums them with `sumForEach`. A 64-bit float holds integers up to 2^53 exactly, so those sums do not depend on their order and equal
//! the live ones digit for digit; [`Definition::value`] makes the shown value of both. The interval of a call in SQL is the
//! one of `opened_at` for metrics on the arrival base and of `closed_at` on the completion base, as here.
//! The position of a metric in the arrays is [`Metric::index`]: append-only, held by a golden test. [`sql_columns`] names them.
//!
//! # Empty is not zero
//!
//! A ratio or mean whose denominator is 0 has no value (`None`), never 0. A count of nothing is 0. Ratios are never averaged: they carry
//! numerator and denominator up to the screen. Percentiles merge from the samples of turns, never from percentiles.

mod board;
mod build;
mod catalogue;
mod contribution;
mod definition;
mod figures;
mod legs;
mod name;
mod packed;
mod partial;
mod peak;
mod rules;
mod sheet;
mod sketch;
mod sums;
mod target;

pub use board::{
    AgentRow, Board, Concurrency, CountedReason, Direct, EndedClass, Figure, LatencyRow, Mood, Now, Offered, OpenCalls, Percentiles,
    StateWord, Tile, Window,
};
pub use build::{View, board};
pub use catalogue::{CATALOGUE, sql_columns};
pub use contribution::{Contribution, Slice, contribution};
pub use definition::{Base, Definition, Good, Kind, Sampled, Target, Unit};
pub use name::{Metric, UnknownMetric};
pub use packed::PackedContribution;
pub use partial::{INTERVAL_MS, Partial, Scope, Seen};
pub use rules::{Rules, ServiceLevel};
pub use sketch::{RELATIVE_ERROR, Sketch, bucket, bucket_value};
pub use target::{BadTarget, Targets};

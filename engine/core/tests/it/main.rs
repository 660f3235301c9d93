//! Tests of the pure core, by subject.

mod metric;

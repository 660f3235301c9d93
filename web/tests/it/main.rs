//! The whole product, through its own doors.

mod house_rules;

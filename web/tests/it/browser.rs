//! The screens in a real browser.

mod access;
mod live;
mod look;
mod page;

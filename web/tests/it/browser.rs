//! The screens in a real browser.

mod access;
mod behind;
mod live;
mod look;
mod page;

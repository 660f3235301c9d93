//! The screens in a real browser.

mod access;
mod behind;
mod company;
mod identity;
mod live;
mod look;
mod page;
mod people;
mod rights;
mod settings;

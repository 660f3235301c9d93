//! What one call adds, how sums behave, what a board shows.

mod board;
mod catalogue;
mod fixture;
mod growing;
mod legs;
mod load;
mod properties;
mod sketch;
mod table;

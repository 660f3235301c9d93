//! A believable Retell: many businesses whose agents hold calls and chats, told event by event.
//!
//! Everything follows from a seed: [`World`] is who exists, [`life::Plan`] is one conversation from start to analysis,
//! [`body`] spells its events as Retell spells them, [`disorder`] repeats, delays and loses them, [`sender`] signs and posts them at
//! the set rate, and [`tally::Tally`] counts what was really sent, so that a board can be checked against it.

pub mod body;
pub mod disorder;
pub mod entry;
pub mod life;
pub mod script;
pub mod sender;
pub mod standin;
pub mod tally;
pub mod world;

pub use disorder::Disorder;
pub use life::{Mix, Plan};
pub use sender::{ATTEMPTS, Recent, Sender, SenderOptions};
pub use standin::StandIn;
pub use tally::Tally;
pub use world::World;

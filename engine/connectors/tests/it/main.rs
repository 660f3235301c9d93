//! What we send and what we play, against Retell's own published schemas.

mod client;
mod hostile;
mod schemas;

//! The door: routing and masking.

//! The call.

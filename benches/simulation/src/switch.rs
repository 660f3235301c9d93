//! Turns planted bugs on. Here none are: `plant` puts another file in the place of this one.

/// Turns one on; false where none are planted.
pub fn set(_: &str) -> bool {
    false
}

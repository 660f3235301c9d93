//! Words that come with every call, kept once for the whole process instead of once per call.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use crate::class::REASONS;
use crate::name::NAMES;

const STATUSES: [&str; 5] = ["registered", "not_connected", "ongoing", "ended", "error"];

static WORDS: LazyLock<HashMap<&'static str, Arc<str>>> = LazyLock::new(|| {
    let reasons = REASONS.iter().map(|(word, _)| *word);
    let names = NAMES.iter().map(|(word, _)| *word);
    STATUSES
        .into_iter()
        .chain(reasons)
        .chain(names)
        .map(|word| (word, Arc::from(word)))
        .collect()
});

/// The word; shared when it is a documented one.
pub(crate) fn interned(word: &str) -> Arc<str> {
    WORDS.get(word).cloned().unwrap_or_else(|| Arc::from(word))
}

//! Words that come with every call, kept once for the whole process instead of once per call.

use std::sync::{Arc, LazyLock};

use crate::class::REASONS;
use crate::name::{NAMES, Name};

const STATUSES: [&str; 5] = ["registered", "not_connected", "ongoing", "ended", "error"];

static STATUS_WORDS: LazyLock<[Arc<str>; STATUSES.len()]> = LazyLock::new(|| STATUSES.map(Arc::from));
static REASON_WORDS: LazyLock<[Arc<str>; REASONS.len()]> = LazyLock::new(|| REASONS.map(|(word, _)| Arc::from(word)));
static NAME_WORDS: LazyLock<[Arc<str>; NAMES.len()]> = LazyLock::new(|| NAMES.map(|(word, _)| Arc::from(word)));

fn one_of(words: &[Arc<str>], word: &str) -> Arc<str> {
    words
        .iter()
        .find(|known| ***known == *word)
        .cloned()
        .unwrap_or_else(|| Arc::from(word))
}

/// A `call_status`; shared when it is a documented one.
pub(super) fn status(word: &str) -> Arc<str> {
    one_of(&*STATUS_WORDS, word)
}

/// A `disconnection_reason`; shared when it is a documented one.
pub(super) fn reason(word: &str) -> Arc<str> {
    one_of(&*REASON_WORDS, word)
}

/// A documented event name.
pub(crate) fn name(name: Name) -> Arc<str> {
    NAME_WORDS[name as usize].clone()
}

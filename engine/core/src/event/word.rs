//! Words that come with every call, kept once instead of once per call.

use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::{Arc, LazyLock};

use foldhash::fast::RandomState;

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
pub(crate) fn status(word: &str) -> Arc<str> {
    one_of(&*STATUS_WORDS, word)
}

/// A `disconnection_reason`; shared when it is a documented one.
pub(crate) fn reason(word: &str) -> Arc<str> {
    one_of(&*REASON_WORDS, word)
}

/// A documented event name.
pub(crate) fn name(name: Name) -> Arc<str> {
    NAME_WORDS[name as usize].clone()
}

/// Texts remembered per thread; beyond, it begins anew. Agents, their names, our own numbers and names of variables are few.
const SHARED_MAX: usize = 4_096;

/// Longest text remembered, in bytes: names are short, and what is long is of one call.
const SHARED_BYTES: usize = 64;

thread_local! {
    static SHARED: RefCell<HashSet<Arc<str>, RandomState>> = RefCell::default();
}

/// A text that many calls have in common, kept once per thread. Not for what is of one call, such as the caller's number.
pub(crate) fn shared(text: &str) -> Arc<str> {
    if text.len() > SHARED_BYTES {
        return Arc::from(text);
    }
    SHARED.with_borrow_mut(|known| {
        if let Some(text) = known.get(text) {
            return text.clone();
        }
        if known.len() == SHARED_MAX {
            known.clear();
        }
        let text: Arc<str> = Arc::from(text);
        known.insert(text.clone());
        text
    })
}

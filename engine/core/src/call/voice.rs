//! Which version of the transcript counts (rule B6).

use std::sync::Arc;

use smallvec::SmallVec;

use super::receipts::Receipts;
use crate::instant::Millis;
use crate::name::Name;
use crate::transcript::Transcript;

/// A version and the receipts it came with.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    /// `None` once an ending event has brought the one that counts.
    pub transcript: Option<Arc<Transcript>>,
    pub receipts: SmallVec<[u32; 4]>,
}

/// Nearly always one.
pub(super) type Few = SmallVec<[Candidate; 1]>;

/// Versions among which only stamps decide, and stamps may yet turn out earlier.
#[derive(Debug, Clone, Default)]
pub(super) struct Voice {
    /// Characters of the largest version before the end.
    pub(super) largest_characters: u64,
    /// Turns of it.
    pub(super) largest_turns: u32,
    /// Rank of the highest ending event that brought a turn.
    pub(super) rank: u8,
    /// Some event says that the call is or was running (rule B4); it stands here because it takes no further room.
    pub(super) ongoing_seen: bool,
    pub(super) live: Few,
    /// None while a call runs.
    pub(super) canonical: Vec<Candidate>,
}

/// The version that `transcript` is, now that it came with the receipt at `place` as well; otherwise one to add.
fn add(candidates: &mut [Candidate], place: u32, transcript: &Arc<Transcript>, keep: bool) -> Option<Candidate> {
    let same = candidates.iter_mut().find(|known| match &known.transcript {
        Some(known) => known == transcript,
        None => !keep,
    });
    match same {
        Some(known) => {
            known.receipts.push(place);
            if let Some(dropped) = known.transcript.as_mut().filter(|known| known.lacks_text()) {
                *dropped = transcript.clone();
            }
            None
        }
        None => Some(Candidate {
            transcript: keep.then(|| transcript.clone()),
            receipts: SmallVec::from_slice(&[place]),
        }),
    }
}

/// The candidate with the latest stamp.
fn latest<'a>(candidates: &'a [Candidate], receipts: &Receipts) -> Option<&'a Candidate> {
    match candidates {
        [] => None,
        [only] => Some(only),
        many => many
            .iter()
            .max_by_key(|candidate| candidate.receipts.iter().map(|place| receipts.order(*place)).max()),
    }
}

impl Voice {
    /// Turns and characters of the largest version before the end.
    fn largest(&self) -> (u32, u64) {
        (self.largest_turns, self.largest_characters)
    }

    /// Takes in a version.
    pub fn hear(&mut self, place: u32, name: Name, transcript: &Arc<Transcript>) {
        let size = transcript.size();
        if name.ends() && size.0 > 0 {
            if name.rank() > self.rank {
                self.rank = name.rank();
                self.canonical.clear();
                for candidate in &mut self.live {
                    candidate.transcript = None;
                }
            }
            if name.rank() == self.rank {
                let new = add(&mut self.canonical, place, transcript, true);
                self.canonical.reserve_exact(usize::from(new.is_some()));
                self.canonical.extend(new);
            }
            return;
        }
        if size > self.largest() {
            (self.largest_turns, self.largest_characters) = size;
            self.live.clear();
        }
        if size == self.largest() {
            let new = add(&mut self.live, place, transcript, self.canonical.is_empty());
            self.live.extend(new);
        }
    }

    /// The version that counts.
    pub fn winner<'a>(&'a self, receipts: &Receipts) -> Option<&'a Arc<Transcript>> {
        latest(&self.canonical, receipts)
            .or_else(|| latest(&self.live, receipts))?
            .transcript
            .as_ref()
    }

    /// When the conversation last grew: the first receipt of the largest version, or of the canonical one if that is larger still.
    pub fn last_growth(&self, receipts: &Receipts) -> Option<Millis> {
        let first = |candidate: &Candidate| candidate.receipts.iter().map(|place| receipts.order(*place).received_at).min();
        let size = |candidate: &Candidate| candidate.transcript.as_ref().map(|transcript| transcript.size());
        let canonical = latest(&self.canonical, receipts).and_then(size);
        let of_size = || {
            self.canonical
                .iter()
                .filter(|candidate| size(candidate) == canonical)
                .filter_map(first)
                .min()
        };
        if canonical.is_some_and(|size| size > self.largest()) {
            return of_size();
        }
        self.live.iter().filter_map(first).min().or_else(of_size)
    }

    /// Drops texts, but for the last turn.
    pub fn drop_text(&mut self) {
        for candidate in self.canonical.iter_mut().chain(&mut self.live) {
            if let Some(transcript) = &mut candidate.transcript {
                *transcript = Arc::new(transcript.without_text());
            }
        }
    }

    /// Takes the text of a version back that came before; false when none lacks it.
    pub fn recall(&mut self, text: &Arc<Transcript>) -> bool {
        let candidates = self.live.iter_mut().chain(&mut self.canonical);
        let mut lacking = candidates
            .filter_map(|candidate| candidate.transcript.as_mut())
            .filter(|transcript| transcript.lacks_text() && *transcript == text);
        let Some(found) = lacking.next() else { return false };
        *found = text.clone();
        true
    }

    /// A version that may count lacks its text.
    pub fn lacks_text(&self) -> bool {
        self.transcripts().any(|transcript| transcript.lacks_text())
    }

    fn transcripts(&self) -> impl Iterator<Item = &Arc<Transcript>> {
        self.live
            .iter()
            .chain(&self.canonical)
            .filter_map(|candidate| candidate.transcript.as_ref())
    }

    pub fn text_bytes(&self) -> usize {
        self.transcripts().map(|transcript| transcript.text_bytes()).sum()
    }

    pub fn heap_bytes(&self) -> usize {
        let spilled = if self.live.spilled() { self.live.capacity() } else { 0 };
        let candidates = (spilled + self.canonical.capacity()) * size_of::<Candidate>();
        let places = self.live.iter().chain(&self.canonical).map(|candidate| &candidate.receipts);
        let receipts: usize = places.filter(|places| places.spilled()).map(|places| places.capacity() * 4).sum();
        candidates
            + receipts
            + self
                .transcripts()
                .map(|text| 16 + size_of::<Transcript>() + text.text_bytes())
                .sum::<usize>()
    }
}

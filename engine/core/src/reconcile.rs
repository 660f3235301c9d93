//! Retell's own list of calls against what we heard of them: what differs, and which events have to be filled in.
//!
//! Only what Retell says *and we lack* is a difference: what we know beyond its list (a transcript while the call ran) is not.

use serde::{Deserialize, Serialize};

use crate::facts::{CallFacts, Cost};
use crate::instant::Millis;
use crate::name::Name;
use crate::usage::Evidence;

/// A call as Retell lists it (`API.md` part 9), without numbers and words.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    /// Retell's id.
    pub call_id: Box<str>,
    /// Its agent; empty if Retell does not say.
    pub agent_id: Box<str>,
    /// False while it is dialled or runs.
    pub over: bool,
    /// Its start; calls that never connected have none.
    pub started_at: Option<Millis>,
    /// Its end.
    pub ended_at: Option<Millis>,
    /// The end of a transferred leg.
    pub transfer_ended_at: Option<Millis>,
    /// There is analysis content (rule B5).
    pub analysed: bool,
    /// What Retell says that it costs, in cents.
    pub combined_cents: Option<f64>,
}

/// What differs between Retell's list and what we heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Difference {
    /// No event of it ever came.
    Unheard,
    /// It is over and no `call_ended` came.
    EndMissed,
    /// It is analysed and no analysis came.
    AnalysisMissed,
    /// It costs something else than the last event said.
    CostDiffers,
    /// Its end came and Retell says that it runs. Nothing can be filled in: a person has to look.
    StillRunning,
}

impl Difference {
    /// All of them.
    pub const ALL: [Difference; 5] = [
        Difference::Unheard,
        Difference::EndMissed,
        Difference::AnalysisMissed,
        Difference::CostDiffers,
        Difference::StillRunning,
    ];

    /// As stored and shown to programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Difference::Unheard => "unheard",
            Difference::EndMissed => "end_missed",
            Difference::AnalysisMissed => "analysis_missed",
            Difference::CostDiffers => "cost_differs",
            Difference::StillRunning => "still_running",
        }
    }

    /// The difference of this word.
    pub fn parse(word: &str) -> Option<Difference> {
        Difference::ALL.into_iter().find(|difference| difference.as_str() == word)
    }
}

/// A difference, and the events that Retell should have sent. Filled in under their own names, a late one is a repeat or a revision of
/// them (rule B2) and counts nothing twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// What differs.
    pub difference: Difference,
    /// In the order of a call's life; empty when nothing can be filled in.
    pub missing: Vec<Name>,
}

/// What we heard of a call: its records and what they make.
#[derive(Debug, Clone, Copy)]
pub struct Heard<'a> {
    /// The records.
    pub evidence: &'a Evidence,
    /// The call that they make.
    pub facts: &'a CallFacts,
}

/// Compares; `None` when nothing is missing. `heard` is `None` when no documented event of the call came.
pub fn compare(listed: &Listed, heard: Option<Heard<'_>>) -> Option<Gap> {
    let Some(Heard { evidence, facts }) = heard else {
        return Some(Gap {
            difference: Difference::Unheard,
            missing: life(listed),
        });
    };
    let gap = |difference, missing| Some(Gap { difference, missing });
    if !listed.over {
        return match evidence.has(Name::CallEnded) {
            true => gap(Difference::StillRunning, Vec::new()),
            false => None,
        };
    }
    // Rule B5: content makes a call analysed, from whichever event.
    let unanalysed = listed.analysed && !facts.analysed;
    let analysis = unanalysed.then_some(Name::CallAnalyzed);
    if !evidence.has(Name::CallEnded) {
        return gap(Difference::EndMissed, [Name::CallEnded].into_iter().chain(analysis).collect());
    }
    if let Some(analysis) = analysis {
        return gap(Difference::AnalysisMissed, vec![analysis]);
    }
    let known = facts.cost.as_ref().and_then(|cost| cost.combined_cents);
    let said = listed.combined_cents?;
    let differs = known.is_none_or(|known| (known - said).abs() > Cost::NOISE_CENTS);
    if differs {
        gap(Difference::CostDiffers, vec![last_word(listed)])
    } else {
        None
    }
}

/// The events of a call of which we know nothing.
fn life(listed: &Listed) -> Vec<Name> {
    if !listed.over {
        return vec![Name::CallStarted];
    }
    let analysed = listed.analysed.then_some(Name::CallAnalyzed);
    // The final cost of a transferred call is known only after the transfer leg ends: that event has the last word (rule B8).
    let transferred = listed.transfer_ended_at.map(|_| Name::TransferEnded);
    [Name::CallEnded].into_iter().chain(analysed).chain(transferred).collect()
}

/// The event of highest rank that the call has: its fields win (rule B3).
fn last_word(listed: &Listed) -> Name {
    match (listed.transfer_ended_at, listed.analysed) {
        (Some(_), _) => Name::TransferEnded,
        (None, true) => Name::CallAnalyzed,
        (None, false) => Name::CallEnded,
    }
}

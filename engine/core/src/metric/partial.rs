//! The figures of one business on one partition of the log: contributions enter, change and leave; partials of all
//! partitions merge on the board.

use std::collections::HashMap;
use std::sync::Arc;

use super::contribution::{Contribution, Slice};
use super::figures::{Figures, number};
use crate::access::Agents;
use crate::facts::{Channel, Direction};
use crate::instant::Millis;

/// Width of the kept intervals. Every longer interval, and every zone's day, is made of these.
pub const INTERVAL_MS: i64 = 300_000;

/// Which cut a board shows; what is `None` is not cut.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Scope {
    /// One agent.
    pub agent: Option<Arc<str>>,
    /// Inbound or outbound.
    pub direction: Option<Direction>,
    /// Phone, web or chat.
    pub channel: Option<Channel>,
}

impl Scope {
    /// No cut at all.
    pub fn is_all(&self) -> bool {
        *self == Scope::default()
    }

    /// True if calls of this slice are in.
    pub fn holds(&self, slice: &Slice) -> bool {
        (self.agent.is_none() || self.agent == slice.agent)
            && self.direction.is_none_or(|direction| direction == slice.direction)
            && self.channel.is_none_or(|channel| channel == slice.channel)
    }
}

/// Figures of one business on one partition. Two partials that were given the same contributions are equal, in whatever order
/// and with whatever detours they came.
///
/// A clone shares everything with the original until one of them changes, and then only what changed is copied: that is how readers get
/// an immutable picture many times a second.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Partial {
    /// All slices together: most boards read only this.
    all: Arc<Figures>,
    slices: HashMap<Slice, Arc<Figures>>,
    kept_from: i64,
}

impl Partial {
    /// Puts a contribution in.
    pub fn add(&mut self, contribution: &Contribution) {
        self.change(None, Some(contribution));
    }

    /// Takes a contribution out that was put in.
    pub fn subtract(&mut self, contribution: &Contribution) {
        self.change(Some(contribution), None);
    }

    /// Replaces what a call added before by what it adds now. True if any figure may have changed.
    pub fn replace(&mut self, old: &Contribution, new: &Contribution) -> bool {
        if old == new {
            return false;
        }
        self.change(Some(old), Some(new));
        true
    }

    fn change(&mut self, old: Option<&Contribution>, new: Option<&Contribution>) {
        Arc::make_mut(&mut self.all).replace(old, new, self.kept_from);
        match (old, new) {
            (Some(was), Some(is)) if was.slice == is.slice => self.in_slice(&is.slice, old, new),
            _ => {
                if let Some(was) = old {
                    self.in_slice(&was.slice, old, None);
                }
                if let Some(is) = new {
                    self.in_slice(&is.slice, None, new);
                }
            }
        }
    }

    fn in_slice(&mut self, slice: &Slice, old: Option<&Contribution>, new: Option<&Contribution>) {
        if let Some(figures) = self.slices.get_mut(slice) {
            Arc::make_mut(figures).replace(old, new, self.kept_from);
            if figures.is_empty() {
                self.slices.remove(slice);
            }
            return;
        }
        let mut figures = Figures::default();
        figures.replace(old, new, self.kept_from);
        if !figures.is_empty() {
            self.slices.insert(slice.clone(), Arc::new(figures));
        }
    }

    /// Drops the intervals that lie wholly before `at`. Contributions to them are ignored from now on; calls still in progress
    /// stay counted.
    pub fn forget(&mut self, at: Millis) {
        self.kept_from = self.kept_from.max(number(at));
        Arc::make_mut(&mut self.all).forget(self.kept_from);
        for figures in self.slices.values_mut() {
            Arc::make_mut(figures).forget(self.kept_from);
        }
        self.slices.retain(|_, figures| !figures.is_empty());
    }

    /// Nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Memory held, about.
    pub fn memory_bytes(&self) -> usize {
        let slices = self
            .slices
            .values()
            .map(|figures| size_of::<(Slice, Figures)>() + figures.memory_bytes());
        self.all.memory_bytes() + slices.sum::<usize>()
    }
}

/// A partial, as far as the reader of a board may see it.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// The figures.
    pub partial: &'a Partial,
    /// Whose calls of it count.
    pub agents: &'a Agents,
}

impl<'a> From<&'a Partial> for Seen<'a> {
    fn from(partial: &'a Partial) -> Self {
        Seen {
            partial,
            agents: &Agents::All,
        }
    }
}

impl<'a> Seen<'a> {
    /// The figures that make up a cut.
    pub(super) fn cut(self, scope: &'a Scope) -> impl Iterator<Item = &'a Figures> {
        let all = scope.is_all() && *self.agents == Agents::All;
        let whole = all.then_some(&*self.partial.all).into_iter();
        let parts = self.slices(scope).filter(move |_| !all).map(|(_, figures)| figures);
        whole.chain(parts)
    }

    /// The slices of a cut.
    pub(super) fn slices(self, scope: &'a Scope) -> impl Iterator<Item = (&'a Slice, &'a Figures)> {
        self.partial
            .slices
            .iter()
            .filter(move |(slice, _)| scope.holds(slice) && self.agents.holds(slice.agent.as_deref()))
            .map(|(slice, figures)| (slice, &**figures))
    }
}

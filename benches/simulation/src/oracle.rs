//! What must be there after a run: folded from the log alone, with the pure core and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use trunkline_core::call::Call;
use trunkline_core::event::{Reading, read};
use trunkline_core::facts::CallState;
use trunkline_core::id::{BusinessId, CallKey};
use trunkline_core::instant::Millis;
use trunkline_core::metric::{Partial, Rules, contribution};
use trunkline_core::record::Record;
use trunkline_core::usage::{Usage, usage};
use trunkline_stores::postgres::Directory;
use uuid::Uuid;

use crate::ledger::Day;
use crate::log::LogState;

/// A call as it must be.
pub struct Truth {
    /// The fold of its records in the order of the log.
    pub call: Call,
    /// Partition of its records.
    pub partition: u32,
    /// Latest receipt of any of them.
    pub heard_at: Millis,
    /// Some record says that its end was presumed.
    pub presumed: bool,
}

/// Everything that must be.
pub struct Oracle {
    /// The calls.
    pub calls: BTreeMap<CallKey, Truth>,
    /// Records that say nothing of a call.
    pub aside: BTreeSet<(u32, i64)>,
    rules: Rules,
}

impl Oracle {
    /// Reads the log.
    pub fn of(log: &LogState) -> Oracle {
        let mut calls: BTreeMap<CallKey, Truth> = BTreeMap::new();
        let mut aside = BTreeSet::new();
        for stored in log.records() {
            let position = stored.position;
            let record = Record::decode(&stored.bytes).expect("the simulation stores whole records only");
            let Reading::Event(event) = read(&record) else {
                aside.insert((position.partition, position.offset));
                continue;
            };
            let truth = calls.entry(event.key().clone()).or_insert_with(|| Truth {
                call: Call::new(event.key().clone(), record.header.workspace),
                partition: position.partition,
                heard_at: Millis(i64::MIN),
                presumed: false,
            });
            truth.call.apply(&event);
            truth.heard_at = truth.heard_at.max(record.header.received_at);
            truth.presumed |= record.header.event == trunkline_actors::live::PRESUMED_ENDED;
        }
        Oracle {
            calls,
            aside,
            rules: Rules::default(),
        }
    }

    /// Calls that exist: documented events came.
    pub fn existing(&self) -> impl Iterator<Item = (&CallKey, &Truth)> {
        self.calls.iter().filter(|(_, truth)| truth.call.exists())
    }

    /// Whose a call is.
    pub fn home(&self, key: &CallKey, directory: &Directory) -> BusinessId {
        let facts = self.calls[key].call.facts();
        let home = directory.business_of(key.tenant, facts.workspace, facts.owner_agent.as_deref());
        home.unwrap_or(BusinessId(Uuid::nil()))
    }

    /// What the bill must say.
    pub fn days(&self, directory: &Directory) -> BTreeMap<Day, Usage> {
        let mut days: BTreeMap<Day, Usage> = BTreeMap::new();
        for (key, truth) in self.existing() {
            let facts = truth.call.facts();
            let home = self.home(key, directory);
            let zone = directory.businesses.get(&home).map_or("UTC", |business| &business.zone);
            let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
            let at = Timestamp::from_millisecond(facts.opened_at().0).unwrap_or_default();
            let day = at.to_zoned(zone).date().to_string();
            *days.entry((key.tenant, home, day, truth.partition)).or_default() += usage(&facts);
        }
        days.retain(|_, usage| *usage != Usage::default());
        days
    }

    /// The figures of a business.
    pub fn partial(&self, business: BusinessId, directory: &Directory) -> Partial {
        let mut partial = Partial::default();
        for (key, truth) in self.existing() {
            if self.home(key, directory) == business {
                partial.add(&contribution(&truth.call.facts(), &self.rules));
            }
        }
        partial
    }

    /// What the outside must have been told: of each call the topics, each with how often at least and at most.
    pub fn told(&self) -> BTreeMap<(CallKey, &'static str), (usize, usize)> {
        let mut told = BTreeMap::new();
        for (key, truth) in self.existing() {
            let facts = truth.call.facts();
            let is_chat = key.kind == trunkline_core::id::Kind::Chat;
            if facts.state == CallState::Ended || truth.presumed {
                // A presumed end is told, and told again when it is proved.
                let least = usize::from(facts.state == CallState::Ended);
                let most = 1 + usize::from(truth.presumed && !facts.presumed_ended);
                told.insert((key.clone(), if is_chat { "chat.ended" } else { "call.ended" }), (least, most));
            }
            if facts.analysed {
                told.insert((key.clone(), if is_chat { "chat.analyzed" } else { "call.analyzed" }), (1, 1));
            }
        }
        told
    }

    /// The rules that figures are made by.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }
}

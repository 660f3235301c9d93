//! Alerts and inbound hooks: recorded like events, but of no call (rules A7, A11).

use super::reader::Reader;
use crate::id::Kind;
use crate::instant::Millis;
use crate::json::Value;

/// An alert rule of a Retell workspace fired or was resolved.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Alert {
    /// Fired; else resolved.
    pub triggered: bool,
    /// `alert_incident_id`.
    pub incident: Option<String>,
    /// `alert_rule_id`.
    pub rule: Option<String>,
    /// Name of the rule.
    pub name: Option<String>,
    /// What is watched, Retell's word.
    pub metric: Option<String>,
    /// `comparator` as spelled.
    pub comparator: Option<String>,
    /// What it was compared with. Of cost metrics in cents.
    pub threshold: Option<f64>,
    /// What it was.
    pub value: Option<f64>,
    /// Since when.
    pub triggered_at: Option<Millis>,
    /// Until when.
    pub resolved_at: Option<Millis>,
}

impl Alert {
    pub(super) fn read(triggered: bool, object: Option<Value<'_>>) -> Alert {
        let mut reader = Reader::default();
        let member = |name: &str| object.and_then(|object| object.get(name));
        let mut text = |name: &'static str| reader.text(member(name), name).map(|text| text.into_owned());
        let mut alert = Alert {
            triggered,
            incident: text("alert_incident_id"),
            rule: text("alert_rule_id"),
            name: text("name"),
            metric: text("metric_type"),
            comparator: text("comparator"),
            ..Alert::default()
        };
        let mut moment = |name: &'static str| reader.number(member(name), name).and_then(|number| number.rounded()).map(Millis);
        alert.triggered_at = moment("triggered_timestamp");
        alert.resolved_at = moment("resolved_timestamp");
        let mut value = |name: &'static str| reader.number(member(name), name).and_then(|number| number.float());
        alert.threshold = value("threshold_value");
        alert.value = value("current_value");
        alert
    }
}

/// An inbound hook that came to the event address: its URL is configured in the wrong place. Its id creates no call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// `call_inbound` or `chat_inbound`.
    pub kind: Kind,
    /// Who rings.
    pub from: Option<String>,
    /// Whom.
    pub to: Option<String>,
    /// The number's own agent.
    pub agent: Option<String>,
    /// The id that the call will have, if Retell says so.
    pub id: Option<String>,
}

impl Hook {
    pub(super) fn read(kind: Kind, object: Option<Value<'_>>) -> Hook {
        let mut reader = Reader::default();
        let mut text = |name: &'static str| {
            let member = object.and_then(|object| object.get(name));
            reader.text(member, name).map(|text| text.into_owned())
        };
        let id = if kind == Kind::Call { "call_id" } else { "chat_id" };
        Hook {
            kind,
            from: text("from_number"),
            to: text("to_number"),
            agent: text("agent_id"),
            id: text(id),
        }
    }
}

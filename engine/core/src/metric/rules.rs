//! The switches of the definitions, with a version: changing one re-computes history, and reports say which held.

use serde::{Deserialize, Serialize};

/// How a service level is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum ServiceLevel {
    /// Answered in time / (answered + abandoned + blocked). The default.
    #[default]
    Genesys,
    /// Removed from the queue in time, by answer or abandon / all queued. A quick hang-up helps this one.
    Amazon,
    /// Answered in time / all who waited; short abandons do not count.
    Flex,
}

/// Thresholds and switches that [`super::contribution()`] takes. Defaults are those of the catalogue's words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rules {
    /// Raised with every change of meaning; stored with what was computed by it.
    pub version: u32,
    /// How service levels are counted, on both legs.
    pub service_level: ServiceLevel,
    /// The agent's first word within this counts as in time.
    pub ai_within_ms: i64,
    /// A bridge within this counts as in time.
    pub human_within_ms: i64,
    /// Hang-ups not longer than this are short abandons.
    pub short_abandon_ms: i64,
    /// Leave short abandons out of the service level's denominator (always so with [`ServiceLevel::Flex`]).
    pub drop_short_abandons: bool,
    /// A hang-up without any transcript is an abandon up to this length; a longer call's transcript was not kept.
    pub silent_hang_up_ms: i64,
    /// An agent that says nothing within this on a dialled person's hello is silent.
    pub silent_connect_ms: i64,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            version: 1,
            service_level: ServiceLevel::Genesys,
            ai_within_ms: 3_000,
            human_within_ms: 20_000,
            short_abandon_ms: 5_000,
            drop_short_abandons: false,
            silent_hang_up_ms: 30_000,
            silent_connect_ms: 2_000,
        }
    }
}

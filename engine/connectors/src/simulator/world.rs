//! Who exists in the simulated Retell workspace: businesses and their agents.

use serde::Serialize;

/// A simulated business; the demo creates one of ours for each.
#[derive(Debug, Clone, Serialize)]
pub struct SimBusiness {
    /// Its name.
    pub name: &'static str,
    /// Its IANA time zone.
    pub zone: &'static str,
    /// Its share of all calls, relative to the others.
    pub weight: u32,
    /// Its number in E.164.
    pub number: &'static str,
    /// Concurrency limit shown on its board.
    pub limit: u32,
    /// Its agents.
    pub agents: Vec<SimAgent>,
}

/// A simulated agent.
#[derive(Debug, Clone, Serialize)]
pub struct SimAgent {
    /// `agent_` and 26 hex digits, as Retell writes them.
    pub id: String,
    /// Shown name.
    pub name: String,
    /// The name it gives on the phone.
    pub persona: &'static str,
    /// Published version.
    pub version: u32,
    /// Language of its scripts: a key of `scripts.json`.
    pub language: &'static str,
    /// What it does.
    pub job: Job,
}

/// What an agent is there for; decides the direction of its calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Job {
    /// Answers the business's number.
    Inbound,
    /// Rings customers.
    Outbound,
    /// Talks on the web page.
    Web,
    /// Writes.
    Chat,
}

/// All businesses of the simulated workspace.
#[derive(Debug, Clone, Serialize)]
pub struct World {
    /// The businesses, in a fixed order.
    pub businesses: Vec<SimBusiness>,
}

type Row = (
    &'static str,
    &'static str,
    u32,
    &'static str,
    u32,
    &'static [(&'static str, &'static str, &'static str, Job)],
);

const ROWS: &[Row] = &[
    (
        "Northside Clinics",
        "Europe/Berlin",
        30,
        "+14155550100",
        200,
        &[
            ("Reception EN", "Ava", "en-US", Job::Inbound),
            ("Reception ES", "Lola", "es-ES", Job::Inbound),
            ("Reception JA", "佐藤", "ja-JP", Job::Inbound),
            ("Reception AR", "ليلى", "ar-AE", Job::Inbound),
            ("Recall", "Ben", "en-US", Job::Outbound),
            ("Web assistant", "Ava", "en-US", Job::Web),
        ],
    ),
    (
        "Harborline Delivery",
        "America/New_York",
        24,
        "+12065550142",
        150,
        &[
            ("Order desk", "Sam", "en-US", Job::Inbound),
            ("Delivery updates", "Kim", "en-US", Job::Outbound),
            ("Order chat", "Sam", "en-US", Job::Chat),
        ],
    ),
    (
        "Casa Verde Dental",
        "Europe/Madrid",
        14,
        "+34911550111",
        60,
        &[
            ("Recepción", "Inés", "es-ES", Job::Inbound),
            ("Recordatorios", "Inés", "es-ES", Job::Outbound),
        ],
    ),
    (
        "Sakura Hotel Group",
        "Asia/Tokyo",
        12,
        "+81355550133",
        80,
        &[
            ("フロント", "佐藤", "ja-JP", Job::Inbound),
            ("Front desk EN", "Mia", "en-US", Job::Inbound),
        ],
    ),
    (
        "Gulf Smile Center",
        "Asia/Dubai",
        10,
        "+97145550119",
        40,
        &[
            ("الاستقبال", "ليلى", "ar-AE", Job::Inbound),
            ("Front desk EN", "Omar", "en-US", Job::Web),
        ],
    ),
    (
        "Lumen Energy",
        "America/Chicago",
        10,
        "+13125550177",
        120,
        &[
            ("Outage line", "Max", "en-US", Job::Inbound),
            ("Payment reminder", "Max", "en-US", Job::Outbound),
        ],
    ),
];

impl World {
    /// The whole world, always the same: agents keep their ids over restarts.
    pub fn new() -> World {
        let mut businesses = Vec::new();
        for (place, (name, zone, weight, number, limit, agents)) in ROWS.iter().enumerate() {
            let agents = agents
                .iter()
                .enumerate()
                .map(|(turn, (name, persona, language, job))| SimAgent {
                    id: format!("agent_{:026x}", 0x7121_0000_u64 + (place as u64) * 0x100 + turn as u64),
                    name: (*name).to_owned(),
                    persona,
                    version: 3 + ((place * 5 + turn * 3) % 12) as u32,
                    language,
                    job: *job,
                })
                .collect();
            businesses.push(SimBusiness {
                name,
                zone,
                weight: *weight,
                number,
                limit: *limit,
                agents,
            });
        }
        World { businesses }
    }

    /// Every agent with its business.
    pub fn agents(&self) -> impl Iterator<Item = (&SimBusiness, &SimAgent)> {
        self.businesses
            .iter()
            .flat_map(|business| business.agents.iter().map(move |agent| (business, agent)))
    }
}

impl Default for World {
    fn default() -> Self {
        World::new()
    }
}

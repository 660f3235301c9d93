//! ClickHouse's three tables in memory: a token that was seen is dropped, and of equal keys the highest version counts.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use trunkline_core::id::{BusinessId, CallKey, Kind, TenantId, WorkspaceId};
use trunkline_core::instant::Millis;
use trunkline_core::record::{Header, Record, Source};
use trunkline_stores::clickhouse::{AnalyticsError, CallRow, EventRow, FactTables, Known, Owned, Place, TranscriptRow, by_month};
use uuid::Uuid;

use crate::trace::print;
use crate::world::{Asked, Lost, Node, State, World};

/// Most calls of one answer: small, so that moves take several steps.
const MOVED_CALLS: usize = 5;

/// Tenant, kind, call.
pub type Which = (Uuid, String, Arc<str>);

/// A call's key in the tables of calls and transcripts.
type At = (Uuid, Uuid, i64, String, Arc<str>);

/// The tables.
#[derive(Default)]
pub struct TablesState {
    /// Rows of the table of events by their key, as they would be read (`FINAL`).
    pub events: BTreeMap<(Which, u32, i64), EventRow>,
    /// How often each record was stored in rows, before equal keys collapse.
    pub stored: BTreeMap<(u32, i64), u32>,
    /// Rows of calls by key and version; of equal ones the last.
    pub calls: BTreeMap<At, BTreeMap<u64, CallRow>>,
    /// Rows of transcripts alike.
    pub transcripts: BTreeMap<At, BTreeMap<u64, TranscriptRow>>,
    tokens: BTreeMap<String, u64>,
    /// Inserts that a token kept out, so far.
    pub repeated: u64,
}

fn which(tenant: Uuid, kind: &str, call: &Arc<str>) -> Which {
    (tenant, kind.to_owned(), call.clone())
}

/// The key of a call in the form of the tables.
pub fn which_of(key: &CallKey) -> Which {
    which(key.tenant.0, key.kind.as_str(), &key.id)
}

impl TablesState {
    /// True when rows under this token are new. The same token with other rows loses them silently: that must never be.
    fn takes(&mut self, token: &str, content: u64) -> Result<bool, String> {
        match self.tokens.get(token) {
            Some(before) if *before == content => {
                self.repeated += 1;
                Ok(false)
            }
            Some(_) => Err(format!("other rows under the token of earlier ones: {token}")),
            None => {
                self.tokens.insert(token.to_owned(), content);
                Ok(true)
            }
        }
    }

    /// The rows of a call that count: where it stands and what is said of it.
    pub fn standing(&self) -> BTreeMap<Which, Vec<&CallRow>> {
        let mut live: BTreeMap<Which, Vec<&CallRow>> = BTreeMap::new();
        for versions in self.calls.values() {
            if let Some((_, row)) = versions.last_key_value().filter(|(_, row)| row.is_deleted == 0) {
                live.entry(which(row.tenant, &row.kind, &row.call_id)).or_default().push(row);
            }
        }
        live
    }

    /// The transcripts that count.
    pub fn spoken(&self) -> BTreeMap<Which, Vec<&TranscriptRow>> {
        let mut live: BTreeMap<Which, Vec<&TranscriptRow>> = BTreeMap::new();
        for versions in self.transcripts.values() {
            if let Some((_, row)) = versions.last_key_value().filter(|(_, row)| row.is_deleted == 0) {
                live.entry(which(row.tenant, &row.kind, &row.call_id)).or_default().push(row);
            }
        }
        live
    }

    fn put_events(&mut self, rows: Vec<EventRow>) {
        for row in rows {
            *self.stored.entry((row.log_partition, row.log_offset)).or_default() += 1;
            let id: Arc<str> = Arc::from(row.call_id.as_str());
            let key = (which(row.tenant, &row.kind, &id), row.log_partition, row.log_offset);
            self.events.insert(key, row);
        }
    }
}

/// The tables as one process sees them.
pub struct Tables {
    world: World,
    node: Node,
}

impl Tables {
    /// The tables for one life of a process.
    pub fn new(world: &World, node: Node) -> Tables {
        Tables {
            world: world.clone(),
            node,
        }
    }

    async fn insert<R, P>(&self, table: &str, rows: Vec<R>, token: String, put: P) -> Result<(), AnalyticsError>
    where
        R: std::fmt::Debug + Send + 'static,
        P: FnOnce(&mut TablesState, Vec<R>) + Send + 'static,
    {
        let content = print(format!("{rows:?}").as_bytes());
        let what = format!("insert {} {table} {token} {content:016x}", rows.len());
        // What is derived from records is written under versions that were decided on what the tables held before: a row that comes seconds
        // late, of a writer that has a successor with another directory, can win over a newer one. This is known, and left out here.
        let asked = if table == "events" { Asked::Free } else { Asked::Prompt };
        let inserted = self.world.ask(self.node, asked, what, move |state: &mut State| {
            match state.tables.takes(&token, content) {
                Ok(true) => put(&mut state.tables, rows),
                Ok(false) => {}
                Err(violation) => state.broken.push(violation),
            }
        });
        inserted.await.map_err(|lost| lost_at("insert", lost))
    }

    async fn look<T: Send + 'static>(
        &self,
        what: String,
        look: impl FnOnce(&TablesState) -> T + Send + 'static,
    ) -> Result<T, AnalyticsError> {
        let asked = self.world.ask(self.node, Asked::Read, what, move |state| look(&state.tables));
        asked.await.map_err(|lost| lost_at("ask", lost))
    }
}

fn lost_at(attempt: &'static str, lost: Lost) -> AnalyticsError {
    match lost {
        Lost::Refused => AnalyticsError::Refused {
            attempt,
            code: 252,
            detail: "too many parts".to_owned(),
        },
        Lost::Unknown => AnalyticsError::Unavailable { attempt, source: None },
    }
}

fn kind_of(word: &str) -> Kind {
    if word == Kind::Chat.as_str() { Kind::Chat } else { Kind::Call }
}

#[async_trait]
impl FactTables for Tables {
    async fn records_of(&self, keys: &[CallKey]) -> Result<HashMap<CallKey, Vec<Record>>, AnalyticsError> {
        let keys = keys.to_vec();
        let what = format!("records of {} calls", keys.len());
        let look = move |tables: &TablesState| {
            let mut found: HashMap<CallKey, Vec<Record>> = HashMap::new();
            for key in keys {
                let which = which_of(&key);
                let span = (which.clone(), 0, i64::MIN)..=(which, u32::MAX, i64::MAX);
                let rows = tables.events.range(span).map(|(_, row)| row).filter(|row| row.set_aside.is_empty());
                let records: Vec<Record> = rows.map(record).collect();
                if !records.is_empty() {
                    found.insert(key, records);
                }
            }
            found
        };
        self.look(what, look).await
    }

    async fn places_of(&self, keys: &[CallKey]) -> Result<HashMap<CallKey, Vec<Known>>, AnalyticsError> {
        let keys = keys.to_vec();
        let what = format!("places of {} calls", keys.len());
        let look = move |tables: &TablesState| {
            let mut found: HashMap<CallKey, Vec<Known>> = HashMap::new();
            let wanted: BTreeSet<Which> = keys.iter().map(which_of).collect();
            let calls = tables
                .calls
                .iter()
                .filter_map(|(at, versions)| Some((at, newest(versions, |row| row.is_deleted)?)));
            let spoken = tables
                .transcripts
                .iter()
                .filter_map(|(at, versions)| Some((at, newest(versions, |row| row.is_deleted)?)));
            for ((tenant, business, opened_at, kind, id), (version, cancelled)) in calls.chain(spoken) {
                if !wanted.contains(&which(*tenant, kind, id)) {
                    continue;
                }
                let key = CallKey {
                    tenant: TenantId(*tenant),
                    kind: kind_of(kind),
                    id: id.clone(),
                };
                let place = Place {
                    business: BusinessId(*business),
                    opened_at: Millis(*opened_at),
                };
                let places = found.entry(key).or_default();
                match places.iter_mut().find(|known| known.place == place) {
                    Some(known) => {
                        known.version = known.version.max(version);
                        known.cancelled &= cancelled;
                    }
                    None => places.push(Known { place, version, cancelled }),
                }
            }
            found
        };
        self.look(what, look).await
    }

    async fn owners(&self, partitions: &[u32]) -> Result<Vec<Owned>, AnalyticsError> {
        let partitions = partitions.to_vec();
        let look = move |tables: &TablesState| {
            let mut owners: BTreeMap<(Uuid, Uuid, String, Uuid), u64> = BTreeMap::new();
            for row in tables.standing().into_values().flatten() {
                if partitions.contains(&row.log_partition) {
                    let owner = (row.tenant, row.workspace, row.owner_agent.to_string(), row.business);
                    *owners.entry(owner).or_default() += 1;
                }
            }
            let owned = |((tenant, workspace, owner_agent, business), calls)| Owned {
                tenant,
                workspace,
                owner_agent,
                business,
                calls,
            };
            owners.into_iter().map(owned).collect()
        };
        self.look("owners of calls".to_owned(), look).await
    }

    async fn calls_of_owner(&self, owned: &Owned, partitions: &[u32]) -> Result<Vec<(CallKey, u32)>, AnalyticsError> {
        let (owned, partitions) = (owned.clone(), partitions.to_vec());
        let look = move |tables: &TablesState| {
            let standing = tables.standing();
            let of = standing.into_values().flatten().filter(|row| {
                (row.tenant, row.workspace, row.business) == (owned.tenant, owned.workspace, owned.business)
                    && *row.owner_agent == *owned.owner_agent
                    && partitions.contains(&row.log_partition)
            });
            let key = |row: &CallRow| CallKey {
                tenant: TenantId(row.tenant),
                kind: kind_of(&row.kind),
                id: row.call_id.clone(),
            };
            of.take(MOVED_CALLS).map(|row| (key(row), row.log_partition)).collect()
        };
        self.look("calls of an owner".to_owned(), look).await
    }

    async fn insert_events(&self, rows: &[EventRow], token: &str) -> Result<(), AnalyticsError> {
        for (month, block) in by_month(rows, |row| row.received_at) {
            let block: Vec<EventRow> = block.into_iter().cloned().collect();
            self.insert("events", block, format!("{token}:{month}"), TablesState::put_events)
                .await?;
        }
        Ok(())
    }

    async fn insert_calls(&self, rows: &[CallRow], token: &str) -> Result<(), AnalyticsError> {
        for (month, block) in by_month(rows, |row| row.opened_at) {
            let block: Vec<CallRow> = block.into_iter().cloned().collect();
            let put = |tables: &mut TablesState, rows: Vec<CallRow>| {
                for row in rows {
                    let at = (row.tenant, row.business, row.opened_at, row.kind.clone(), row.call_id.clone());
                    tables.calls.entry(at).or_default().insert(row.version, row);
                }
            };
            self.insert("calls", block, format!("calls:{token}:{month}"), put).await?;
        }
        Ok(())
    }

    async fn insert_transcripts(&self, rows: &[TranscriptRow], token: &str) -> Result<(), AnalyticsError> {
        for (month, block) in by_month(rows, |row| row.opened_at) {
            let block: Vec<TranscriptRow> = block.into_iter().cloned().collect();
            let put = |tables: &mut TablesState, rows: Vec<TranscriptRow>| {
                for row in rows {
                    let at = (row.tenant, row.business, row.opened_at, row.kind.clone(), row.call_id.clone());
                    tables.transcripts.entry(at).or_default().insert(row.version, row);
                }
            };
            self.insert("transcripts", block, format!("transcripts:{token}:{month}"), put)
                .await?;
        }
        Ok(())
    }
}

/// The highest version, and whether that cancels.
fn newest<R>(versions: &BTreeMap<u64, R>, is_deleted: impl Fn(&R) -> u8) -> Option<(u64, bool)> {
    let (version, row) = versions.last_key_value()?;
    Some((*version, is_deleted(row) != 0))
}

fn record(row: &EventRow) -> Record {
    let source = match row.source.as_str() {
        "backfill" => Source::Backfill,
        "reaper" => Source::Reaper,
        _ => Source::Webhook,
    };
    let header = Header {
        received_at: Millis(row.received_at),
        tenant: TenantId(row.tenant),
        workspace: WorkspaceId(row.workspace),
        source,
        event: row.event.clone(),
        key: row.routing_key.clone(),
        set_aside: None,
        masked: row.masked,
        crc32: 0,
    };
    Record {
        header,
        body: row.body.0.clone(),
    }
}

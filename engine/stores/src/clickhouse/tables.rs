//! The tables as their writer sees them: what it asks before it writes, and the inserts.

use std::collections::HashMap;

use async_trait::async_trait;
use trunkline_core::id::CallKey;
use trunkline_core::record::Record;

use super::client::{Analytics, AnalyticsError};
use super::history::Owned;
use super::place::Known;
use super::rows::{CallRow, EventRow, TranscriptRow};

/// Events, calls and transcripts, as the facts group reads and writes them. A trait, because the simulation keeps them in memory and
/// loses answers.
#[async_trait]
pub trait FactTables: Send + Sync + 'static {
    /// The readable records of calls, as the log had them.
    async fn records_of(&self, keys: &[CallKey]) -> Result<HashMap<CallKey, Vec<Record>>, AnalyticsError>;

    /// Every place the table has for calls, cancelled ones included.
    async fn places_of(&self, keys: &[CallKey]) -> Result<HashMap<CallKey, Vec<Known>>, AnalyticsError>;

    /// Which agents' calls of some partitions stand in which business.
    async fn owners(&self, partitions: &[u32]) -> Result<Vec<Owned>, AnalyticsError>;

    /// Some calls of some partitions that stand there, each with its partition.
    async fn calls_of_owner(&self, owned: &Owned, partitions: &[u32]) -> Result<Vec<(CallKey, u32)>, AnalyticsError>;

    /// Stores records of the log under a token that makes a repetition harmless.
    async fn insert_events(&self, rows: &[EventRow], token: &str) -> Result<(), AnalyticsError>;

    /// Stores states of calls and cancellations.
    async fn insert_calls(&self, rows: &[CallRow], token: &str) -> Result<(), AnalyticsError>;

    /// Stores transcripts and cancellations.
    async fn insert_transcripts(&self, rows: &[TranscriptRow], token: &str) -> Result<(), AnalyticsError>;
}

#[async_trait]
impl FactTables for Analytics {
    async fn records_of(&self, keys: &[CallKey]) -> Result<HashMap<CallKey, Vec<Record>>, AnalyticsError> {
        self.records_of(keys).await
    }

    async fn places_of(&self, keys: &[CallKey]) -> Result<HashMap<CallKey, Vec<Known>>, AnalyticsError> {
        self.places_of(keys).await
    }

    async fn owners(&self, partitions: &[u32]) -> Result<Vec<Owned>, AnalyticsError> {
        self.owners(partitions).await
    }

    async fn calls_of_owner(&self, owned: &Owned, partitions: &[u32]) -> Result<Vec<(CallKey, u32)>, AnalyticsError> {
        self.calls_of_owner(owned, partitions).await
    }

    async fn insert_events(&self, rows: &[EventRow], token: &str) -> Result<(), AnalyticsError> {
        self.insert_events(rows, token).await
    }

    async fn insert_calls(&self, rows: &[CallRow], token: &str) -> Result<(), AnalyticsError> {
        self.insert_calls(rows, token).await
    }

    async fn insert_transcripts(&self, rows: &[TranscriptRow], token: &str) -> Result<(), AnalyticsError> {
        self.insert_transcripts(rows, token).await
    }
}

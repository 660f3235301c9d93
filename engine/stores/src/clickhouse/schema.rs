//! Brings the ClickHouse schema up to date: numbered steps, forward only, each with its checksum in a ledger table.

use std::time::Duration;

use clickhouse::Row;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::client::{Analytics, AnalyticsError, within};
use super::whose::policies;

/// Longest wait for one statement of the schema, on a busy cluster too.
const STATEMENT_LIMIT: Duration = Duration::from_secs(120);

const ATTEMPT: &str = "migrate the ClickHouse schema";

/// The steps, oldest first. A step that was released is never edited; a change is a new step.
const STEPS: &[(u32, &str, &str)] = &[
    (1, "0001_events", include_str!("../../../../clickhouse/0001_events.sql")),
    (2, "0002_calls", include_str!("../../../../clickhouse/0002_calls.sql")),
    (3, "0003_transcripts", include_str!("../../../../clickhouse/0003_transcripts.sql")),
    (4, "0004_views", include_str!("../../../../clickhouse/0004_views.sql")),
    (5, "0005_undocumented", include_str!("../../../../clickhouse/0005_undocumented.sql")),
    (6, "0006_opened_at", include_str!("../../../../clickhouse/0006_opened_at.sql")),
];

const DATABASE: &str = include_str!("../../../../clickhouse/ledger/database.sql");
const LEDGER: &str = include_str!("../../../../clickhouse/ledger/table.sql");
const APPLIED: &str = include_str!("../../../../clickhouse/ledger/applied.sql");

/// What a migration run did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Migrated {
    /// Steps applied now.
    pub applied: Vec<&'static str>,
    /// Steps that were there before.
    pub before: usize,
}

#[derive(Row, Serialize, Deserialize)]
struct LedgerRow {
    step: u32,
    name: String,
    checksum: String,
}

impl Analytics {
    /// Creates what is missing. Safe to run again and by several nodes at once: every statement is conditional.
    pub async fn migrate(&self) -> Result<Migrated, AnalyticsError> {
        let outside = self.client.clone().with_database("default");
        self.run(&outside, DATABASE).await?;
        self.run(&self.client, LEDGER).await?;
        let known: Vec<LedgerRow> = within(STATEMENT_LIMIT, ATTEMPT, self.client.query(APPLIED).fetch_all()).await?;
        let mut applied = Vec::new();
        for (step, name, text) in STEPS {
            let checksum = hex::encode(Sha256::digest(text.as_bytes()));
            match known.iter().find(|row| row.step == *step) {
                Some(row) if row.checksum == checksum => {}
                Some(_) => return Err(AnalyticsError::Rewritten { step: name }),
                None => {
                    self.run(&self.client, text).await?;
                    self.note(LedgerRow {
                        step: *step,
                        name: (*name).to_owned(),
                        checksum,
                    })
                    .await?;
                    applied.push(*name);
                }
            }
        }
        if self.options.row_policies {
            self.make_policies().await?;
        }
        // The client remembers the columns of tables it has written to.
        self.client.clear_cached_metadata().await;
        Ok(Migrated {
            applied,
            before: known.len(),
        })
    }

    async fn run(&self, client: &clickhouse::Client, text: &str) -> Result<(), AnalyticsError> {
        for statement in statements(&self.render(text)) {
            // A question mark is a placeholder to the client; doubled it stands for itself.
            let query = client.query(&statement.replace('?', "??"));
            within(STATEMENT_LIMIT, ATTEMPT, query.execute()).await?;
        }
        Ok(())
    }

    /// Makes the row policies, or says who has to allow it.
    async fn make_policies(&self) -> Result<(), AnalyticsError> {
        const ACCESS_DENIED: u32 = 497;
        let made = self.run(&self.client, &policies()).await;
        made.map_err(|error| match error {
            AnalyticsError::Refused { code: ACCESS_DENIED, .. } => AnalyticsError::Misconfigured(format!(
                "its user \"{user}\" may not make row policies: let an administrator of ClickHouse run GRANT CREATE ROW POLICY ON {database}.* \
                 TO {user}, or set clickhouse.row_policies = false",
                user = self.options.user,
                database = self.options.database,
            )),
            other => other,
        })
    }

    async fn note(&self, row: LedgerRow) -> Result<(), AnalyticsError> {
        let write = async {
            let mut insert = self
                .client
                .insert::<LedgerRow>("schema_steps")
                .await?
                .with_setting("async_insert", "0");
            insert.write(&row).await?;
            insert.end().await
        };
        within(STATEMENT_LIMIT, ATTEMPT, write).await
    }

    /// Fills in what differs between a single node and a cluster.
    fn render(&self, text: &str) -> String {
        let options = &self.options;
        let on_cluster = options
            .cluster
            .as_ref()
            .map(|name| format!("ON CLUSTER {}", quoted(name)))
            .unwrap_or_default();
        let keep = |column: &str, days: Option<u32>| {
            days.map(|days| format!("TTL toDateTime({column}) + INTERVAL {days} DAY DELETE"))
                .unwrap_or_default()
        };
        text.replace("{database}", &quoted(&options.database))
            .replace("{on_cluster}", &on_cluster)
            .replace("{replicated}", if options.replicated { "Replicated" } else { "" })
            .replace("{events_ttl}", &keep("received_at", options.events_keep_days))
            .replace("{calls_ttl}", &keep("opened_at", options.calls_keep_days))
    }
}

fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('\\', "\\\\").replace('`', "\\`"))
}

/// The statements of a file: they end in a semicolon at the end of a line.
fn statements(text: &str) -> impl Iterator<Item = &str> {
    text.split(";\n").map(str::trim).filter(|statement| !statement.is_empty())
}

#[cfg(test)]
mod tests {
    use super::super::client::AnalyticsOptions;
    use super::*;

    fn rendered(change: impl FnOnce(&mut AnalyticsOptions)) -> Vec<String> {
        let mut options = AnalyticsOptions::new("http://127.0.0.1:1", "u", String::new().into(), "d`b");
        change(&mut options);
        let analytics = Analytics::connect(options).unwrap();
        let texts = STEPS.iter().map(|(_, _, text)| (*text).to_owned());
        let texts = texts.chain([DATABASE.to_owned(), LEDGER.to_owned(), policies()]);
        texts
            .flat_map(|text| statements(&analytics.render(&text)).map(str::to_owned).collect::<Vec<_>>())
            .collect()
    }

    #[test]
    fn a_single_node_gets_plain_engines_and_no_retention() {
        for statement in rendered(|_| {}) {
            assert!(
                !statement.contains("Replicated") && !statement.contains("ON CLUSTER") && !statement.contains("TTL "),
                "{statement}"
            );
            assert!(
                !statement.contains("{on_") && !statement.contains("_ttl}") && !statement.contains("{replicated}"),
                "{statement}"
            );
        }
    }

    #[test]
    fn a_cluster_gets_replicated_engines_everywhere() {
        let statements = rendered(|options| {
            options.cluster = Some("main".into());
            options.replicated = true;
            options.events_keep_days = Some(400);
        });
        for statement in &statements {
            assert!(statement.contains("ON CLUSTER `main`"), "{statement}");
            assert_eq!(
                statement.contains("CREATE TABLE"),
                statement.contains("ENGINE = Replicated"),
                "{statement}"
            );
        }
        assert_eq!(
            statements.iter().filter(|statement| statement.contains("INTERVAL 400 DAY")).count(),
            1
        );
        assert!(
            statements.iter().any(|statement| statement.contains("`d\\`b`")),
            "the name of the database is quoted"
        );
    }
}

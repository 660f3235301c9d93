//! Runs statements on the engine: reports and inserts wait in separate lines, so that neither holds up the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Semaphore;

use super::fault::Fault;
use super::library::{Answer, Connection, Library};
use super::statement::Statement;

/// Reports at once: each may use every core, more would only share them.
const REPORTS_AT_ONCE: usize = 4;

/// Inserts at once: one stores while the next is being read.
const INSERTS_AT_ONCE: usize = 2;

/// Longest wait for a turn; a client that waits longer has given up.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// Set for every statement that does not say otherwise: one report must not run for ever nor take the process down.
const DEFAULTS: [(&str, &str); 4] = [
    ("max_execution_time", "60"),
    ("max_memory_usage", "2147483648"),
    ("max_result_bytes", "1073741824"),
    ("result_overflow_mode", "throw"),
];

const SYNTAX_ERROR: u32 = 62;
const READONLY: u32 = 164;
const TOO_MANY_QUERIES: u32 = 202;
const LOGICAL_ERROR: u32 = 49;

/// Hands statements to the engine in turn.
#[derive(Clone)]
pub(super) struct Desk {
    library: &'static Library,
    arguments: Arc<[String]>,
    reports: Arc<Semaphore>,
    inserts: Arc<Semaphore>,
    numbers: Arc<AtomicU64>,
}

/// What a statement gave: the bytes lie in the engine's memory.
pub(super) struct Done {
    /// The answer in the wanted format.
    pub body: Bytes,
    /// For `X-ClickHouse-Summary`.
    pub summary: String,
}

impl Desk {
    pub fn new(library: &'static Library, arguments: Vec<String>) -> Desk {
        Desk {
            library,
            arguments: arguments.into(),
            reports: Arc::new(Semaphore::new(REPORTS_AT_ONCE)),
            inserts: Arc::new(Semaphore::new(INSERTS_AT_ONCE)),
            numbers: Arc::new(AtomicU64::new(1)),
        }
    }

    /// Runs `statement` when its turn comes. When the caller gives up (drops this future), the statement is stopped.
    pub async fn run(&self, mut statement: Statement) -> Result<Done, Fault> {
        let line = if statement.inserts() { &self.inserts } else { &self.reports };
        let turn = tokio::time::timeout(WAIT_MAX, line.clone().acquire_owned())
            .await
            .map_err(|_| Fault::new(TOO_MANY_QUERIES, format!("waited {} s for a turn", WAIT_MAX.as_secs())))?
            .map_err(|_| Fault::new(TOO_MANY_QUERIES, "the engine is being closed"))?;
        let mut stop = StopWhenDropped {
            desk: Some(self),
            mark: self.mark(),
        };
        if statement.data.is_none() {
            statement.sql.insert_str(0, &stop.mark);
        }
        let desk = self.clone();
        let done = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            desk.run_here(statement)
        })
        .await;
        stop.desk = None;
        done.unwrap_or_else(|panic| Err(Fault::new(LOGICAL_ERROR, format!("the door broke off: {panic}"))))
    }

    /// Waits until nothing runs and lets nothing start any more.
    pub async fn close(&self) {
        self.reports.close();
        self.inserts.close();
        while self.reports.available_permits() < REPORTS_AT_ONCE || self.inserts.available_permits() < INSERTS_AT_ONCE {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn run_here(&self, statement: Statement) -> Result<Done, Fault> {
        // A connection of its own for every statement: 0.3 ms, and no setting ever leaks into the next one.
        let mut connection = self.connect()?;
        let mut settings = statement;
        for (name, value) in DEFAULTS {
            if settings.setting(name).is_none() {
                settings.settings.push((name.to_owned(), value.to_owned()));
            }
        }
        let statement = settings;
        for preparation in [statement.use_database(), statement.set()].into_iter().flatten() {
            checked(connection.query(&preparation, "Null", &[]))?;
        }
        let answer = match &statement.data {
            Some(rows) => insert(&mut connection, &statement, rows)?,
            None => {
                self.allowed(&mut connection, &statement)?;
                checked(connection.query(&statement.sql, &statement.format, &statement.parameters))?
            }
        };
        Ok(Done {
            summary: answer.summary(),
            body: Bytes::from_owner(answer),
        })
    }

    /// What a server refuses and the embedded engine would do: several statements at once, and writing under `readonly`.
    fn allowed(&self, connection: &mut Connection, statement: &Statement) -> Result<(), Fault> {
        let Some(analysis) = connection.classify(&statement.sql) else {
            return Ok(());
        };
        if analysis.statements > 1 {
            return Err(Fault::new(SYNTAX_ERROR, "one statement at a time, please"));
        }
        let readonly = statement.setting("readonly").is_some_and(|value| value != "0");
        if readonly && !analysis.reads_only() && analysis.statements > 0 {
            return Err(Fault::new(READONLY, "cannot execute this statement in readonly mode"));
        }
        Ok(())
    }

    fn connect(&self) -> Result<Connection, Fault> {
        self.library
            .connect(&self.arguments)
            .map_err(|error| Fault::new(LOGICAL_ERROR, error.to_string()))
    }

    /// A comment that names one running statement, so that it can be found and stopped.
    fn mark(&self) -> String {
        format!("/* door {} */ ", self.numbers.fetch_add(1, Ordering::Relaxed))
    }
}

fn insert(connection: &mut Connection, statement: &Statement, rows: &[Bytes]) -> Result<Answer, Fault> {
    if statement.setting("readonly").is_some_and(|value| value != "0") {
        return Err(Fault::new(READONLY, "cannot insert in readonly mode"));
    }
    let mut insert = connection.insert(&statement.sql, &statement.format);
    if let Some(error) = insert.error() {
        return Err(Fault::from_engine(error));
    }
    for chunk in rows {
        if !insert.append(chunk) {
            break;
        }
    }
    // Also after a failed append: finishing is what tells the reason.
    checked(insert.finish())
}

fn checked(answer: Answer) -> Result<Answer, Fault> {
    match answer.error() {
        Some(error) => Err(Fault::from_engine(error)),
        None => Ok(answer),
    }
}

/// Stops a statement whose client has gone.
struct StopWhenDropped<'d> {
    desk: Option<&'d Desk>,
    mark: String,
}

impl Drop for StopWhenDropped<'_> {
    fn drop(&mut self) {
        let Some(desk) = self.desk.cloned() else { return };
        let kill = format!("KILL QUERY WHERE startsWith(query, '{}') ASYNC", self.mark);
        tokio::task::spawn_blocking(move || {
            if let Err(fault) = desk
                .connect()
                .and_then(|mut connection| checked(connection.query(&kill, "Null", &[])))
            {
                tracing::warn!(error = %fault.text, "cannot stop a statement whose client has gone");
            }
        });
    }
}

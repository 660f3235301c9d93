//! The second lock on tenants (the first is the condition in every question): ClickHouse itself shows the rows of the tenant that a question is
//! about, and none to a question that does not say. Row policies, made by us on a server and given to the engine in our process at its start.

use std::fmt::Write as _;

/// The setting that says whose rows a question is about. `log_comment` means nothing to ClickHouse itself, needs no declaration in a server's
/// configuration, goes along to the shards of a cluster, and stands in `system.query_log`, where an operator sees whose question was slow.
pub(super) const WHOSE: &str = "log_comment";

/// Its value for questions of the platform itself, across tenants.
pub(super) const PLATFORM: &str = "platform";

/// The condition on a row, in which both of the above stand.
const CONDITION: &str = include_str!("../../../../clickhouse/ledger/whose.sql");

/// The policies of a server.
const POLICIES: &str = include_str!("../../../../clickhouse/ledger/policy.sql");

/// Every table that has rows of tenants.
const TABLES: [&str; 3] = ["events", "calls", "transcripts"];

/// The statements that make the policies on a server, still to be rendered.
pub(super) fn policies() -> String {
    POLICIES.replace("{whose}", CONDITION.trim())
}

/// The same policies for the engine in our process, as its file of users has them. Names of `databases` are letters, digits and _, not
/// beginning with a digit.
pub(super) fn filters(databases: &[String]) -> String {
    let condition = CONDITION.trim().replace('&', "&amp;").replace('<', "&lt;");
    let mut text = String::new();
    for database in databases {
        let _ = write!(text, "<{database}>");
        for table in TABLES {
            let _ = write!(text, "<{table}><filter>{condition}</filter></{table}>");
        }
        let _ = write!(text, "</{database}>");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_gets_the_policies_that_the_engine_has() {
        let policies = policies();
        assert!(CONDITION.contains(WHOSE) && CONDITION.contains(&format!("'{PLATFORM}'")));
        assert_eq!(policies.matches(CONDITION.trim()).count(), TABLES.len());
        let filters = filters(&["trunkline".to_owned()]);
        for table in TABLES {
            assert!(policies.contains(&format!("ON {table} USING")), "{table}");
            assert!(
                filters.contains(&format!("<{table}><filter>{}</filter></{table}>", CONDITION.trim())),
                "{table}"
            );
        }
    }
}

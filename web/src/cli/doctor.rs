//! `trunkline doctor`: is everything there that the product needs, and if not, what repairs it.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use serde::Serialize;
use trunkline_stores::postgres::Database;

use super::{CHECK_FAILED, Context, serve};
use crate::settings::{LogStore, Settings, Tls};
use crate::startup::secrets::describe;
use crate::startup::stores::{ClickHouse, Postgres, Whose, library, open_log};
use crate::startup::tls;
use crate::telemetry;

/// A check that takes longer has failed.
const CHECK_WAIT: Duration = Duration::from_secs(30);

/// Clocks further apart than this spoil signatures soon (their window is five minutes).
const CLOCK_SKEW_MS: i64 = 60_000;

/// Free space below this is a warning of a full disk.
const DISK_FREE_BYTES: u64 = 1_000_000_000;

/// A certificate that ends sooner should have been renewed: usual authorities and their programs renew a month or, with certificates of
/// six days, three days before.
const RENEWED_BEFORE_DAYS: i64 = 2;

/// What one check found.
#[derive(Debug, Serialize)]
struct Finding {
    name: &'static str,
    ok: bool,
    found: String,
    repair: &'static str,
}

/// Runs all checks; exit 3 when one fails.
pub fn run(context: Context) -> anyhow::Result<ExitCode> {
    telemetry::start_logs(&context.settings.telemetry, false);
    let findings = serve::runtime()?.block_on(examine(&context.settings));
    let ok = findings.iter().all(|finding| finding.ok);
    if context.json {
        println!("{}", serde_json::json!({ "ok": ok, "checks": findings }));
    } else {
        for finding in &findings {
            println!(
                "{}  {:<12} {}",
                if finding.ok { "ok  " } else { "FAIL" },
                finding.name,
                finding.found
            );
            if !finding.ok {
                println!("      repair: {}", finding.repair);
            }
        }
    }
    Ok(if ok { ExitCode::SUCCESS } else { ExitCode::from(CHECK_FAILED) })
}

async fn examine(settings: &Settings) -> Vec<Finding> {
    let mut findings = vec![disk(&settings.data.directory).await];
    match tokio::time::timeout(CHECK_WAIT, Postgres::open(settings, Whose::Any)).await {
        Ok(Ok(postgres)) => {
            findings.extend(in_postgres(settings, &postgres).await);
            postgres.close().await;
        }
        Ok(Err(error)) => findings.push(bad(
            "Postgres",
            format!("{error:#}"),
            "see the message; set postgres.url or install the package postgresql",
        )),
        Err(_) => findings.push(bad(
            "Postgres",
            "no answer".to_owned(),
            "check that the server of postgres.url is reachable",
        )),
    }
    findings.push(analytics(settings).await);
    findings.extend(certificate("server TLS", &settings.server.tls));
    findings.extend(certificate("intake TLS", &settings.intake.tls));
    findings
}

async fn in_postgres(settings: &Settings, postgres: &Postgres) -> Vec<Finding> {
    let database = match Database::connect(&postgres.options).await {
        Ok(database) => database,
        Err(error) => {
            return vec![bad(
                "Postgres",
                error.to_string(),
                "check the address and role of postgres.url, then trunkline migrate",
            )];
        }
    };
    let mut findings = vec![good("Postgres", "answers, and row-level security binds our role".to_owned())];
    findings.push(match database.clock().await {
        Ok(theirs) => {
            let ours = SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_millis() as i64);
            let apart = (theirs.0 - ours).abs();
            let found = format!("{apart} ms from the database's");
            if apart < CLOCK_SKEW_MS {
                good("clock", found)
            } else {
                bad("clock", found, "run a time service (chrony, systemd-timesyncd)")
            }
        }
        Err(error) => bad("clock", error.to_string(), "see the message"),
    });
    findings.push(match describe(settings, postgres, &database).await {
        Ok(found) => good("secrets", found),
        Err(error) => bad("secrets", format!("{error:#}"), "see the message"),
    });
    let name = match settings.log.store {
        LogStore::Postgres => "event log",
        LogStore::Kafka => "Kafka",
    };
    findings.push(match tokio::time::timeout(CHECK_WAIT, open_log(settings, &database)).await {
        Ok(Ok(log)) => {
            let healthy = log.healthy().await;
            let partitions = log.partitions();
            log.close().await;
            match healthy {
                Ok(()) => good(name, format!("{partitions} partitions, takes records")),
                Err(error) => bad(name, error.to_string(), "see the message"),
            }
        }
        Ok(Err(error)) => bad(
            name,
            format!("{error:#}"),
            "see the message; trunkline migrate makes what is missing in Postgres",
        ),
        Err(_) => bad(name, "no answer".to_owned(), "check that kafka.brokers is reachable from here"),
    });
    findings
}

async fn analytics(settings: &Settings) -> Finding {
    if settings.clickhouse.url.is_empty() {
        // Not loaded: beside a running product its data directory is taken.
        let path = library(settings);
        let found = path.display().to_string();
        let repair = "run deploy/clickhouse-engine to fetch libchdb.so, or set clickhouse.url to a server";
        return if path.is_file() {
            good("ClickHouse", format!("engine library at {found}"))
        } else {
            bad("ClickHouse", format!("no engine library at {found}"), repair)
        };
    }
    let version = async {
        ClickHouse::open(settings)
            .await?
            .analytics
            .version()
            .await
            .map_err(anyhow::Error::from)
    };
    match tokio::time::timeout(CHECK_WAIT, version).await {
        Ok(Ok(version)) => {
            let policies = match settings.clickhouse.row_policies {
                true => "row policies are made at each start",
                false => "without row policies (clickhouse.row_policies)",
            };
            good("ClickHouse", format!("server {version}, {policies}"))
        }
        Ok(Err(error)) => bad("ClickHouse", format!("{error:#}"), "check clickhouse.url, user and password"),
        Err(_) => bad(
            "ClickHouse",
            "no answer".to_owned(),
            "check that clickhouse.url is reachable from here",
        ),
    }
}

/// The certificate of a listener that speaks TLS itself.
fn certificate(name: &'static str, tls: &Tls) -> Option<Finding> {
    const RENEW: &str = "renew it; the new files are taken without a restart";
    if !tls.is_set() {
        return None;
    }
    let now = Timestamp::now();
    Some(match tls::read(tls) {
        Ok(found) if found.begins > now => bad(name, format!("its certificate is valid from {} only", found.begins), RENEW),
        Ok(found) if found.ends <= now => bad(name, format!("its certificate ended at {}", found.ends), RENEW),
        Ok(found) => {
            let days = (found.ends.as_second() - now.as_second()) / 86_400;
            let text = format!("its certificate ends at {}, in {days} days", found.ends);
            if days < RENEWED_BEFORE_DAYS {
                bad(name, text, RENEW)
            } else {
                good(name, text)
            }
        }
        Err(error) => bad(
            name,
            format!("{error:#}"),
            "mend or replace the file; the listener does not start with it",
        ),
    })
}

/// Free space by `df`, which every system has; the standard library does not tell.
async fn disk(directory: &Path) -> Finding {
    let existing = directory
        .ancestors()
        .find(|path| path.exists())
        .filter(|path| !path.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let output = tokio::process::Command::new("df").arg("-Pk").arg(existing).output().await;
    let free = output.ok().and_then(|output| {
        let text = String::from_utf8(output.stdout).ok()?;
        text.lines()
            .nth(1)?
            .split_whitespace()
            .nth(3)?
            .parse::<u64>()
            .ok()
            .map(|kib| kib * 1024)
    });
    let repair = "free space, or set data.directory to a larger disk";
    match free {
        Some(free) if free >= DISK_FREE_BYTES => good("disk", format!("{} GB free", free / 1_000_000_000)),
        Some(free) => bad("disk", format!("{} MB free", free / 1_000_000), repair),
        None => bad("disk", "free space is not known".to_owned(), "check that df works"),
    }
}

fn good(name: &'static str, found: String) -> Finding {
    Finding {
        name,
        ok: true,
        found,
        repair: "",
    }
}

fn bad(name: &'static str, found: String, repair: &'static str) -> Finding {
    Finding {
        name,
        ok: false,
        found,
        repair,
    }
}

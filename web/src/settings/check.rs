//! Refuses settings that are nonsense or contradict each other, in sentences that say what to change.

use std::path::Path;
use std::time::Duration;

use secrecy::ExposeSecret;
use trunkline_connectors::mail::Mailer;

use super::{LogStore, Settings, tls};

/// Most partitions a log may have: each costs a reader task and a row of every board.
const PARTITIONS_MAX: u32 = 1024;

/// One sentence for each thing that is wrong; empty when nothing is.
pub fn refusals(settings: &Settings) -> Vec<String> {
    let mut found = Vec::new();
    let mut refuse = |wrong: bool, sentence: String| {
        if wrong {
            found.push(sentence);
        }
    };
    let server = &settings.server;
    let intake = &settings.intake;
    for (name, url) in [("server.public_url", &server.public_url), ("intake.public_url", &intake.public_url)] {
        refuse(
            !url.is_empty() && !is_origin(url),
            format!("{name} = \"{url}\" is no address; write https://host or http://host:port, without a path"),
        );
    }
    let listeners = [
        ("server.bind", server.bind),
        ("intake.bind", intake.bind),
        ("admin.bind", settings.admin.bind),
    ];
    for (index, (name, address)) in listeners.iter().enumerate() {
        for (other, other_address) in &listeners[..index] {
            refuse(
                address.port() != 0 && address == other_address,
                format!("{other} and {name} are both {address}; give each its own port"),
            );
        }
    }
    refuse(
        !server.bind.ip().is_loopback() && server.public_url.is_empty(),
        format!(
            "server.bind = \"{}\" is reachable from other machines; set server.public_url to the address people type",
            server.bind
        ),
    );
    for (name, most) in [("streams_max", server.streams_max), ("streams_each_max", server.streams_each_max)] {
        refuse(most == 0, format!("server.{name} = 0 would refuse every board; set at least 1"));
    }
    refuse(
        server.shutdown_seconds == 0 || server.shutdown_seconds > 600,
        format!("server.shutdown_seconds = {} must be between 1 and 600", server.shutdown_seconds),
    );
    refuse(
        server.drain_seconds > 300,
        format!("server.drain_seconds = {} must be at most 300", server.drain_seconds),
    );
    refuse(
        intake.requests_in_flight_max == 0,
        "intake.requests_in_flight_max = 0 would refuse every event; set at least 1".to_owned(),
    );
    refuse(
        intake.bytes_in_flight_max < trunkline_core::limit::INTAKE_BODY_BYTES,
        format!(
            "intake.bytes_in_flight_max = {} is less than one largest event; set at least {}",
            intake.bytes_in_flight_max,
            trunkline_core::limit::INTAKE_BODY_BYTES
        ),
    );
    refuse(
        !(1..=PARTITIONS_MAX).contains(&settings.log.partitions),
        format!(
            "log.partitions = {} must be between 1 and {PARTITIONS_MAX}",
            settings.log.partitions
        ),
    );
    // A start reads the last 26 hours; what ClickHouse misses while it is away must still be there.
    refuse(
        settings.log.retention_days < 2,
        format!(
            "log.retention_days = {} is too short to start from; set at least 2",
            settings.log.retention_days
        ),
    );
    let largest = trunkline_core::limit::RECORD_BYTES as u64;
    refuse(
        (1..largest).contains(&settings.spool.bytes_max),
        format!(
            "spool.bytes_max = {} is less than one largest event; set at least {largest}, or 0 for no spool",
            settings.spool.bytes_max
        ),
    );
    refuse(
        settings.data.directory.as_os_str().is_empty(),
        "data.directory is empty; name a directory".to_owned(),
    );
    tls::refusals(settings, &mut refuse);
    kafka(settings, &mut refuse);
    stores(settings, &mut refuse);
    refuse(
        settings.session.idle_hours == 0,
        "session.idle_hours = 0 would end every session at once; set at least 1".to_owned(),
    );
    refuse(
        u64::from(settings.session.absolute_days) * 24 < u64::from(settings.session.idle_hours),
        format!(
            "session.absolute_days = {} is shorter than session.idle_hours = {}; raise the one or lower the other",
            settings.session.absolute_days, settings.session.idle_hours
        ),
    );
    let grace = settings.session.renewal_grace_seconds;
    refuse(
        !(1..=600).contains(&grace),
        format!("session.renewal_grace_seconds = {grace} must be between 1 and 600"),
    );
    refuse(
        settings.sign_in.attempts_max == 0,
        "sign_in.attempts_max = 0 would lock everybody out; set at least 1".to_owned(),
    );
    refuse(
        settings.sign_in.address_attempts_max < settings.sign_in.attempts_max,
        format!(
            "sign_in.address_attempts_max = {} is less than sign_in.attempts_max = {}; people share addresses, so raise it",
            settings.sign_in.address_attempts_max, settings.sign_in.attempts_max
        ),
    );
    refuse(
        !(1..=64).contains(&settings.sign_in.parallel_max),
        format!("sign_in.parallel_max = {} must be between 1 and 64", settings.sign_in.parallel_max),
    );
    tokens(settings, &mut refuse);
    refuse(
        !(1..=480).contains(&settings.platform.opening_minutes),
        format!(
            "platform.opening_minutes = {} must be between 1 and 480",
            settings.platform.opening_minutes
        ),
    );
    mail(settings, &mut refuse);
    let webhooks = &settings.webhooks;
    refuse(
        !(1..=60).contains(&webhooks.timeout_seconds),
        format!("webhooks.timeout_seconds = {} must be between 1 and 60", webhooks.timeout_seconds),
    );
    refuse(
        !(1..=1_000).contains(&webhooks.parallel_max),
        format!("webhooks.parallel_max = {} must be between 1 and 1000", webhooks.parallel_max),
    );
    let member = &settings.kafka.member;
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-' | '_');
    refuse(
        member.len() > 200 || !member.chars().all(is_plain),
        format!("kafka.member = \"{member}\" is no name; use up to 200 letters, digits, dots, dashes and underscores"),
    );
    refuse(
        settings.live.checkpoint_seconds > 3_600,
        format!(
            "live.checkpoint_seconds = {} would make restarts slow; set at most 3600, or 0 for none",
            settings.live.checkpoint_seconds
        ),
    );
    retell(settings, &mut refuse);
    refuse(
        settings.telemetry.lines_per_second < 10,
        format!(
            "telemetry.lines_per_second = {} would hide what happens; set at least 10",
            settings.telemetry.lines_per_second
        ),
    );
    refuse(
        tracing_subscriber::EnvFilter::try_new(&settings.telemetry.level).is_err(),
        format!(
            "telemetry.level = \"{}\" is no filter; use error, warn, info, debug or trace",
            settings.telemetry.level
        ),
    );
    found
}

fn retell(settings: &Settings, refuse: &mut impl FnMut(bool, String)) {
    let retell = &settings.retell;
    let url = &retell.api_url;
    let stand_in = ["http://127.0.0.1", "http://localhost", "http://[::1]"];
    refuse(
        !url.starts_with("https://") && !stand_in.iter().any(|start| url.starts_with(start)),
        format!("retell.api_url = \"{url}\" would send API keys unencrypted; use https:// (http:// only for a stand-in on loopback)"),
    );
    refuse(
        retell.ask_after_minutes == 0,
        "retell.ask_after_minutes = 0 would ask for every call all the time; set at least 1".to_owned(),
    );
    refuse(
        settings.auditor.every_seconds > 86_400,
        format!(
            "auditor.every_seconds = {} is more than a day; set at most 86400, or 0 for no comparison",
            settings.auditor.every_seconds
        ),
    );
    refuse(
        retell.reconcile_every_seconds > 86_400,
        format!(
            "retell.reconcile_every_seconds = {} is more than a day; set at most 86400, or 0 for no comparison",
            retell.reconcile_every_seconds
        ),
    );
    refuse(
        !(1..=24 * 90).contains(&retell.reconcile_back_hours),
        format!(
            "retell.reconcile_back_hours = {} must be between 1 and 2160",
            retell.reconcile_back_hours
        ),
    );
    refuse(
        retell.reconcile_grace_seconds > 3_600,
        format!(
            "retell.reconcile_grace_seconds = {} must be at most 3600",
            retell.reconcile_grace_seconds
        ),
    );
    refuse(
        !(1..=20).contains(&retell.requests_per_second),
        format!(
            "retell.requests_per_second = {} must be between 1 and 20",
            retell.requests_per_second
        ),
    );
}

fn mail(settings: &Settings, refuse: &mut impl FnMut(bool, String)) {
    let (mail, sign_in) = (&settings.mail, &settings.sign_in);
    refuse(
        mail.is_set() && mail.from.trim().is_empty(),
        "mail.url is set but mail.from is not; set it to the sender of mails, such as Trunkline <calls@example.com>".to_owned(),
    );
    let timeout = Duration::from_secs(mail.timeout_seconds);
    if mail.is_set() && !mail.from.trim().is_empty() {
        let refused = Mailer::new(&mail.url, &mail.from, timeout).err();
        refuse(
            refused.is_some(),
            refused.map_or_else(String::new, |error| format!("mail.url and mail.from: {error}")),
        );
    }
    refuse(
        !(1..=120).contains(&mail.timeout_seconds),
        format!("mail.timeout_seconds = {} must be between 1 and 120", mail.timeout_seconds),
    );
    refuse(
        !(1..=90).contains(&sign_in.invitation_days),
        format!("sign_in.invitation_days = {} must be between 1 and 90", sign_in.invitation_days),
    );
    refuse(
        !(5..=1_440).contains(&sign_in.reset_minutes),
        format!("sign_in.reset_minutes = {} must be between 5 and 1440", sign_in.reset_minutes),
    );
}

fn kafka(settings: &Settings, refuse: &mut impl FnMut(bool, String)) {
    let kafka = &settings.kafka;
    let used = settings.log.store == LogStore::Kafka;
    refuse(
        used && kafka.brokers.trim().is_empty(),
        "log.store = \"kafka\" needs kafka.brokers; set it to host:port, several with commas".to_owned(),
    );
    refuse(
        !used && !kafka.brokers.trim().is_empty(),
        format!(
            "kafka.brokers = \"{}\" is set but log.store = \"postgres\"; set log.store = \"kafka\" or remove kafka.brokers",
            kafka.brokers
        ),
    );
    refuse(
        used && kafka.topic.is_empty(),
        "kafka.topic is empty; name the topic of raw events".to_owned(),
    );
    refuse(
        used && kafka.replication == 0,
        "kafka.replication = 0 would keep no copy; set at least 1".to_owned(),
    );
    let protocols = ["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"];
    refuse(
        !protocols.contains(&kafka.security_protocol.as_str()),
        format!(
            "kafka.security_protocol = \"{}\" is none of {}",
            kafka.security_protocol,
            protocols.join(", ")
        ),
    );
    let sasl = kafka.security_protocol.starts_with("sasl_");
    refuse(
        sasl && (kafka.sasl_user.is_empty() || kafka.sasl_password.expose_secret().is_empty() || kafka.sasl_mechanism.is_empty()),
        "kafka.security_protocol with sasl needs kafka.sasl_mechanism, kafka.sasl_user and kafka.sasl_password_file".to_owned(),
    );
    refuse(
        !sasl && !kafka.sasl_user.is_empty(),
        "kafka.sasl_user is set but kafka.security_protocol has no sasl; use sasl_ssl or remove the user".to_owned(),
    );
}

fn stores(settings: &Settings, refuse: &mut impl FnMut(bool, String)) {
    let postgres = settings.postgres.url.expose_secret();
    refuse(
        !postgres.is_empty() && !postgres.starts_with("postgres://") && !postgres.starts_with("postgresql://"),
        "postgres.url is no Postgres address; write postgres://user:password@host/database".to_owned(),
    );
    // Three: one each for the log's writer, notifications and a request.
    refuse(
        settings.postgres.pool_size < 3,
        format!("postgres.pool_size = {} is too small; set at least 3", settings.postgres.pool_size),
    );
    let clickhouse = &settings.clickhouse;
    refuse(
        !clickhouse.url.is_empty() && !is_origin(&clickhouse.url),
        format!(
            "clickhouse.url = \"{}\" is no address; write http://host:8123 or https://host:8443",
            clickhouse.url
        ),
    );
    refuse(
        clickhouse.url.is_empty() && !clickhouse.password.expose_secret().is_empty(),
        "clickhouse.password is set but clickhouse.url is not; set the address of the server or remove the password".to_owned(),
    );
    refuse(
        !clickhouse.url.is_empty() && clickhouse.library != Path::new(""),
        "clickhouse.library is for use without a server but clickhouse.url is set; keep one of them".to_owned(),
    );
    refuse(
        clickhouse.ca_file != Path::new("") && !clickhouse.url.starts_with("https://"),
        "clickhouse.ca_file is set but clickhouse.url is not https://; use https or remove the file".to_owned(),
    );
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    refuse(
        clickhouse.database.is_empty() || !clickhouse.database.chars().all(plain),
        format!(
            "clickhouse.database = \"{}\" may hold letters, digits and _ only",
            clickhouse.database
        ),
    );
    refuse(
        clickhouse.url.is_empty() && clickhouse.database.starts_with(|first: char| first.is_ascii_digit()),
        format!(
            "clickhouse.database = \"{}\" begins with a digit, which the engine inside this process does not take; begin with a letter",
            clickhouse.database
        ),
    );
}

/// Longest life of an access token: it is meant to be short.
const ACCESS_MINUTES_MAX: u32 = 60;

fn tokens(settings: &Settings, refuse: &mut impl FnMut(bool, String)) {
    let tokens = &settings.tokens;
    refuse(
        !(1..=ACCESS_MINUTES_MAX).contains(&tokens.access_minutes),
        format!(
            "tokens.access_minutes = {} must be between 1 and {ACCESS_MINUTES_MAX}",
            tokens.access_minutes
        ),
    );
    refuse(
        tokens.refresh_idle_days == 0 || tokens.refresh_absolute_days < tokens.refresh_idle_days,
        format!(
            "tokens.refresh_idle_days = {} must be at least 1 and at most tokens.refresh_absolute_days = {}",
            tokens.refresh_idle_days, tokens.refresh_absolute_days
        ),
    );
    refuse(
        !(1..=365).contains(&tokens.key_days),
        format!("tokens.key_days = {} must be between 1 and 365", tokens.key_days),
    );
    let wait = settings.single_sign_on.timeout_seconds;
    refuse(
        !(1..=60).contains(&wait),
        format!("single_sign_on.timeout_seconds = {wait} must be between 1 and 60"),
    );
    let wait = settings.single_sign_on.dns_timeout_seconds;
    refuse(
        !(1..=10).contains(&wait),
        format!("single_sign_on.dns_timeout_seconds = {wait} must be between 1 and 10"),
    );
}

fn is_origin(url: &str) -> bool {
    url.strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"))
        .map(|rest| rest.trim_end_matches('/'))
        .is_some_and(|host| !host.is_empty() && !host.contains(['/', '?', '#', ' ', '@']))
}

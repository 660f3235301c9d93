//! Shows settings as they are in force, with secrets hidden.

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::{LogFormat, LogStore, Settings};

/// All settings as a JSON object of sections.
pub fn redacted(settings: &Settings) -> Value {
    let Settings {
        server,
        intake,
        admin,
        data,
        secrets,
        spool,
        log,
        kafka,
        postgres,
        clickhouse,
        live,
        auditor,
        retell,
        webhooks,
        mail,
        session,
        tokens,
        single_sign_on,
        limits,
        sign_in,
        platform,
        telemetry,
    } = settings;
    json!({
        "server": {
            "bind": server.bind, "environment": server.environment.as_str(), "public_url": server.origin(), "workers": server.workers,
            "trusted_proxies": server.trusted_proxies.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "other_names": server.other_names, "streams_max": server.streams_max, "streams_each_max": server.streams_each_max,
            "drain_seconds": server.drain_seconds, "shutdown_seconds": server.shutdown_seconds,
            "tls": { "certificate": server.tls.certificate, "key": server.tls.key },
        },
        "intake": {
            "bind": intake.bind, "public_url": intake.origin(), "workers": intake.workers,
            "requests_in_flight_max": intake.requests_in_flight_max, "bytes_in_flight_max": intake.bytes_in_flight_max,
            "events_per_second": intake.events_per_second,
            "tls": { "certificate": intake.tls.certificate, "key": intake.tls.key },
        },
        "admin": { "bind": admin.bind },
        "data": { "directory": data.directory },
        "secrets": { "key_file": secrets.key_file },
        "spool": { "directory": settings.spool_directory(), "bytes_max": spool.bytes_max },
        "log": { "store": match log.store { LogStore::Postgres => "postgres", LogStore::Kafka => "kafka" }, "partitions": log.partitions,
            "retention_days": log.retention_days },
        "kafka": {
            "brokers": kafka.brokers, "topic": kafka.topic, "replication": kafka.replication, "member": kafka.member,
            "mirror": kafka.mirror,
            "security_protocol": kafka.security_protocol, "sasl_mechanism": kafka.sasl_mechanism, "sasl_user": kafka.sasl_user,
            "sasl_password": hidden(&kafka.sasl_password), "ca_file": kafka.ca_file,
        },
        "postgres": { "url": without_password(&postgres.url), "pool_size": postgres.pool_size, "binaries": postgres.binaries },
        "clickhouse": {
            "url": clickhouse.url, "ca_file": clickhouse.ca_file, "user": clickhouse.user, "password": hidden(&clickhouse.password),
            "database": clickhouse.database, "row_policies": clickhouse.row_policies, "library": clickhouse.library,
        },
        "live": { "checkpoint_seconds": live.checkpoint_seconds },
        "auditor": { "every_seconds": auditor.every_seconds, "again_records": auditor.again_records },
        "retell": { "api_url": retell.api_url, "ask_after_minutes": retell.ask_after_minutes },
        "webhooks": {
            "allow_private_networks": webhooks.allow_private_networks, "timeout_seconds": webhooks.timeout_seconds,
            "parallel_max": webhooks.parallel_max,
        },
        "mail": { "url": without_password(&mail.url), "from": mail.from, "timeout_seconds": mail.timeout_seconds },
        "session": {
            "idle_hours": session.idle_hours, "absolute_days": session.absolute_days, "renewal_grace_seconds": session.renewal_grace_seconds,
        },
        "tokens": {
            "access_minutes": tokens.access_minutes, "refresh_idle_days": tokens.refresh_idle_days,
            "refresh_absolute_days": tokens.refresh_absolute_days, "key_days": tokens.key_days,
        },
        "single_sign_on": {
            "allow_private_networks": single_sign_on.allow_private_networks, "timeout_seconds": single_sign_on.timeout_seconds,
            "dns_servers": single_sign_on.dns_servers.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "dns_timeout_seconds": single_sign_on.dns_timeout_seconds,
        },
        "limits": {
            "key_per_second": limits.key_per_second, "key_burst": limits.key_burst,
            "person_per_second": limits.person_per_second, "person_burst": limits.person_burst,
            "address_per_second": limits.address_per_second, "address_burst": limits.address_burst,
        },
        "sign_in": { "attempts_max": sign_in.attempts_max, "address_attempts_max": sign_in.address_attempts_max, "parallel_max": sign_in.parallel_max,
            "invitation_days": sign_in.invitation_days, "reset_minutes": sign_in.reset_minutes },
        "platform": { "opening_minutes": platform.opening_minutes },
        "telemetry": {
            "level": telemetry.level, "lines_per_second": telemetry.lines_per_second,
            "format": match telemetry.format { LogFormat::Auto => "auto", LogFormat::Json => "json", LogFormat::Pretty => "pretty" },
        },
    })
}

/// The same as TOML, for people and for a file.
pub fn as_toml(settings: &Settings) -> String {
    let value = toml::Value::try_from(redacted(settings)).expect("settings hold texts, numbers and lists only");
    toml::to_string(&value).expect("tables of plain values always serialise")
}

fn hidden(secret: &SecretString) -> &'static str {
    if secret.expose_secret().is_empty() { "" } else { "[hidden]" }
}

/// The address without what stands between user and host, so that it can be shown.
fn without_password(url: &SecretString) -> String {
    let url = url.expose_secret();
    let Some((scheme, rest)) = url.split_once("://") else {
        return if url.is_empty() { String::new() } else { "[hidden]".to_owned() };
    };
    let (place, query) = rest.split_once('?').map_or((rest, ""), |(place, query)| (place, query));
    let place = match place.rsplit_once('@') {
        Some((credentials, host)) => format!("{}:[hidden]@{host}", credentials.split(':').next().unwrap_or_default()),
        None => place.to_owned(),
    };
    if query.is_empty() {
        format!("{scheme}://{place}")
    } else {
        format!("{scheme}://{place}?[hidden]")
    }
}

//! Every ceiling, each with its reason.

/// Largest body taken at the intake. A call of several hours with word times is some MB; ten leaves room.
pub const INTAKE_BODY_BYTES: usize = 10 * 1024 * 1024;

/// Largest body taken anywhere else: nothing of ours is that large.
pub const API_BODY_BYTES: usize = 256 * 1024;

/// Largest stored record: the body plus the header, and room for brokers' own framing.
pub const RECORD_BYTES: usize = 16 * 1024 * 1024;

/// Deepest JSON that is read (rule A6); deeper is set aside, and no input overflows the stack.
pub const JSON_DEPTH: usize = 512;

/// Longest usable call or chat id in bytes (rule A7).
pub const ID_BYTES: usize = 256;

/// Longest event name kept in a record's header, in characters; the body keeps it whole.
pub const EVENT_NAME_CHARS: usize = 128;

/// Tolerated difference between the signature's time and ours, in ms (rule A3).
pub const SIGNATURE_WINDOW_MS: i64 = 300_000;

/// A day in ms: the longest duration and the furthest clock error that is believed (rule B9).
pub const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// Highest cost that is believed, in cents (rule A8).
pub const COST_CENTS: f64 = 1e12;

/// Distinct records merged into one call; more can only be a fault at the sender, and memory must not follow it.
pub const RECORDS_PER_CALL: usize = 30_000;

/// Distinct undocumented event names noted per call; further ones share the last place.
pub const UNKNOWN_NAMES_PER_CALL: usize = 100;

/// Distinct agents per call among which the first is looked for.
pub const AGENTS_PER_CALL: usize = 250;

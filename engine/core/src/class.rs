//! Words of Retell's open lists, sorted into classes: reasons (RULES.md part C), moods (rule B10), numbers (rule B11).

use crate::facts::{ReasonClass, Sentiment};

/// Version of the table below; a stored class is read with the table it was made with.
pub const REASONS_VERSION: u32 = 1;

/// Every documented `disconnection_reason` and two older ones (part C).
pub const REASONS: [(&str, ReasonClass); 41] = [
    ("user_hangup", ReasonClass::Normal),
    ("agent_hangup", ReasonClass::Normal),
    ("call_transfer", ReasonClass::Normal),
    ("transfer_bridged", ReasonClass::Normal),
    ("user_requested_callback", ReasonClass::Normal),
    ("user_requested_dnc", ReasonClass::Normal),
    ("manual_stopped", ReasonClass::Intervened),
    ("call_take_over", ReasonClass::Intervened),
    ("voicemail_reached", ReasonClass::Machine),
    ("ivr_reached", ReasonClass::Machine),
    ("machine_detected", ReasonClass::Machine),
    ("inactivity", ReasonClass::Limit),
    ("max_duration_reached", ReasonClass::Limit),
    ("registered_call_timeout", ReasonClass::NotJoined),
    ("error_user_not_joined", ReasonClass::NotJoined),
    ("dial_busy", ReasonClass::Callee),
    ("dial_no_answer", ReasonClass::Callee),
    ("user_declined", ReasonClass::Callee),
    ("dial_failed", ReasonClass::Route),
    ("invalid_destination", ReasonClass::Route),
    ("telephony_provider_permission_denied", ReasonClass::Route),
    ("telephony_provider_unavailable", ReasonClass::Route),
    ("sip_routing_error", ReasonClass::Route),
    ("marked_as_spam", ReasonClass::Route),
    ("network_blocked", ReasonClass::Route),
    ("concurrency_limit_reached", ReasonClass::Blocked),
    ("no_concurrency_fallback", ReasonClass::Blocked),
    ("no_valid_payment", ReasonClass::Blocked),
    ("scam_detected", ReasonClass::Blocked),
    ("credit_exhausted", ReasonClass::Blocked),
    ("budget_reached", ReasonClass::Blocked),
    ("error_inbound_webhook", ReasonClass::Blocked),
    ("error_llm_websocket_open", ReasonClass::FaultOwnModel),
    ("error_llm_websocket_lost_connection", ReasonClass::FaultOwnModel),
    ("error_llm_websocket_runtime", ReasonClass::FaultOwnModel),
    ("error_llm_websocket_corrupt_payload", ReasonClass::FaultOwnModel),
    ("error_no_audio_received", ReasonClass::FaultProvider),
    ("error_asr", ReasonClass::FaultProvider),
    ("error_retell", ReasonClass::FaultProvider),
    ("error_unknown", ReasonClass::FaultProvider),
    ("transfer_cancelled", ReasonClass::TransferNotDone),
];

/// The class of a reason; [`ReasonClass::New`] for a word that is not in the table.
pub fn reason(word: &str) -> ReasonClass {
    REASONS
        .iter()
        .find(|(known, _)| *known == word)
        .map_or(ReasonClass::New, |(_, class)| *class)
}

/// The mood that a word means, without regard to case and outer white space; `None` when it is blank (rule B10).
pub fn sentiment(word: &str) -> Option<Sentiment> {
    let word = word.trim();
    let known = [
        ("positive", Sentiment::Positive),
        ("neutral", Sentiment::Neutral),
        ("negative", Sentiment::Negative),
        ("unknown", Sentiment::Unknown),
    ];
    let found = known.iter().find(|(spelling, _)| word.eq_ignore_ascii_case(spelling));
    (!word.is_empty()).then(|| found.map_or(Sentiment::Other, |(_, mood)| *mood))
}

/// True for E.164 numbers (`+` and 2 to 15 digits, the first not zero): only these name a party; anything else is kept as text (rule B11).
pub fn is_party_number(text: &str) -> bool {
    let digits = text.strip_prefix('+').unwrap_or("").as_bytes();
    (2..=15).contains(&digits.len()) && digits[0] != b'0' && digits.iter().all(u8::is_ascii_digit)
}

//! Made-up figures and calls for rendering.

use serde_json::{Value, json};
use trunkline_core::metric::Board;

use crate::l10n::Texts;
use crate::pages::format;
use crate::pages::row::LiveRow;
use crate::pages::shell::{Fresh, Place, Reader, Scope, Shell};

/// 2026-11-22T14:03:05 in Berlin.
pub const NOW: i64 = 1_795_352_585_000;

/// A frame with everything in it.
pub fn shell(l: &'static Texts, place: Place, title: &str, theme: Option<&'static str>) -> Shell {
    let mut s = Shell::plain(l, place, title.to_owned(), theme);
    s.user = Reader {
        name: "Marta Kessler".into(),
        initials: format::initials("Marta Kessler"),
        role: l.t("role-supervisor"),
        access: trunkline_core::access::Access::of_person(Some(trunkline_core::access::Role::Owner), &[]),
        platform: false,
    };
    s.businesses = ["Northside Clinics", "Harbour Dental", "Alba Seguros"]
        .iter()
        .enumerate()
        .map(|(i, name)| Scope {
            id: format!("biz_{i}"),
            name: (*name).to_owned(),
            selected: i == 0,
        })
        .collect();
    s.fresh = Fresh {
        state: "ok",
        complete: l.t1("fresh-complete", "time", "14:03:05"),
        gaps: false,
        more: l.t2("fresh-more", ("n", "0"), ("seconds", "0.3")),
    };
    s.zone = jiff::tz::TimeZone::get("Europe/Berlin").expect("the zone database has Berlin");
    s.zone_name = "Europe/Berlin".to_owned();
    s
}

/// A board in full swing.
pub fn board() -> Board {
    let from = NOW - (14 * 60 + 3) * 60_000 - 5_000;
    let n = 57;
    let wave: Vec<u64> = (0..n)
        .map(|i| {
            let hour = i as f64 / 4.0;
            let base = 34.0 * (-((hour - 10.0).powi(2)) / 7.0).exp() + 28.0 * (-((hour - 15.0).powi(2)) / 6.0).exp() + 2.0;
            (base * (0.85 + noise(i) * 0.3)) as u64
        })
        .collect();
    let trend = |level: f64, spread: f64, seed: usize| -> Value {
        (0..n)
            .map(|i| {
                if i < 20 {
                    Value::Null
                } else {
                    json!(level + (noise(i + seed * 97) - 0.5) * spread)
                }
            })
            .collect()
    };
    let tile = |metric: &str,
                name: &str,
                value: Value,
                unit: &str,
                num: Value,
                den: Value,
                target: f64,
                words: &str,
                state: &str,
                trend: Value| {
        json!({"metric": metric, "name": name, "value": value, "numerator": num, "denominator": den, "unit": unit, "good": "up", "target": {"target": target},
               "target_words": words, "state": state, "trend": trend, "estimator": null, "provisional": false, "percentiles": null})
    };
    let classes = [
        ("ended_normal", 1683, 0.876),
        ("ended_machine", 79, 0.041),
        ("ended_intervened", 58, 0.03),
        ("ended_callee", 50, 0.026),
        ("ended_route", 22, 0.012),
        ("ended_fault_provider", 21, 0.011),
        ("ended_fault_own_model", 8, 0.004),
    ];
    let ended: Vec<Value> = classes
        .iter()
        .map(|(metric, count, share)| json!({"metric": metric, "name": metric, "count": count, "share": share}))
        .collect();
    let value = json!({
        "as_of": NOW, "day_start": from, "window": "day", "from": from, "interval_ms": 900_000, "complete_to": NOW, "gaps": 0, "lag_ms": 300,
        "now": {"in_progress": 128, "by_state": {"dialling": 6, "talking": 116, "transferring": 3, "with_person": 9},
            "by_direction": {"inbound": 76, "outbound": 40, "web": 12, "other": 0}, "chats": 14, "open_transfers": 3, "longest_wait_ms": 24_000, "longest_wait_since": NOW - 24_000,
            "concurrency": {"used": 128, "limit": 200, "share": 0.64, "peak": 161, "peak_at": NOW - 9_000_000, "mean": 71.2, "at_limit_ms": 0}},
        "offered": {"total": 2049, "answered": 2031, "answer_rate": 0.991, "blocked": 3, "pace_per_hour": 148.0, "series": wave, "answered_series": wave,
            "spend_cents": 21_240.0, "spend_series": wave.iter().map(|v| json!(*v as f64 * 11.0)).collect::<Vec<_>>(), "transfers": 64, "transfers_bridged": 58, "chats": 120},
        "tiles": [
            tile("service_level_ai", "Service level, AI leg", json!(0.984), "share", json!(1998.0), json!(2031.0), 0.95, "≥ 95 % in 3 s", "ok", trend(0.98, 0.04, 1)),
            tile("service_level_human", "Service level, human leg", json!(0.71), "share", json!(41.0), json!(58.0), 0.8, "≥ 80 % in 20 s", "breach", trend(0.72, 0.1, 2)),
            tile("containment", "Containment", json!(0.876), "share", json!(1683.0), json!(1921.0), 0.85, "≥ 85 %", "ok", trend(0.88, 0.05, 3)),
            tile("success_rate", "Success rate", json!(0.812), "share", json!(1560.0), json!(1921.0), 0.82, "≥ 82 %", "watch", trend(0.82, 0.08, 4)),
            tile("aht_ai", "Average handle time", json!(161_000.0), "ms", Value::Null, json!(1921.0), 180_000.0, "≤ 3:00", "ok", trend(160_000.0, 30_000.0, 5)),
            tile("latency_e2e", "Response p95", json!(1380.0), "ms", Value::Null, json!(38_214.0), 1400.0, "≤ 1.4 s", "watch", trend(1300.0, 400.0, 6)),
            tile("sentiment_negative", "Sentiment, negative", json!(0.061), "share", json!(117.0), json!(1921.0), 0.08, "≤ 8 %", "ok", trend(0.06, 0.03, 7)),
            tile("abandonment_ai", "Abandoned before speech", json!(0.009), "share", json!(18.0), json!(2049.0), 0.02, "≤ 2 %", "ok", trend(0.01, 0.01, 8)),
            tile("tool_failure_rate", "Tool errors", json!(0.017), "share", json!(52.0), json!(3060.0), 0.01, "≤ 1 %", "watch", trend(0.015, 0.01, 9)),
            tile("cost_per_minute", "Cost per minute", json!(10.9), "cents_per_minute", Value::Null, json!(1948.0), 12.0, "≤ $ 0.12", "ok", trend(11.0, 1.0, 10)),
        ],
        "ended": ended,
        "reasons": [{"reason": "user_hangup", "count": 902}],
        "agents": [agent("agent_en", "Reception EN", 62, 0.84, 140_000.0), agent("agent_es", "Reception ES", 21, 0.80, 171_000.0), agent("agent_fu", "Follow-up", 14, 0.91, 118_000.0), agent("agent_rc", "Recall", 31, 0.77, 100_000.0)],
        "sentiment": {"positive": 900, "neutral": 700, "negative": 117, "unknown": 180, "other": 0}, "latency": []
    });
    serde_json::from_value(value).expect("the made-up board has the board's form")
}

/// A board on which nothing has happened yet.
pub fn empty_board() -> Board {
    let mut board = board();
    board.now = Default::default();
    board.offered = Default::default();
    board.ended.clear();
    board.agents.clear();
    for tile in &mut board.tiles {
        tile.value = None;
        tile.numerator = None;
        tile.denominator = None;
        tile.trend.clear();
        tile.state = trunkline_core::metric::StateWord::NoData;
    }
    board
}

fn agent(id: &str, name: &str, live: u64, success: f64, aht: f64) -> Value {
    json!({"agent": id, "name": name, "live": live, "offered": live * 9, "handled": live * 8, "success": success, "aht_ms": aht, "cents_per_minute": 10.9})
}

/// Calls in progress, longest first.
pub fn calls() -> Vec<LiveRow> {
    use trunkline_core::facts::Role::{Agent, User};
    let said = [
        (
            "ongoing",
            892,
            "Reception EN · v12",
            "+1 555 ··· 0147",
            Some(User),
            "I have told you three times now, I need the Thursday slot.",
            2,
            0,
            "inbound",
            "en",
        ),
        (
            "ongoing",
            680,
            "Reception ES · v12",
            "+34 ··· 0188",
            Some(Agent),
            "Un momento, estoy comprobando la agenda del doctor.",
            3,
            2,
            "inbound",
            "es",
        ),
        (
            "transfer",
            587,
            "Reception EN · v12",
            "+1 555 ··· 0102",
            Some(User),
            "Yes, please put me through to the front desk.",
            24,
            0,
            "inbound",
            "en",
        ),
        (
            "ongoing",
            483,
            "Follow-up · v4",
            "+1 555 ··· 0170",
            Some(Agent),
            "Great, and how is the knee since the visit?",
            4,
            0,
            "outbound",
            "en",
        ),
        (
            "ongoing",
            398,
            "Reception JA · v3",
            "+81 ··· 0133",
            Some(User),
            "予約を来週の火曜日に変更したいのですが。",
            14,
            0,
            "inbound",
            "ja",
        ),
        (
            "ongoing",
            310,
            "Reception AR · v2",
            "+971 ··· 0119",
            Some(User),
            "أريد موعدًا مع طبيب الأسنان يوم الأحد",
            5,
            0,
            "inbound",
            "ar",
        ),
        (
            "ongoing",
            209,
            "Recall · v7",
            "+1 555 ··· 0191",
            Some(User),
            "Sure, put me down for the ninth in the morning.",
            1,
            0,
            "outbound",
            "en",
        ),
        (
            "ongoing",
            64,
            "Reception EN · v12",
            "–",
            Some(Agent),
            "Welcome to Northside Clinics, how can I help you today?",
            1,
            0,
            "web",
            "en",
        ),
        ("registered", 12, "Recall · v7", "+1 555 ··· 0124", None, "", 0, 0, "outbound", "en"),
    ];
    /// State, age in s, agent, other side, who spoke last, what, silence in s, failed tools, direction, language.
    type Given<'a> = (
        &'static str,
        i64,
        &'a str,
        &'a str,
        Option<trunkline_core::facts::Role>,
        &'a str,
        i64,
        u32,
        &'static str,
        &'a str,
    );
    let row = |(i, (state, age, agent, caller, who, text, quiet, failures, way, lang)): (usize, Given<'_>)| LiveRow {
        kind: trunkline_core::id::Kind::Call,
        id: format!("call_{i:028}"),
        state,
        since: NOW - age * 1000,
        agent: agent.into(),
        agent_id: "agent_en".into(),
        caller: caller.into(),
        way,
        who,
        said: text.into(),
        said_at: who.map(|_| NOW - quiet * 1000),
        lang: Some(lang.into()),
        turns: (age / 14) as u32,
        tool_failures: failures,
        ringing_since: (state == "transfer").then_some(NOW - 24_000),
        response_ms: who.map(|_| 900 + age % 7 * 130),
        cost_cents: None,
        cents_per_minute: (state != "registered").then_some(10.9),
    };
    said.into_iter().enumerate().map(row).collect()
}

fn noise(i: usize) -> f64 {
    let x = (i as u64)
        .wrapping_mul(0x9E37_79B9_7F4A_7C15)
        .rotate_left(31)
        .wrapping_mul(0xBF58_476D_1CE4_E5B9);
    (x >> 11) as f64 / (1u64 << 53) as f64
}

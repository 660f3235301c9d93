//! Every page renders in every language without a key in place of a text; the pages can be written out and looked at.

use actix_web::http::StatusCode;
use askama::Template;
use trunkline_actors::{Checkpointed, Completeness, PartitionState, Rebuild};
use trunkline_core::instant::Millis;
use trunkline_stores::clickhouse::{AgentReceipts, CallPage, ClassCount, StoredOddity, StoredSetAside, Total};

use super::{fixture, fixture_auditor, fixture_call, fixture_log, fixture_reconciler};
use crate::l10n;
use crate::pages::call;
use crate::pages::live::LivePage;
use crate::pages::log::LogPage;
use crate::pages::operator::{Figures, OperatorPage, Stored};
use crate::pages::problem::ProblemPage;
use crate::pages::query::LogQuery;
use crate::pages::raw;
use crate::pages::row;
use crate::pages::shell::{Place, Shell};
use crate::pages::signin::SignInPage;
use crate::pages::wall::{Asked, Material, WallPage};

fn wall(l: &'static l10n::Texts, theme: Option<&'static str>, tv: bool, empty: bool) -> String {
    let mut s = fixture::shell(l, Place::Wall, &l.t("wall-title"), theme);
    s.tv = tv;
    let (board, calls) = if empty {
        (fixture::empty_board(), Vec::new())
    } else {
        (fixture::board(), fixture::calls())
    };
    let agents = vec![
        ("agent_en".to_owned(), "Reception EN".to_owned()),
        ("agent_es".to_owned(), "Reception ES".to_owned()),
    ];
    let material = Material {
        heading: "Northside Clinics".into(),
        asked: Asked::default(),
        agents,
        board: &board,
        calls: &calls,
        first_use: empty,
        intake_url: "https://calls.example.org/v1/retell/9f2c7d41".into(),
        stream: "/v1/stream?topics=board,calls".into(),
    };
    WallPage::of(s, material).render().expect("the wall renders")
}

#[test]
fn the_wall_renders_in_every_language_and_state() {
    for l in l10n::languages() {
        for empty in [false, true] {
            let page = wall(l, None, false, empty);
            assert!(page.contains(&format!("lang=\"{}\" dir=\"{}\"", l.lang, l.dir)));
            no_raw_keys(&page);
        }
    }
    for (name, theme, tv, empty) in [
        ("wall-light", "light", false, false),
        ("wall-dark", "dark", false, false),
        ("wall-tv", "dark", true, false),
        ("wall-empty", "light", false, true),
    ] {
        write(name, &wall(&l10n::languages()[0], Some(theme), tv, empty));
    }
    write("wall-rtl", &wall(&l10n::languages()[2], Some("light"), false, false));
    write("wall-pseudo", &wall(&l10n::languages()[1], Some("light"), false, false));
}

#[test]
fn nothing_shows_a_zero_where_nothing_is_known() {
    let page = wall(&l10n::languages()[0], None, false, true);
    let tiles = page.split("data-tile=").skip(1);
    for tile in tiles {
        assert!(tile.contains("data-f=\"number\" class=\"dash\">–<"), "{}", &tile[..200]);
    }
}

/// A text that fell back to its key looks like `some-key` alone between tags.
pub fn no_raw_keys(page: &str) {
    let visible = page.split('>').filter_map(|part| part.split('<').next()).map(str::trim);
    let raw: Vec<&str> = visible
        .filter(|text| text.contains('-') && !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase() || c == '-'))
        .collect();
    assert!(raw.is_empty(), "{raw:?}");
}

/// Writes a page out to be looked at, with its files beside it.
pub fn write(name: &str, page: &str) {
    let Ok(folder) = std::env::var("TRUNKLINE_PREVIEW") else { return };
    let path = std::path::Path::new(&folder).join(format!("{name}.html"));
    std::fs::write(path, page).expect("the preview folder can be written");
}

fn pages(l: &'static l10n::Texts, theme: Option<&'static str>) -> Vec<(&'static str, String)> {
    let shell = |place, title: &str| fixture::shell(l, place, title, theme);
    let agents = vec![("agent_en".to_owned(), "Reception EN".to_owned())];
    let now = Millis(fixture::NOW);
    let live = LivePage::of(
        shell(Place::Live, "In progress"),
        Asked::default(),
        &agents,
        &fixture::calls(),
        now,
        "/v1/stream?topics=calls",
    );
    let query = LogQuery {
        q: "refund".into(),
        sentiment: "negative".into(),
        ..LogQuery::default()
    };
    let none = CallPage {
        calls: vec![],
        hits: vec![],
        older: None,
        newer: None,
    };
    let log = |query: &LogQuery, page: &CallPage| {
        LogPage::of(
            shell(Place::Calls, "Calls"),
            query,
            page,
            Some(Total { calls: 1_921, exact: true }),
            &agents,
            1_200,
        )
        .render()
    };
    let prices = row::Prices::of(&fixture::board());
    let told = |business| call::Told {
        business,
        stream: "/v1/stream",
        prices: &prices,
        now,
    };
    let call = |live| {
        call::CallPage::of(
            shell(Place::Calls, ""),
            &fixture_call::facts(live),
            &fixture_call::transcript(),
            &told("Northside Clinics"),
        )
    };
    let bare = call::CallPage::of(shell(Place::Calls, ""), &fixture_call::facts(true), &[], &told(""));
    let records = || {
        vec![raw::Record {
            at: "14:03:05".into(),
            event: "call_started".into(),
            place: "partition 3, offset 881".into(),
            body: raw::indented(b"{\"event\":\"call_started\"}"),
        }]
    };
    let problem = |status| ProblemPage::of(shell(Place::Nowhere, ""), status, None, "01890a5d".into()).render();
    let sign_in = |wrong: &str| {
        SignInPage {
            s: shell(Place::Nowhere, &l.t("sign-in")),
            wrong: wrong.into(),
            email: "m@example.org".into(),
            next: "/calls".into(),
        }
        .render()
    };
    let rendered = [
        ("live", live.render()),
        ("log", log(&LogQuery::default(), &fixture_log::page())),
        ("log-filtered", log(&query, &fixture_log::page())),
        ("log-none", log(&query, &none)),
        (
            "log-empty",
            log(
                &LogQuery {
                    range: "all".into(),
                    ..LogQuery::default()
                },
                &none,
            ),
        ),
        ("call", call(false).render()),
        ("call-live", call(true).render()),
        ("call-bare", bare.render()),
        (
            "raw",
            raw::RawPage {
                s: shell(Place::Calls, &l.t("raw")),
                records: records(),
            }
            .render(),
        ),
        (
            "raw-part",
            raw::RawPart {
                s: shell(Place::Calls, &l.t("raw")),
                records: vec![],
            }
            .render(),
        ),
        ("operator", operator(shell(Place::Operator, "Operator")).render()),
        (
            "reconciler",
            fixture_reconciler::page(shell(Place::Operator, &l.t("reconciler"))).render(),
        ),
        ("auditor", fixture_auditor::page(shell(Place::Operator, &l.t("auditor"))).render()),
        ("signin", sign_in("")),
        ("signin-wrong", sign_in(&l.t("sign-in-wrong"))),
        ("not-found", problem(StatusCode::NOT_FOUND)),
        ("forbidden", problem(StatusCode::FORBIDDEN)),
        ("internal", problem(StatusCode::INTERNAL_SERVER_ERROR)),
    ];
    rendered
        .into_iter()
        .map(|(name, page)| (name, page.expect("a page renders")))
        .collect()
}

fn operator(s: Shell) -> OperatorPage {
    let partition = |n: u32| PartitionState {
        partition: n,
        began_at: 0,
        next: 48_211 + i64::from(n) * 13,
        current: n != 2,
        rebuilt: true,
        applied_to: Some(Millis(fixture::NOW)),
        calls: 16,
        residue: 40,
        checkpoint: Some(Checkpointed {
            at: Millis(fixture::NOW - 3_200),
            next: 48_200,
            calls: 56,
            records: 12,
            bytes: 9_400,
        }),
        rebuild: Some(Rebuild {
            from_checkpoint: n != 1,
            restored: 50,
            replayed: 211,
            took_ms: 140,
        }),
    };
    let partitions: Vec<_> = (0..4).map(partition).collect();
    let completeness = Completeness {
        as_of: Millis(fixture::NOW),
        complete_to: Some(Millis(fixture::NOW)),
        rebuilding: false,
        log_away: false,
        partitions: 4,
        assigned: 4,
        lag_ms: Some(300),
        lag_p95_ms: Some(410),
        intake_lag_p95_ms: Some(9),
        gaps: vec![],
        open_without_end: 2,
        presumed_ended: 1,
        set_aside: [("signature_missing", 0), ("not_an_object", 2)].into(),
        reconciled: Some(trunkline_stores::postgres::reconciler::Summary {
            to: Some(Millis(fixture::NOW - 120_000)),
            healed: 3,
            open: 1,
            waiting: 0,
        }),
        audited: Some(trunkline_actors::AuditSummary {
            to: Some(Millis(fixture::NOW - 4_000)),
            open: 0,
            repaired: 2,
            gaps: Vec::new(),
        }),
    };
    let aside = StoredSetAside {
        log: "main".into(),
        log_partition: 1,
        log_offset: 9,
        received_at: fixture::NOW,
        workspace: uuid::Uuid::nil(),
        event: "call_ended".into(),
        kind: "call".into(),
        call_id: "call_1".into(),
        routing_key: "call_1".into(),
        source: "webhook".into(),
        set_aside: "not_an_object".into(),
        bytes: 731,
    };
    let class = ClassCount {
        event: "call_started".into(),
        of_a_call: true,
        source: "webhook".into(),
        set_aside: String::new(),
        records: 2049,
        calls: 2040,
    };
    let odd = StoredOddity {
        what: "field".into(),
        spelled: "call.mood_ring".into(),
        records: 3,
        calls: 2,
        first_at: fixture::NOW - 86_400_000,
        last_at: fixture::NOW,
        agents: vec!["agent_0123456789abcdef".into()],
        sample: ("main".into(), 1, 9, "call".into(), "call_1".into()),
    };
    let receipts = AgentReceipts {
        agent_id: "agent_1".into(),
        name: "Reception EN".into(),
        conversations: 40,
        received: 420,
        repeated: 21,
        revised: 1,
    };
    let spool = trunkline_stores::spool::SpoolState {
        records: 120,
        bytes: 262_144,
        bytes_max: 1 << 30,
        oldest: Some(Millis(fixture::NOW - 42_000)),
        log_away: true,
        trouble: None,
    };
    OperatorPage::of(
        Figures::of(
            s,
            &completeness,
            &partitions,
            &[],
            &trunkline_actors::FactsState::default(),
            Some(&spool),
        ),
        Some(Stored {
            set_aside: vec![aside],
            classes: vec![class],
            undocumented: vec![odd],
            receipts: vec![receipts],
        }),
    )
}

#[test]
fn every_page_renders_in_every_language_and_theme() {
    for l in l10n::languages() {
        for theme in ["light", "dark"] {
            for (name, page) in pages(l, Some(theme)) {
                no_raw_keys(&page);
                assert!(
                    !page.contains("style=\""),
                    "{name} has an inline style, which the content policy refuses"
                );
                assert!(!page.contains(" onclick="), "{name}");
                if l.lang != "en-XA" {
                    write(&format!("{name}-{theme}-{}", l.lang), &page);
                }
            }
        }
    }
}

#[test]
fn lists_never_show_a_whole_number() {
    let l = &l10n::languages()[0];
    for (name, page) in pages(l, None)
        .into_iter()
        .filter(|(name, _)| name.starts_with("log") || *name == "live")
    {
        assert!(!page.contains("15550100147"), "{name} shows a number");
    }
}

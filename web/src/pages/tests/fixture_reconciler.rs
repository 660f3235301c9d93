//! A page of the reconciler with something of everything.

use trunkline_core::id::WorkspaceId;
use trunkline_core::instant::Millis;
use trunkline_core::reconcile::Difference;
use trunkline_stores::postgres::reconciler::{Finding, Progress};
use trunkline_stores::postgres::row::Notice;
use uuid::Uuid;

use super::fixture::NOW;
use crate::pages::reconciler::{FindingsQuery, ReconcilerPage};
use crate::pages::shell::Shell;

pub fn page(s: Shell) -> ReconcilerPage {
    let workspace = |number: u128| WorkspaceId(Uuid::from_u128(number));
    let ago = |minutes: i64| Millis(NOW - minutes * 60_000);
    let fine = Progress {
        to: Some(ago(2)),
        passed_at: Some(ago(1)),
        next_at: Millis(NOW + 60_000),
        ..Progress::default()
    };
    let waits = Progress {
        failures: 2,
        waits_for: "Retell limits the rate of requests of this account".to_owned(),
        ..fine.clone()
    };
    let compared: Vec<(WorkspaceId, String)> = [(1, "Clinics"), (2, "Delivery"), (3, "New")]
        .map(|(number, name)| (workspace(number), name.to_owned()))
        .into();
    let notice = |kind: &str, subject: &str| Notice {
        workspace: workspace(1),
        kind: kind.to_owned(),
        subject: subject.to_owned(),
        first_seen: ago(90),
        last_seen: ago(9),
        seen: 3,
    };
    let notices = [
        "retell_key_refused",
        "events_elsewhere",
        "events_at_other_workspace",
        "call_started_off",
        "call_ended_off",
        "call_analyzed_off",
        "transcript_updated_off",
        "account_address_silent",
        "something_of_others",
    ]
    .map(|kind| match kind {
        "retell_key_refused" => notice(kind, ""),
        kind => notice(kind, "agent_00000000000000007121ffff01 · Night line → crm.example.invalid"),
    });
    let finding = |number: u128, difference, filled: &[&str], healed, problem: &str| Finding {
        id: Uuid::from_u128(number),
        workspace: workspace(1),
        call_id: format!("call_4fbd12aa5efe68ba59f6c45{number:04}"),
        difference,
        agent_id: "agent_000000000000000071210000".to_owned(),
        ended_at: Some(ago(30)),
        found_at: ago(20),
        tries: 1,
        filled: filled.iter().map(|name| (*name).to_owned()).collect(),
        healed_at: healed,
        problem: problem.to_owned(),
    };
    let both = ["call_ended", "call_analyzed"];
    let mut findings = vec![
        finding(9, Some(Difference::Unheard), &both, Some(ago(19)), ""),
        finding(8, Some(Difference::EndMissed), &both[..1], Some(ago(19)), ""),
        finding(7, Some(Difference::AnalysisMissed), &both[1..], Some(ago(19)), ""),
        finding(
            6,
            Some(Difference::CostDiffers),
            &["transfer_ended"],
            None,
            "what Retell sends for it was filled in several times",
        ),
        finding(
            5,
            Some(Difference::StillRunning),
            &[],
            None,
            "an end was received, and Retell says that the call runs",
        ),
        finding(4, None, &[], Some(ago(5)), ""),
    ];
    findings.extend((0..100).map(|number| finding(100 + number, Some(Difference::Unheard), &both, Some(ago(19)), "")));
    let reconciled = [(workspace(1), fine), (workspace(2), waits)];
    ReconcilerPage::of(s, &compared, &reconciled, &notices, findings, &FindingsQuery::default())
}

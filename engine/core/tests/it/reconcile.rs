//! What Retell lists against what we heard; and that filling in what is missing leaves nothing to be filled in.

use serde_json::{Value, json};
use trunkline_core::id::{CallKey, Kind};
use trunkline_core::instant::Millis;
use trunkline_core::name::Name;
use trunkline_core::reconcile::{Difference, Gap, Heard, Listed, compare};
use trunkline_core::usage::Evidence;

use crate::given::{NOW, event, facts_of, tenant};

const START: i64 = NOW - 3 * 86_400_000;

fn listed(over: bool, analysed: bool, cents: Option<f64>) -> Listed {
    Listed {
        call_id: "c".into(),
        agent_id: "agent_1".into(),
        over,
        started_at: Some(Millis(START)),
        ended_at: over.then_some(Millis(START + 60_000)),
        transfer_ended_at: None,
        analysed,
        combined_cents: cents,
    }
}

fn body(name: &str, cents: Option<f64>) -> Value {
    let mut call = json!({"call_id": "c", "agent_id": "agent_1", "start_timestamp": START});
    if name != "call_started" {
        call["end_timestamp"] = json!(START + 60_000);
        call["disconnection_reason"] = json!("user_hangup");
    }
    if name == "call_analyzed" {
        call["call_analysis"] = json!({"call_successful": true});
    }
    if let Some(cents) = cents {
        call["call_cost"] = json!({"combined_cost": cents});
    }
    json!({"event": name, "call": call})
}

fn found(listed: &Listed, bodies: &[Value]) -> Option<Gap> {
    let key = CallKey {
        tenant: tenant(),
        kind: Kind::Call,
        id: "c".into(),
    };
    let mut evidence = Evidence::default();
    for (place, body) in bodies.iter().enumerate() {
        evidence.note(&event(body, place as i64));
    }
    let facts = evidence.facts(&key);
    let heard = facts.as_ref().map(|facts| Heard {
        evidence: &evidence,
        facts,
    });
    compare(listed, heard)
}

fn gap(difference: Difference, missing: &[Name]) -> Option<Gap> {
    let missing = missing.to_vec();
    Some(Gap { difference, missing })
}

#[test]
fn each_difference_names_the_events_that_are_missing() {
    use Difference::{AnalysisMissed, CostDiffers, EndMissed, StillRunning, Unheard};
    use Name::{CallAnalyzed, CallEnded, CallStarted, TransferEnded};
    let (started, ended, analysed) = (
        body("call_started", None),
        body("call_ended", Some(5.0)),
        body("call_analyzed", Some(5.0)),
    );
    let transferred = Listed {
        transfer_ended_at: Some(Millis(START + 90_000)),
        ..listed(true, true, Some(7.5))
    };
    let table = [
        (
            "runs and was never heard of",
            listed(false, false, None),
            vec![],
            gap(Unheard, &[CallStarted]),
        ),
        (
            "over, never heard of",
            listed(true, false, Some(5.0)),
            vec![],
            gap(Unheard, &[CallEnded]),
        ),
        (
            "analysed, never heard of",
            listed(true, true, Some(5.0)),
            vec![],
            gap(Unheard, &[CallEnded, CallAnalyzed]),
        ),
        (
            "transferred, never heard of",
            transferred.clone(),
            vec![],
            gap(Unheard, &[CallEnded, CallAnalyzed, TransferEnded]),
        ),
        (
            "only a name that is not documented",
            listed(true, false, None),
            vec![body("call_hummed", None)],
            gap(Unheard, &[CallEnded]),
        ),
        ("runs", listed(false, false, None), vec![started.clone()], None),
        (
            "its end is missing",
            listed(true, false, Some(5.0)),
            vec![started.clone()],
            gap(EndMissed, &[CallEnded]),
        ),
        (
            "end and analysis are missing",
            listed(true, true, Some(5.0)),
            vec![started.clone()],
            gap(EndMissed, &[CallEnded, CallAnalyzed]),
        ),
        (
            "the end is inferred from the analysis",
            listed(true, true, Some(5.0)),
            vec![analysed.clone()],
            gap(EndMissed, &[CallEnded]),
        ),
        (
            "the analysis is missing",
            listed(true, true, Some(5.0)),
            vec![ended.clone()],
            gap(AnalysisMissed, &[CallAnalyzed]),
        ),
        (
            "all is there",
            listed(true, true, Some(5.000_001)),
            vec![ended.clone(), analysed.clone()],
            None,
        ),
        ("not analysed yet", listed(true, false, Some(5.0)), vec![ended.clone()], None),
        (
            "Retell says no cost",
            listed(true, true, None),
            vec![ended.clone(), analysed.clone()],
            None,
        ),
        (
            "it costs more",
            listed(true, true, Some(6.0)),
            vec![ended.clone(), analysed.clone()],
            gap(CostDiffers, &[CallAnalyzed]),
        ),
        (
            "we have no cost",
            listed(true, false, Some(6.0)),
            vec![body("call_ended", None)],
            gap(CostDiffers, &[CallEnded]),
        ),
        (
            "the transferred leg was billed",
            transferred,
            vec![ended.clone(), analysed],
            gap(CostDiffers, &[TransferEnded]),
        ),
        (
            "over for us, running for Retell",
            listed(false, false, None),
            vec![ended],
            gap(StillRunning, &[]),
        ),
    ];
    for (what, listed, bodies, expected) in table {
        assert_eq!(found(&listed, &bodies), expected, "{what}");
    }
    for difference in Difference::ALL {
        assert_eq!(Difference::parse(difference.as_str()), Some(difference));
    }
}

#[test]
fn what_is_filled_in_leaves_no_gap() {
    let listed = listed(true, true, Some(5.0));
    let mut bodies = Vec::new();
    for _ in 0..3 {
        let Some(gap) = found(&listed, &bodies) else { break };
        bodies.extend(gap.missing.iter().map(|name| body(name.as_str(), Some(5.0))));
    }
    assert_eq!((bodies.len(), found(&listed, &bodies)), (2, None));
}

#[test]
fn a_call_filled_in_days_later_belongs_to_its_own_day() {
    let ended = |call: Value| facts_of(&[json!({"event": "call_ended", "call": call})]).opened_at();
    let dialled = json!({"call_id": "c", "call_status": "not_connected", "disconnection_reason": "dial_busy", "end_timestamp": START});
    assert_eq!(ended(dialled), Millis(START), "it never connected: its end tells the day");
    let talked = json!({"call_id": "c", "start_timestamp": START - 1, "end_timestamp": START + 9});
    assert_eq!(ended(talked), Millis(START - 1));
    assert_eq!(
        ended(json!({"call_id": "c"})),
        Millis(NOW),
        "nothing else is known than when it was heard of"
    );
    let early = json!({"call_id": "c", "end_timestamp": NOW + 50_000});
    assert_eq!(
        ended(early),
        Millis(NOW),
        "a clock ahead of ours does not move a call behind its first event"
    );
}

//! The call log on the real engine: pages, filters, words and numbers.

use trunkline_core::access::Sight;
use trunkline_core::facts::*;
use trunkline_core::id::Kind;
use trunkline_core::instant::Millis;
use trunkline_stores::clickhouse::{CallFilter, CallRow, TranscriptRow, Turning, Words};

use crate::analytics_given::*;

#[tokio::test]
async fn pages_go_both_ways_without_gaps_or_repeats() {
    let analytics = analytics("pages").await;
    // Several calls open in the same millisecond, so the id has to break the tie.
    let rows: Vec<CallRow> = (0..23)
        .map(|n| CallRow::live(&facts(1, &format!("c{n:02}"), NOON + n / 4), business(9), 3 << 16, 4, measures()))
        .collect();
    analytics.insert_calls(&rows, "pages").await.unwrap();
    let filter = CallFilter::whole(Sight::All);
    let (mut turning, mut seen, mut pages) = (Turning::First, Vec::new(), Vec::new());
    loop {
        let page = analytics.calls(tenant(1), &filter, &turning, 5).await.unwrap();
        seen.extend(page.calls.iter().map(|call| call.call_id.clone()));
        let older = page.older.clone();
        pages.push(page);
        match older {
            Some(cursor) => turning = Turning::Older(cursor.to_string().parse().unwrap()),
            None => break,
        }
    }
    let mut wanted: Vec<String> = (0..23).map(|n| format!("c{n:02}")).collect();
    wanted.reverse();
    assert_eq!(seen, wanted);
    assert_eq!(pages[0].newer, None);
    for pair in pages.windows(2) {
        let back = Turning::Newer(pair[1].newer.clone().unwrap());
        let page = analytics.calls(tenant(1), &filter, &back, 5).await.unwrap();
        assert_eq!(page.calls, pair[0].calls);
    }
    let total = analytics.calls_total(tenant(1), &filter).await.unwrap();
    assert_eq!((total.calls, total.exact), (23, true));
    assert!(
        analytics
            .calls(tenant(2), &filter, &Turning::First, 5)
            .await
            .unwrap()
            .calls
            .is_empty()
    );
}

#[tokio::test]
async fn every_filter_finds_its_call_and_leaves_the_other() {
    let analytics = analytics("filters").await;
    let wanted = facts(1, "call_wanted", NOON);
    let mut other = facts(1, "call_other", NOON - 86_400_000);
    other.agent_id = Some("agent_2".into());
    other.direction = Direction::Outbound;
    other.channel = Channel::Web;
    other.state = CallState::Ongoing;
    other.reason = Some("dial_busy".into());
    other.reason_class = Some(ReasonClass::Callee);
    other.analysis.sentiment = Some(Sentiment::Negative);
    other.analysis.successful = Some(false);
    other.from_number = Some("anonymous".into());
    other.to_number = None;
    other.duration_ms = None;
    other.transfers.clear();
    other.key.kind = Kind::Chat;
    write(&analytics, &wanted, business(9), 3 << 16, "wanted").await;
    analytics
        .insert_calls(&[CallRow::live(&other, business(8), 3 << 16, 4, measures())], "other")
        .await
        .unwrap();
    analytics
        .insert_transcripts(
            &[TranscriptRow::live(
                &other,
                &[said(Role::User, "something else")],
                business(8),
                3 << 16,
            )],
            "other",
        )
        .await
        .unwrap();
    let none = || CallFilter::whole(Sight::All);
    let filters = [
        CallFilter {
            from: Some(Millis(NOON)),
            ..none()
        },
        CallFilter {
            businesses: vec![business(9), business(5)],
            ..none()
        },
        CallFilter {
            kind: Some(Kind::Call),
            ..none()
        },
        CallFilter {
            agents: vec!["agent_1".into()],
            ..none()
        },
        CallFilter {
            directions: vec![Direction::Inbound],
            ..none()
        },
        CallFilter {
            channels: vec![Channel::Phone, Channel::Other],
            ..none()
        },
        CallFilter {
            states: vec![CallState::Ended],
            ..none()
        },
        CallFilter {
            reason_classes: vec![ReasonClass::Normal],
            ..none()
        },
        CallFilter {
            reasons: vec!["user_hangup".into()],
            ..none()
        },
        CallFilter {
            sentiments: vec![Sentiment::Positive],
            ..none()
        },
        CallFilter {
            successful: Some(true),
            ..none()
        },
        CallFilter {
            number: Some("0049 (0)30 / 123-45 67".into()),
            ..none()
        },
        CallFilter {
            number: Some("(415) 555-0100".into()),
            ..none()
        },
        CallFilter {
            id: Some("call_w".into()),
            ..none()
        },
        CallFilter {
            duration_min_ms: Some(60_000),
            ..none()
        },
        CallFilter {
            duration_max_ms: Some(60_000),
            ..none()
        },
        CallFilter {
            transferred: Some(true),
            ..none()
        },
        CallFilter {
            words: Words::typed("table \"vier, 元気\""),
            ..none()
        },
    ];
    for filter in filters {
        let page = analytics.calls(tenant(1), &filter, &Turning::First, 10).await.unwrap();
        let ids: Vec<&str> = page.calls.iter().map(|call| call.call_id.as_str()).collect();
        assert_eq!(ids, ["call_wanted"], "{filter:?}");
        assert_eq!(analytics.calls_total(tenant(1), &filter).await.unwrap().calls, 1, "{filter:?}");
    }
    let missing = [
        CallFilter {
            words: Words::typed("refund"),
            ..none()
        },
        CallFilter {
            words: Words::typed("t_ble"),
            ..none()
        },
        CallFilter {
            words: Words::typed("table else"),
            ..none()
        },
        CallFilter {
            to: Some(Millis(NOON - 86_400_000)),
            ..none()
        },
        CallFilter {
            id: Some("' OR 1=1 --".into()),
            ..none()
        },
        CallFilter {
            agents: vec!["x'] OR 1=1 --\\".into()],
            ..none()
        },
    ];
    for filter in missing {
        assert!(
            analytics
                .calls(tenant(1), &filter, &Turning::First, 10)
                .await
                .unwrap()
                .calls
                .is_empty(),
            "{filter:?}"
        );
    }
    let anonymous = CallFilter {
        number: Some("Anonym".into()),
        ..none()
    };
    assert_eq!(
        analytics.calls(tenant(1), &anonymous, &Turning::First, 10).await.unwrap().calls[0].call_id,
        "call_other"
    );
    let said = CallFilter {
        words: Words::typed("TABLE"),
        ..none()
    };
    let page = analytics.calls(tenant(1), &said, &Turning::First, 10).await.unwrap();
    let marked: Vec<&str> = page.hits[0][0]
        .parts
        .iter()
        .filter(|part| part.hit)
        .map(|part| part.text.as_str())
        .collect();
    assert_eq!((marked, page.hits[0][0].item), (vec!["TABLE"], 1));
}

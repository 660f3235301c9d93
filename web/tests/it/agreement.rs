//! Board, call log and stored records agree with the simulator's own count, to the last one, after a disorderly past.

use std::time::Duration;

use crate::audit;
use crate::process::{Place, Product, eventually};
use crate::simulated::{Simulated, Tally, disorderly_past};

/// Events of a whole run; where there is less time, TRUNKLINE_AGREEMENT_EVENTS says how many at most, here and in runs that are killed.
const EVENTS: u64 = 100_000;

/// How long the groups may need to come to the end of the log once everything is sent; more for more.
fn patience(events: u64) -> Duration {
    Duration::from_secs(60 + events / 250)
}

pub fn events(whole: u64) -> u64 {
    let set = std::env::var("TRUNKLINE_AGREEMENT_EVENTS").ok();
    set.map_or(whole, |text| {
        whole.min(text.parse().expect("TRUNKLINE_AGREEMENT_EVENTS is a number"))
    })
}

/// Waits until everything has arrived everywhere, then compares all of it.
pub async fn agree(product: &Product<'_>, tally: &Tally) {
    let patience = patience(tally.of("accepted_requests"));
    let shown = eventually("the board agrees", patience, async || audit::board(product, tally).await).await;
    let stored = eventually("every record is stored", patience, async || audit::received(product, tally).await).await;
    eventually("the call log agrees", patience, async || audit::call_log(product, tally).await).await;
    eventually("the ledger agrees", patience, async || audit::ledger(product, tally).await).await;
    audit::board(product, tally).await.expect("the board still agrees");
    println!(
        "{} requests acknowledged in {:.1} s ({:.0}/s), board right after {:.1} s, ClickHouse after {:.1} s, {} MiB in use; \
         {} calls, {} in progress, {} repeats",
        tally.of("accepted_requests"),
        tally.took.as_secs_f64(),
        tally.per_second(),
        shown.as_secs_f64(),
        (shown + stored).as_secs_f64(),
        product.memory_mib(),
        tally.of("calls"),
        tally.of("calls_in_progress"),
        tally.of("repeats"),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn board_call_log_and_records_agree_with_what_was_sent() {
    let place = Place::new(&[]).await;
    let product = place.start().await;
    let tally = Simulated::start(&place, &product, &disorderly_past(events(EVENTS))).over().await;
    assert!(
        tally.of("repeats") > events(EVENTS) / 20 && tally.of("delayed") > events(EVENTS) / 20,
        "{tally:?}"
    );
    assert!(tally.of("calls_in_progress") > 0, "some calls have no end: {tally:?}");
    agree(&product, &tally).await;
    audit::passes(&place, &["--without-clickhouse"]);
    product.stop().await;
    audit::passes(&place, &[]);
}

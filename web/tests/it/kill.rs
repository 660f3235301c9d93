//! Killed under load again and again, and started again: nothing acknowledged is missing, nothing is doubled, the board is right.

use std::time::{Duration, Instant};

use rustix::process::{Signal, kill_process};

use crate::agreement::{agree, events};
use crate::audit;
use crate::process::{Place, Product, eventually};
use crate::simulated::{Simulated, disorderly_past};

/// Events of a usual run.
const EVENTS: u64 = 12_000;
/// Deaths under load.
const KILLS: u64 = 3;
/// Records that a start may take to be right again.
const RIGHT_WITHIN: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread")]
async fn killed_under_load_it_loses_nothing_and_doubles_nothing() {
    survive(&Place::new(&[]).await, KILLS, events(EVENTS)).await;
}

/// Plays a past against the product, kills it `kills` times on the way and once more when all is quiet.
pub async fn survive(place: &Place, kills: u64, events: u64) {
    let mut product = place.start().await;
    let mut options = disorderly_past(events);
    // Retell's four tries would be over before a dead product is back; what it owes can be counted only if nothing is given up.
    options.extend(["--attempts".to_owned(), "1000".to_owned()]);
    let load = Simulated::start(place, &product, &options);
    for death in 1..=kills {
        until_it_has_kept(&product, events / (kills + 1)).await;
        product.kill();
        if death == 2 {
            // The power fails: Postgres dies with us, in the middle of its work.
            if let Some(pid) = place.postgres() {
                kill_process(pid, Signal::KILL).unwrap();
            }
        }
        product = place.start().await;
        println!("death {death}: serving again after {:.1} s", product.started_in.as_secs_f64());
    }
    let tally = load.over().await;
    assert!(tally.of("refused.0") > 0, "nothing was under way when it was killed: {tally:?}");
    agree(&product, &tally).await;

    product.kill();
    let begun = Instant::now();
    let product = place.start().await;
    let look = async || audit::board(&product, &tally).await;
    eventually("the board is right after a death", RIGHT_WITHIN, look).await;
    println!(
        "killed with {} records in the log: serving after {:.1} s, board right after {:.1} s",
        tally.of("accepted_requests"),
        product.started_in.as_secs_f64(),
        begun.elapsed().as_secs_f64()
    );
    agree(&product, &tally).await;
    product.stop().await;
}

/// Waits until this run of the product has acknowledged so many events.
async fn until_it_has_kept(product: &Product<'_>, records: u64) {
    let what = format!("{records} events are acknowledged");
    eventually(&what, Duration::from_secs(600), async || {
        let kept = product
            .metric("trunkline_webhook_events_total", "result=\"kept\"")
            .await
            .unwrap_or(0.0);
        if kept >= records as f64 { Ok(()) } else { Err(kept) }
    })
    .await;
}

//! Killed under load again and again, and started again: nothing acknowledged is missing, nothing is doubled, the board is right.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use trunkline_core::signature::{SigningKey, sign};

use crate::agreement::{agree, events};
use crate::app::{event, now};
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
    audit::passes(place, &[]);
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

/// Calls begun before and while the log stands still.
const CALLS: usize = 60;

#[tokio::test(flavor = "multi_thread")]
async fn rx01_killed_with_events_in_the_spool_it_hands_them_over_after_its_next_start() {
    let place = Place::new(&[]).await;
    let product = place.start().await;
    begin_calls(&product, 0..CALLS / 3).await;
    let stopped = family(place.postgres().unwrap());
    stopped.iter().for_each(|pid| kill_process(*pid, Signal::STOP).unwrap());
    begin_calls(&product, CALLS / 3..CALLS).await;
    let spooled = product.metric("trunkline_spool_records", "").await.unwrap();
    assert!(spooled >= (CALLS / 3) as f64, "{spooled} records wait in the spool");
    let ready = product.http.get(format!("{}/readyz?verbose", product.admin)).send().await.unwrap();
    assert_eq!(ready.status(), 200, "events can be taken");
    let checks: serde_json::Value = ready.json().await.unwrap();
    assert_eq!(checks["spool"], "the event log is away; events wait in the spool", "{checks}");
    product.kill();
    stopped.iter().for_each(|pid| kill_process(*pid, Signal::CONT).unwrap());

    let product = place.start().await;
    let all = async || {
        let (board, waiting) = (
            product.get("/v1/board").await,
            product.metric("trunkline_spool_records", "").await.unwrap(),
        );
        let offered = board["offered"]["total"].as_u64();
        if offered == Some(CALLS as u64) && waiting == 0.0 {
            Ok(())
        } else {
            Err((offered, waiting))
        }
    };
    eventually("every acknowledged call is on the board once", RIGHT_WITHIN, all).await;
    product.stop().await;
}

/// Every event is answered 204, and before Retell gives up waiting, which it does after ten seconds.
pub async fn begin_calls(product: &Product<'_>, numbers: std::ops::Range<usize>) {
    let sent = numbers.map(async |n| {
        let body = event("call_started", &format!("call_spooled_{n}")).to_string();
        let signature = sign(body.as_bytes(), &SigningKey::new(&product.signing_key), now());
        let request = product.http.post(&product.intake).header("x-retell-signature", signature);
        let begun = Instant::now();
        let answer = request.body(body).send().await.unwrap();
        assert_eq!(answer.status(), 204);
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    });
    futures::future::join_all(sent).await;
}

/// A server and the processes that serve its connections; the server first, so that stopped in this order it makes no more.
fn family(server: Pid) -> Vec<Pid> {
    let parent = server.as_raw_nonzero().to_string();
    let output = std::process::Command::new("ps")
        .args(["-o", "pid=", "--ppid", &parent])
        .output()
        .unwrap();
    let children = String::from_utf8(output.stdout).unwrap();
    let children = children.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().unwrap()));
    std::iter::once(server).chain(children).collect()
}

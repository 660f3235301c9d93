//! The demo heals itself: calls whose end was lost on the way are asked for at the stand-in for Retell's API, and end as it says.

use std::time::Duration;

use crate::process::{Place, Product, eventually};

/// A past of twenty minutes has to be played, and a minute of silence to pass.
const PATIENCE: Duration = Duration::from_secs(600);

#[tokio::test(flavor = "multi_thread")]
async fn calls_whose_end_was_lost_are_asked_for_and_healed() {
    let place = Place::new(&["retell.ask_after_minutes=1", "retell.reconcile_every_seconds=0"]).await;
    let product = place.start_with(&["--history", "20m", "--rate", "1"]).await;
    eventually("a silent call is healed", PATIENCE, async || {
        match product.metric("trunkline_silent_calls_total", "found=\"ended\"").await {
            Some(healed) if healed >= 1.0 => Ok(()),
            healed => Err(healed),
        }
    })
    .await;
    eventually("what Retell said is a record like others", PATIENCE, async || {
        let received = product.get("/v1/received").await;
        let classes = received["data"].as_array().unwrap();
        let healed = classes
            .iter()
            .any(|class| class["source"] == "backfill" && class["event"] == "call_analyzed");
        if healed { Ok(()) } else { Err(received.clone()) }
    })
    .await;
    let offered = async |product: &Product<'_>| product.get("/v1/board").await["offered"]["total"].as_u64().unwrap_or_default();
    let before = offered(&product).await;
    product.stop().await;
    // Started again it plays other calls: the same ones would be repeats of what has ended, and the board would stand still.
    let product = place.start_with(&["--rate", "2"]).await;
    eventually("new calls are offered", PATIENCE, async || match offered(&product).await {
        now if now > before + 3 => Ok(()),
        now => Err((before, now)),
    })
    .await;
    product.stop().await;
}

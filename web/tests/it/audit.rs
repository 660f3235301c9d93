//! Compares what the product says with what the simulator counted: the board, the call log, and every stored record.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt;
use serde_json::Value;

use crate::process::{Place, Product};
use crate::simulated::Tally;

/// Questions under way at the same time.
const AT_ONCE: usize = 4;

/// Figures that should be equal and are not: what, found, expected.
#[derive(Debug, Default)]
pub struct Differences(Vec<String>);

impl Differences {
    fn same<T: PartialEq + std::fmt::Debug>(&mut self, what: impl AsRef<str>, found: T, expected: T) {
        if found != expected {
            self.0.push(format!("{}: {found:?}, expected {expected:?}", what.as_ref()));
        }
    }

    fn verdict(self) -> Result<(), Vec<String>> {
        if self.0.is_empty() { Ok(()) } else { Err(self.0) }
    }
}

type Counts = BTreeMap<String, u64>;

fn counts(pairs: Vec<(String, u64)>) -> Counts {
    pairs.into_iter().filter(|(_, count)| *count > 0).collect()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no count"))
}

/// The board of the last day, of everything, of each business and of each origin, against the tally.
pub async fn board(product: &Product<'_>, tally: &Tally) -> Result<(), Vec<String>> {
    let mut differ = Differences::default();
    let board = product.get("/v1/board?window_minutes=1440&figures=true").await;
    let (now, offered) = (&board["now"], &board["offered"]);
    differ.same("in progress", number(&now["in_progress"]), tally.of("calls_in_progress"));
    differ.same("offered", number(&offered["total"]), tally.of("calls"));
    differ.same("answered", number(&offered["answered"]), tally.of("calls_connected"));
    differ.same("chats", number(&offered["chats"]), tally.of("chats"));
    differ.same("transfers", number(&offered["transfers"]), tally.of("transfers.started"));
    differ.same("bridged", number(&offered["transfers_bridged"]), tally.of("transfers.bridged"));
    let reasons = board["reasons"].as_array().unwrap().iter();
    let reasons = reasons.map(|row| (row["reason"].as_str().unwrap().to_owned(), number(&row["count"])));
    differ.same("reasons", counts(reasons.collect()), counts(tally.map("reasons")));
    let moods = tally.map("sentiment").into_iter().map(|(name, count)| (name.to_lowercase(), count));
    let shown = board["sentiment"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, count)| (name.clone(), number(count)));
    differ.same("sentiment", counts(shown.collect()), counts(moods.collect()));
    let success = figure(&board, "success_rate");
    differ.same("success", success, (tally.of("successful"), tally.of("analysed")));
    differ.same("over", figure(&board, "error_rate").1, tally.of("calls_ended"));
    differ.same("gaps", number(&board["gaps"]), 0);
    for business in product.get("/v1/businesses").await["data"].as_array().unwrap() {
        let (id, name) = (business["id"].as_str().unwrap(), business["name"].as_str().unwrap());
        let offered = offered_of(product, &format!("business={id}")).await;
        differ.same(format!("offered by {name}"), offered, tally.of(&format!("by_business.{name}")));
    }
    for (job, scope) in [
        ("inbound", "direction=inbound"),
        ("outbound", "direction=outbound"),
        ("web", "channel=web"),
    ] {
        let offered = offered_of(product, scope).await;
        differ.same(format!("offered {job}"), offered, tally.of(&format!("calls_by_job.{job}")));
    }
    let completeness = product.get("/v1/completeness").await;
    differ.same("rebuilding", &completeness["rebuilding"], &Value::Bool(false));
    differ.same("missing offsets", &completeness["gaps"], &Value::Array(Vec::new()));
    differ.same("set aside", &completeness["set_aside"], &Value::Object(Default::default()));
    differ.verdict()
}

fn figure(board: &Value, metric: &str) -> (u64, u64) {
    let figures = board["figures"].as_array().unwrap();
    let found = figures.iter().find(|figure| figure["metric"] == metric);
    let found = found.unwrap_or_else(|| panic!("no figure {metric}"));
    (number(&found["num"]), number(&found["den"]))
}

/// Calls and chats of a scope.
async fn offered_of(product: &Product<'_>, scope: &str) -> u64 {
    let board = product.get(&format!("/v1/board?window_minutes=1440&{scope}")).await;
    number(&board["offered"]["total"]) + number(&board["offered"]["chats"])
}

/// Records that went by the spool: when the log had not answered in time, it may have them as well.
async fn spooled(product: &Product<'_>) -> u64 {
    product.metric("trunkline_spool_written_total", "").await.unwrap_or_default() as u64
}

/// How many records are stored: every acknowledged one. A request whose answer was lost may have been stored too.
pub async fn received(product: &Product<'_>, tally: &Tally) -> Result<(), String> {
    let answer = product.get("/v1/received").await;
    let stored: u64 = answer["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|class| number(&class["records"]))
        .sum();
    let accepted = tally.of("accepted_requests");
    let unanswered = tally.of("refused.0");
    match (accepted..=accepted + unanswered + spooled(product).await).contains(&stored) {
        true => Ok(()),
        false => Err(format!(
            "{stored} records stored; {accepted} acknowledged, {unanswered} without an answer"
        )),
    }
}

/// The call log, all pages of it, and the records of every call in it, against the tally and against memory.
pub async fn call_log(product: &Product<'_>, tally: &Tally) -> Result<(), Vec<String>> {
    let mut differ = Differences::default();
    let calls = product.list("/v1/calls").await;
    let ids: BTreeSet<_> = calls.iter().map(|call| (text(call, "kind"), text(call, "id"))).collect();
    differ.same("calls listed once", ids.len(), calls.len());
    let voice: Vec<&Value> = calls.iter().filter(|call| call["kind"] == "call").collect();
    let with = |name: &str, value: Value| voice.iter().filter(|call| call[name] == value).count() as u64;
    differ.same("calls", voice.len() as u64, tally.of("calls"));
    differ.same("chats", (calls.len() - voice.len()) as u64, tally.of("chats"));
    differ.same("ended", with("state", "ended".into()), tally.of("calls_ended"));
    differ.same("ongoing", with("state", "ongoing".into()), tally.of("calls_in_progress"));
    differ.same("connected", with("connected", true.into()), tally.of("calls_connected"));
    differ.same("successful", with("successful", true.into()), tally.of("successful"));
    differ.same("analysed", with("analysed", true.into()), tally.of("analysed"));
    let of = |name: &'static str| voice.iter().filter_map(move |call| call[name].as_str()).map(str::to_owned);
    differ.same("reasons", tallied(of("reason")), counts(tally.map("reasons")));
    let moods = tally.map("sentiment").into_iter().map(|(name, count)| (name.to_lowercase(), count));
    differ.same("sentiment", tallied(of("sentiment")), counts(moods.collect()));
    let transfers = voice.iter().map(|call| number(&call["transfers"])).sum();
    differ.same("transfers", transfers, tally.of("transfers.started"));
    for (filter, expected) in [
        ("kind=call&state=ongoing", tally.of("calls_in_progress")),
        ("kind=call&sentiment=negative", tally.of("sentiment.Negative")),
        ("kind=chat", tally.of("chats")),
        ("channel=web", tally.of("calls_by_job.web")),
        ("transferred=true", tally.of("transfers.started")),
    ] {
        let found = product.list(&format!("/v1/calls?{filter}")).await.len() as u64;
        differ.same(format!("calls with {filter}"), found, expected);
    }
    records(product, &calls, tally, &mut differ).await;
    differ.verdict()
}

/// `trunkline audit` folds the whole log and finds nothing.
pub fn passes(place: &Place, how: &[&str]) {
    let begun = std::time::Instant::now();
    let output = place.command(&[&["audit", "--json"][..], how].concat());
    let said = String::from_utf8_lossy(&output.stderr);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("no report: {error}; {said}"));
    assert!(output.status.success(), "{report:#}");
    assert_eq!(report["differences"], Value::Array(Vec::new()));
    println!(
        "audit {how:?}: {} records, {} calls in {:.1} s; {}",
        report["records"],
        report["calls"],
        begun.elapsed().as_secs_f64(),
        report["notes"]
    );
}

/// The usage ledger, against the tally and against the calls in the call log.
pub async fn ledger(product: &Product<'_>, tally: &Tally) -> Result<(), Vec<String>> {
    let mut differ = Differences::default();
    let usage = product.get("/v1/usage").await;
    let month = usage["month"].as_str().unwrap();
    let first: jiff::civil::Date = format!("{month}-01").parse().unwrap();
    // Calls of a few hours ago, by the clocks of businesses: it may be the month before there, or already the next.
    let [before, after] = [first.yesterday().unwrap(), first.last_of_month().tomorrow().unwrap()];
    let of = async |day: jiff::civil::Date| product.get(&format!("/v1/usage?month={}", day.strftime("%Y-%m"))).await;
    let used = [of(before).await, usage, of(after).await];
    let sum = |name: &str| used.iter().map(|month| number(&month["total"][name])).sum::<u64>();
    differ.same("calls in the ledger", sum("calls"), tally.of("calls"));
    differ.same("connected calls in the ledger", sum("connected"), tally.of("calls_connected"));
    differ.same("chats in the ledger", sum("chats"), tally.of("chats"));
    let calls = product.list("/v1/calls").await;
    let talk_ms = calls.iter().filter(|call| call["connected"] == true);
    let talk_ms: u64 = talk_ms.filter_map(|call| call["duration_ms"].as_u64()).sum();
    differ.same("talk time in the ledger", sum("talk_ms"), talk_ms);
    let costs = calls.iter().filter_map(|call| call["cost_cents"].as_f64());
    let costs: Vec<u64> = costs.map(|cents| (cents * 1e6).round() as u64).collect();
    differ.same("priced calls in the ledger", sum("priced"), costs.len() as u64);
    differ.same("cost in the ledger", sum("cost_microcents"), costs.iter().sum());
    differ.verdict()
}

/// Every record of every call: none twice in the table, and as many different ones of each event as were acknowledged.
async fn records(product: &Product<'_>, calls: &[Value], tally: &Tally, differ: &mut Differences) {
    let stories = futures::stream::iter(calls.iter().map(|call| story(product, call))).buffer_unordered(AT_ONCE);
    let stories: Vec<Story> = stories.collect().await;
    let mut events = Counts::new();
    let (mut stored, mut places) = (0, BTreeSet::new());
    for story in stories {
        stored += story.places.len() as u64;
        places.extend(story.places);
        for name in story.distinct {
            *events.entry(name).or_default() += 1;
        }
        if let Some(difference) = story.differs {
            differ.0.push(difference);
        }
    }
    differ.same("records at places of their own", places.len() as u64, stored);
    differ.same("different events", events, counts(tally.map("events")));
    let (accepted, unanswered, spooled) = (tally.of("accepted_requests"), tally.of("refused.0"), spooled(product).await);
    differ.same(
        format!("{stored} records for {accepted} acknowledged requests, {unanswered} without an answer, {spooled} by the spool"),
        (accepted..=accepted + unanswered + spooled).contains(&stored),
        true,
    );
}

struct Story {
    places: Vec<(u64, u64)>,
    /// The name of each different event (name and content).
    distinct: Vec<String>,
    differs: Option<String>,
}

async fn story(product: &Product<'_>, call: &Value) -> Story {
    let (id, kind) = (text(call, "id"), text(call, "kind"));
    let answer = product.get(&format!("/v1/calls/{id}/events?kind={kind}")).await;
    let records = answer["data"].as_array().unwrap();
    let distinct: BTreeSet<_> = records
        .iter()
        .map(|record| (text(record, "event"), text(record, "content")))
        .collect();
    let whole = product.get(&format!("/v1/calls/{id}?kind={kind}")).await;
    let differs = call
        .as_object()
        .unwrap()
        .iter()
        .find(|(name, value)| &whole[name.as_str()] != *value);
    Story {
        places: records
            .iter()
            .map(|record| (number(&record["log_partition"]), number(&record["log_offset"])))
            .collect(),
        distinct: distinct.into_iter().map(|(name, _)| name).collect(),
        differs: differs.map(|(name, value)| format!("{name} of {id}: {value} in the log, {} in memory", whole[name.as_str()])),
    }
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}")).to_owned()
}

fn tallied(words: impl Iterator<Item = String>) -> Counts {
    let mut found = Counts::new();
    for word in words {
        *found.entry(word).or_default() += 1;
    }
    found
}

//! Calls that Retell never told of are found in its list and count exactly once, everywhere, also when the real events come after all;
//! and trouble with Retell is named and not made worse. Real product, real stores, Retell's API by the stand-in over HTTP.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use serde_json::Value;
use tokio::sync::{Mutex, watch};
use trunkline_actors::Roles;
use trunkline_actors::reconciler::{Ground, Reconciler, ReconcilerOptions};
use trunkline_connectors::simulator::life::Step;
use trunkline_connectors::simulator::{Disorder, Mix, Plan, Recent, Sender, SenderOptions, StandIn, Tally, World, body};
use trunkline_core::instant::Millis;
use trunkline_core::usage::Usage;
use trunkline_stores::log::EventLog;
use trunkline_stores::log::postgres::{LogOptions, PostgresLog};
use trunkline_stores::postgres::effects::Effects;
use trunkline_stores::postgres::reconciler::{Finding, FindingsFilter, Progress};
use trunkline_web::simulated_retell::{Behaviour, serve};

use crate::app::{App, Line, PATIENCE, program};
use crate::process::eventually;

const SCOPES: [&str; 3] = ["live:read", "calls:read", "operate:read"];
const KEY: &str = "key_of_the_account";

/// Retell's side: conversations and the API that tells of them.
struct Retell {
    world: Arc<World>,
    recent: Arc<Mutex<Recent>>,
    behaviour: Arc<Behaviour>,
    url: String,
}

impl Retell {
    fn start() -> Retell {
        let (world, recent, behaviour) = (Arc::new(World::new()), Arc::<Mutex<Recent>>::default(), Arc::<Behaviour>::default());
        let stand_in = StandIn::new(world.clone(), recent.clone());
        let address = serve(stand_in, behaviour.clone(), (Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        Retell {
            world,
            recent,
            behaviour,
            url: format!("http://{address}"),
        }
    }

    /// A product that asks this Retell, and a workspace in it without a key yet.
    async fn product(&self, settings: &[(&str, &str)]) -> Line {
        let data = tempfile::Builder::new().prefix("trunkline-web-").tempdir().unwrap().keep();
        let mut all = vec![
            ("TRUNKLINE_RETELL__API_URL", self.url.as_str()),
            ("TRUNKLINE_RETELL__RECONCILE_EVERY_SECONDS", "1"),
            ("TRUNKLINE_RETELL__RECONCILE_GRACE_SECONDS", "2"),
            ("TRUNKLINE_RETELL__REQUESTS_PER_SECOND", "20"),
        ];
        all.extend_from_slice(settings);
        let app: &'static App = Box::leak(Box::new(App::start(&data, true, &all)));
        app.line().await
    }

    /// Plays a past of two hours, all of it over by now.
    async fn play(&self, line: &Line, calls: u64, disorder: Disorder) -> Tally {
        let options = SenderOptions {
            url: line.address(),
            key: line.key.clone(),
            calls_per_second: calls as f64 / 6_000.0,
            history: Duration::from_secs(7_200),
            calls_limit: Some(calls),
            events_limit: None,
            history_only: true,
            seed: 5,
            in_flight: 16,
            attempts: 4,
            without_transcripts: true,
            mix: Mix::default(),
            disorder,
        };
        let sender = Sender::new(self.world.clone(), options)
            .unwrap()
            .remembering_in(self.recent.clone());
        let tally = sender.run(watch::channel(false).1).await;
        assert_eq!(tally.given_up, 0);
        tally
    }

    async fn plans(&self) -> Vec<Arc<Plan>> {
        self.recent.lock().await.all().cloned().collect()
    }
}

async fn with_key(line: &Line, key: &str) {
    let key = SecretString::from(key);
    line.change_workspace(|workspace| workspace.api_key = Some(key)).await;
}

/// How far the workspace is.
async fn progress(line: &Line) -> Progress {
    let known = line.config.reconciled(line.tenant, Some(line.workspace)).await.unwrap();
    known.into_iter().next().map(|(_, progress)| progress).unwrap_or_default()
}

async fn findings(line: &Line) -> Vec<Finding> {
    line.config.findings(line.tenant, &FindingsFilter::default(), 1_000).await.unwrap()
}

async fn has_passed(line: &Line, after: Millis) {
    eventually("a pass ended", PATIENCE * 2, async || {
        let progress = progress(line).await;
        match progress.passed_at {
            Some(at) if at > after => Ok(()),
            _ => Err(progress),
        }
    })
    .await;
}

/// What the ledger says, over all days.
async fn used(line: &Line) -> Usage {
    let ledger = Effects::new(line.config.database().clone(), "any");
    let days = ledger.usage(line.tenant, None, "2000-01-01", "2100-01-01").await.unwrap();
    days.into_iter().fold(Usage::default(), |sum, day| sum + day.usage)
}

/// Rows of the call log in ClickHouse, and calls of the board's last day.
async fn counted(line: &Line, key: &str) -> (usize, u64) {
    let mut path = "/v1/calls?limit=100".to_owned();
    let mut rows = 0;
    loop {
        let (_, page) = line.get(key, &path).await;
        rows += page["data"].as_array().map_or(0, Vec::len);
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/v1/calls?limit=100&after={cursor}"),
            None => break,
        }
    }
    let (_, board) = line.get(key, "/v1/board?window_minutes=1440").await;
    (rows, board["offered"]["total"].as_u64().unwrap_or_default())
}

fn now() -> Millis {
    crate::app::now()
}

/// `trunkline` with these words, beside the product of `data`.
fn command(data: &Path, settings: &[(&str, &str)], words: &[&str]) -> (Option<i32>, String) {
    let output = program(data).envs(settings.iter().copied()).args(words).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let code = output.status.code();
    (
        code,
        if said.is_empty() {
            String::from_utf8_lossy(&output.stderr).into_owned()
        } else {
            said
        },
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_never_heard_of_count_once_everywhere_also_when_their_events_come_late() {
    let retell = Retell::start();
    let line = retell.product(&[]).await;
    let key = line.api_key(&SCOPES).await;
    let disorder = Disorder {
        unheard: 0.3,
        missing_ends: 0.1,
        ..Disorder::default()
    };
    let tally = retell.play(&line, 120, disorder).await;
    let plans = retell.plans().await;
    let voice = plans.iter().filter(|plan| !plan.is_chat()).count();
    // Of a call that never connected and whose end is lost nothing came either.
    let unheard = voice as u64 - tally.calls;
    assert!(unheard >= tally.unheard_calls && tally.unheard_calls >= 10, "{tally:?}");

    with_key(&line, KEY).await;
    has_passed(&line, Millis(0)).await;
    let found = findings(&line).await;
    let mut kinds: BTreeMap<&str, u64> = BTreeMap::new();
    for finding in &found {
        assert!(finding.healed_at.is_some() && !finding.filled.is_empty(), "{finding:?}");
        *kinds.entry(finding.difference.unwrap().as_str()).or_default() += 1;
    }
    assert_eq!(kinds["unheard"], unheard, "{kinds:?}");
    assert!(kinds["end_missed"] > 0, "{kinds:?}");
    let complete = async |what: &str| {
        eventually(what, PATIENCE, async || {
            let (rows, offered) = counted(&line, &key).await;
            let used = used(&line).await;
            let is = (rows as u64 - tally.chats, offered, used.calls as u64);
            if is == (voice as u64, voice as u64, voice as u64) {
                Ok(())
            } else {
                Err(is)
            }
        })
        .await;
    };
    complete("call log, board and ledger have every call once").await;
    let healed = used(&line).await;
    // Every call has its final cost and its talk time, as if all had been heard.
    let mut expected = Usage::default();
    for plan in plans.iter().filter(|plan| !plan.is_chat() && plan.connected) {
        expected.connected += 1;
        expected.talk_ms += plan.duration_ms;
    }
    assert_eq!((healed.connected, healed.talk_ms), (expected.connected, expected.talk_ms));

    // Now Retell sends everything after all: nothing counts again, nothing costs more.
    for plan in plans.iter().filter(|plan| !plan.is_chat()) {
        // Not each turn of each transcript: their number is what makes a test slow.
        for (_, step) in plan.steps.iter().filter(|(_, step)| !matches!(step, Step::Transcript(_))) {
            let (_, body) = body::event(&retell.world, plan, *step);
            assert_eq!(line.send(body).await.status().as_u16(), 204);
        }
    }
    let begun = now();
    has_passed(&line, begun.plus(3_000)).await;
    complete("nothing counts twice").await;
    assert_eq!(used(&line).await, healed, "late events are repeats of what was filled in");
    assert_eq!(findings(&line).await.len(), found.len(), "and leave nothing to be found");
    let (code, said) = command(&line.app.data, &[], &["audit", "--without-clickhouse"]);
    assert_eq!(code, Some(0), "{said}");

    // What people see of it.
    let completeness = line.until(&key, "/v1/completeness", |answer| {
        answer["reconciled"]["healed"] == found.len() as u64 && answer["reconciled"]["to"].is_i64()
    });
    let completeness = completeness.await;
    assert_eq!(completeness["reconciled"]["open"], 0, "{completeness}");
    assert_eq!(completeness["gaps"], Value::Array(Vec::new()), "{completeness}");
    let notices = line.config.notices(line.tenant).await.unwrap();
    let kinds: Vec<&str> = notices.iter().map(|notice| notice.kind.as_str()).collect();
    assert!(
        kinds.contains(&"events_elsewhere") && kinds.contains(&"call_analyzed_off"),
        "{notices:?}"
    );
    assert!(
        notices.iter().any(|notice| notice.subject.ends_with("→ crm.example.invalid")),
        "{notices:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn by_hand_it_says_what_it_found_and_a_busy_account_is_left_in_peace() {
    let retell = Retell::start();
    let line = retell.product(&[("TRUNKLINE_RETELL__RECONCILE_EVERY_SECONDS", "0")]).await;
    let disorder = Disorder {
        unheard: 0.5,
        ..Disorder::default()
    };
    let tally = retell.play(&line, 12, disorder).await;
    assert!(tally.unheard_calls > 0, "{tally:?}");
    with_key(&line, KEY).await;
    let settings = [
        ("TRUNKLINE_RETELL__API_URL", retell.url.as_str()),
        ("TRUNKLINE_RETELL__REQUESTS_PER_SECOND", "20"),
    ];
    let by_hand = |words: &[&str]| {
        let words: Vec<&str> = ["reconcile"].iter().chain(words).copied().collect();
        command(&line.app.data, &settings, &words)
    };
    // A storm of 429: it ends with the reason and without hammering.
    retell.behaviour.be_busy(100);
    let before = retell.behaviour.asked();
    let (code, said) = by_hand(&[]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("limits the rate"), "{said}");
    assert!(retell.behaviour.asked() - before <= 3, "one request and its repeats");
    assert!(findings(&line).await.is_empty());
    // In a lesser storm it gets through.
    retell.behaviour.be_busy(30);
    let (code, said) = by_hand(&["--json", "--since", "2020-01-01T00:00:00Z"]);
    let compared: Value = serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"));
    assert_eq!(
        (code, compared[0]["found"].as_array().map(Vec::len)),
        (Some(0), Some(tally.unheard_calls as usize)),
        "{said}"
    );
    assert_eq!(findings(&line).await.len() as u64, tally.unheard_calls);
    assert_eq!(
        progress(&line).await.to,
        None,
        "a pass that begins by hand does not say that all before it was compared"
    );
    // The account of nobody.
    let (code, said) = by_hand(&["--workspace", "nobody"]);
    assert!(code == Some(1) && said.contains("no open workspace"), "{code:?} {said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_key_is_a_notice_and_a_new_one_is_tried_at_once() {
    let retell = Retell::start();
    retell.behaviour.take_only(KEY);
    let line = retell.product(&[]).await;
    with_key(&line, "key_of_somebody_else").await;
    eventually("the refused key is a notice", PATIENCE, async || {
        let notices = line.config.notices(line.tenant).await.unwrap();
        if notices.iter().any(|notice| notice.kind == "retell_key_refused") {
            Ok(())
        } else {
            Err(notices)
        }
    })
    .await;
    let asked = retell.behaviour.asked();
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(
        asked == 1 && retell.behaviour.asked() == 1,
        "a refused key is not tried again and again"
    );
    assert!(progress(&line).await.waits_for.contains("refuses the API key"));
    with_key(&line, KEY).await;
    has_passed(&line, Millis(0)).await;
    eventually("the notice is settled", PATIENCE, async || {
        let notices = line.config.notices(line.tenant).await.unwrap();
        if notices.iter().all(|notice| notice.kind != "retell_key_refused") {
            Ok(())
        } else {
            Err(notices)
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_processes_one_compares() {
    let retell = Retell::start();
    let line = retell.product(&[]).await;
    let options = LogOptions {
        partitions: 4,
        ..LogOptions::default()
    };
    let log: Arc<dyn EventLog> = Arc::new(PostgresLog::open(line.config.database().clone(), &options).await.unwrap());
    let stop = tokio_util::sync::CancellationToken::new();
    let ground = Ground {
        config: line.config.clone(),
        ledger: Effects::new(line.config.database().clone(), log.identity()),
        log,
        directory: line.config.clone().watch(stop.clone()).await.unwrap(),
        options: ReconcilerOptions {
            api_url: retell.url.clone(),
            every: Duration::from_secs(1),
            grace: Duration::from_secs(2),
            back: Duration::from_secs(3_600 * 24),
            requests_per_second: 20,
        },
    };
    // While somebody has the turn, nobody else compares.
    let turn = line
        .config
        .reconciler_turn(line.workspace)
        .await
        .unwrap()
        .expect("nobody has it yet");
    assert!(line.config.reconciler_turn(line.workspace).await.unwrap().is_none());
    let roles = Roles::default();
    let second = Reconciler::start(ground, &roles);
    with_key(&line, KEY).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!((retell.behaviour.asked(), progress(&line).await.passed_at), (0, None));
    drop(turn);
    has_passed(&line, Millis(0)).await;
    let begun = now();
    let asked = retell.behaviour.asked();
    let made = || retell.behaviour.asked() - asked;
    eventually(
        "it goes on by itself",
        PATIENCE * 2,
        async || if made() >= 8 { Ok(()) } else { Err(made()) },
    )
    .await;
    // One pass a second at most, of two requests each (ended and running), whoever makes it.
    let (made, span) = (made(), now().since(begun) / 1_000);
    assert!(made <= 2 * (span as u64 + 2), "{made} requests in {span} s");
    assert_eq!(roles.role("reconciler", 0).state().deaths, 0);
    second.stop().await;
    stop.cancel();
}

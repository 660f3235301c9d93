//! Several nodes over one Kafka log: whichever serves pages shows all boards, lists and calls, also of what other nodes read; when a node
//! is killed the boards become right again and never say more than they know; and without Postgres the live group goes on.

use std::sync::Arc;

use reqwest::StatusCode;
use secrecy::SecretString;
use serde_json::Value;
use trunkline_core::audit::By;
use trunkline_core::signature::{SigningKey, sign};
use trunkline_stores::keyring::Keyring;
use trunkline_stores::postgres::row::NewWorkspace;
use trunkline_stores::postgres::{Config, Database};

use crate::app::{client, event, fresh, key_of, now};
use crate::process::eventually;
use crate::roles::{Ground, PATIENCE, Part};

/// Checkpoints every second: what other nodes show is at most that much older.
const OFTEN: [&str; 1] = ["live.checkpoint_seconds=1"];

/// A node that serves pages, as one of its readers sees it.
struct Reader<'a> {
    part: &'a Part,
    key: String,
}

impl Reader<'_> {
    async fn get(&self, path: &str) -> (StatusCode, Value) {
        let answer = client()
            .get(format!("{}{path}", self.part.address("site")))
            .bearer_auth(&self.key)
            .send()
            .await
            .unwrap();
        (answer.status(), answer.json().await.unwrap_or_default())
    }

    /// Offered calls and calls in progress are these, wherever they are counted, and nothing is missing.
    async fn shows(&self, offered: u64, ongoing: u64) -> Result<(), Value> {
        let (_, board) = self.get("/v1/board?window_minutes=1440").await;
        let (_, list) = self.get("/v1/live/calls?limit=500").await;
        let (_, completeness) = self.get("/v1/completeness").await;
        let listed = list["data"].as_array().map_or(0, Vec::len) as u64;
        let counted = (board["offered"]["total"].as_u64(), listed);
        let is_whole = completeness["rebuilding"] == false
            && completeness["assigned"] == completeness["partitions"]
            && !completeness["complete_to"].is_null()
            && completeness["gaps"].as_array().is_some_and(Vec::is_empty);
        match counted == (Some(offered), ongoing) && is_whole {
            true => Ok(()),
            false => Err(serde_json::json!({ "counted": counted, "completeness": completeness })),
        }
    }
}

/// Sends events to an intake.
struct Line {
    address: String,
    key: SigningKey,
}

impl Line {
    async fn send(&self, name: &str, numbers: std::ops::Range<u32>) {
        for number in numbers {
            let body = event(name, &format!("call_{number}")).to_string();
            let signature = sign(body.as_bytes(), &self.key, now());
            let request = client().post(&self.address).header("x-retell-signature", signature).body(body);
            assert_eq!(request.send().await.unwrap().status(), StatusCode::NO_CONTENT);
        }
    }
}

/// Calls in progress as a node's own metrics count them: no sign-in, so Postgres is not asked.
async fn active(part: &Part) -> u64 {
    let text = client()
        .get(format!("{}/metrics", part.address("admin")))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let of_calls = text.lines().filter(|line| line.starts_with("trunkline_calls_active{"));
    of_calls
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum::<f64>() as u64
}

#[tokio::test(flavor = "multi_thread")]
async fn any_node_shows_what_all_nodes_read() {
    let ground = Ground::lay().await;
    let door = ground.start_with("intake,web", &OFTEN);
    let worker = ground.start_with("live,facts,effects,jobs", &OFTEN);
    let both = ground.start_with("live,web", &OFTEN);

    let keyring = Arc::new(Keyring::read(&ground.key_file).unwrap());
    let config = Config::new(Database::connect(&ground.postgres.options()).await.unwrap(), keyring);
    let tenant = config.ensure_organisation("Nodes").await.unwrap();
    let (token, key) = (hex::encode(rand::random::<[u8; 20]>()), fresh("key"));
    let new = NewWorkspace {
        name: "Nodes".to_owned(),
        token: token.clone(),
        signing_keys: vec![SecretString::from(key.clone())],
        api_key: None,
        zone: "UTC".to_owned(),
    };
    config.create_workspace(tenant, &By::operator(), &new).await.unwrap();
    let api_key = key_of(&config, tenant, &["live:read", "calls:read", "operate:read"]).await;
    let reader = |part| Reader {
        part,
        key: api_key.clone(),
    };
    let (at_door, at_both) = (reader(&door), reader(&both));
    let line = Line {
        address: format!("{}/v1/retell/{token}", door.address("intake")),
        key: SigningKey::new(&key),
    };
    eventually("the intake knows the workspace", PATIENCE, async || {
        let status = client().get(&line.address).send().await.unwrap().status();
        if status == StatusCode::METHOD_NOT_ALLOWED {
            Ok(())
        } else {
            Err(status)
        }
    })
    .await;

    // A node without any partition, and one with half of them, show the whole.
    line.send("call_started", 0..40).await;
    line.send("call_ended", 0..25).await;
    for node in [&at_door, &at_both] {
        eventually("every node shows all calls", PATIENCE, async || node.shows(40, 15).await).await;
    }
    // What was said in a call that another node reads comes when somebody looks.
    for node in [&at_door, &at_both] {
        eventually("words of every call", PATIENCE * 2, async || {
            let mut wordless = Vec::new();
            for number in 0..25 {
                let (status, call) = node.get(&format!("/v1/live/calls/call_{number}")).await;
                let turns = call["turns"].as_array().map_or(0, Vec::len);
                if (status, turns) != (StatusCode::OK, 2) {
                    wordless.push((number, status, turns));
                }
            }
            if wordless.is_empty() { Ok(()) } else { Err(wordless) }
        })
        .await;
    }

    // A node dies. Until another one has its partitions, boards lack what came meanwhile, and say so.
    worker.kill();
    line.send("call_started", 40..60).await;
    line.send("call_ended", 25..30).await;
    let sent_by = now().0;
    for node in [&at_door, &at_both] {
        eventually("boards are right again", PATIENCE * 2, async || {
            let (_, board) = node.get("/v1/board?window_minutes=1440").await;
            let offered = board["offered"]["total"].as_u64().unwrap_or(0);
            let claimed = board["complete_to"].as_i64().unwrap_or(0);
            assert!(offered >= 60 || claimed <= sent_by, "{offered} offered, and complete to {claimed}");
            node.shows(60, 30).await
        })
        .await;
    }

    // Postgres goes away: the log takes events, and boards go on with what they know.
    let Ground { postgres, directory, .. } = ground;
    postgres.close().await;
    line.send("call_started", 60..80).await;
    for part in [&door, &both] {
        eventually("the live group goes on without Postgres", PATIENCE, async || {
            match active(part).await {
                50 => Ok(()),
                other => Err(other),
            }
        })
        .await;
    }
    drop((door, both));
    let _ = std::fs::remove_dir_all(&directory);
}

//! A call centre to try the product on: the simulator's businesses as ours, one person who may sign in, and the simulator itself.
//!
//! Made once per data directory; what a second start needs (key, password) lies in a file only this user can read.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use rand::Rng;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use trunkline_connectors::simulator::{ATTEMPTS, Disorder, Mix, Recent, Sender, SenderOptions, StandIn, World};
use trunkline_core::id::{TenantId, WorkspaceId};
use trunkline_core::signature::SigningKey;
use trunkline_stores::postgres::Config;
use trunkline_stores::postgres::config::second_factor::Whom;
use trunkline_stores::postgres::row::{NewBusiness, NewUser, NewWorkspace};

use crate::identity::key;
use crate::settings::Environment;
use crate::simulated_retell;
use trunkline_core::access::Role;
use trunkline_core::audit::By;

/// The organisation that is made.
const ORGANISATION: &str = "Demo call centre";
/// What its person signs in with.
const EMAIL: &str = "demo@trunkline.invalid";
/// The file in the data directory that holds the demo's secrets.
const SECRETS_FILE: &str = "demo.json";
/// A little of everything that goes wrong in life, so that the screens show it.
const DISORDER: Disorder = Disorder {
    duplicates: 0.02,
    reordered: 0.02,
    late_ends: 0.01,
    // Each is asked for and healed within minutes.
    missing_ends: 0.003,
    // Found in Retell's list and filled in.
    unheard: 0.005,
};
/// Key of the workspace at the stand-in for Retell's API, which takes any.
const API_KEY: &str = "key_of_the_stand_in";
/// How long a call may be silent before it is asked for: nobody watches a demo for the hours that real calls are given.
pub const ASK_AFTER_MINUTES: u32 = 3;
/// The same for comparing with Retell's list.
pub const RECONCILE_EVERY_SECONDS: u32 = 20;
/// Requests a second to the stand-in, which has no limit: a demo begins with two hours to compare.
pub const REQUESTS_PER_SECOND: u32 = 20;
/// Requests of the simulator under way at most; it shares the machine with everything else.
const IN_FLIGHT: usize = 64;

/// What the demo made, with its secrets.
#[derive(Serialize, Deserialize)]
pub struct Demo {
    /// Whose businesses they are.
    pub tenant: TenantId,
    /// The workspace whose events the simulator sends.
    pub workspace: WorkspaceId,
    /// End of its intake address.
    pub token: String,
    /// Key that signs its events.
    pub signing_key: String,
    /// Who may sign in.
    pub email: String,
    /// With which password.
    pub password: String,
    /// What a program may call the API with.
    pub api_key: String,
}

/// Whether an earlier start made it.
pub fn is_made(data: &Path) -> bool {
    data.join(SECRETS_FILE).exists()
}

/// Reads what an earlier start made, or makes it. `hash` makes the stored form of a password.
pub async fn prepare(
    config: &Config,
    (data, environment): (&Path, Environment),
    hash: impl AsyncFnOnce(String) -> anyhow::Result<SecretString>,
) -> anyhow::Result<Demo> {
    let file = data.join(SECRETS_FILE);
    if file.exists() {
        let text = std::fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
        return serde_json::from_str(&text)
            .with_context(|| format!("{} is damaged; remove the data directory to start afresh", file.display()));
    }
    let tenant = config.ensure_organisation(ORGANISATION).await?;
    // One sign-in, and the password is in a file beside it: a second factor would protect nothing.
    config.require_second_factor(tenant, &By::system(), Whom::Nobody).await?;
    let mut demo = Demo {
        tenant,
        workspace: WorkspaceId(uuid::Uuid::nil()),
        token: secret(32),
        signing_key: format!("key_{}", secret(28)),
        email: EMAIL.to_owned(),
        password: secret(14),
        api_key: String::new(),
    };
    let new = NewWorkspace {
        name: "Simulator".to_owned(),
        token: demo.token.clone(),
        signing_keys: vec![SecretString::from(demo.signing_key.clone())],
        api_key: Some(SecretString::from(API_KEY)),
        zone: "UTC".to_owned(),
    };
    demo.workspace = config.create_workspace(tenant, &By::operator(), &new).await?;
    for firm in World::new().businesses {
        let business = NewBusiness {
            concurrency_limit: Some(firm.limit),
            ..NewBusiness::plain(firm.name, firm.zone)
        };
        let id = config.create_business(tenant, &By::operator(), &business).await?;
        for agent in &firm.agents {
            config.map_agent(tenant, &By::operator(), &agent.id, id, &agent.name).await?;
        }
    }
    let person = NewUser {
        email: demo.email.clone(),
        name: "Maren Kessler".to_owned(),
        role: Some(Role::Owner),
        grants: Vec::new(),
        password_hash: hash(demo.password.clone()).await?,
    };
    config.create_user(tenant, &By::system(), &person).await?;
    let wanted = key::Wanted {
        environment,
        ..key::Wanted::everywhere("Demo", Role::Owner.permissions())
    };
    (_, demo.api_key) = key::create(config, tenant, &By::system(), wanted).await?;
    // Written last: a start that was cut short before this makes a second workspace rather than losing its secrets.
    let mut writer = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&file)
        .with_context(|| format!("write {}", file.display()))?;
    writer.write_all(serde_json::to_string_pretty(&demo)?.as_bytes())?;
    writer.sync_all()?;
    Ok(demo)
}

/// Serves the stand-in for Retell's API on a port of its own: it answers for the conversations in `recent`. Gives its address.
pub fn stand_in(recent: Arc<Mutex<Recent>>) -> anyhow::Result<String> {
    let stand_in = StandIn::new(Arc::new(World::new()), recent);
    let address = (std::net::Ipv4Addr::LOCALHOST, 0).into();
    let address = simulated_retell::serve(stand_in, Arc::default(), address).context("serve Retell's API")?;
    Ok(format!("http://{address}"))
}

/// The simulator for this demo, ready to run: a past of `history`, then the present at `calls_per_second`.
pub fn sender(demo: &Demo, intake: &str, calls_per_second: f64, history: Duration, seed: u64) -> anyhow::Result<Sender> {
    let options = SenderOptions {
        url: format!("{intake}/v1/retell/{}", demo.token),
        key: SigningKey::new(&demo.signing_key),
        calls_per_second,
        history,
        calls_limit: None,
        events_limit: None,
        history_only: false,
        seed,
        in_flight: IN_FLIGHT,
        attempts: ATTEMPTS,
        without_transcripts: false,
        mix: Mix::default(),
        disorder: DISORDER,
    };
    Sender::new(Arc::new(World::new()), options).context("set up the simulator")
}

/// Letters and digits that nobody mistakes for each other.
fn secret(characters: usize) -> String {
    const LETTERS: &[u8] = b"abcdefghjkmnpqrstuvwxyz23456789";
    let mut random = rand::rng();
    (0..characters)
        .map(|_| char::from(LETTERS[random.random_range(0..LETTERS.len())]))
        .collect()
}

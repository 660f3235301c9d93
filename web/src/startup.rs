//! Settings -> adapters -> engine -> listeners. The only file that names adapters.

mod kafka;
mod listeners;
mod lookup;
pub mod roles;
pub mod secrets;
pub mod stores;
pub mod tls;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::web;
use anyhow::Context;
use listeners::{Listeners, listen_admin, listen_intake, listen_site};
use roles::ProcessRole;
use stores::Stores;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use trunkline_actors::audit::{self, watch_audited};
use trunkline_actors::facts::watch_elsewhere;
use trunkline_actors::post::Post;
use trunkline_actors::reconciler::{Ground, watch_reconciled};
use trunkline_actors::{
    Auditor, AuditorOptions, Effects, EffectsOptions, Engine, EngineOptions, Facts, FactsOptions, Jobs, JobsOptions, Limits, Reconciler,
    ReconcilerOptions, Roles,
};
use trunkline_connectors::dns::{Dns, DnsOptions};
use trunkline_connectors::jose;
use trunkline_connectors::mail::Mailer;
use trunkline_connectors::oidc::{OidcClient, OidcOptions};
use trunkline_connectors::webhook::{Sender, SenderOptions};
use trunkline_stores::postgres::auditor::AuditBook;
use trunkline_stores::postgres::{Config, Directory, effects};
use trunkline_stores::spool::{Keeper, SpoolOptions};

use crate::admin::Operation;
use crate::api::cursor::CursorKey;
use crate::identity::limits;
use crate::identity::password::Passwords;
use crate::intake::Intake;
use crate::intake::caps::Caps;
use crate::intake::meters::Meters;
use crate::intake::senders::Senders;
use crate::letters;
use crate::settings::Settings;
use crate::shutdown::{Lifecycle, Phase};
use crate::state::AppState;
use crate::stream::Streams;
use crate::telemetry;

/// Exit code when a role could not be kept alive.
const ROLE_LOST: i32 = 70;

/// A running product, or those parts of it that this process has.
pub struct Product {
    /// What requests to pages and API see; with the role web.
    pub state: Option<AppState>,
    /// Configuration.
    pub config: Config,
    /// Where pages and API listen; with the role web.
    pub site: Option<SocketAddr>,
    /// Where intake listens; with the role intake.
    pub intake: Option<SocketAddr>,
    /// Where health and metrics listen.
    pub admin: SocketAddr,
    /// Who may send events; with the role intake.
    pub senders: Option<Arc<Senders>>,
    settings: Arc<Settings>,
    lifecycle: Lifecycle,
    listeners: Listeners,
    engine: Option<Engine>,
    facts: Option<Facts>,
    effects: Option<Effects>,
    jobs: Option<Jobs>,
    reconciler: Option<Reconciler>,
    auditor: Option<Auditor>,
    keeper: Option<Arc<Keeper>>,
    stores: Stores,
    tasks: CancellationToken,
}

/// Starts what `roles` name; returns once it serves.
pub async fn start(settings: Settings, roles: &[ProcessRole]) -> anyhow::Result<Product> {
    let refused = roles::refusals(roles, &settings);
    anyhow::ensure!(refused.is_empty(), "{}", refused.join("\n"));
    let has = |role| roles.contains(&role);
    let settings = Arc::new(settings);
    jose::install();
    let metrics = telemetry::start_metrics().context("start metrics")?;
    let tasks = CancellationToken::new();
    let tls_of = |role, listener, tls| if has(role) { tls::open(listener, tls, &tasks) } else { Ok(None) };
    // Before the stores: files that do not fit are refused at once.
    let site_tls = tls_of(ProcessRole::Web, "server", &settings.server.tls)?;
    let intake_tls = tls_of(ProcessRole::Intake, "intake", &settings.intake.tls)?;
    let stores = Stores::open(&settings, roles).await?;
    tokio::spawn(
        tasks
            .clone()
            .run_until_cancelled_owned(telemetry::keep_metrics_small(metrics.clone())),
    );
    let directory = stores.config.clone().watch(tasks.clone()).await.context("read the configuration")?;
    let lifecycle = Lifecycle::default();
    let registry = Roles::default();
    let engine = match has(ProcessRole::Live) || has(ProcessRole::Web) {
        true => Some(start_live(&settings, roles, &stores, &directory, &registry)?),
        false => None,
    };
    let facts = stores.analytics.clone().filter(|_| has(ProcessRole::Facts)).map(|analytics| {
        let options = FactsOptions::new(stores.log.identity());
        Facts::start(stores.log.clone(), Arc::new(analytics), directory.clone(), &registry, options)
    });
    let ledger = effects::Effects::new(stores.config.database().clone(), stores.log.identity());
    let effects = has(ProcessRole::Effects).then(|| {
        let options = EffectsOptions::default();
        Effects::start(stores.log.clone(), Arc::new(ledger.clone()), directory.clone(), &registry, options)
    });
    let jobs = match has(ProcessRole::Jobs) {
        true => Some(start_jobs(&settings, &stores, &registry)?),
        false => None,
    };
    let compares = has(ProcessRole::Jobs) && settings.retell.reconcile_every_seconds > 0;
    let reconciler = compares.then(|| {
        let ground = Ground {
            config: stores.config.clone(),
            ledger: ledger.clone(),
            log: stores.log.clone(),
            directory: directory.clone(),
            options: reconciler_options(&settings),
        };
        Reconciler::start(ground, &registry)
    });
    let audits = AuditBook::new(stores.config.database().clone(), stores.log.identity());
    let audits_here = has(ProcessRole::Facts) && settings.auditor.every_seconds > 0;
    let auditor = stores.analytics.clone().filter(|_| audits_here).map(|analytics| {
        let ground = audit::Ground {
            log: stores.log.clone(),
            log_name: stores.log.identity().to_owned(),
            facts: analytics,
            ledger: ledger.clone(),
            book: audits.clone(),
            directory: directory.clone(),
            rules: FactsOptions::new("").rules,
            options: AuditorOptions {
                every: Duration::from_secs(settings.auditor.every_seconds.into()),
                again_records: settings.auditor.again_records,
            },
        };
        Auditor::start(ground, &registry)
    });
    if let Some(engine) = &engine {
        watch_reconciled(stores.config.clone(), engine.live(), tasks.clone());
        watch_audited(audits.clone(), engine.live(), stores.log.partitions(), tasks.clone());
    }
    let keeper = match has(ProcessRole::Intake) {
        true => Some(Arc::new(open_spool(&settings, &stores)?)),
        false => None,
    };
    let state = match (&engine, &stores.analytics) {
        (Some(engine), Some(analytics)) if has(ProcessRole::Web) => Some(AppState {
            keeper: keeper.clone(),
            facts: match &facts {
                Some(facts) => facts.watcher(),
                None => watch_elsewhere(stores.log.clone(), tasks.clone()),
            },
            effects: effects.as_ref().map(Effects::watcher),
            ledger,
            audits,
            live: engine.live(),
            streams: Arc::new(Streams::new(&settings.server, tokio::runtime::Handle::current())),
            cursors: CursorKey::load(&settings.data.directory)?,
            lifecycle: lifecycle.clone(),
            config: stores.config.clone(),
            directory: directory.clone(),
            log: stores.log.clone(),
            analytics: analytics.clone(),
            passwords: Passwords::new(settings.sign_in.parallel_max)?,
            token_keys: Arc::default(),
            oidc: OidcClient::new(OidcOptions {
                allow_private_networks: settings.single_sign_on.allow_private_networks,
                timeout: Duration::from_secs(settings.single_sign_on.timeout_seconds),
            })
            .context("prepare single sign-on")?,
            dns: Dns::new(DnsOptions {
                servers: settings.single_sign_on.dns_servers.clone(),
                timeout: Duration::from_secs(settings.single_sign_on.dns_timeout_seconds),
            }),
            attempts: Arc::default(),
            limits: Arc::new(limits::Limits::new(&settings.limits)),
            pairings: Arc::default(),
            views: Arc::default(),
            settings: settings.clone(),
        }),
        _ => None,
    };
    let intake = keeper.clone().map(|keeper| {
        let senders = Arc::new(Senders::new(&directory.borrow(), settings.intake.events_per_second));
        tokio::spawn(tasks.clone().run_until_cancelled_owned(senders.clone().follow(directory.clone())));
        web::Data::new(Intake {
            keeper,
            senders,
            caps: Arc::new(Caps::new(
                settings.intake.requests_in_flight_max,
                settings.intake.bytes_in_flight_max,
            )),
            meters: Meters::default(),
            trusted_proxies: settings.server.trusted_proxies.clone(),
        })
    });
    let operation = Operation {
        lifecycle: lifecycle.clone(),
        log: stores.log.clone(),
        live: engine.as_ref().map(Engine::live),
        facts: facts.as_ref().map(Facts::watcher),
        streams: state.as_ref().map(|state| state.streams.clone()),
        intake: intake.clone(),
    };
    let senders = intake.as_ref().map(|intake| intake.senders.clone());
    let mut listeners = Vec::new();
    let admin = listen_admin(&settings, operation, metrics, &mut listeners)?;
    let intake = intake
        .map(|intake| listen_intake(&settings, intake, intake_tls, &mut listeners))
        .transpose()?;
    let site = state
        .as_ref()
        .map(|state| listen_site(state, site_tls, &mut listeners))
        .transpose()?;
    lifecycle.enter(Phase::Ready);
    tracing::info!(site = site.map(display), intake = intake.map(display), %admin, ?roles, "serving");
    Ok(Product {
        state,
        config: stores.config.clone(),
        site,
        intake,
        admin,
        senders,
        settings,
        lifecycle,
        listeners,
        engine,
        facts,
        effects,
        jobs,
        reconciler,
        auditor,
        keeper,
        stores,
        tasks,
    })
}

fn open_spool(settings: &Settings, stores: &Stores) -> anyhow::Result<Keeper> {
    let options = SpoolOptions {
        directory: settings.spool_directory(),
        bytes_max: settings.spool.bytes_max,
    };
    Keeper::open(stores.log.clone(), &options, &tokio::runtime::Handle::current()).context("open the spool")
}

fn start_live(
    settings: &Settings,
    roles: &[ProcessRole],
    stores: &Stores,
    directory: &watch::Receiver<Arc<Directory>>,
    registry: &Roles,
) -> anyhow::Result<Engine> {
    let options = EngineOptions {
        on_failure: Some(Arc::new(|role| {
            // A guardian that gave up leaves boards that stand still; a fresh process rebuilds them from the log.
            tracing::error!(role, "a role could not be kept alive; leaving so that the process is started again");
            std::process::exit(ROLE_LOST);
        })),
        roles: registry.clone(),
        reads: roles.contains(&ProcessRole::Live),
        follows: roles::follow(roles, settings),
        lookup: Some(Arc::new(lookup::RetellLookup {
            api_url: settings.retell.api_url.clone(),
        })),
        limits: Limits {
            silence_ms: i64::from(settings.retell.ask_after_minutes) * 60_000,
            checkpoint_ms: settings.live.checkpoint_ms(),
            ..Limits::default()
        },
        ..EngineOptions::default()
    };
    Engine::start(stores.log.clone(), directory.clone(), options).context("start the live group")
}

fn start_jobs(settings: &Settings, stores: &Stores, registry: &Roles) -> anyhow::Result<Jobs> {
    let webhooks = &settings.webhooks;
    let timeout = Duration::from_secs(webhooks.timeout_seconds);
    let sender = Sender::new(SenderOptions {
        allow_private_networks: webhooks.allow_private_networks,
        timeout,
    })
    .context("prepare outbound webhooks")?;
    let options = JobsOptions {
        parallel_max: webhooks.parallel_max,
        timeout: timeout.max(Duration::from_secs(settings.mail.timeout_seconds)),
        chance: rand::random::<f64>,
    };
    let mail = &settings.mail;
    let post = match mail.is_set() {
        true => Some(Post {
            mailer: Mailer::new(&mail.url, &mail.from, Duration::from_secs(mail.timeout_seconds)).context("prepare mails")?,
            writer: letters::writer(settings.server.origin()),
        }),
        false => None,
    };
    Ok(Jobs::start(stores.config.clone(), sender, post, registry, options))
}

/// How calls are compared with Retell's list.
pub fn reconciler_options(settings: &Settings) -> ReconcilerOptions {
    let retell = &settings.retell;
    ReconcilerOptions {
        api_url: retell.api_url.clone(),
        every: Duration::from_secs(retell.reconcile_every_seconds.into()),
        grace: Duration::from_secs(retell.reconcile_grace_seconds.into()),
        back: Duration::from_secs(u64::from(retell.reconcile_back_hours) * 3_600),
        requests_per_second: retell.requests_per_second,
    }
}

impl Product {
    /// Leaves in order; everything after the wait for balancers within one deadline.
    pub async fn stop(self, drain: Duration) {
        self.lifecycle.enter(Phase::Draining);
        tokio::time::sleep(drain).await;
        self.lifecycle.enter(Phase::Closing);
        let deadline = Duration::from_secs(self.settings.server.shutdown_seconds);
        let leave = async {
            let ends = self.listeners.into_iter().map(|(handle, task)| async move {
                handle.stop(true).await;
                let _ = task.await;
            });
            futures::future::join_all(ends).await;
            self.tasks.cancel();
            // The groups do not know each other, so they leave at the same time.
            let engine = async {
                if let Some(engine) = self.engine {
                    engine.stop().await;
                }
            };
            let facts = async {
                if let Some(facts) = self.facts {
                    facts.stop().await;
                }
            };
            let effects = async {
                if let Some(effects) = self.effects {
                    effects.stop().await;
                }
            };
            let jobs = async {
                if let Some(jobs) = self.jobs {
                    jobs.stop().await;
                }
            };
            let reconciler = async {
                if let Some(reconciler) = self.reconciler {
                    reconciler.stop().await;
                }
            };
            let auditor = async {
                if let Some(auditor) = self.auditor {
                    auditor.stop().await;
                }
            };
            tokio::join!(engine, facts, effects, jobs, reconciler, auditor);
            if let Some(keeper) = &self.keeper {
                keeper.close();
            }
            drop((self.state, self.config));
            self.stores.close().await;
        };
        if tokio::time::timeout(deadline, leave).await.is_err() {
            tracing::error!(seconds = deadline.as_secs(), "stop did not end in time; leaving what is left");
        }
    }
}

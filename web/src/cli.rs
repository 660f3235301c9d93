//! The program's words: answers on stdout, talk on stderr, exit 0 ok, 1 failure, 2 usage, 3 check failed.

mod audit;
mod config;
mod demo;
mod doctor;
mod domains;
mod migrate;
mod openapi;
mod people;
mod platform;
mod reconcile;
mod replay;
mod secrets;
mod serve;
mod simulate;
mod tokens;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::settings::Settings;
use crate::settings::load::{BadSettings, Sources, load};

/// A check found something wrong (doctor, config check).
pub const CHECK_FAILED: u8 = 3;

const EXAMPLES: &str = "Examples:
  trunkline demo                                  everything on this machine, with embedded stores
  trunkline serve --config /etc/trunkline.toml    the product, with your settings
  trunkline config print                          settings in force, secrets hidden
  trunkline doctor                                is everything it needs there?";

/// Real-time engine behind a call centre of AI voice agents on Retell AI.
#[derive(Debug, Parser)]
#[command(name = "trunkline", version = crate::state::version_text(), before_help = EXAMPLES, arg_required_else_help = true)]
pub struct Cli {
    /// Settings file.
    #[arg(long, global = true, value_name = "FILE", env = "TRUNKLINE_CONFIG")]
    config: Option<PathBuf>,
    /// One setting, over file and environment; may be repeated.
    #[arg(long, global = true, value_name = "SECTION.KEY=VALUE")]
    set: Vec<String>,
    /// Answer as JSON.
    #[arg(long, global = true)]
    json: bool,
    /// Say less.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Say more.
    #[arg(short, long, global = true)]
    verbose: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the product.
    Serve(serve::Serve),
    /// Run everything on this machine, with a made-up call centre and the simulator.
    Demo(demo::Demo),
    /// Bring the schemas of Postgres and ClickHouse up to date.
    Migrate(migrate::Migrate),
    /// Check that everything is there that the product needs; exit 3 when something is not.
    Doctor,
    /// Compare the whole event log with ClickHouse and the usage ledger, or verify the record of who did what; exit 3 on a difference.
    Audit(audit::Audit),
    /// Compare what was heard with Retell's own list of calls, and fill in what is missing; exit 3 when something is not healed.
    Reconcile(reconcile::Reconcile),
    /// Show records of the event log, or write them to ClickHouse again.
    Replay {
        #[command(subcommand)]
        action: replay::Action,
    },
    /// Users.
    User {
        #[command(subcommand)]
        action: people::UserAction,
    },
    /// Those who run the platform.
    Platform {
        #[command(subcommand)]
        action: platform::Action,
    },
    /// Mail domains of single sign-on.
    Domain {
        #[command(subcommand)]
        action: domains::Action,
    },
    /// API keys.
    Key {
        #[command(subcommand)]
        action: people::KeyAction,
    },
    /// Master keys of the secrets in Postgres.
    Secrets {
        #[command(subcommand)]
        action: secrets::Action,
    },
    /// Keys that sign access tokens of the API.
    Tokens {
        #[command(subcommand)]
        action: tokens::Action,
    },
    /// Print the OpenAPI description of the API.
    Openapi,
    /// Play Retell against an intake address.
    Simulate(simulate::Simulate),
    /// Check or show settings.
    Config {
        #[command(subcommand)]
        action: config::Action,
    },
    /// Print completions for a shell.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
}

/// What every subcommand gets.
pub struct Context {
    /// Settings in force.
    pub settings: Settings,
    /// Answer as JSON.
    pub json: bool,
}

/// Parses the command line and does what it says.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let verbose = cli.verbose;
    match run(cli) {
        Ok(code) => code,
        Err(error) => {
            // The chain of causes, never a stack trace without -v.
            if verbose {
                eprintln!("error: {error:?}")
            } else {
                eprintln!("error: {error:#}")
            }
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    if let Command::Completions { shell } = cli.command {
        clap_complete::generate(shell, &mut Cli::command(), "trunkline", &mut std::io::stdout());
        return Ok(ExitCode::SUCCESS);
    }
    let sources = Sources {
        file: cli.config,
        overrides: cli.set,
        environment: std::env::vars().collect(),
    };
    let mut settings = match (load(&sources), &cli.command) {
        (Ok(settings), _) => settings,
        (
            Err(error),
            Command::Config {
                action: config::Action::Check,
            },
        ) => return Ok(config::refused(&error, cli.json)),
        (Err(error @ BadSettings::Override(_)), _) => {
            eprintln!("error: {error}");
            return Ok(ExitCode::from(2));
        }
        (Err(error), _) => return Err(error.into()),
    };
    if cli.quiet {
        settings.telemetry.level = "error".to_owned();
    }
    if cli.verbose {
        settings.telemetry.level = "debug".to_owned();
    }
    let context = Context { settings, json: cli.json };
    match cli.command {
        Command::Serve(args) => serve::serve(context, &args),
        Command::Demo(args) => demo::run(context, args),
        Command::Migrate(args) => migrate::run(context, &args),
        Command::Doctor => doctor::run(context),
        Command::Audit(args) => audit::run(context, args),
        Command::Reconcile(args) => reconcile::run(context, args),
        Command::Replay { action } => replay::run(context, action),
        Command::User { action } => people::user(context, action),
        Command::Platform { action } => platform::run(context, action),
        Command::Domain { action } => domains::run(context, action),
        Command::Key { action } => people::key(context, action),
        Command::Secrets { action } => secrets::run(context, action),
        Command::Tokens { action } => tokens::run(context, action),
        Command::Openapi => Ok(openapi::run()),
        Command::Simulate(args) => simulate::run(args, context.json),
        Command::Config { action } => config::run(action, &context),
        Command::Completions { .. } => unreachable!("answered above, before settings are read"),
    }
}

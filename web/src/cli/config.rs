//! `trunkline config`: check settings, show them.

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::json;

use super::{CHECK_FAILED, Context};
use crate::settings::load::BadSettings;
use crate::settings::print;

/// What to do with settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Subcommand)]
pub enum Action {
    /// Say whether the settings make sense; exit 3 when they do not.
    Check,
    /// Print settings in force, secrets hidden.
    Print,
}

/// Does it, with settings that were accepted.
pub fn run(action: Action, context: &Context) -> anyhow::Result<ExitCode> {
    match (action, context.json) {
        (Action::Check, true) => println!("{}", json!({ "ok": true, "refusals": [] })),
        (Action::Check, false) => println!("settings are fine"),
        (Action::Print, true) => println!("{}", serde_json::to_string_pretty(&print::redacted(&context.settings))?),
        (Action::Print, false) => print!("{}", print::as_toml(&context.settings)),
    }
    Ok(ExitCode::SUCCESS)
}

/// The answer of `config check` when settings were refused.
pub fn refused(error: &BadSettings, as_json: bool) -> ExitCode {
    let sentences = match error {
        BadSettings::Refused(sentences) => sentences.clone(),
        other => vec![other.to_string()],
    };
    if as_json {
        println!("{}", json!({ "ok": false, "refusals": sentences }));
    } else {
        for sentence in sentences {
            println!("{sentence}");
        }
    }
    ExitCode::from(CHECK_FAILED)
}

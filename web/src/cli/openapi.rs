//! `trunkline openapi`: prints the description of the API.

use std::process::ExitCode;

use crate::api::documents::description_text;

/// Prints it; the same text as `web/openapi.json` and `/openapi.json`.
pub fn run() -> ExitCode {
    print!("{}", description_text());
    ExitCode::SUCCESS
}

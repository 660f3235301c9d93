//! The trunkline program.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Before anything else: without a provider the first TLS client panics.
    let _ = rustls::crypto::ring::default_provider().install_default();
    trunkline_web::cli::main()
}

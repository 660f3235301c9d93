//! The trunkline program.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Before anything else: without a provider the first TLS client panics.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // The text of a panic may quote what was being read, and that may be a transcript: only the place is told.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "a panic was caught or ends a thread");
        if !tracing::event_enabled!(tracing::Level::ERROR) {
            eprintln!("panic at {place}");
        }
    }));
    trunkline_web::cli::main()
}

//! `[server.tls]` and `[intake.tls]`: whether a listener speaks TLS itself, and with which files.

use std::path::PathBuf;

use serde::Deserialize;

use super::Settings;

/// The files of one listener; both empty: it speaks plain HTTP.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// Chain in PEM, the server's own certificate first.
    pub certificate: PathBuf,
    /// Its private key in PEM.
    pub key: PathBuf,
}

impl Tls {
    /// Whether the listener speaks TLS.
    pub fn is_set(&self) -> bool {
        !self.certificate.as_os_str().is_empty()
    }
}

/// What contradicts itself. Whether the files fit each other is seen when they are read.
pub(super) fn refusals(settings: &Settings, refuse: &mut impl FnMut(bool, String)) {
    let listeners = [
        ("server", &settings.server.tls, &settings.server.public_url),
        ("intake", &settings.intake.tls, &settings.intake.public_url),
    ];
    for (section, tls, public_url) in listeners {
        for (set, given, missing) in [(&tls.certificate, "certificate", "key"), (&tls.key, "key", "certificate")] {
            let other = if given == "key" { &tls.certificate } else { &tls.key };
            refuse(
                !set.as_os_str().is_empty() && other.as_os_str().is_empty(),
                format!("{section}.tls.{given} is set but {section}.tls.{missing} is not; name both files or none"),
            );
        }
        refuse(
            tls.is_set() && public_url.starts_with("http://"),
            format!("{section}.public_url = \"{public_url}\" but {section}.tls is set, and plain HTTP is refused there; write https://"),
        );
    }
}

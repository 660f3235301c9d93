//! Envelope encryption of what is secret and has to be read back: keys of workspaces, secrets of endpoints.
//!
//! Each value is encrypted with a data key of its own (AES-256-GCM), and the data key with a master key, which lies in a file and
//! never in a database. Both encryptions are bound to the place of the value (tenant, table, row, column), so a value that
//! somebody copies to another place does not open there. Several master keys may be held: the newest writes, all read.

mod envelope;
mod file;
mod key;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use secrecy::{ExposeSecret, SecretString};
use trunkline_core::id::TenantId;
use uuid::Uuid;

pub use envelope::PREFIX;
pub use file::{add_key, make_file};
pub use key::{KeyId, WeakKey, new_key};

use envelope::Envelope;
use key::MasterKey;

/// Most master keys in one file: one that writes, and those of rotations that are not finished.
pub const KEYS_MAX: usize = 8;

/// Where a secret is kept; it opens nowhere else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Whose.
    pub tenant: TenantId,
    /// Table and column, for example `webhook_secrets.secret`.
    pub column: &'static str,
    /// Key of the row.
    pub row: Uuid,
}

/// Why a master key file cannot be used; each text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// Not there, or not readable.
    #[error("read the master keys from {path}: {reason}")]
    Unreadable {
        /// Which file.
        path: String,
        /// What the system said.
        reason: String,
    },
    /// Others may read it.
    #[error("{path} may be read or changed by everybody (mode {mode:03o}); allow it to its owner only: chmod 600 {path}")]
    Exposed {
        /// Which file.
        path: String,
        /// Its permissions.
        mode: u32,
    },
    /// No key in it.
    #[error("{path} holds no key; put one line in it: `trunkline secrets new-key` prints one")]
    Empty {
        /// Which file.
        path: String,
    },
    /// More than are of use.
    #[error(
        "{path} holds {found} keys and at most {KEYS_MAX} are read; run `trunkline secrets rotate` and remove the lines below the first"
    )]
    TooMany {
        /// Which file.
        path: String,
        /// How many.
        found: usize,
    },
    /// A line is no key, or one that somebody thought up.
    #[error("line {line} of {path} {why}; `trunkline secrets new-key` prints a good one, as does `openssl rand -base64 32`")]
    Weak {
        /// Which file.
        path: String,
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        why: WeakKey,
    },
    /// It cannot be written.
    #[error("write the master keys to {path}: {reason}")]
    Unwritable {
        /// Which file.
        path: String,
        /// What the system said.
        reason: String,
    },
}

/// Why a stored value does not open. Never says anything of the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// It is not encrypted.
    #[error("it is not encrypted; start Trunkline once to encrypt it")]
    Plain,
    /// Encrypted with a master key that is not in the file.
    #[error("master key {0} is not in the file of master keys")]
    UnknownKey(KeyId),
    /// Changed, or copied here from another place.
    #[error("it was changed, or it belongs to another row (crypto.integrity)")]
    Broken,
}

/// Master keys in force. Cheap to share; read again from the file when a value needs a key that is not held yet.
pub struct Keyring {
    keys: ArcSwap<Vec<MasterKey>>,
    file: Option<PathBuf>,
}

impl Keyring {
    /// Reads the keys of a file: one a line, the newest first.
    pub fn read(path: &Path) -> Result<Self, KeyringError> {
        Ok(Self {
            keys: ArcSwap::from_pointee(file::read(path)?),
            file: Some(path.to_owned()),
        })
    }

    /// A key that exists in this process only: what is encrypted with it is lost with the process.
    pub fn fleeting() -> Self {
        let key = MasterKey::parse(new_key().expose_secret()).expect("a new key is a good key");
        Self {
            keys: ArcSwap::from_pointee(vec![key]),
            file: None,
        }
    }

    /// The key that writes.
    pub fn newest(&self) -> KeyId {
        self.keys.load()[0].id
    }

    /// Whether values under this key can be read.
    pub fn holds(&self, id: KeyId) -> bool {
        self.with_key(id, |_| ()).is_some()
    }

    /// Encrypts a secret for one place.
    pub fn seal(&self, place: &Place, secret: &SecretString) -> String {
        Envelope::seal(&self.keys.load()[0], place, secret.expose_secret().as_bytes()).to_string()
    }

    /// Decrypts what was encrypted for this place.
    pub fn open(&self, place: &Place, stored: &str) -> Result<SecretString, OpenError> {
        let envelope: Envelope = stored.parse().map_err(|()| match stored.starts_with(PREFIX) {
            true => OpenError::Broken,
            false => OpenError::Plain,
        })?;
        self.with_key(envelope.key, |key| envelope.open(key, place))
            .ok_or(OpenError::UnknownKey(envelope.key))?
            .ok_or(OpenError::Broken)
    }

    fn with_key<T>(&self, id: KeyId, work: impl Fn(&MasterKey) -> T) -> Option<T> {
        let find = |keys: &[MasterKey]| keys.iter().find(|key| key.id == id).map(&work);
        find(&self.keys.load()).or_else(|| {
            self.read_again();
            find(&self.keys.load())
        })
    }

    /// A rotation beside a running product adds a key to the file. A file that has become unreadable changes nothing.
    fn read_again(&self) {
        let Some(path) = &self.file else { return };
        match file::read(path) {
            Ok(keys) => self.keys.store(Arc::new(keys)),
            Err(error) => tracing::error!(%error, "the master keys in memory stay in force"),
        }
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<KeyId> = self.keys.load().iter().map(|key| key.id).collect();
        f.debug_struct("Keyring").field("keys", &ids).field("file", &self.file).finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn place(tenant: u128, row: u128, column: &'static str) -> Place {
        Place {
            tenant: TenantId(Uuid::from_u128(tenant)),
            column,
            row: Uuid::from_u128(row),
        }
    }

    proptest! {
        #[test]
        fn a_secret_opens_at_its_own_place_and_nowhere_else(text in ".{0,200}", tenant: u128, row: u128, other: u128) {
            let keyring = Keyring::fleeting();
            let here = place(tenant, row, "a.b");
            let stored = keyring.seal(&here, &SecretString::from(text.clone()));
            let opened = keyring.open(&here, &stored).unwrap();
            prop_assert_eq!(opened.expose_secret(), text.as_str());
            prop_assert!(text.len() < 8 || !stored.contains(&text));
            for elsewhere in [place(other, row, "a.b"), place(tenant, other, "a.b"), place(tenant, row, "a.c")] {
                prop_assert!(elsewhere == here || matches!(keyring.open(&elsewhere, &stored), Err(OpenError::Broken)));
            }
            prop_assert!(matches!(Keyring::fleeting().open(&here, &stored), Err(OpenError::UnknownKey(id)) if id == keyring.newest()));
        }

        #[test]
        fn no_changed_character_goes_unnoticed(at in 0_usize..200, to in "[A-Za-z0-9_.-]") {
            let keyring = Keyring::fleeting();
            let here = place(1, 2, "a.b");
            let stored = keyring.seal(&here, &SecretString::from("key_of_retell"));
            let at = at % stored.len();
            let changed = format!("{}{to}{}", &stored[..at], &stored[at + 1..]);
            prop_assert!(changed == stored || keyring.open(&here, &changed).is_err());
        }

        #[test]
        fn no_text_makes_it_panic(text in ".*") {
            prop_assert!(Keyring::fleeting().open(&place(1, 2, "a.b"), &text).is_err());
            let text = format!("{PREFIX}{text}");
            prop_assert!(Keyring::fleeting().open(&place(1, 2, "a.b"), &text).is_err());
        }
    }

    #[test]
    fn equal_secrets_look_different() {
        let keyring = Keyring::fleeting();
        let secret = SecretString::from("key_of_retell");
        let here = place(1, 2, "a.b");
        assert_ne!(keyring.seal(&here, &secret), keyring.seal(&here, &secret));
    }

    #[test]
    fn what_was_written_last_year_is_still_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secrets.key");
        make_file(&path, &SecretString::from("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")).unwrap();
        let keyring = Keyring::read(&path).unwrap();
        let stored = include_str!("../tests/golden/sealed-1.txt").trim();
        assert_eq!(keyring.open(&place(1, 2, "a.b"), stored).unwrap().expose_secret(), "key_of_retell");
    }

    #[test]
    fn debug_shows_no_key() {
        let key = new_key();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secrets.key");
        make_file(&path, &key).unwrap();
        let shown = format!("{:?}", Keyring::read(&path).unwrap());
        assert!(!shown.contains(key.expose_secret()), "{shown}");
    }
}

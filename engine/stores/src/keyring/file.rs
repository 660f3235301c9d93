//! The file of master keys: one key a line, the newest first; empty lines and those that begin with # are passed over.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, chown};
use std::path::Path;

use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};

use super::key::{KeyId, MasterKey, new_key};
use super::{KEYS_MAX, KeyringError};

/// Permissions of a file that we make.
const OWNER_ONLY: u32 = 0o600;

/// Permissions that no file of keys may have: anything for everybody, and writing for the group. A group that reads is allowed, since
/// orchestrators hand secrets to a process that way.
const TOO_OPEN: u32 = 0o027;

const HEADING: &str =
    "# Master keys of Trunkline: the secrets in its database are encrypted with them. The first line writes, every line reads.
# Without this file those secrets are lost: keep a copy, and not beside the backups of the database.
";

pub(super) fn read(path: &Path) -> Result<Vec<MasterKey>, KeyringError> {
    let shown = || path.display().to_string();
    let text = text(path)?;
    let mode = fs::metadata(path).map_err(|error| unreadable(path, &error))?.mode() & 0o777;
    if mode & TOO_OPEN != 0 {
        return Err(KeyringError::Exposed { path: shown(), mode });
    }
    let lines = text.lines().map(str::trim).enumerate();
    let lines: Vec<(usize, &str)> = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')).collect();
    match lines.len() {
        0 => return Err(KeyringError::Empty { path: shown() }),
        found if found > KEYS_MAX => return Err(KeyringError::TooMany { path: shown(), found }),
        _ => {}
    }
    let parse = |(at, line): (usize, &str)| {
        MasterKey::parse(line).map_err(|why| KeyringError::Weak {
            path: shown(),
            line: at + 1,
            why,
        })
    };
    lines.into_iter().map(parse).collect()
}

/// Makes the file with one key, readable for its owner only; an existing one is left alone and is an error.
pub fn make_file(path: &Path, key: &SecretString) -> Result<(), KeyringError> {
    if path.exists() {
        let reason = "it is there already".to_owned();
        return Err(KeyringError::Unwritable {
            path: path.display().to_string(),
            reason,
        });
    }
    let text = Zeroizing::new(format!("{HEADING}{}\n", key.expose_secret()));
    put(path, &text, None)
}

/// Adds a fresh key as the one that writes; says which.
pub fn add_key(path: &Path) -> Result<KeyId, KeyringError> {
    let held = read(path)?;
    if held.len() == KEYS_MAX {
        return Err(KeyringError::TooMany {
            path: path.display().to_string(),
            found: held.len() + 1,
        });
    }
    let old = text(path)?;
    // Below the heading, above the first key.
    let first = old.lines().take_while(|line| line.trim().is_empty() || line.starts_with('#'));
    let heading = first.map(|line| line.len() + 1).sum::<usize>().min(old.len());
    let key = new_key();
    let fresh = Zeroizing::new(format!("{}{}\n{}", &old[..heading], key.expose_secret(), &old[heading..]));
    put(path, &fresh, Some(&fs::metadata(path).map_err(|error| unreadable(path, &error))?))?;
    Ok(MasterKey::parse(key.expose_secret()).expect("a new key is a good key").id)
}

/// Written beside its place and moved there when complete: a death in between leaves the old file.
fn put(path: &Path, text: &str, like: Option<&fs::Metadata>) -> Result<(), KeyringError> {
    let failed = |error: std::io::Error| KeyringError::Unwritable {
        path: path.display().to_string(),
        reason: error.to_string(),
    };
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(failed)?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let fresh = path.with_file_name(name);
    if let Err(error) = fs::remove_file(&fresh)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        return Err(failed(error));
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(OWNER_ONLY)
        .open(&fresh)
        .map_err(failed)?;
    if let Some(like) = like {
        chown(&fresh, Some(like.uid()), Some(like.gid())).map_err(failed)?;
        file.set_permissions(fs::Permissions::from_mode(like.mode() & 0o777))
            .map_err(failed)?;
    }
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&fresh, path))
        .and_then(|()| fs::File::open(folder)?.sync_all())
        .map_err(failed)
}

fn text(path: &Path) -> Result<Zeroizing<String>, KeyringError> {
    fs::read_to_string(path)
        .map(Zeroizing::new)
        .map_err(|error| unreadable(path, &error))
}

fn unreadable(path: &Path, error: &std::io::Error) -> KeyringError {
    KeyringError::Unreadable {
        path: path.display().to_string(),
        reason: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(directory: &Path, text: &str, mode: u32) -> String {
        let path = directory.join("secrets.key");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        read(&path)
            .map(|keys| keys.len().to_string())
            .unwrap_or_else(|error| error.to_string())
    }

    /// S-064.
    #[test]
    fn s064_weak_short_and_exposed_keys_are_refused_with_what_to_do() {
        let directory = tempfile::tempdir().unwrap();
        let (one, two) = (new_key(), new_key());
        let (one, two) = (one.expose_secret(), two.expose_secret());
        let at = |text: &str, mode| said(directory.path(), text, mode);
        assert_eq!(at(&format!("# words\n\n {one} \r\n{two}\n"), 0o600), "2");
        assert_eq!(at(one, 0o440), "1");
        for (text, mode, expected) in [
            (one.to_owned(), 0o644, "chmod 600"),
            (one.to_owned(), 0o620, "chmod 600"),
            ("\n# nothing\n".to_owned(), 0o600, "holds no key"),
            ("changeme".to_owned(), 0o600, "line 1"),
            ("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=".to_owned(), 0o600, "too regular"),
            ("cGFzc3dvcmRwYXNzd29yZHBhc3N3b3JkcGFzc3dvcmQ=".to_owned(), 0o600, "too regular"),
            (format!("{one}\nc2hvcnQ="), 0o600, "line 2"),
            (format!("{one}\nc2hvcnQ="), 0o600, "holds 5 bytes where a key has 32"),
            (format!("{one}\n").repeat(9), 0o600, "holds 9 keys"),
        ] {
            let found = at(&text, mode);
            assert!(found.contains(expected), "{found}");
            assert!(!found.contains(one), "{found}");
        }
        let missing = read(&directory.path().join("none")).err().unwrap().to_string();
        assert!(missing.contains("none: No such file"), "{missing}");
    }

    #[test]
    fn a_new_key_goes_first_and_the_file_keeps_its_permissions() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deep/secrets.key");
        make_file(&path, &new_key()).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert!(make_file(&path, &new_key()).is_err(), "never overwritten");
        let old = read(&path).unwrap()[0].id;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let fresh = add_key(&path).unwrap();
        let ids: Vec<KeyId> = read(&path).unwrap().iter().map(|key| key.id).collect();
        assert_eq!(ids, [fresh, old]);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o640);
        assert!(fs::read_to_string(&path).unwrap().starts_with(HEADING));
        for _ in 2..KEYS_MAX {
            add_key(&path).unwrap();
        }
        assert!(matches!(add_key(&path), Err(KeyringError::TooMany { .. })));
        assert_eq!(
            fs::read_dir(path.parent().unwrap()).unwrap().count(),
            1,
            "nothing is left beside it"
        );
    }
}

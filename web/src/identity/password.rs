//! Passwords: argon2id at OWASP's parameters, off the request threads, few at a time, and after everything that is more urgent.

use std::sync::Arc;

use argon2::password_hash::PasswordHasher;
use argon2::password_hash::phc::{Output, PasswordHash};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use secrecy::{ExposeSecret, SecretString};

use self::queue::{Memory, Queue};

mod queue;

/// Memory of one hash in KiB (19 MiB) and passes: the first of OWASP's equivalent settings.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;

/// Longer ones are refused before hashing (S-101); a passphrase of a whole sentence fits.
pub const PASSWORD_CHARS_MAX: usize = 512;

/// Shorter ones are refused when set.
pub const PASSWORD_CHARS_MIN: usize = 10;

/// Why a password was not checked or set.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// Not between the limits.
    #[error("a password has between {PASSWORD_CHARS_MIN} and {PASSWORD_CHARS_MAX} characters")]
    Length,
    /// Too many checks at once.
    #[error("too many sign-ins at this moment")]
    Busy,
    /// The library refused; a bug of ours.
    #[error("hash a password: {0}")]
    Hashing(String),
}

/// The one place where passwords are hashed.
#[derive(Clone)]
pub struct Passwords {
    queue: Queue,
    /// A hash nobody knows the password of: checked for unknown users, so that they take as long (S-099).
    nobody: Arc<str>,
}

impl Passwords {
    /// At most `parallel` hashes at once.
    pub fn new(parallel: usize) -> Result<Passwords, PasswordError> {
        let nobody = hash_now(&hex::encode(rand::random::<[u8; 16]>()))?;
        Ok(Passwords {
            queue: Queue::new(parallel)?,
            nobody: nobody.into(),
        })
    }

    /// Refuses when one more would be refused at this moment: for what can be spared then.
    pub fn have_room(&self) -> Result<(), PasswordError> {
        match self.queue.is_full() {
            true => Err(PasswordError::Busy),
            false => Ok(()),
        }
    }

    /// Whether `password` is the one of `hash`; of no hash, false after the same work.
    pub async fn fits(&self, password: &SecretString, hash: Option<SecretString>) -> Result<bool, PasswordError> {
        if password.expose_secret().chars().count() > PASSWORD_CHARS_MAX {
            return Err(PasswordError::Length);
        }
        let known = hash.is_some();
        let hash = hash.unwrap_or_else(|| SecretString::from(self.nobody.to_string()));
        let password = password.clone();
        let fits = self
            .queue
            .work(move |memory| Ok(verify_now(memory, password.expose_secret(), hash.expose_secret())))
            .await?;
        Ok(fits && known)
    }

    /// The hash to store.
    pub async fn hash(&self, password: &SecretString) -> Result<SecretString, PasswordError> {
        let length = password.expose_secret().chars().count();
        if !(PASSWORD_CHARS_MIN..=PASSWORD_CHARS_MAX).contains(&length) {
            return Err(PasswordError::Length);
        }
        let password = password.clone();
        let hashed = self.queue.work(move |_| hash_now(password.expose_secret())).await;
        hashed.map(SecretString::from)
    }
}

fn argon2() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, 1, None).expect("19 MiB, 2 passes and 1 lane are within the algorithm's limits");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

fn hash_now(password: &str) -> Result<String, PasswordError> {
    let hash: PasswordHash = argon2()
        .hash_password(password.as_bytes())
        .map_err(|error| PasswordError::Hashing(error.to_string()))?;
    Ok(hash.to_string())
}

/// Whether the password has this hash, by the parameters that are in it.
fn verify_now(memory: &mut Memory, password: &str, hash: &str) -> bool {
    let mut computed = || {
        let hash = PasswordHash::new(hash).ok()?;
        let (salt, expected) = (hash.salt?, hash.hash?);
        let params = Params::try_from(&hash).ok()?;
        let algorithm = Algorithm::try_from(hash.algorithm.as_str()).ok()?;
        let version = Version::try_from(hash.version?).ok()?;
        if memory.len() < params.block_count() {
            memory.resize(params.block_count(), Block::new());
        }
        let mut output = [0; Output::MAX_LENGTH];
        let output = &mut output[..expected.len()];
        let argon2 = Argon2::new(algorithm, version, params);
        let filled = argon2.hash_password_into_with_memory(password.as_bytes(), &salt, output, memory.as_mut_slice());
        filled.ok()?;
        // In constant time.
        Some(Output::new(output).ok()? == expected)
    };
    computed().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn s059_only_the_right_password_fits() {
        let passwords = Passwords::new(1).unwrap();
        let right = SecretString::from("correct horse battery".to_owned());
        let hash = passwords.hash(&right).await.unwrap();
        assert!(
            hash.expose_secret().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{}",
            hash.expose_secret()
        );
        assert!(passwords.fits(&right, Some(hash.clone())).await.unwrap());
        assert!(
            !passwords
                .fits(&SecretString::from("wrong horse battery".to_owned()), Some(hash))
                .await
                .unwrap()
        );
        assert!(!passwords.fits(&right, None).await.unwrap());
    }

    #[test]
    fn what_was_in_the_memory_before_makes_no_difference() {
        let mut memory = Memory::new();
        let (one, other) = (hash_now("correct horse battery").unwrap(), hash_now("another one").unwrap());
        for _ in 0..2 {
            assert!(verify_now(&mut memory, "correct horse battery", &one));
            assert!(!verify_now(&mut memory, "correct horse battery", &other));
            assert!(verify_now(&mut memory, "another one", &other));
        }
        // The library's own reading of the same string, so that what is stored stays what everybody means by it.
        use argon2::password_hash::PasswordVerifier;
        assert!(
            argon2()
                .verify_password(b"another one", &PasswordHash::new(&other).unwrap())
                .is_ok()
        );
        for broken in [
            "",
            "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ",
            &other[..other.len() - 1],
            "$2b$12$x",
        ] {
            assert!(!verify_now(&mut memory, "another one", broken), "{broken}");
        }
    }
}

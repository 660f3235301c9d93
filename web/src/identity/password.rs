//! Passwords: argon2id at OWASP's parameters, off the request threads, few at a time, and after everything that is more urgent.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::oneshot;

/// Memory of one hash in KiB (19 MiB) and passes: the first of OWASP's equivalent settings.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;

/// Longer ones are refused before hashing (S-101); a passphrase of a whole sentence fits.
pub const PASSWORD_CHARS_MAX: usize = 512;

/// Shorter ones are refused when set.
pub const PASSWORD_CHARS_MIN: usize = 10;

/// Checks that wait while others run; beyond, the caller is told to try again (S-102).
const WAITING_MAX: usize = 8;

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

/// How much later than everything else a hash gets its turn when the processor is short, 0 to 19: signing in may take longer, an event
/// of Retell may not (S-102).
const NICENESS: i32 = 15;

type Job = Box<dyn FnOnce() + Send>;

/// The one place where passwords are hashed: a few threads of its own, behind a short queue.
#[derive(Clone)]
pub struct Passwords {
    jobs: SyncSender<Job>,
    /// A hash nobody knows the password of: checked for unknown users, so that they take as long (S-099).
    nobody: Arc<str>,
}

impl Passwords {
    /// At most `parallel` hashes at once.
    pub fn new(parallel: usize) -> Result<Passwords, PasswordError> {
        let nobody = hash_now(&hex::encode(rand::random::<[u8; 16]>()))?;
        let (jobs, queue) = sync_channel::<Job>(WAITING_MAX);
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..parallel {
            let queue = queue.clone();
            let thread = std::thread::Builder::new().name("password".to_owned());
            thread
                .spawn(move || work_off(&queue))
                .map_err(|error| PasswordError::Hashing(error.to_string()))?;
        }
        Ok(Passwords {
            jobs,
            nobody: nobody.into(),
        })
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
            .work(move || Ok(verify_now(password.expose_secret(), hash.expose_secret())))
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
        self.work(move || hash_now(password.expose_secret())).await.map(SecretString::from)
    }

    async fn work<T: Send + 'static>(&self, job: impl FnOnce() -> Result<T, PasswordError> + Send + 'static) -> Result<T, PasswordError> {
        let (tell, told) = oneshot::channel();
        let whole: Job = Box::new(move || {
            // Nobody waits for the answer any more: the caller went away while this was in the queue.
            if !tell.is_closed() {
                let _ = tell.send(job());
            }
        });
        self.jobs.try_send(whole).map_err(|_| PasswordError::Busy)?;
        told.await.map_err(|error| PasswordError::Hashing(error.to_string()))?
    }
}

/// Takes one job after the other until the last handle is gone.
fn work_off(queue: &Mutex<Receiver<Job>>) {
    // Without a process id it is this thread alone.
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::warn!(%error, "password checks run with the priority of everything else");
    }
    loop {
        let taken = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match taken {
            Ok(job) => job(),
            Err(_) => return,
        }
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

fn verify_now(password: &str, hash: &str) -> bool {
    PasswordHash::new(hash).is_ok_and(|hash| argon2().verify_password(password.as_bytes(), &hash).is_ok())
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

    #[tokio::test]
    async fn a_queue_that_is_full_says_so_at_once() {
        let passwords = Passwords::new(1).unwrap();
        let (hold, held) = std::sync::mpsc::channel::<()>();
        let mut waiting = Vec::new();
        // One that does not end, which the thread has taken (it is the last to get a turn where others compute), and a full queue.
        let passwords_of = passwords.clone();
        let (begin, begun) = tokio::sync::oneshot::channel();
        waiting.push(tokio::spawn(async move {
            let endless = move || {
                let _ = begin.send(());
                held.recv().map_err(|_| PasswordError::Busy)
            };
            passwords_of.work(endless).await
        }));
        begun.await.unwrap();
        for _ in 0..WAITING_MAX {
            let passwords = passwords.clone();
            waiting.push(tokio::spawn(async move { passwords.work(|| Ok(())).await }));
        }
        tokio::task::yield_now().await;
        let refused = passwords.fits(&SecretString::from("some password".to_owned()), None).await;
        assert!(matches!(refused, Err(PasswordError::Busy)));
        hold.send(()).unwrap();
        for waiter in waiting {
            waiter.await.unwrap().unwrap();
        }
    }
}

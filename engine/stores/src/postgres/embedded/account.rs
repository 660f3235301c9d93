//! Chooses the operating-system account the server runs as: our own, or an unprivileged one when we are root.

use std::path::Path;

use tokio::process::Command;

use super::EmbeddedError;

/// Accounts tried when we are root: Debian's package makes the first; the second exists everywhere.
const CANDIDATES: [&str; 2] = ["postgres", "nobody"];

/// Who runs the server, and who we are.
#[derive(Debug, Clone)]
pub(super) struct Account {
    /// Name of the server's account.
    pub name: String,
    /// Its user and group, when it is not our own account.
    pub switch_to: Option<(u32, u32)>,
    /// Name of our own account: the only one the server lets in.
    pub client_name: String,
}

impl Account {
    pub async fn choose() -> Result<Self, EmbeddedError> {
        let client_name = ask_id(&["-un"]).await.ok_or_else(|| {
            EmbeddedError::Setup("the account Trunkline runs as has no name; add it to /etc/passwd, or set a Postgres address".into())
        })?;
        if !rustix::process::geteuid().is_root() {
            return Ok(Self {
                name: client_name.clone(),
                switch_to: None,
                client_name,
            });
        }
        for name in CANDIDATES {
            let number = |text: Option<String>| text.and_then(|text| text.parse::<u32>().ok());
            let ids = (number(ask_id(&["-u", name]).await), number(ask_id(&["-g", name]).await));
            if let (Some(user), Some(group)) = ids {
                return Ok(Self {
                    name: name.into(),
                    switch_to: Some((user, group)),
                    client_name,
                });
            }
        }
        Err(EmbeddedError::Setup(format!(
            "Postgres does not run as root, and there is no account {} to run it as; add one, or run Trunkline as an ordinary user",
            CANDIDATES.join(" or ")
        )))
    }

    /// A command that runs as this account, with an environment in which nothing can mislead Postgres.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("LC_ALL", "C")
            .stdin(std::process::Stdio::null());
        if let Some((user, group)) = self.switch_to {
            command.gid(group).uid(user);
        }
        command
    }

    /// Gives a file or directory to this account.
    pub fn own(&self, path: &Path) -> Result<(), EmbeddedError> {
        let Some((user, group)) = self.switch_to else { return Ok(()) };
        std::os::unix::fs::chown(path, Some(user), Some(group))
            .map_err(|error| EmbeddedError::Setup(format!("cannot give {} to the account {}: {error}", path.display(), self.name)))
    }

    /// Checks that the account can enter `directory`, and names the first one above it that is in the way.
    pub async fn must_enter(&self, directory: &Path) -> Result<(), EmbeddedError> {
        if self.switch_to.is_none() || self.can_enter(directory).await {
            return Ok(());
        }
        let mut way: Vec<&Path> = directory.ancestors().collect();
        way.reverse();
        for step in way {
            if !self.can_enter(step).await {
                return Err(EmbeddedError::Setup(format!(
                    "Trunkline runs as root and its Postgres as the account {name}, which cannot enter {step}; choose a data \
                     directory that it can reach, such as /var/lib/trunkline, or allow it with: chmod o+x {step}",
                    name = self.name,
                    step = step.display(),
                )));
            }
        }
        Ok(())
    }

    async fn can_enter(&self, directory: &Path) -> bool {
        let mut probe = self.command(Path::new("/bin/sh"));
        // The directory is entered after the account has changed, so this is the account's own permission, ACLs and all.
        probe
            .args(["-c", ":"])
            .current_dir(directory)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null());
        probe.status().await.is_ok_and(|status| status.success())
    }
}

/// Asks `id`, which also knows accounts that are in no file (LDAP and the like).
async fn ask_id(arguments: &[&str]) -> Option<String> {
    let output = Command::new("id").args(arguments).output().await.ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}

//! A disk for a node's spool, or for the broker, that is small enough to be full: a tmpfs of its own, which takes the right to mount.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;

/// Written at once while it is filled.
static PIECE: [u8; 64 << 10] = [0; 64 << 10];

/// The disk; taken away when dropped.
pub(super) struct SmallDisk(PathBuf);

impl SmallDisk {
    pub(super) async fn make(at: &Path, mib: u32) -> Result<SmallDisk> {
        std::fs::create_dir(at).with_context(|| format!("make {}", at.display()))?;
        let output = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={mib}m,mode=700"), "tmpfs"])
            .arg(at)
            .output()
            .await
            .context("run mount")?;
        ensure!(
            output.status.success(),
            "a small disk has to be mounted, which takes root: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(SmallDisk(at.to_owned()))
    }

    /// Fills it to the last byte, for so long.
    pub(super) async fn fill(&self, lasting: Duration) -> Result<()> {
        let path = self.0.join("filler");
        let written = tokio::task::spawn_blocking({
            let path = path.clone();
            move || {
                let mut file = File::create(path)?;
                while file.write_all(&PIECE).is_ok() {}
                Ok::<_, std::io::Error>(())
            }
        });
        // A disk that was full before takes not even the file: as full as it gets.
        let _ = written.await?;
        tokio::time::sleep(lasting).await;
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error).context("make room on a small disk"),
            _ => Ok(()),
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Whoever still has a file open there keeps it until he ends.
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

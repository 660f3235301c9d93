//! Command lines of the parts that are ours, made anew for each start; what they say goes into files of the run's directory.

use std::fs::{File, OpenOptions};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result};
use tokio::process::Command;

use crate::chaos::clickhouse::PASSWORD;
use crate::chaos::process::Process;

fn said(directory: &Path, name: &str) -> Result<File> {
    let path = directory.join(format!("{name}.log"));
    let opened = OpenOptions::new().create(true).append(true).open(&path);
    opened.with_context(|| format!("open {}", path.display()))
}

/// A command line that can be made again and again.
pub(super) struct Template {
    pub(super) binary: PathBuf,
    pub(super) arguments: Vec<String>,
    pub(super) password: String,
    pub(super) directory: PathBuf,
    pub(super) name: String,
}

impl Template {
    pub(super) fn make(&self) -> Result<Command> {
        let mut command = Command::new(&self.binary);
        command
            .args(&self.arguments)
            .env("TRUNKLINE_CLICKHOUSE__PASSWORD", &self.password)
            .stdin(Stdio::null())
            .stdout(said(&self.directory, &self.name)?)
            .stderr(said(&self.directory, &self.name)?);
        Ok(command)
    }
}

/// The ClickHouse engine behind its door.
pub(super) fn clickhouse(directory: &Path, library: &Path, door: SocketAddr, password: &str) -> Result<Process> {
    let program = std::env::current_exe().context("find own program")?;
    let (directory, library, password) = (directory.to_owned(), library.to_owned(), password.to_owned());
    Process::start("ClickHouse".to_owned(), move || {
        let mut command = Command::new(&program);
        command
            .arg("clickhouse-door")
            .arg("--library")
            .arg(&library)
            .arg("--data")
            .arg(directory.join("clickhouse"))
            .args(["--address", &door.to_string()])
            .env(PASSWORD, &password)
            .stdin(Stdio::null())
            .stdout(said(&directory, "clickhouse")?)
            .stderr(said(&directory, "clickhouse")?);
        Ok(command)
    })
}

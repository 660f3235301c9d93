//! Reads what a process has used: CPU time and memory, from /proc.

use std::time::Duration;

use anyhow::{Context, Result};

/// Ticks in a second of /proc's times: fixed by the kernel's user interface on all our platforms.
const TICKS_PER_SECOND: u64 = 100;

/// Size of a page in statm; 4 KiB on x86-64 and on usual arm64 kernels.
const PAGE_BYTES: u64 = 4_096;

/// CPU time of all threads of a process, user and system.
pub fn used(pid: u32) -> Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).with_context(|| format!("read CPU time of process {pid}"))?;
    // The command may hold spaces and brackets; fields are counted behind its last bracket.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_ascii_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok());
    let (user, system) = ticks(11).zip(ticks(12)).context("read utime and stime")?;
    Ok(Duration::from_millis((user + system) * 1_000 / TICKS_PER_SECOND))
}

/// Resident memory of this process in bytes.
pub fn resident() -> Result<u64> {
    resident_of(std::process::id())
}

/// Resident memory of a process in bytes.
pub fn resident_of(pid: u32) -> Result<u64> {
    let statm = std::fs::read_to_string(format!("/proc/{pid}/statm")).with_context(|| format!("read memory of process {pid}"))?;
    let pages = statm.split_ascii_whitespace().nth(1).and_then(|field| field.parse::<u64>().ok());
    Ok(pages.context("read resident pages")? * PAGE_BYTES)
}

/// The machine in one line: processor, cores, load. Printed with every run, because figures mean nothing without it.
pub fn machine() -> String {
    let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .unwrap_or("unknown")
        .trim_matches([' ', '\t', ':']);
    let cores = std::thread::available_parallelism().map_or(0, |n| n.get());
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split_ascii_whitespace().take(3).collect::<Vec<_>>().join(" ");
    format!("{model}, {cores} cores, load {load}")
}

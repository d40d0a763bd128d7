//! What the kernel counts for a process, read from /proc before and after a run.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

/// One reading.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reading {
    /// CPU time of all living threads, to the nanosecond.
    pub cpu: Duration,
    /// User part, to the clock tick (10 ms).
    pub user: Duration,
    /// System part, to the clock tick (10 ms).
    pub system: Duration,
    /// Resident memory in kilobytes.
    pub rss_kb: u64,
    /// Threads.
    pub threads: u32,
}

/// Clock ticks per second in /proc; the kernel fixes this for user space.
const TICKS_PER_S: u64 = 100;

impl Reading {
    /// Reads the process `pid`.
    pub fn of(pid: u32) -> Result<Reading> {
        let stat =
            fs::read_to_string(format!("/proc/{pid}/stat")).with_context(|| format!("no process {pid}"))?;
        let (user, system) = times(&stat).with_context(|| format!("/proc/{pid}/stat has another form"))?;
        let mut reading = Reading { user, system, ..Reading::default() };
        for task in fs::read_dir(format!("/proc/{pid}/task")).with_context(|| format!("no process {pid}"))? {
            let Ok(text) = fs::read_to_string(task.context("no task")?.path().join("schedstat")) else {
                continue; // the thread ended between the two calls
            };
            let nanos = text.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(0);
            reading.cpu += Duration::from_nanos(nanos);
            reading.threads += 1;
        }
        let status =
            fs::read_to_string(format!("/proc/{pid}/status")).with_context(|| format!("no process {pid}"))?;
        let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        reading.rss_kb = rss.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0);
        Ok(reading)
    }
}

/// User and system time of `/proc/PID/stat`: fields 14 and 15, counted behind the name, which may hold anything.
fn times(stat: &str) -> Option<(Duration, Duration)> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut time = || {
        let ticks: u64 = fields.next()?.parse().ok()?;
        Some(Duration::from_millis(ticks * 1_000 / TICKS_PER_S))
    };
    Some((time()?, time()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_behind_a_name_with_brackets() {
        let stat = "42 (a) b) S 1 1 1 0 -1 4194560 100 0 0 0 250 30 0 0 20 0 5 0 100 1000 200";
        assert_eq!(times(stat), Some((Duration::from_millis(2_500), Duration::from_millis(300))));
    }

    #[test]
    fn our_own_process_can_be_read() {
        let reading = Reading::of(std::process::id()).expect("this process");
        assert!(reading.rss_kb > 0 && reading.threads > 0, "{reading:?}");
        assert!(Reading::of(u32::MAX).is_err());
    }
}

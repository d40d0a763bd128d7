//! CPU time of threads, from `/proc`.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// What the kernel counts CPU time in for user space: `USER_HZ`, 100 per second on every architecture in use.
const USER_TICK_NS: u64 = 10_000_000;

/// CPU time in nanoseconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cpu {
    /// All of it, exact: `schedstat`.
    pub total_ns: u64,
    /// In user space, sampled: `stat`.
    pub user_ns: u64,
    /// In the kernel, sampled.
    pub system_ns: u64,
}

impl Cpu {
    /// What was used between two readings.
    pub fn since(self, before: Cpu) -> Cpu {
        Cpu {
            total_ns: self.total_ns - before.total_ns,
            user_ns: self.user_ns - before.user_ns,
            system_ns: self.system_ns - before.system_ns,
        }
    }

    /// Adds another thread.
    fn add(&mut self, other: Cpu) {
        self.total_ns += other.total_ns;
        self.user_ns += other.user_ns;
        self.system_ns += other.system_ns;
    }
}

/// All threads of a process (`/proc/PID`) whose name begins with `name`.
pub fn of_threads(process: &Path, name: &str) -> Result<Cpu> {
    let mut all = Cpu::default();
    for task in fs::read_dir(process.join("task")).context("the relay is gone")? {
        let task = task?.path();
        // A thread that ended meanwhile is none of the relay's.
        let Ok(comm) = fs::read_to_string(task.join("comm")) else { continue };
        if comm.starts_with(name) {
            all.add(of_thread(&task)?);
        }
    }
    Ok(all)
}

fn of_thread(task: &Path) -> Result<Cpu> {
    let schedstat = fs::read_to_string(task.join("schedstat"))?;
    let total_ns = schedstat.split_whitespace().next().context("an empty schedstat")?.parse()?;
    let stat = fs::read_to_string(task.join("stat"))?;
    // Fields are counted from behind the name, which may hold anything: proc_pid_stat(5), fields 14 and 15.
    let (_, fields) = stat.rsplit_once(')').context("a stat without a name")?;
    let mut fields = fields.split_whitespace().skip(11);
    let mut next = || -> Result<u64> {
        let ticks: u64 = fields.next().context("a short stat")?.parse()?;
        Ok(ticks * USER_TICK_NS)
    };
    Ok(Cpu { total_ns, user_ns: next()?, system_ns: next()? })
}

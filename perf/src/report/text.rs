//! The report in words.

use core::fmt::{Display, Formatter, Result};

use super::{Audio, Calls, Cost, Own, Quantiles, Report};

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let asked = &self.asked;
        writeln!(
            f,
            "{} calls to {} at {} per second, {} s each, media {}; took {} s",
            asked.calls,
            asked.target,
            asked.rate_per_s,
            seconds(asked.hold_ms),
            asked.media,
            seconds(self.duration_ms)
        )?;
        self.calls.fmt(f)?;
        if let (Some(to_callee), Some(to_caller)) = (&self.to_callee, &self.to_caller) {
            writeln!(f, "audio")?;
            writeln!(f, "  to callees  {to_callee}")?;
            writeln!(f, "  to callers  {to_caller}")?;
        }
        if let Some(target) = &self.target {
            target.fmt(f)?;
        }
        self.own.fmt(f)?;
        match self.complaints() {
            none if none.is_empty() => writeln!(f, "verdict: every call and every packet went as it should"),
            some => writeln!(f, "verdict: not as it should be: {}", some.join(", ")),
        }
    }
}

impl Display for Calls {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        writeln!(f, "calls")?;
        writeln!(f, "  offered {}, answered {}, completed {}", self.offered, self.answered, self.completed)?;
        for (status, count) in &self.failures {
            writeln!(f, "  failed: {count} × {status}")?;
        }
        if self.ended_early > 0 {
            writeln!(f, "  ended by the far end before their time: {}", self.ended_early)?;
        }
        if self.unfinished > 0 {
            writeln!(f, "  unfinished when the run ended: {}", self.unfinished)?;
        }
        if self.rung != self.offered || self.acknowledged != self.answered {
            writeln!(f, "  at the far end: {} rang, {} were acknowledged", self.rung, self.acknowledged)?;
        }
        writeln!(f, "  rang after      {}", self.ringing)?;
        writeln!(f, "  answered after  {}", self.answer)
    }
}

impl Display for Audio {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(
            f,
            "{} sent, {} received, {} lost, {} corrupt",
            self.sent, self.received, self.lost, self.corrupt
        )?;
        for (count, what) in
            [(self.duplicates, "doubled"), (self.reordered, "out of order"), (self.foreign, "of other calls")]
        {
            if count > 0 {
                write!(f, ", {count} {what}")?;
            }
        }
        write!(f, "; delay {}", self.delay)
    }
}

impl Display for Quantiles {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        if self.count == 0 {
            return write!(f, "–");
        }
        write!(
            f,
            "p50 {}, p99 {}, p99.9 {}, max {} ms",
            milliseconds(self.p50_us),
            milliseconds(self.p99_us),
            milliseconds(self.p999_us),
            milliseconds(self.max_us)
        )
    }
}

impl Display for Cost {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        writeln!(f, "target's process")?;
        write!(
            f,
            "  CPU {:.2} s ({} ms user, {} ms system), ",
            self.cpu_ns as f64 / 1e9,
            self.user_ms,
            self.system_ms
        )?;
        write!(f, "{:.1} µs per call", self.cpu_ns_per_call as f64 / 1e3)?;
        match self.cpu_ns_per_packet {
            Some(cpu_ns) => writeln!(f, ", or {cpu_ns} ns per packet, signalling included")?,
            None => writeln!(f)?,
        }
        let (before, after) = (self.rss_kb_before, self.rss_kb_after);
        writeln!(f, "  resident memory {before} → {after} kB, {} threads", self.threads)
    }
}

impl Display for Own {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "harness: CPU {:.2} s, packets late by {}", self.cpu_ns as f64 / 1e9, self.late)?;
        match self.send_errors {
            0 => writeln!(f),
            count => writeln!(f, ", {count} sends refused by the kernel"),
        }
    }
}

fn milliseconds(micros: u64) -> String {
    format!("{:.2}", micros as f64 / 1e3)
}

fn seconds(millis: u64) -> String {
    format!("{:.1}", millis as f64 / 1e3)
}

//! What a run found out, as JSON (schema version 1) and in words.

mod text;

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::agents::Figures;
use crate::media::{Direction, Media};
use crate::plan::Plan;
use crate::process::Reading;

/// The version of the JSON form; it rises when a field changes its meaning or goes away.
const SCHEMA: u32 = 1;

/// A whole report.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Version of this form.
    pub schema: u32,
    /// Which program wrote it.
    pub tool: &'static str,
    /// What was asked for.
    pub asked: Asked,
    /// From the first call's time to the end of the last leg.
    pub duration_ms: u64,
    /// The calls.
    pub calls: Calls,
    /// What callees received; `None` without audio.
    pub to_callee: Option<Audio>,
    /// What callers received; `None` without audio.
    pub to_caller: Option<Audio>,
    /// The target's process, when `--pid` named it.
    pub target: Option<Cost>,
    /// The harness itself.
    pub own: Own,
}

/// What was asked for.
#[derive(Debug, Serialize)]
pub struct Asked {
    /// The Request-URI.
    pub target: String,
    /// Where the far end answered.
    pub answer: String,
    /// New calls per second.
    pub rate_per_s: f64,
    /// Calls.
    pub calls: u32,
    /// Talking time.
    pub hold_ms: u64,
    /// Ringing time.
    pub ring_ms: u64,
    /// The codec, or `none`.
    pub media: &'static str,
}

/// How the calls went.
#[derive(Debug, Serialize)]
pub struct Calls {
    /// Placed.
    pub offered: u64,
    /// Answered.
    pub answered: u64,
    /// Answered and ended by the caller at its time.
    pub completed: u64,
    /// Ended by the far end before.
    pub ended_early: u64,
    /// Neither answered nor refused nor over when the run ended.
    pub unfinished: u64,
    /// Came to nothing, by status or word.
    pub failures: BTreeMap<String, u64>,
    /// Rang at the far end.
    pub rung: u64,
    /// Acknowledged at the far end.
    pub acknowledged: u64,
    /// From when a call should have started until it rang.
    pub ringing: Quantiles,
    /// From when a call should have started until it was answered.
    pub answer: Quantiles,
}

/// One direction of all calls' audio.
#[derive(Debug, Serialize)]
pub struct Audio {
    /// Packets sent.
    pub sent: u64,
    /// Packets that arrived once and whole.
    pub received: u64,
    /// Packets that never did.
    pub lost: u64,
    /// Packets whose content was changed.
    pub corrupt: u64,
    /// Packets that arrived twice.
    pub duplicates: u64,
    /// Packets that arrived after a later one.
    pub reordered: u64,
    /// Packets of other calls.
    pub foreign: u64,
    /// From sending to receiving.
    pub delay: Quantiles,
}

/// Points of a distribution, in microseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Quantiles {
    /// How many values.
    pub count: u64,
    /// Half were below.
    pub p50_us: u64,
    /// Nine tenths were below.
    pub p90_us: u64,
    /// 99 of 100 were below.
    pub p99_us: u64,
    /// 999 of 1,000 were below.
    pub p999_us: u64,
    /// The largest.
    pub max_us: u64,
}

/// What the run cost a process.
#[derive(Debug, Serialize)]
pub struct Cost {
    /// CPU time in nanoseconds.
    pub cpu_ns: u64,
    /// The user part, to 10 ms.
    pub user_ms: u64,
    /// The system part, to 10 ms.
    pub system_ms: u64,
    /// CPU time divided by calls offered.
    pub cpu_ns_per_call: u64,
    /// CPU time divided by packets sent, signalling included; `None` without packets.
    pub cpu_ns_per_packet: Option<u64>,
    /// Resident memory before.
    pub rss_kb_before: u64,
    /// Resident memory after.
    pub rss_kb_after: u64,
    /// Threads after.
    pub threads: u32,
}

/// The harness's own part.
#[derive(Debug, Serialize)]
pub struct Own {
    /// Its CPU time in nanoseconds.
    pub cpu_ns: u64,
    /// How late its packets left.
    pub late: Quantiles,
    /// Packets and messages that its kernel did not take.
    pub send_errors: u64,
}

/// What a run left to report.
pub struct Left<'a> {
    /// What was asked for.
    pub plan: &'a Plan,
    /// How long it took.
    pub elapsed: Duration,
    /// The calls' counts.
    pub figures: &'a Figures,
    /// The audio.
    pub media: &'a Media,
    /// The target's process, before and after.
    pub target: Option<(Reading, Reading)>,
    /// The harness's own process, before and after.
    pub own: (Reading, Reading),
    /// SIP messages that the kernel did not take.
    pub sip_send_errors: u64,
}

impl Report {
    /// Puts together what a run left.
    pub fn new(left: Left<'_>) -> Report {
        let Left { plan, elapsed, figures, media, target, own, sip_send_errors } = left;
        let (to_caller, to_callee) = media.directions();
        let packets = to_caller.sent + to_callee.sent;
        let audio = |direction| plan.codec.map(|_| Audio::new(direction));
        Report {
            schema: SCHEMA,
            tool: concat!("crosspoint-perf ", env!("CARGO_PKG_VERSION")),
            asked: Asked {
                target: plan.target.uri(),
                answer: plan.answer.to_string(),
                rate_per_s: plan.rate_per_s,
                calls: plan.calls,
                hold_ms: millis(plan.hold),
                ring_ms: millis(plan.ring),
                media: plan.codec.map_or("none", |codec| codec.parameters().name),
            },
            duration_ms: millis(elapsed),
            calls: Calls::new(figures),
            to_callee: audio(to_callee),
            to_caller: audio(to_caller),
            target: target.map(|readings| Cost::new(readings, figures.offered, packets)),
            own: Own {
                cpu_ns: nanos(own.1.cpu.saturating_sub(own.0.cpu)),
                late: Quantiles::of(&media.late_us),
                send_errors: media.send_errors + sip_send_errors,
            },
        }
    }

    /// What did not go as it should, in words; empty when every call and every packet did.
    pub fn complaints(&self) -> Vec<String> {
        let calls = &self.calls;
        let mut complaints = Vec::new();
        let mut complain = |count: u64, what: &str| {
            if count > 0 {
                complaints.push(format!("{count} {what}"));
            }
        };
        complain(u64::from(self.asked.calls).saturating_sub(calls.offered), "calls were not placed");
        complain(calls.failures.values().sum(), "calls failed");
        complain(calls.ended_early, "calls were ended early");
        complain(calls.unfinished, "calls were not finished");
        complain(
            calls.answered.saturating_sub(calls.acknowledged),
            "answers were not acknowledged at the far end",
        );
        for (audio, to) in [(&self.to_callee, "to callees"), (&self.to_caller, "to callers")] {
            let Some(audio) = audio else { continue };
            complain(audio.lost, &format!("packets {to} were lost"));
            complain(audio.corrupt, &format!("packets {to} were corrupt"));
            complain(audio.duplicates, &format!("packets {to} came twice"));
            complain(audio.foreign, &format!("packets {to} were of other calls"));
        }
        complaints
    }
}

impl Calls {
    fn new(figures: &Figures) -> Calls {
        Calls {
            offered: figures.offered,
            answered: figures.answered,
            completed: figures.completed,
            ended_early: figures.ended_early,
            unfinished: figures.unfinished,
            failures: figures.failures.clone(),
            rung: figures.rung,
            acknowledged: figures.acknowledged,
            ringing: Quantiles::of(&figures.ringing_us),
            answer: Quantiles::of(&figures.answer_us),
        }
    }
}

impl Audio {
    fn new(direction: &Direction) -> Audio {
        Audio {
            sent: direction.sent,
            received: direction.received,
            lost: direction.lost(),
            corrupt: direction.corrupt,
            duplicates: direction.duplicates,
            reordered: direction.reordered,
            foreign: direction.foreign,
            delay: Quantiles::of(&direction.delay_us),
        }
    }
}

impl Quantiles {
    fn of(histogram: &Histogram<u64>) -> Quantiles {
        let at = |quantile| histogram.value_at_quantile(quantile);
        Quantiles {
            count: histogram.len(),
            p50_us: at(0.5),
            p90_us: at(0.9),
            p99_us: at(0.99),
            p999_us: at(0.999),
            max_us: histogram.max(),
        }
    }
}

impl Cost {
    fn new((before, after): (Reading, Reading), calls: u64, packets: u64) -> Cost {
        let cpu_ns = nanos(after.cpu.saturating_sub(before.cpu));
        Cost {
            cpu_ns,
            user_ms: millis(after.user.saturating_sub(before.user)),
            system_ms: millis(after.system.saturating_sub(before.system)),
            cpu_ns_per_call: cpu_ns.checked_div(calls).unwrap_or(0),
            cpu_ns_per_packet: cpu_ns.checked_div(packets),
            rss_kb_before: before.rss_kb,
            rss_kb_after: after.rss_kb,
            threads: after.threads,
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

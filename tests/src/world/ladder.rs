//! What was sent between whom, kept for the case that something is wrong.

use std::fmt::Write;
use std::net::SocketAddr;

use bytes::Bytes;
use clock::Tick;
use switch::{Event, EventKind};

use crate::sip::summary;

/// Messages that are kept.
const RUNGS_MAX: usize = 4_000;

/// Lines that are printed.
const LINES_MAX: usize = 400;

/// Environment variable that has messages printed in full.
const RAW: &str = "CROSSPOINT_RAW";

/// A message.
#[derive(Debug)]
pub(super) struct Rung {
    pub(super) at: Tick,
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) bytes: Bytes,
    pub(super) fate: &'static str,
}

/// All messages of SIP.
#[derive(Debug, Default)]
pub(super) struct Ladder {
    rungs: Vec<Rung>,
}

impl Ladder {
    pub(super) fn push(&mut self, rung: Rung) {
        if self.rungs.len() < RUNGS_MAX {
            self.rungs.push(rung);
        }
    }

    pub(super) fn message(
        &mut self,
        at: Tick,
        from: SocketAddr,
        to: SocketAddr,
        bytes: &Bytes,
        fate: &'static str,
    ) {
        self.push(Rung { at, from, to, bytes: bytes.clone(), fate });
    }

    /// Messages and events, one line each, in order of time.
    pub(super) fn tell(&self, events: &[Event]) -> String {
        let mut lines: Vec<(Tick, String)> = self.rungs.iter().map(|rung| (rung.at, line(rung))).collect();
        lines.extend(events.iter().filter_map(|event| Some((event.at.tick, said(event)?))));
        lines.sort_by_key(|(at, _)| *at);
        let left_out = lines.len().saturating_sub(LINES_MAX);
        let mut text = String::new();
        for (_, line) in lines.iter().take(LINES_MAX) {
            text.push_str(line);
            text.push('\n');
        }
        if left_out > 0 {
            let _ = writeln!(text, "… and {left_out} lines more");
        }
        text
    }
}

fn line(rung: &Rung) -> String {
    let Rung { at, from, to, bytes, fate } = rung;
    if std::env::var_os(RAW).is_some() {
        return format!("{at:?}  {from} ─▶ {to}  {fate}\n{}", String::from_utf8_lossy(bytes));
    }
    format!("{at:>15?}  {from} ─▶ {to}  {} {fate}", summary(bytes))
}

fn said(event: &Event) -> Option<String> {
    let channel = event.channel.as_ref().map(|uuid| uuid.to_string()).unwrap_or_default();
    let channel = channel.get(..8).unwrap_or(&channel);
    let what = match &event.kind {
        EventKind::Record(record) => format!("Record, {}", record.cause),
        EventKind::Executed { .. } => return None,
        EventKind::Logged { text, .. } => text.clone(),
        other => format!("{other:?}"),
    };
    Some(format!("{:>15?}      · {channel} {what}", event.at.tick))
}

//! What happened, said once: a typed, numbered stream out of the switch. Records, logs, metrics and sockets read it.

use std::sync::Arc;

use clock::Now;

use crate::{Cause, Uuid, Variables};

/// Events kept for readers that are slow; older ones are dropped and counted.
pub const EVENTS_MAX: usize = 65_536;

/// One change.
#[derive(Clone, Debug)]
pub struct Event {
    /// Counts all events of this switch without a gap.
    pub sequence: u64,
    /// When.
    pub at: Now,
    /// The channel it is about.
    pub channel: Option<Uuid>,
    /// What.
    pub kind: EventKind,
}

/// What changed.
#[derive(Clone, Debug)]
pub enum EventKind {
    /// A channel exists.
    Created {
        /// Its display name.
        name: String,
        /// It came in, rather than was called.
        inbound: bool,
    },
    /// It rings.
    Progress,
    /// It has early media.
    ProgressMedia,
    /// It is answered.
    Answered,
    /// An application begins.
    Executing {
        /// Application.
        application: String,
        /// Its data, expanded.
        data: String,
    },
    /// An application has ended.
    Executed {
        /// Application.
        application: String,
    },
    /// Joined with another channel.
    Bridged {
        /// The other one.
        with: Uuid,
    },
    /// Separated again.
    Unbridged {
        /// The other one.
        from: Uuid,
    },
    /// Put to park.
    Parked,
    /// The peer put us on hold, or took us off it.
    Held {
        /// On hold.
        held: bool,
    },
    /// It ends.
    Hangup {
        /// Why.
        cause: Cause,
    },
    /// All is known of it; the last event but for `Destroyed`.
    Record(Arc<Record>),
    /// Nothing of it remains.
    Destroyed,
    /// A line for the log.
    Logged {
        /// How loud.
        level: LogLevel,
        /// Text, without line ends.
        text: String,
    },
    /// A story panicked and was fenced in; the call was ended.
    Fault {
        /// What the panic said.
        text: String,
    },
    /// The switch takes no new calls.
    Draining,
}

/// Loudness of a log line: the reference's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// 0.
    Console,
    /// 1.
    Alert,
    /// 2.
    Critical,
    /// 3.
    Error,
    /// 4.
    Warning,
    /// 5.
    Notice,
    /// 6.
    Info,
    /// 7.
    Debug,
}

impl LogLevel {
    /// Reads a word or a digit.
    pub fn parse(word: &str) -> Option<LogLevel> {
        Some(match word.to_ascii_lowercase().as_str() {
            "console" | "0" => LogLevel::Console,
            "alert" | "1" => LogLevel::Alert,
            "crit" | "2" => LogLevel::Critical,
            "err" | "error" | "3" => LogLevel::Error,
            "warning" | "warn" | "4" => LogLevel::Warning,
            "notice" | "5" => LogLevel::Notice,
            "info" | "6" => LogLevel::Info,
            "debug" | "7" => LogLevel::Debug,
            _ => return None,
        })
    }
}

/// A leg at its end: what records are written from.
#[derive(Clone, Debug)]
pub struct Record {
    /// Its name.
    pub uuid: Uuid,
    /// It came in, rather than was called.
    pub inbound: bool,
    /// It was called by, or bridged from, another leg.
    pub has_originator: bool,
    /// It called, or was bridged to, another leg.
    pub has_originatee: bool,
    /// Why it ended.
    pub cause: Cause,
    /// All its variables, stamps and durations included, and its caller-profile fields under their names.
    pub variables: Variables,
}

/// The bounded stream.
#[derive(Debug, Default)]
pub(crate) struct EventRing {
    events: std::collections::VecDeque<Event>,
    next_sequence: u64,
    pub(crate) dropped: u64,
}

impl EventRing {
    pub(crate) fn say(&mut self, at: Now, channel: Option<Uuid>, kind: EventKind) {
        self.next_sequence += 1;
        if self.events.len() >= EVENTS_MAX {
            // Records are what is billed: of all events they are dropped last.
            let victim = self.events.iter().position(|event| !matches!(event.kind, EventKind::Record(_)));
            self.events.remove(victim.unwrap_or(0));
            self.dropped += 1;
        }
        self.events.push_back(Event { sequence: self.next_sequence, at, channel, kind });
    }

    pub(crate) fn poll(&mut self) -> Option<Event> {
        self.events.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_ring_drops_the_oldest_event_that_is_no_record() {
        let mut ring = EventRing::default();
        let record = Arc::new(Record {
            uuid: Uuid::from_text("r"),
            inbound: true,
            has_originator: false,
            has_originatee: false,
            cause: Cause::NORMAL_CLEARING,
            variables: Variables::default(),
        });
        ring.say(Now::default(), None, EventKind::Record(record));
        for _ in 0..EVENTS_MAX {
            ring.say(Now::default(), None, EventKind::Progress);
        }
        assert_eq!(ring.dropped, 1);
        assert!(matches!(ring.poll().unwrap().kind, EventKind::Record(_)));
        assert_eq!(ring.poll().unwrap().sequence, 3);
    }
}

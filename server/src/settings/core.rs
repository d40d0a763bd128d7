//! `switch.conf`: how many calls, which ports, which media back end.

use std::time::Duration;

use config::{Element, Problems, Settings, Unit};

use super::Context;
use crate::cli::MediaBackEnd;

/// Ports below this one belong to others on most machines.
const PORT_MIN: u16 = 1_024;
/// Channels that can be asked for at all; each leg costs descriptors, ports and memory.
const SESSIONS_MAX: u32 = 1_000_000;
/// Media threads that can be asked for.
const WORKERS_MAX: u16 = 256;
/// Longest wait for calls to end after a signal.
const GRACE_MAX: Duration = Duration::from_secs(86_400);

/// Parameters of the reference that nothing here depends on.
const WITHOUT_EFFECT: [&str; 36] = [
    "1ms-timer",
    "auto-restart",
    "colorize-console",
    "core-db-dsn",
    "core-db-name",
    "core-dbtype",
    "cpu-idle-smoothing-depth",
    "crash-protection",
    "db-handle-timeout",
    "debug-level",
    "default-dtmf-duration",
    "dialplan-timestamps",
    "dump-cores",
    "enable-clock-nanosleep",
    "enable-cond-yield",
    "enable-monotonic-timing",
    "enable-softtimer-timerfd",
    "enable-timer-matrix",
    "enable-use-system-time",
    "event-heartbeat-interval",
    "initial-event-threads",
    "mailer-app",
    "mailer-app-args",
    "max-db-handles",
    "max-dtmf-duration",
    "max-sql-buffer-len",
    "min-dtmf-duration",
    "min-idle-cpu",
    "rtp-enable-zrtp",
    "rtp-port-usage-robustness",
    "sql-buffer-len",
    "switchname",
    "threaded-system-exec",
    "timer-affinity",
    "tipping-point",
    "verbose-channel-events",
];

/// Settings of the core.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoreSettings {
    /// First RTP port.
    pub rtp_port_start: u16,
    /// Last RTP port, included.
    pub rtp_port_end: u16,
    /// Channels at once, both legs of a call counted.
    pub sessions_max: u32,
    /// New inbound calls per second.
    pub sessions_per_second_max: u32,
    /// How long calls may go on after SIGTERM.
    pub shutdown_grace: Duration,
    /// How packets are moved.
    pub media_back_end: MediaBackEnd,
    /// Media threads; `None`: as many as there are cores, less one.
    pub workers: Option<u16>,
}

impl Default for CoreSettings {
    fn default() -> CoreSettings {
        CoreSettings {
            rtp_port_start: 16_384,
            rtp_port_end: 32_768,
            sessions_max: 1_000,
            sessions_per_second_max: 30,
            shutdown_grace: Duration::from_secs(5),
            media_back_end: MediaBackEnd::Auto,
            workers: None,
        }
    }
}

impl CoreSettings {
    /// RTP ports of the range on one address: even ones whose odd neighbour is in the range, too.
    pub fn rtp_ports(&self) -> u32 {
        let first = u32::from(self.rtp_port_start).next_multiple_of(2);
        (u32::from(self.rtp_port_end) + 1).saturating_sub(first) / 2
    }
}

/// Reads `<settings>` of the configuration.
pub fn read(
    configuration: Option<&Element>,
    _context: &Context<'_>,
    problems: &mut Problems,
) -> CoreSettings {
    let default = CoreSettings::default();
    let Some(element) = configuration.and_then(|configuration| configuration.child("settings")) else {
        return default;
    };
    let mut settings = Settings::new(element);
    let core = CoreSettings {
        rtp_port_start: settings.number("rtp-start-port", default.rtp_port_start, PORT_MIN..=u16::MAX),
        rtp_port_end: settings.number("rtp-end-port", default.rtp_port_end, PORT_MIN..=u16::MAX),
        sessions_max: settings.number("max-sessions", default.sessions_max, 1..=SESSIONS_MAX),
        sessions_per_second_max: settings.number(
            "sessions-per-second",
            default.sessions_per_second_max,
            1..=SESSIONS_MAX,
        ),
        shutdown_grace: settings.duration(
            "shutdown-grace-s",
            Unit::Seconds,
            default.shutdown_grace,
            Duration::ZERO..=GRACE_MAX,
        ),
        media_back_end: settings.choice(
            "media-back-end",
            default.media_back_end,
            &[
                ("auto", MediaBackEnd::Auto),
                ("io-uring", MediaBackEnd::IoUring),
                ("mmsg", MediaBackEnd::Mmsg),
            ],
        ),
        workers: Some(settings.number("media-workers", 0, 0..=WORKERS_MAX)).filter(|workers| *workers > 0),
    };
    if core.rtp_ports() == 0 {
        settings.error("rtp-end-port", "holds no even port with its odd neighbour after `rtp-start-port`");
    }
    // The level of the log is said on the command line, where it can differ from start to start.
    settings.accept(&["loglevel"]);
    settings.without_effect(&WITHOUT_EFFECT);
    settings.finish(problems);
    core
}

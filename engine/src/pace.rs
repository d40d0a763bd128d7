//! When a worker wakes: at once while traffic is light, in batches while it is heavy.
//!
//! ```text
//!             rate ≥ BATCH_FROM_PPS
//!   AtOnce ───────────────────────────▶ Batch      measured over RATE_WINDOW
//!          ◀───────────────────────────
//!             rate < AT_ONCE_BELOW_PPS
//! ```
//!
//! A wake costs far more than a packet. Below a few thousand packets per second that cost does not matter and the
//! delay does; above it the cost of waking is shared by the packets of [`BATCH_PACKETS`] or [`BATCH_DELAY`].

use core::time::Duration;

use clock::Tick;

/// Packets per second from which on a worker waits for batches. Below about 5,000 the whole of waking per packet
/// stays under a tenth of a core.
const BATCH_FROM_PPS: u64 = 5_000;

/// Packets per second below which it wakes at once again; the distance keeps it from switching to and fro.
const AT_ONCE_BELOW_PPS: u64 = 3_500;

/// Packets that end a batch. The gain of batching is complete at 20 to 60.
pub(crate) const BATCH_PACKETS: usize = 64;

/// Time that ends a batch: the delay that batching may add.
pub(crate) const BATCH_DELAY: Duration = Duration::from_micros(500);

/// Over how long the rate is measured: two frames of 20 ms, so that bursts of one frame do not count alone.
const RATE_WINDOW: Duration = Duration::from_millis(40);

const _: () = assert!(AT_ONCE_BELOW_PPS < BATCH_FROM_PPS);

/// How a worker is to wait next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wait {
    /// Events to wait for; 0: do not sleep.
    pub(crate) events: usize,
    /// Longest sleep; `None`: until an event comes.
    pub(crate) at_most: Option<Duration>,
}

impl Wait {
    /// Submit and look, but do not sleep.
    pub(crate) const NOT: Wait = Wait { events: 0, at_most: Some(Duration::ZERO) };
}

/// The hysteresis between the two ways of waiting.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    batching: bool,
    window_start: Tick,
    packets: u64,
}

impl Pace {
    /// Counts the packets of a turn.
    pub(crate) fn note(&mut self, now: Tick, packets: usize) {
        self.packets += packets as u64;
        let window = now.since(self.window_start);
        if window < RATE_WINDOW {
            return;
        }
        let per_second = u128::from(self.packets) * 1_000_000_000 / window.as_nanos();
        let limit = if self.batching { AT_ONCE_BELOW_PPS } else { BATCH_FROM_PPS };
        self.batching = per_second >= u128::from(limit);
        self.window_start = now;
        self.packets = 0;
    }

    /// How to wait when the next deadline is `deadline`.
    pub(crate) fn wait(&self, now: Tick, deadline: Option<Tick>) -> Wait {
        let until = deadline.map(|deadline| deadline.since(now));
        if until == Some(Duration::ZERO) {
            return Wait::NOT;
        }
        if !self.batching {
            return Wait { events: 1, at_most: until };
        }
        let at_most = until.map_or(BATCH_DELAY, |until| until.min(BATCH_DELAY));
        Wait { events: BATCH_PACKETS, at_most: Some(at_most) }
    }

    /// Whether it waits for batches now.
    #[cfg(test)]
    fn is_batching(&self) -> bool {
        self.batching
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs one second at `per_second`, a turn per millisecond.
    fn run(pace: &mut Pace, from: Tick, per_second: usize) -> Tick {
        let mut now = from;
        for _ in 0..1_000 {
            now += Duration::from_millis(1);
            pace.note(now, per_second / 1_000);
        }
        now
    }

    #[test]
    fn heavy_traffic_is_batched_and_light_traffic_wakes_at_once() {
        let mut pace = Pace::default();
        let now = run(&mut pace, Tick::ZERO, 4_000);
        assert_eq!(pace.wait(now, None), Wait { events: 1, at_most: None });
        let now = run(&mut pace, now, 6_000);
        assert_eq!(pace.wait(now, None), Wait { events: BATCH_PACKETS, at_most: Some(BATCH_DELAY) });
        let now = run(&mut pace, now, 2_000);
        assert_eq!(pace.wait(now, None).events, 1);
    }

    #[test]
    fn between_the_limits_the_way_of_waiting_stays() {
        let mut pace = Pace::default();
        let now = run(&mut pace, Tick::ZERO, 4_000);
        assert!(!pace.is_batching());
        let now = run(&mut pace, now, 8_000);
        let now = run(&mut pace, now, 4_000);
        assert!(pace.is_batching());
        run(&mut pace, now, 3_000);
        assert!(!pace.is_batching());
    }

    #[test]
    fn traffic_that_stops_ends_batching_at_the_next_look() {
        let mut pace = Pace::default();
        let now = run(&mut pace, Tick::ZERO, 10_000);
        pace.note(now + Duration::from_secs(5), 0);
        assert!(!pace.is_batching());
    }

    #[test]
    fn a_deadline_shortens_the_wait_and_one_that_passed_forbids_it() {
        let mut pace = Pace::default();
        let now = Tick::from_millis(10);
        let soon = now + Duration::from_micros(200);
        assert_eq!(pace.wait(now, Some(soon)).at_most, Some(Duration::from_micros(200)));
        assert_eq!(pace.wait(now, Some(Tick::ZERO)), Wait::NOT);
        let now = run(&mut pace, now, 10_000);
        let far = now + Duration::from_secs(1);
        assert_eq!(pace.wait(now, Some(far)).at_most, Some(BATCH_DELAY));
    }
}

//! Time as it is told to protocol and call logic: plain integers, no clock inside.
//!
//! Shells read the machine's clocks once per turn and pass the reading on as [`Now`]. Everything else computes
//! with what it was told, so that a test runs a minute in a millisecond.

use core::fmt;
use core::ops::{Add, AddAssign, Sub};
use core::time::Duration;

use serde::{Deserialize, Serialize};

/// Nanoseconds of a monotonic clock whose origin the shell chose. Deadlines and RTP time are computed with it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Tick(u64);

impl Tick {
    /// The origin; where tests begin.
    pub const ZERO: Tick = Tick(0);

    /// A tick `nanos` nanoseconds after the origin.
    pub const fn from_nanos(nanos: u64) -> Tick {
        Tick(nanos)
    }

    /// A tick `millis` milliseconds after the origin.
    pub const fn from_millis(millis: u64) -> Tick {
        Tick(millis.saturating_mul(1_000_000))
    }

    /// Nanoseconds since the origin.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Whole milliseconds since the origin.
    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000_000
    }

    /// How long it is from `earlier` to here; zero when `earlier` is later.
    pub const fn since(self, earlier: Tick) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Tick {
    type Output = Tick;

    fn add(self, after: Duration) -> Tick {
        Tick(self.0.saturating_add(u64::try_from(after.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl AddAssign<Duration> for Tick {
    fn add_assign(&mut self, after: Duration) {
        *self = *self + after;
    }
}

impl Sub<Tick> for Tick {
    type Output = Duration;

    fn sub(self, earlier: Tick) -> Duration {
        self.since(earlier)
    }
}

impl fmt::Debug for Tick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06} ms", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

/// Microseconds since 1970-01-01T00:00:00Z. Stamps, records and time conditions; never compared for a deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Wall(i64);

impl Wall {
    /// A point `micros` microseconds after 1970.
    pub const fn from_micros(micros: i64) -> Wall {
        Wall(micros)
    }

    /// Microseconds since 1970.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970, rounded down.
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }
}

impl Add<Duration> for Wall {
    type Output = Wall;

    fn add(self, after: Duration) -> Wall {
        Wall(self.0.saturating_add(i64::try_from(after.as_micros()).unwrap_or(i64::MAX)))
    }
}

/// One reading of both clocks, taken by a shell and told to everything below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Now {
    /// For deadlines.
    pub tick: Tick,
    /// For stamps.
    pub wall: Wall,
}

impl Add<Duration> for Now {
    type Output = Now;

    fn add(self, after: Duration) -> Now {
        Now { tick: self.tick + after, wall: self.wall + after }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_never_wraps() {
        assert_eq!(Tick::from_nanos(u64::MAX) + Duration::MAX, Tick::from_nanos(u64::MAX));
        assert_eq!(Tick::ZERO - Tick::from_millis(5), Duration::ZERO);
    }

    #[test]
    fn wall_seconds_round_down_before_1970_too() {
        assert_eq!(Wall::from_micros(-1).as_secs(), -1);
        assert_eq!(Wall::from_micros(1_999_999).as_secs(), 1);
    }
}

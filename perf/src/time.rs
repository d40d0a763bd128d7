//! The harness is a shell: here its clocks are read.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use clock::{Now, Tick, Wall};

/// Both clocks; the origin of ticks is its start.
pub struct Clock {
    origin: Instant,
}

impl Clock {
    /// Starts to count.
    pub fn start() -> Clock {
        Clock { origin: Instant::now() }
    }

    /// Reads both clocks.
    pub fn now(&self) -> Now {
        let nanos = u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let wall = Wall::from_micros(i64::try_from(since_1970.as_micros()).unwrap_or(i64::MAX));
        Now { tick: Tick::from_nanos(nanos), wall }
    }
}

//! The only reader of the machine's clocks in this room.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ::clock::{Now, Tick, Wall};

/// Both clocks; ticks count from its making.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: Instant,
}

impl Clock {
    /// Begins to count.
    pub fn start() -> Clock {
        Clock { origin: Instant::now() }
    }

    /// Reads both clocks.
    pub fn read(&self) -> Now {
        let tick = Tick::ZERO + self.origin.elapsed();
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let wall = Wall::from_micros(i64::try_from(since_1970.as_micros()).unwrap_or(i64::MAX));
        Now { tick, wall }
    }
}

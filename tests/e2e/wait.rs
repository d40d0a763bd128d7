//! Waiting for another program: its state is looked at again and again until a limit.

use std::time::{Duration, Instant};

/// How often it is looked.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// Looks until `look` gives something; panics when `limit` has passed.
pub fn until<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(started.elapsed() < limit, "waited {limit:?} for {what}");
        std::thread::park_timeout(LOOK_INTERVAL);
    }
}

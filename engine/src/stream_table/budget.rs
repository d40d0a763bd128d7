//! So many per second, and no more.

use core::time::Duration;

use clock::Tick;

/// Counts within a second that begins with its first event.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Budget {
    since: Tick,
    count: u32,
}

impl Budget {
    /// Whether another one is allowed now.
    pub(super) fn take(&mut self, now: Tick, per_second_max: u32) -> bool {
        if now.since(self.since) >= Duration::from_secs(1) {
            *self = Budget { since: now, count: 0 };
        }
        self.count = self.count.saturating_add(1);
        self.count <= per_second_max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_allows_so_many_and_the_next_one_again() {
        let mut budget = Budget::default();
        let mut allowed_at =
            |now_ms: u64| (0..10).filter(|_| budget.take(Tick::from_millis(now_ms), 3)).count();
        assert_eq!([allowed_at(5_000), allowed_at(5_900), allowed_at(6_000)], [3, 0, 3]);
    }
}

//! A panic while one input is handled ends that input, not the process: the other calls do not notice.
//!
//! Stories of calls have a fence of their own inside `switch`, which ends the call. What is fenced here is everything
//! before a story: a message, a report, an answer, a timer.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::logging::take_panic_place;

/// Panics without a single input handled in between, after which nothing can be expected any more: a process that is
/// started again is better than one that spins.
const IN_A_ROW_MAX: u32 = 64;

/// Counts what it caught.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fence {
    in_a_row: u32,
    caught: u64,
}

impl Fence {
    /// Handles one input; `None` when it panicked. The state behind it may have lost what the input was about: whoever
    /// takes this over must not rely on it being complete.
    pub fn run<T>(&mut self, what: &'static str, input: impl FnOnce() -> T) -> Option<T> {
        match catch_unwind(AssertUnwindSafe(input)) {
            Ok(value) => {
                self.in_a_row = 0;
                Some(value)
            }
            Err(payload) => {
                self.in_a_row += 1;
                self.caught += 1;
                let place = take_panic_place().unwrap_or_default();
                tracing::error!(what, place, "this panicked and was dropped; no other call is touched");
                if self.in_a_row >= IN_A_ROW_MAX {
                    std::panic::resume_unwind(payload);
                }
                None
            }
        }
    }

    /// How many panics were caught.
    pub fn caught(&self) -> u64 {
        self.caught
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_costs_its_own_input_and_endless_ones_end_the_process() {
        let mut fence = Fence::default();
        for _ in 0..IN_A_ROW_MAX - 1 {
            assert_eq!(fence.run("a test", || -> u32 { panic!("on purpose") }), None);
        }
        assert_eq!(fence.run("a test", || 7), Some(7));
        assert_eq!(fence.caught(), u64::from(IN_A_ROW_MAX - 1));
        let ended = catch_unwind(AssertUnwindSafe(|| {
            for _ in 0..IN_A_ROW_MAX {
                fence.run("a test", || panic!("on purpose"));
            }
        }));
        assert!(ended.is_err());
    }
}

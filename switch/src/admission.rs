//! Whether a new call is taken.

use clock::Tick;

use crate::settings::Limits;

/// Counts calls per second and knows whether the switch is draining.
#[derive(Debug, Default)]
pub(crate) struct Admission {
    second: u64,
    in_second: u32,
    draining: bool,
}

/// Why a call is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    Draining,
    SessionsMax,
    SessionsPerSecond,
}

impl Admission {
    pub(crate) fn drain(&mut self) {
        self.draining = true;
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining
    }

    /// Admits one inbound call, or says why not.
    pub(crate) fn admit(&mut self, now: Tick, channels: usize, limits: &Limits) -> Result<(), Refused> {
        if self.draining {
            return Err(Refused::Draining);
        }
        if channels >= limits.sessions_max as usize {
            return Err(Refused::SessionsMax);
        }
        let second = now.as_millis() / 1_000;
        if second != self.second {
            self.second = second;
            self.in_second = 0;
        }
        if self.in_second >= limits.sessions_per_second_max {
            return Err(Refused::SessionsPerSecond);
        }
        self.in_second += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_so_many_calls_are_admitted_per_second() {
        let limits = Limits { sessions_per_second_max: 2, ..Limits::default() };
        let mut admission = Admission::default();
        let admit = |admission: &mut Admission, ms| admission.admit(Tick::from_millis(ms), 0, &limits);
        assert_eq!(admit(&mut admission, 0), Ok(()));
        assert_eq!(admit(&mut admission, 999), Ok(()));
        assert_eq!(admit(&mut admission, 999), Err(Refused::SessionsPerSecond));
        assert_eq!(admit(&mut admission, 1_000), Ok(()));
    }

    #[test]
    fn a_full_or_draining_switch_admits_nobody() {
        let limits = Limits { sessions_max: 10, ..Limits::default() };
        let mut admission = Admission::default();
        assert_eq!(admission.admit(Tick::ZERO, 10, &limits), Err(Refused::SessionsMax));
        admission.drain();
        assert_eq!(admission.admit(Tick::ZERO, 0, &limits), Err(Refused::Draining));
    }
}

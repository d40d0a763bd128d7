//! What must become of a dial, said in a page: an oracle for worlds whose network is good.
//!
//! `bridge.md` §4–§7 and §12 for dial strings of forks and failovers. Nothing here knows messages: legs answer, refuse,
//! send early media or ring at given times, and the caller may give up.

use std::time::Duration;

use crate::phone::End;
use crate::random::Random;
use crate::script::{Do, Script, When, ms};

/// What a called leg does, counted from its INVITE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// Answers.
    Answers(Duration),
    /// Refuses with a status.
    Refuses(Duration, u16),
    /// Rings for ever.
    Rings,
    /// Sends early media, then answers.
    EarlyAnswers(Duration, Duration),
    /// Sends early media, then refuses.
    EarlyRefuses(Duration, Duration, u16),
}

/// A dial and who has a say in it.
#[derive(Clone, Debug)]
pub struct Dial {
    /// Legs of each attempt.
    pub attempts: Vec<Vec<Behaviour>>,
    /// `call_timeout`.
    pub timeout: Duration,
    /// `originate_continue_on_timeout`.
    pub continues: bool,
    /// `ignore_early_media`.
    pub ignores_early: bool,
    /// When the caller gives up.
    pub patience: Option<Duration>,
}

/// What everybody must see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The caller's final response.
    pub status: u16,
    /// How each leg ends, by attempt; attempts that are never made are missing.
    pub legs: Vec<Vec<End>>,
}

impl Behaviour {
    /// The same as a script.
    pub fn script(self) -> Script {
        let script = Script::default().at(When::Invite(ms(7)), Do::Progress(180));
        match self {
            Behaviour::Answers(at) => script.at(When::Invite(at), Do::Answer),
            Behaviour::Refuses(at, status) => script.at(When::Invite(at), Do::Refuse(status, None)),
            Behaviour::Rings => script,
            Behaviour::EarlyAnswers(early, at) => {
                script.at(When::Invite(early), Do::Early).at(When::Invite(at), Do::Answer)
            }
            Behaviour::EarlyRefuses(early, at, status) => {
                script.at(When::Invite(early), Do::Early).at(When::Invite(at), Do::Refuse(status, None))
            }
        }
        .mute()
    }

    /// When it wins an attempt.
    fn qualifies(self, ignores_early: bool) -> Option<Duration> {
        match self {
            Behaviour::Answers(at) => Some(at),
            Behaviour::EarlyAnswers(_, at) if ignores_early => Some(at),
            Behaviour::EarlyRefuses(..) if ignores_early => None,
            Behaviour::EarlyAnswers(early, _) | Behaviour::EarlyRefuses(early, ..) => Some(early),
            Behaviour::Refuses(..) | Behaviour::Rings => None,
        }
    }

    fn refuses(self) -> Option<(Duration, u16)> {
        match self {
            Behaviour::Refuses(at, status) | Behaviour::EarlyRefuses(_, at, status) => Some((at, status)),
            Behaviour::Answers(_) | Behaviour::Rings | Behaviour::EarlyAnswers(..) => None,
        }
    }
}

impl Dial {
    /// Draws a dial in which no two things happen at once.
    pub fn draw(random: &mut Random) -> Dial {
        let mut slots: Vec<u64> = (2..60).collect();
        let mut time = |random: &mut Random| {
            let place = random.below(slots.len() as u64) as usize;
            ms(100 * slots.swap_remove(place) + 30)
        };
        let mut attempts = Vec::new();
        for _ in 0..random.between(1, 3) {
            let legs = (0..random.between(1, 3)).map(|_| behaviour(random, &mut time)).collect();
            attempts.push(legs);
        }
        let patience = random.chance(300).then(|| time(random) + ms(50));
        let timeout = Duration::from_secs(random.between(1, 7));
        Dial { attempts, timeout, continues: random.chance(500), ignores_early: random.chance(300), patience }
    }

    /// What must happen.
    pub fn outcome(&self) -> Outcome {
        let mut legs = Vec::new();
        let mut begun = Duration::ZERO;
        let mut status = 480;
        for attempt in &self.attempts {
            let (ended, after) = self.attempt(attempt, begun);
            match ended {
                Attempt::GivenUp => {
                    legs.push(ends(attempt, after, None));
                    return Outcome { status: 487, legs };
                }
                Attempt::Won(winner) => {
                    let (status, end) = self.won(attempt[winner], begun);
                    let mut all = ends(attempt, after, Some(winner));
                    all[winner] = end;
                    legs.push(all);
                    return Outcome { status, legs };
                }
                Attempt::Refused(first) => {
                    legs.push(ends(attempt, after, None));
                    status = first;
                }
                Attempt::TimedOut => {
                    legs.push(ends(attempt, after, None));
                    // The last refusal rules over the timeout (`sip.md` §8.4).
                    let refusals =
                        attempt.iter().filter_map(|leg| leg.refuses()).filter(|(at, _)| *at <= after);
                    status = refusals.max_by_key(|(at, _)| *at).map_or(480, |(_, status)| status);
                    if !self.continues {
                        break;
                    }
                }
            }
            begun += after;
        }
        Outcome { status, legs }
    }

    /// How an attempt ends, and how long after its beginning.
    fn attempt(&self, legs: &[Behaviour], begun: Duration) -> (Attempt, Duration) {
        let mut ends = vec![(self.timeout, Attempt::TimedOut)];
        for (place, leg) in legs.iter().enumerate() {
            ends.extend(leg.qualifies(self.ignores_early).map(|at| (at, Attempt::Won(place))));
        }
        let refusals: Vec<(Duration, u16)> = legs.iter().filter_map(|leg| leg.refuses()).collect();
        if refusals.len() == legs.len()
            && let Some(last) = refusals.iter().map(|(at, _)| *at).max()
        {
            ends.push((last, Attempt::Refused(refusals[0].1)));
        }
        ends.extend(self.patience.and_then(|at| at.checked_sub(begun)).map(|at| (at, Attempt::GivenUp)));
        let (after, ended) = ends.into_iter().min_by_key(|(at, _)| *at).expect("the timeout at least");
        (ended, after)
    }

    /// What the caller hears of the leg that won, and how that leg ends. An early winner may still refuse, and the caller
    /// may still give up; no timer runs any more.
    fn won(&self, leg: Behaviour, begun: Duration) -> (u16, End) {
        let given_up = |at: Duration| self.patience.is_some_and(|patience| patience < begun + at);
        match leg {
            Behaviour::Answers(at) | Behaviour::EarlyAnswers(_, at) if given_up(at) => (487, End::Cancelled),
            Behaviour::Answers(_) | Behaviour::EarlyAnswers(..) => (200, End::HungUpByPeer),
            Behaviour::EarlyRefuses(_, at, _) if given_up(at) => (487, End::Cancelled),
            Behaviour::EarlyRefuses(_, _, status) | Behaviour::Refuses(_, status) => {
                (status, End::Refused(status))
            }
            Behaviour::Rings => (480, End::Cancelled),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attempt {
    Won(usize),
    Refused(u16),
    TimedOut,
    GivenUp,
}

/// Who has refused by then has refused; all others but the winner are cancelled.
fn ends(legs: &[Behaviour], after: Duration, winner: Option<usize>) -> Vec<End> {
    let end = |(place, leg): (usize, &Behaviour)| match leg.refuses() {
        Some((at, status)) if at <= after && Some(place) != winner => End::Refused(status),
        _ => End::Cancelled,
    };
    legs.iter().enumerate().map(end).collect()
}

fn behaviour(random: &mut Random, time: &mut impl FnMut(&mut Random) -> Duration) -> Behaviour {
    let status = *random.pick(&[404, 486, 500, 503, 403, 603]);
    match random.below(8) {
        0..3 => Behaviour::Answers(time(random)),
        3..5 => Behaviour::Refuses(time(random), status),
        5 => Behaviour::Rings,
        kind => {
            let (one, other) = (time(random), time(random));
            let (early, at) = (one.min(other), one.max(other));
            if kind == 6 {
                Behaviour::EarlyAnswers(early, at)
            } else {
                Behaviour::EarlyRefuses(early, at, status)
            }
        }
    }
}

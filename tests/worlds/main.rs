//! Scenarios in simulated worlds: no socket, no wall time, one seed each.

mod calls;
mod cancelled;
mod failures;
mod forks;
mod media;
mod outcomes;
mod races;
mod random;
mod reinvites;
mod stories;
mod strangers;

use tests::{Setup, dial};

/// A caller (phone 0), a callee (phone 1), and extension 1000 that bridges them after `actions`.
fn pair(seed: u64, actions: &[(&str, &str)]) -> Setup {
    let dial = dial("2000", 1);
    let actions: Vec<(&str, &str)> = actions.iter().copied().chain([("bridge", dial.as_str())]).collect();
    Setup::new(seed).phones(2).extension("1000", &actions)
}

/// Reason of a Q.850 cause, as it stands in a message.
fn q850(cause: u16, name: &str) -> Option<String> {
    Some(format!("Q.850;cause={cause};text=\"{name}\""))
}

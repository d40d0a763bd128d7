//! For tests: prints what a machine does with every input in every state, one line each.

use clock::Tick;

use super::Output;

/// A machine that can be driven by words.
pub trait Machine {
    /// Feeds one input; "timer" runs what is due at `now`.
    fn input(&mut self, now: Tick, input: &str, out: &mut Vec<Output>);
    /// The state's name and its next timer.
    fn state(&self) -> String;
}

/// `Name T@millis`.
pub fn state_with_timer(name: &str, deadline: Option<(Tick, &'static str)>) -> String {
    match deadline {
        Some((at, timer)) => format!("{name} {timer}@{}", at.as_millis()),
        None => name.to_string(),
    }
}

/// The transition table: every state (named, with the inputs that lead there) crossed with every input. All inputs
/// come at time zero but `timer`, which comes when the machine asked for it.
pub fn table<M: Machine>(
    states: &[(&str, &[&str])],
    inputs: &[&str],
    start: impl Fn(&mut Vec<Output>) -> M,
) -> String {
    let mut table = String::new();
    for (name, path) in states {
        for input in inputs {
            let mut out = Vec::new();
            let mut machine = start(&mut out);
            for step in *path {
                machine.input(Tick::ZERO, step, &mut out);
            }
            out.clear();
            assert!(machine.state().starts_with(name), "{path:?} leads to {}", machine.state());
            machine.input(due(&machine, input), input, &mut out);
            let done: String = out.iter().map(|output| format!("{} ", word(output))).collect();
            table.push_str(&format!("{name} + {input} = {done}/ {}\n", machine.state()));
        }
    }
    table
}

fn due<M: Machine>(machine: &M, input: &str) -> Tick {
    match machine.state().split_once('@') {
        Some((_, millis)) if input == "timer" => Tick::from_millis(millis.parse().expect("millis")),
        _ => Tick::ZERO,
    }
}

fn word(output: &Output) -> String {
    match output {
        Output::Send(bytes) => format!("Send({})", String::from_utf8_lossy(bytes)),
        Output::Deliver | Output::TimedOut | Output::Broken => format!("{output:?}"),
    }
}

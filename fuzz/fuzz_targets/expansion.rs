//! Expands any text, every other part of which came from the network. Whatever it says, it ends, and what came from
//! the network is never read.
#![no_main]

use clock::Wall;
use dialplan::{ApiCall, Expansion, Scope, Step, Text};
use libfuzzer_sys::fuzz_target;

/// Steps that wait for an answer; a text of this size cannot ask more often.
const QUESTIONS_MAX: usize = 20_000;

struct Call(Vec<Text>);

impl Scope for Call {
    fn variable(&self, name: &str) -> Option<Text> {
        self.0.get(name.len()).cloned()
    }

    fn element(&self, _name: &str, index: usize) -> Option<Text> {
        self.0.get(index).cloned()
    }

    fn field(&self, name: &str) -> Option<Text> {
        Some(Text::network(name))
    }

    fn now(&self) -> Wall {
        Wall::from_micros(1_795_168_800_000_000)
    }
}

/// Parts between form feeds, trusted and not by turns.
fn text(input: &str) -> Text {
    let mut text = Text::new();
    for (index, part) in input.split('\x0c').enumerate() {
        if index % 2 == 0 { text.push_str(part) } else { text.push_network(part) }
    }
    text
}

fuzz_target!(|input: &str| {
    let parts: Vec<&str> = input.split('\x0b').collect();
    let call = Call(parts[1..].iter().map(|part| text(part)).collect());
    let mut expansion = Expansion::new(&text(parts[0]));
    for _ in 0..QUESTIONS_MAX {
        match expansion.step(&call) {
            Step::Done(result) => {
                assert!(result.atoms().iter().all(|atom| result.as_str().get(atom.clone()).is_some()));
                return;
            }
            Step::Ask(ApiCall { name, arguments }) => {
                assert!(!name.is_empty());
                expansion.answer((name.len() % 2 == 0).then_some(arguments));
            }
        }
    }
    panic!("it asks for ever");
});

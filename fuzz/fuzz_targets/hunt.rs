//! Compiles any context and hunts in it for a call whose number the input also gives.
#![no_main]

use std::collections::BTreeMap;
use std::sync::Arc;

use clock::Wall;
use config::{Globals, LoadOptions, MemoryFiles, Problems, load};
use dialplan::{CompileOptions, Dialplan, Hunt, HuntScope, HuntStep, Scope, Text};
use libfuzzer_sys::fuzz_target;

struct Call {
    number: String,
    variables: BTreeMap<String, Vec<Text>>,
}

impl Scope for Call {
    fn variable(&self, name: &str) -> Option<Text> {
        self.variables.get(name)?.first().cloned()
    }

    fn element(&self, name: &str, index: usize) -> Option<Text> {
        self.variables.get(name)?.get(index).cloned()
    }

    fn field(&self, _name: &str) -> Option<Text> {
        Some(Text::network(self.number.as_str()))
    }

    fn now(&self) -> Wall {
        Wall::from_micros(1_795_168_800_000_000)
    }
}

impl HuntScope for Call {
    fn set_captures(&mut self, name: &str, values: Vec<Text>) {
        assert!(values.iter().all(|value| !value.is_empty()));
        self.variables.insert(name.to_owned(), values);
    }

    fn clear_captures(&mut self, prefix: &str) {
        self.variables.retain(|name, _| !name.starts_with(prefix));
    }
}

fuzz_target!(|input: &str| {
    let (number, context) = input.split_once('\x0c').unwrap_or(("100", input));
    let xml = format!(
        "<document><section name=\"dialplan\"><context name=\"c\">{context}</context></section></document>"
    );
    let files = MemoryFiles::new().with("freeswitch.xml", xml);
    let options = LoadOptions { expanded_bytes_max: 64 * 1024, ..LoadOptions::default() };
    let Some(document) = load(&files, "freeswitch.xml", Globals::new(), &options).document else { return };
    let Some(section) = document.section("dialplan") else { return };
    let mut problems = Problems::new();
    let dialplan = Arc::new(Dialplan::compile(section, &CompileOptions::default(), &mut problems));
    assert!(problems.iter().all(|problem| problem.place.is_some()));
    let mut call = Call { number: number.to_owned(), variables: BTreeMap::new() };
    let mut hunt = Hunt::new(dialplan, "c", number).with_trace();
    loop {
        match hunt.step(&mut call) {
            HuntStep::Done(_) => break,
            HuntStep::Ask(request) => hunt.answer(Some(request.arguments)),
            HuntStep::RunInline(action) => {
                call.variables.insert(action.application, vec![action.data]);
                hunt.inline_done();
            }
        }
    }
    hunt.trace().iter().for_each(|entry| drop(entry.to_string()));
});

//! Reads any dial string, every other part of which came from the network. What parses prints to what parses the
//! same, and what the network said changes neither legs nor names.
#![no_main]

use dialplan::{DialString, Text};
use libfuzzer_sys::fuzz_target;

/// Parts between form feeds, trusted and not by turns; the latter as they are, or with other letters.
fn text(input: &str, is_masked: bool) -> Text {
    let mut text = Text::new();
    for (index, part) in input.split('\x0c').enumerate() {
        if index % 2 == 0 {
            text.push_str(part);
        } else if is_masked {
            text.push_network(&"x".repeat(part.len()));
        } else {
            text.push_network(part);
        }
    }
    text
}

/// All of a dial string that nobody on the network may choose.
fn shape(dial_string: &DialString) -> Vec<String> {
    let mut shape: Vec<String> = dial_string.variables.iter().map(|variable| variable.name.clone()).collect();
    for thread in &dial_string.threads {
        shape.push(":_:".to_owned());
        shape.extend(thread.variables.iter().map(|variable| variable.name.clone()));
        for group in &thread.attempts {
            shape.push("|".to_owned());
            for leg in &group.legs {
                shape.push(format!(",{}", leg.endpoint_type));
                shape.extend(leg.variables.iter().map(|variable| variable.name.clone()));
            }
        }
    }
    shape
}

fuzz_target!(|input: &str| {
    let parsed = DialString::parse(&text(input, false));
    let masked = DialString::parse(&text(input, true));
    assert_eq!(parsed.as_ref().map(shape), masked.as_ref().map(shape));
    if let Ok(parsed) = parsed {
        assert_eq!(DialString::parse(&parsed.to_text()), Ok(parsed));
    }
});

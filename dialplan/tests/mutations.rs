//! Seeded mutations of texts, dial strings and contexts: the fuzz targets' questions, asked everywhere.

use std::collections::BTreeMap;
use std::sync::Arc;

use clock::Wall;
use config::{Globals, LoadOptions, MemoryFiles, Problems, load};
use dialplan::{CompileOptions, DialString, Dialplan, Hunt, HuntScope, HuntStep, Scope, Text, expand};

/// A small generator of numbers (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).expect("31 bits") % limit
    }

    fn pick<'a>(&mut self, pieces: &[&'a str]) -> &'a str {
        pieces[self.below(pieces.len())]
    }
}

#[derive(Default)]
struct Call {
    variables: BTreeMap<String, Vec<Text>>,
}

impl Scope for Call {
    fn variable(&self, name: &str) -> Option<Text> {
        self.variables.get(name)?.first().cloned()
    }

    fn element(&self, name: &str, index: usize) -> Option<Text> {
        self.variables.get(name)?.get(index).cloned()
    }

    fn field(&self, name: &str) -> Option<Text> {
        (name.len() > 3).then(|| Text::network("100"))
    }

    fn now(&self) -> Wall {
        Wall::from_micros(1_795_168_800_000_000)
    }
}

impl HuntScope for Call {
    fn set_captures(&mut self, name: &str, values: Vec<Text>) {
        assert!(values.iter().all(|value| !value.is_empty()), "{name} gets an empty element");
        self.variables.insert(name.to_owned(), values);
    }

    fn clear_captures(&mut self, prefix: &str) {
        self.variables.retain(|name, _| !name.starts_with(prefix));
    }
}

/// Without its atoms: what is left must not depend on what the network said.
fn without_atoms(text: &Text) -> String {
    let mut left = String::new();
    let mut done = 0;
    for atom in text.atoms() {
        left.push_str(&text.as_str()[done..atom.start]);
        left.push('\0');
        done = atom.end;
    }
    left + &text.as_str()[done..]
}

#[test]
fn what_the_network_says_changes_nothing_around_it() {
    const PIECES: &[&str] = &[
        "${",
        "}",
        "$",
        "$$",
        "\\",
        "'",
        "{",
        "(",
        ")",
        " ",
        "a",
        "ab",
        "[",
        "]",
        "0",
        "1",
        "\\s",
        "é",
        "${a}",
        "${ab}",
        "${toupper(",
        "${echo ",
        "${url_encode(",
        "${escape(",
        "${unknown(",
        "|",
    ];
    const EVIL: &[&str] = &["${a}", "${toupper(x)}", "}", ")", "(", "\\", "'", "$", "|", " ", "\\s", "é"];
    let mut random = Random(0x5DEE_CE66_D123_4567);
    for _ in 0..20_000 {
        let (mut text, mut masked) = (Text::new(), Text::new());
        for _ in 0..1 + random.below(12) {
            if random.below(4) == 0 {
                let evil = random.pick(EVIL);
                text.push_network(evil);
                masked.push_network(&"x".repeat(evil.len()));
            } else {
                let piece = random.pick(PIECES);
                text.push_str(piece);
                masked.push_str(piece);
            }
        }
        let call = |evil: &str| Call {
            variables: BTreeMap::from([
                ("a".to_owned(), vec![Text::trusted("<${ab}>")]),
                ("ab".to_owned(), vec![Text::network(evil), Text::trusted("second")]),
            ]),
        };
        let result = expand(&text, &call("${a}"), &mut |_| None);
        let expected = expand(&masked, &call("xxxx"), &mut |_| None);
        assert_eq!(without_atoms(&result), without_atoms(&expected), "{text:?}");
    }
}

#[test]
fn what_the_network_says_adds_no_leg_and_no_variable() {
    const PIECES: &[&str] = &[
        "sofia/x/", "a", "/", ",", "|", ":_:", "{", "}", "[", "]", "<", ">", "=", "'", "\\", " ", "^^:",
        "{v=", "[w=",
    ];
    const EVIL: &[&str] = &[
        "1,sofia/x/2",
        "|a/b",
        "{a=1}",
        "[a=1]",
        "<a=1>",
        ":_:a/b",
        "'",
        "\\",
        "]",
        "}",
        "=",
        "^^a",
        " ",
        ",",
    ];
    let shape = |dial_string: &DialString| -> Vec<String> {
        let threads = dial_string.threads.iter();
        let legs = threads.clone().flat_map(|thread| &thread.attempts).flat_map(|group| {
            let types = group.legs.iter().map(|leg| format!("{}/", leg.endpoint_type));
            std::iter::once("|".to_owned()).chain(types)
        });
        let own = threads.flat_map(|thread| &thread.variables).chain(&dial_string.variables);
        legs.chain(own.map(|variable| variable.name.clone())).collect()
    };
    let mut random = Random(0x1234_5678_9ABC_DEF1);
    let mut parsed_count = 0;
    for _ in 0..20_000 {
        let (mut text, mut masked) = (Text::new(), Text::new());
        for _ in 0..1 + random.below(12) {
            if random.below(4) == 0 {
                let evil = random.pick(EVIL);
                text.push_network(evil);
                masked.push_network(&"x".repeat(evil.len()));
            } else {
                let piece = random.pick(PIECES);
                text.push_str(piece);
                masked.push_str(piece);
            }
        }
        let (parsed, expected) = (DialString::parse(&text), DialString::parse(&masked));
        assert_eq!(parsed.as_ref().map(shape), expected.as_ref().map(shape), "{text:?}");
        parsed_count += usize::from(parsed.is_ok());
    }
    assert!(parsed_count > 5_000, "{parsed_count}");
}

#[test]
fn any_context_can_be_hunted_in() {
    const PIECES: &[&str] = &[
        "<extension name=\"e\">",
        "<extension continue=\"true\">",
        "</extension>",
        "<condition>",
        "</condition>",
        "<condition field=\"destination_number\" expression=\"^(1)(\\d*)\">",
        "<condition regex=\"all\">",
        "<condition regex=\"xor\" break=\"never\">",
        "<condition field=\"${a}\" expression=\"${DP_MATCH}(\">",
        "<condition hour=\"0-23\" require-nested=\"false\" break=\"on-true\">",
        "<regex field=\"${x(1)}\" expression=\"(1)?(0*)\"/>",
        "<regex year=\"1999\"/>",
        "<action application=\"set\" data=\"$1 ${2} ${3x} ${a}\"/>",
        "<action application=\"log\" inline=\"true\" loop=\"2\"/>",
        "<anti-action application=\"log\" data=\"$1\"/>",
        "<action application=\"log\" data=\"it\\'s\"/>",
        "text",
    ];
    let mut random = Random(0x0F0F_1234_5555_AAAB);
    let mut hunted = 0;
    for _ in 0..4_000 {
        let mut open = Vec::new();
        let mut context = String::new();
        for _ in 0..4 + random.below(24) {
            let piece = random.pick(PIECES);
            if let Some(name) = piece.strip_prefix("</") {
                if open.last().is_none_or(|open| !name.starts_with(open)) {
                    continue;
                }
                open.pop();
            } else if piece.starts_with('<') && !piece.ends_with("/>") {
                open.push(if piece.starts_with("<e") { "extension" } else { "condition" });
            }
            context += piece;
        }
        open.iter().rev().for_each(|name| context += &format!("</{name}>"));
        hunted += usize::from(hunt_in(&context).is_some());
    }
    assert!(hunted > 3_000, "{hunted}");
}

/// Hunts to the end; the number of questions and inline actions on the way.
fn hunt_in(context: &str) -> Option<usize> {
    let xml = format!(
        "<document><section name=\"dialplan\"><context name=\"c\">{context}</context></section></document>"
    );
    let files = MemoryFiles::new().with("freeswitch.xml", xml);
    let document = load(&files, "freeswitch.xml", Globals::new(), &LoadOptions::default()).document?;
    let mut problems = Problems::new();
    let dialplan =
        Dialplan::compile(document.section("dialplan")?, &CompileOptions::default(), &mut problems);
    assert!(problems.iter().all(|problem| problem.place.is_some()), "{problems:?}");
    let mut call = Call::default();
    let mut hunt = Hunt::new(Arc::new(dialplan), "c", "100").with_trace();
    for waits in 0..10_000 {
        match hunt.step(&mut call) {
            HuntStep::Done(_) => return Some(waits),
            HuntStep::Ask(request) => hunt.answer(Some(request.arguments)),
            HuntStep::RunInline(action) => {
                call.variables.insert("a".to_owned(), vec![action.data]);
                hunt.inline_done();
            }
        }
    }
    panic!("the hunt does not end: {context}");
}

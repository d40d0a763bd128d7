//! Expansion case by case, as dialplan.md §15 has it.

use super::*;
use crate::testing::Call;

fn call() -> Call {
    let mut call = Call::new()
        .with("n", "5")
        .with("digits", "0123456789")
        .with("v_100", "hit")
        .with_field("destination_number", Text::network("100"))
        .with_global("brand", "acme");
    call.set_array("list", &["z", "a", "b"]);
    call
}

impl Call {
    fn set_array(&mut self, name: &str, values: &[&str]) {
        self.variables.insert(name.into(), values.iter().map(|&value| value.into()).collect());
    }
}

/// Expands; functions that are asked for answer with their name and argument in brackets.
fn expanded_in(call: &Call, text: impl Into<Text>) -> Text {
    expand(&text.into(), call, &mut |api| match api.name.as_str() {
        "nothing" => None,
        name => Some(Text::trusted(format!("<{name}:{}>", api.arguments))),
    })
}

fn expanded(text: impl Into<Text>) -> String {
    expanded_in(&call(), text).into_string()
}

#[test]
fn a_text_without_reference_or_escape_is_not_touched() {
    for text in ["cost $$5 \\$6", "plain", "$", "\\", "{a}", "\\x", ""] {
        assert_eq!(expanded(text), text);
        assert!(!Expansion::is_needed(&text.into()));
    }
    assert!(Expansion::is_needed(&"$\\\\{x".into()) && Expansion::is_needed(&"a\\s".into()));
}

#[test]
fn escapes_and_dollars_once_there_is_a_reference() {
    assert_eq!(expanded("cost $$5 ${n}"), "cost $5 5");
    assert_eq!(expanded("\\${n} ${n}"), "${n} 5");
    assert_eq!(expanded("\\$${n} $a $"), "${n} $a $");
    assert_eq!(expanded("it\\'s \\\\ \\n\\s\\t \\$"), "its \\ \\n\\s\\t $");
    assert_eq!(expanded("$${n}${n}$"), "55$");
    assert_eq!(expanded("^\\$5\\s?$"), "^$5\\s?$");
}

#[test]
fn a_backslash_right_after_a_reference_is_ordinary() {
    assert_eq!(expanded("${n}\\${n}"), "5\\5");
    assert_eq!(expanded("${n}\\'"), "5\\'");
}

#[test]
fn unset_variables_are_empty_and_an_unclosed_reference_takes_the_rest() {
    assert_eq!(expanded("[${nope}] [${nope:1:2}] [${}]"), "[] [] []");
    assert_eq!(expanded("a ${nope b"), "a <nope:b>");
    assert_eq!(expanded("a ${n"), "a 5");
}

#[test]
fn names_nest_and_compare_without_case() {
    assert_eq!(expanded("${v_${destination_number}} ${N} ${Brand}"), "hit 5 acme");
    assert_eq!(expanded("${aleg_ani} ${BLEG_ani}"), "originator's ani originatee's ani");
}

#[test]
fn parts_of_a_value_are_counted_in_bytes() {
    let of = |cut: &str| expanded(format!("${{digits{cut}}}"));
    let cuts = [":3", ":-4", ":2:3", ":-4:2", ":20", ":-20", ":0:0", ":8:9", ":1:-1", ":"];
    let expected =
        ["3456789", "6789", "234", "67", "", "0123456789", "0123456789", "89", "123456789", "0123456789"];
    assert_eq!(cuts.map(of), expected);
    assert_eq!(
        expanded_in(&call().with("from", "2").with("len", "3"), "${digits:${from}:${len}}").as_str(),
        "234"
    );
    assert_eq!(expanded_in(&call().with("e", "é!"), "[${e:1}][${e:0:1}]").as_str(), "[é!][]");
}

#[test]
fn array_elements() {
    assert_eq!(
        expanded("${list} ${list[0]} ${list[2]} [${list[3]}] ${list[1]:0:1}"),
        "ARRAY::z|:a|:b z b [] a"
    );
    assert_eq!(expanded("${list[-1]} ${list[1}"), "ARRAY::z|:a|:b ");
}

#[test]
fn values_are_expanded_again() {
    let call = call().with("w", "\\${n} ${n}").with("self", "${self}");
    assert_eq!(expanded_in(&call, "${w}").as_str(), "${n} 5");
    assert_eq!(expanded_in(&call, "[${self}]").as_str(), "[${self}]");
}

#[test]
fn function_results_are_not_expanded() {
    assert_eq!(expanded("${echo(\\\\${n})} ${toupper(${nothing(x)}${n}a)}"), "\\5 5A");
    let call = call().with("w", "\\\\\\${n}");
    assert_eq!(expanded_in(&call, "${echo(${w})}").as_str(), "\\${n}");
}

#[test]
fn text_after_the_closing_parenthesis_is_dropped() {
    assert_eq!(expanded("[${toupper(ab)cd}]"), "[AB]");
    assert_eq!(expanded("[${toupper((a)b)}] [${toupper ab c}] [${toupper a(b)c}]"), "[(A)B] [AB C] [A(B]");
    assert_eq!(expanded("[${toupper( a  )}]"), "[A]");
}

#[test]
fn unknown_functions_are_asked_for_and_may_give_nothing() {
    assert_eq!(
        expanded("[${nothing(x)}] [${two words}] [${hash(select/${n})}]"),
        "[] [<two:words>] [<hash:select/5>]"
    );
}

#[test]
fn a_question_stands_until_it_is_answered() {
    let mut expansion = Expansion::new(&"a${hash(x)}b${n}".into());
    let call = call();
    let asked = ApiCall { name: "hash".into(), arguments: "x".into() };
    assert_eq!(expansion.step(&call), Step::Ask(asked.clone()));
    assert_eq!(expansion.step(&call), Step::Ask(asked));
    expansion.answer(Some(Text::network("${n}")));
    let mut result = Text::trusted("a");
    result.push_network("${n}");
    result.push_str("b5");
    assert_eq!(expansion.step(&call), Step::Done(result));
}

#[test]
fn eval_sees_globals_only_and_expand_runs_a_command() {
    assert_eq!(expanded("${eval(a ${n} \\${brand}\\${n})}"), "a 5 acme");
    assert_eq!(expanded("${expand(toupper x ${n} \\${brand})}"), "X 5 ACME");
    assert_eq!(expanded("${expand(hash a b)} ${expand()}"), "<hash:a b> -ERR No input");
    assert_eq!(expanded("[${nothing(x)}] ${expand(nothing x)}"), "[] -ERR Cannot execute command");
}

#[test]
fn functions_can_be_switched_off() {
    let mut call = call();
    call.may_call_functions = false;
    assert_eq!(expanded_in(&call, "${n} ${toupper(a)}").as_str(), "5 <API Execute Permission Denied>");
}

#[test]
fn network_text_is_never_expanded() {
    let call = call().with("evil", Text::network("${n}${system(rm)} \\$ $$ \\'")).with("w", "<${evil}>");
    let mut expected = Text::trusted("<");
    expected.push_network("${n}${system(rm)} \\$ $$ \\'");
    expected.push_str(">");
    assert_eq!(expanded_in(&call, "${w}"), expected);
    assert_eq!(expanded_in(&call, Text::network("${n}")), Text::network("${n}"));
}

#[test]
fn the_network_chooses_no_function_and_no_part_of_a_reference() {
    let call = call().with("api", Text::network("system")).with("cut", Text::network("digits:1:1"));
    assert_eq!(expanded_in(&call, "[${${api}(x)}] [${${cut}}]").as_str(), "[] []");
    let mut text = Text::trusted("${");
    text.push_network("n}${system(x)");
    text.push_str("}!");
    assert_eq!(expanded_in(&call, text).as_str(), "!");
}

#[test]
fn an_argument_from_the_network_holds_no_parenthesis() {
    let call = call().with("evil", Text::network(") ) (|x"));
    let text = expanded_in(&call, "${regex(${evil}|^(.*)$|<%1>)}");
    assert_eq!(format!("{text:?}"), "\"<‹) ) (|x›>\"");
}

#[test]
fn variables_that_double_each_other_end() {
    let mut call = Call::new();
    for level in 0..90 {
        call.set(&format!("v{level}"), Text::trusted(format!("${{v{0}}}${{v{0}}}", level + 1)));
    }
    call.set("v90", "x".into());
    assert!(expanded_in(&call, "${v0}").len() <= 2_000);
    let call = Call::new().with("big", "x".repeat(1_000_000));
    let len = expanded_in(&call, "${big}".repeat(100)).len();
    assert!((1_000_000..=4 * 1024 * 1024).contains(&len), "{len}");
}

#[test]
fn nesting_deeper_than_the_limit_ends() {
    let deep = "${a".repeat(5_000) + &"}".repeat(5_000);
    assert_eq!(expanded(deep), "");
}

//! `cond(A OP B ? T : F)` (dialplan.md §16.1).

use crate::text::Text;
use crate::tokenizer::split;
use crate::words::{is_number, leading_decimal};

#[derive(Clone, Copy)]
enum Operator {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

struct Operand {
    text: Text,
    is_number: bool,
}

/// T or F; `-ERR` for what cannot be read.
pub(super) fn cond(text: &Text) -> Text {
    evaluate(text).unwrap_or_else(|| Text::trusted("-ERR"))
}

fn evaluate(text: &Text) -> Option<Text> {
    let (left, after_left) = operand(text, 0)?;
    let (operator, after_operator) = operator(text, after_left)?;
    // The character after the operator is skipped, whatever it is.
    let (right, after_right) = operand(text, skip_blanks(text, after_operator + 1))?;
    let question = skip_blanks(text, after_right);
    if text.syntax_at(question) != Some(b'?') {
        return None;
    }
    let mut results = split(&text.slice(question + 1..text.len()), ':', 2).into_iter();
    let if_true = results.next()?;
    let if_false = results.next().unwrap_or_default();
    Some(if compare(&left, operator, &right) { if_true } else { if_false })
}

/// An operand that begins at `at`, in single quotes or up to a blank, and where it ends.
fn operand(text: &Text, at: usize) -> Option<(Operand, usize)> {
    if text.syntax_at(at) != Some(b'\'') {
        let end = text.find_syntax(b' ', at)?;
        let operand = text.slice(at..end);
        let is_number = is_number(operand.as_str());
        return Some((Operand { text: operand, is_number }, end));
    }
    let mut end = at + 1;
    while text.syntax_at(end) != Some(b'\'') {
        if end >= text.len() {
            return None;
        }
        end += if text.syntax_at(end) == Some(b'\\') { 2 } else { 1 };
    }
    let is_followed_by_blank = text.syntax_at(end + 1).is_some_and(|byte| byte.is_ascii_whitespace());
    let operand = Operand { text: text.slice(at + 1..end), is_number: false };
    is_followed_by_blank.then_some((operand, end + 1))
}

fn operator(text: &Text, from: usize) -> Option<(Operator, usize)> {
    let at = (from..text.len()).find(|&at| matches!(text.syntax_at(at), Some(b'=' | b'!' | b'<' | b'>')))?;
    let has_equals = text.syntax_at(at + 1) == Some(b'=');
    let operator = match (text.syntax_at(at)?, has_equals) {
        (b'=', true) => Operator::Equal,
        (b'!', true) => Operator::NotEqual,
        (b'>', true) => Operator::GreaterOrEqual,
        (b'<', true) => Operator::LessOrEqual,
        (b'>', false) => Operator::Greater,
        (b'<', false) => Operator::Less,
        _ => return None,
    };
    Some((operator, at + 1 + usize::from(has_equals)))
}

/// Two texts are equal as texts; in any other comparison a text is worth its length.
fn compare(left: &Operand, operator: Operator, right: &Operand) -> bool {
    let worth = |operand: &Operand| {
        if operand.is_number { leading_decimal(operand.text.as_str()) } else { operand.text.len() as f64 }
    };
    let are_texts = !left.is_number && !right.is_number;
    let are_equal = || {
        if are_texts { left.text.as_str() == right.text.as_str() } else { worth(left) == worth(right) }
    };
    match operator {
        Operator::Equal => are_equal(),
        Operator::NotEqual => !are_equal(),
        Operator::Greater => worth(left) > worth(right),
        Operator::GreaterOrEqual => worth(left) >= worth(right),
        Operator::Less => worth(left) < worth(right),
        Operator::LessOrEqual => worth(left) <= worth(right),
    }
}

fn skip_blanks(text: &Text, mut at: usize) -> usize {
    while text.syntax_at(at) == Some(b' ') {
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(text: &str) -> String {
        cond(&Text::trusted(text)).into_string()
    }

    #[test]
    fn texts_compare_by_letters_and_numbers_by_value() {
        assert_eq!(result("'red' == 'red' ? R : other"), "R");
        assert_eq!(result("'red' == 'Red' ? R : other"), "other");
        assert_eq!(result("1.0 == 1 ? same : other"), "same");
        assert_eq!(result("10 > 9 ? A : B"), "A");
        assert_eq!(result("2 <= 1 ? A : B"), "B");
        assert_eq!(result("a != b ? A : B"), "A");
    }

    #[test]
    fn a_text_is_worth_its_length() {
        assert_eq!(result("abc == 3 ? A : B"), "A");
        assert_eq!(result("'abc' == '3' ? A : B"), "B");
        assert_eq!(result("'10' > '9' ? A : B"), "A");
        assert_eq!(result("'10' > '99' ? A : B"), "B");
    }

    #[test]
    fn blanks_are_required() {
        assert_eq!(result("1 ==1 ? A : B"), "-ERR");
        assert_eq!(result("1 == 1? A : B"), "-ERR");
        assert_eq!(result("== x ? A : B"), "-ERR");
        assert_eq!(result("'x'== 'x' ? A : B"), "-ERR");
        assert_eq!(result(""), "-ERR");
    }

    #[test]
    fn only_the_first_colon_splits_and_the_second_result_may_be_missing() {
        assert_eq!(result("1 == 2 ? a : b:c"), "b:c");
        assert_eq!(result("1 == 1 ? 'a:b' : c"), "a:b");
        assert_eq!(result("1 == 2 ? a"), "");
    }

    #[test]
    fn an_operand_from_the_network_is_whole_whatever_it_holds() {
        let mut text = Text::network("x ? y : z' ");
        text.push_str(" == x ? A : B");
        assert_eq!(cond(&text).as_str(), "B");
    }
}

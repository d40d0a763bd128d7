//! `regex(DATA|PATTERN[|SUBST[|FLAGS]])` (dialplan.md §16.2).

use super::lists::own_delimiter;
use crate::pattern::Pattern;
use crate::substitution::substitute;
use crate::text::Text;
use crate::tokenizer::split;

/// `true` or `false`; with SUBST what it makes of the match, or DATA unchanged.
pub(super) fn regex(text: &Text) -> Text {
    let (delimiter, list) = own_delimiter(text);
    let fields = split(&list, delimiter, 4);
    let [data, expression, rest @ ..] = fields.as_slice() else { return Text::trusted("-ERR") };
    let pattern = Pattern::compile_once(expression);
    let captures = pattern.ok().and_then(|pattern| pattern.search(data).ok().flatten());
    let Some(template) = rest.first() else {
        return Text::trusted(if captures.is_some() { "true" } else { "false" });
    };
    let flags = rest.get(1).map_or("", Text::as_str);
    match captures {
        Some(captures) => substitute(&with_dollars(template), &captures),
        None if flags.contains('n') => Text::new(),
        None if flags.contains('b') => Text::trusted("false"),
        None => data.clone(),
    }
}

/// Every `%` becomes a `$`.
fn with_dollars(template: &Text) -> Text {
    let mut out = Text::new();
    let mut copied = 0;
    while let Some(percent) = template.find_syntax(b'%', copied) {
        out.push_slice(template, copied..percent);
        out.push('$');
        copied = percent + 1;
    }
    out.push_slice(template, copied..template.len());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(text: &str) -> String {
        regex(&Text::trusted(text)).into_string()
    }

    #[test]
    fn without_substitution_it_says_whether_it_matched() {
        assert_eq!(result("abc|b"), "true");
        assert_eq!(result("abc|x"), "false");
        assert_eq!(result("abc|b|"), "true");
        assert_eq!(result("abc"), "-ERR");
        assert_eq!(result("abc|("), "false");
        assert_eq!(result("2125551212|_NXXNXXXXXX"), "true");
        assert_eq!(result("ABC|/b/i"), "true");
    }

    #[test]
    fn with_substitution_it_rewrites() {
        assert_eq!(result("100|^1(\\d+)$|N%1"), "N00");
        assert_eq!(result("100|^1(\\d+)$|%{1}5$1"), "00500");
        assert_eq!(result("abc|^x(.)$|%1"), "abc");
        assert_eq!(result("abc|^x(.)$|%1|n"), "");
        assert_eq!(result("abc|^x(.)$|%1|b"), "false");
        assert_eq!(result("a|a||n"), "");
        assert_eq!(result("m:~100~^(200|100)$~X%1"), "X100");
    }

    #[test]
    fn what_is_cut_out_of_an_atom_is_an_atom() {
        let mut text = Text::network("1,2|3");
        text.push_str("|^1(.*)$|<%1>");
        assert_eq!(format!("{:?}", regex(&text)), "\"<‹,2|3›>\"");
    }

    #[test]
    fn an_atom_in_the_expression_stands_for_itself() {
        let mut text = Text::trusted("100|^");
        text.push_network(".*");
        assert_eq!(regex(&text).as_str(), "false");
    }
}

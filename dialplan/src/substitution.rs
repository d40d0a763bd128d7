//! `$1`, `${1}`: captures put into a text (dialplan.md §8).

use crate::pattern::Captures;
use crate::text::Text;

/// Digits that are read of one reference.
const DIGITS_MAX: usize = 9;
/// The highest group that can be named.
const GROUP_MAX: usize = 256;

/// `template` with its references replaced by the captures, which keep their provenance.
pub fn substitute(template: &Text, captures: &Captures) -> Text {
    let mut substitution = Substitution { template, captures, digits: String::new(), out: Text::new() };
    substitution.run();
    let Substitution { mut out, .. } = substitution;
    // FreeSWITCH gives the result this much room.
    let room = (template.len() + captures.subject_len() + 10).saturating_mul(captures.count().max(1));
    out.truncate(room - 1);
    out
}

struct Substitution<'a> {
    template: &'a Text,
    captures: &'a Captures,
    /// Digits read so far; those of a malformed `${1a}` stay for the next reference.
    digits: String,
    out: Text,
}

impl Substitution<'_> {
    fn run(&mut self) {
        let mut copied = 0;
        while let Some(dollar) = self.template.find_syntax(b'$', copied) {
            self.out.push_slice(self.template, copied..dollar);
            copied = self.reference(dollar);
        }
        self.out.push_slice(self.template, copied..self.template.len());
    }

    /// Handles the dollar at `dollar` and says where to go on.
    fn reference(&mut self, dollar: usize) -> usize {
        let has_brace = self.template.syntax_at(dollar + 1) == Some(b'{');
        let first = dollar + 1 + usize::from(has_brace);
        let mut end = first;
        while let Some(digit) = self.template.syntax_at(end).filter(u8::is_ascii_digit)
            && self.digits.len() < DIGITS_MAX
        {
            self.digits.push(char::from(digit));
            end += 1;
        }
        if end == first {
            self.out.push_slice(self.template, dollar..first);
            return first;
        }
        if has_brace && self.template.syntax_at(end) != Some(b'}') {
            // `${` is lost and what follows is ordinary.
            self.out.push_slice(self.template, first..end);
            return end;
        }
        let group = self.digits.parse().unwrap_or(usize::MAX);
        self.digits.clear();
        if group <= GROUP_MAX
            && let Some(text) = self.captures.group(group)
        {
            self.out.push_text(&text);
        }
        end + usize::from(has_brace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pattern::Pattern;

    fn substituted(template: &str, expression: &str, subject: &str) -> String {
        let pattern = Pattern::compile(&expression.into()).unwrap();
        let captures = pattern.search(&Text::network(subject)).unwrap().unwrap();
        format!("{:?}", substitute(&Text::trusted(template), &captures))
    }

    #[test]
    fn digits_are_read_greedily_and_braces_end_them() {
        assert_eq!(substituted("$1 ${1}5 [$15]", "^1(..)$", "100"), "\"‹00› ‹00›5 []\"");
        assert_eq!(substituted("$0", "0(0)", "100"), "\"‹00›\"");
        assert_eq!(substituted("$257 $999999999999", "1(.)", "100"), "\" 999\"");
    }

    #[test]
    fn other_dollars_stay() {
        assert_eq!(substituted("$ $a ${name} $$1", "^1(..)$", "100"), "\"$ $a ${name} $‹00›\"");
    }

    #[test]
    fn a_malformed_reference_loses_its_brace_and_keeps_its_digit() {
        assert_eq!(substituted("${1a}", "^1(..)$", "100"), "\"1a}\"");
        assert_eq!(
            substituted("${1a} $1", "^(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(k)$", "abcdefghijk"),
            "\"1a} ‹k›\""
        );
    }

    #[test]
    fn a_group_without_part_is_empty() {
        assert_eq!(substituted("[$1][$2]", "^(9)?(\\d+)$", "100"), "\"[][‹100›]\"");
    }
}
